"""The pictures of docs/splits.md are what `make docs-splits` draws, and the page shows each of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]


def test_the_pictures_are_what_the_code_that_splits_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs/draw_splits.py", tmp_path], check=True, timeout=120)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/pictures").glob("splits-*.svg")}
    assert all(ElementTree.fromstring(text).tag.endswith("svg") for text in drawn.values())
    shown = re.findall(r"\]\(pictures/(splits-[a-z-]+\.svg)\)", (ROOT / "docs/splits.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(drawn)
