"""The recipes that people already have, verbatim, as files in ``seed_recipes/``."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "seed_recipes"
MAIN, SIDECAR, PARTITIONED, UNLABELED = ((FOLDER / f"{name}.yaml").read_text() for name in ("main", "sidecar", "partitioned", "unlabeled"))
