"""The digests of the most different recipes of the suite, as they were written down: what is not meant to change a byte changes none.

`digests.json` also names what decided those bytes. On a machine whose codecs do something else the rows are others, and with other packages
the files are: there only what must still hold is compared. ``python tests/compat/test_digests.py`` writes the file anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import RECIPES, Kitchen

FILE = Path(__file__).parent / "digests.json"
KNOWN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(KNOWN["recipes"]))
def test_the_same_bytes_as_ever(name: str, kitchen: Kitchen) -> None:
    raw = kitchen.cook(name).manifest.raw
    if raw["codec_fingerprint"] != KNOWN["codec_fingerprint"]:
        pytest.skip("the codecs of this machine give other pixels")
    want = KNOWN["recipes"][name]
    assert raw["logical_digest"] == want["logical_digest"]
    if raw["environment"]["packages"] == KNOWN["packages"]:
        assert raw["files_digest"] == want["files_digest"]


def write_anew() -> None:
    """Cook the recipes that the file names, and write what comes out."""
    from sets import draw_all

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw_all(root)
        for recipe in RECIPES.glob("*.yaml"):
            (root / recipe.name).write_bytes(recipe.read_bytes())
        kitchen = Kitchen(root)
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
