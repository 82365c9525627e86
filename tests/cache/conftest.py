"""Makes the hand-written instances importable here and in child processes."""

import sys
from pathlib import Path

HANDMADE = str(Path(__file__).resolve().parents[1] / "cache")
if HANDMADE not in sys.path:
    sys.path.insert(0, HANDMADE)
