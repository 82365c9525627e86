"""The digests that `tests/compat` compares with; as a program it writes them anew: ``PYTHONPATH=tests python -m support.digests``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from support.kitchen import TESTS, Kitchen

FILE = TESTS / "compat" / "digests.json"
KNOWN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def write_anew() -> None:
    """Cook the recipes that the file names, and write what comes out."""
    with tempfile.TemporaryDirectory() as folder:
        kitchen = Kitchen.stocked(Path(folder))
        cooked = {name: kitchen.cook(name).manifest.raw for name in sorted(KNOWN["recipes"])}
    first = next(iter(cooked.values()))
    found = {
        "codec_fingerprint": first["codec_fingerprint"],
        "packages": first["environment"]["packages"],
        "recipes": {name: {key: raw[key] for key in ("files_digest", "logical_digest")} for name, raw in cooked.items()},
    }
    FILE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_anew()
