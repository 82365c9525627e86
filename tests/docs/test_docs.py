"""README, docs and examples do what they say: every command, recipe and snippet in them runs.

How a page is written for this (all of it invisible in a rendered page):

* ``<!-- images: folders my-images -->`` draws pictures first, as ``python -m refinery_beam.testing.images folders my-images`` would.
* ``<!-- file: recipe.yaml -->`` above a fenced block writes the block to that file.
* ``<!-- in: recipe.yaml -->`` above a ``yaml`` block lays its sections over that file; the result must pass `refinery-beam validate`.
* In a ``console`` block, lines after ``$ `` run in order; ``# exit 1`` at the end of one says with which code it must end. Other lines show
  output and are not compared.
* ``python`` blocks of a page run in order, in one namespace.
* ``sh``, ``text`` and other blocks only show.

A page runs from top to bottom in one empty folder of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from refinery_beam.plugins.discovery import find_plugin

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(p for f in ("docs/*.md", "examples/*.md", "launchers/**/*.md") for p in sorted(ROOT.glob(f))),
]
EXAMPLES = sorted(ROOT.glob("examples/*/README.md"))
QUICK = (ROOT / "README.md",)
"""What a newcomer reads first runs with every `make test`; the other pages that run the product are slow tests."""


TRAINING = ROOT / "docs/training.md"
"""It needs PyTorch: `make test-torch` runs it."""


def marked(pages: Sequence[Path]) -> list[Any]:
    """Pages as parameters; slow are those that run something and are not for newcomers."""
    slow = [
        page for page in pages if page not in QUICK and re.search("refinery-beam |import refinery_beam", page.read_text(encoding="utf-8"))
    ]
    training = [pytest.mark.torch, pytest.mark.timeout(900)]
    marks = {page: training if page == TRAINING else pytest.mark.slow if page in slow else () for page in pages}
    return [pytest.param(page, marks=marks[page], id=page.relative_to(ROOT).as_posix()) for page in pages]


_NOTE = re.compile(r"<!-- *(?P<key>[a-z]+): *(?P<value>.*?) *-->")
_FENCE = re.compile(r"^ {0,3}```(?P<language>\w*)\s*$")
_EXIT = re.compile(r"\s+# exit (?P<code>\d+)$")


class Block(NamedTuple):
    """A fenced block (language, text and the note above it) or a note that stands alone (language '')."""

    line: int
    language: str
    text: str
    key: str
    value: str


def blocks(text: str) -> Iterator[Block]:
    note, body, language, start = ("", ""), None, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if body is not None:
            if fence:
                yield Block(start, language, "".join(body), *note)
                note, body = ("", ""), None
            else:
                body.append(line + "\n")
        elif fence:
            language, start, body = fence["language"], number, []
        elif found := _NOTE.search(line):
            note = (found["key"], found["value"])
            if note[0] == "images":
                yield Block(number, "", "", *note)
                note = ("", "")
        elif line.strip():
            note = ("", "")
    assert body is None, f"line {start}: a fenced block without an end"


class Page:
    """One page being run in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pieces: list[str] = []

    def call(self, command: list[str], *, expected: int = 0) -> str:
        scripts = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False
        )
        shown = f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert done.returncode == expected, f"{shown}\nended with {done.returncode}, not {expected}"
        return shown

    def run(self, block: Block) -> None:
        if block.key == "images":
            self.call([sys.executable, "-m", "refinery_beam.testing.images", *shlex.split(block.value)])
        elif block.key == "file":
            path = self.folder / block.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.key == "in":
            recipe = yaml.safe_load((self.folder / block.value).read_text(encoding="utf-8"))
            recipe.update(yaml.safe_load(block.text))
            variation = self.folder / f"line-{block.line}.yaml"
            variation.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
            self.call(["refinery-beam", "validate", variation.name])
        elif block.language == "console":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    code = _EXIT.search(line)
                    self.call(["bash", "-c", _EXIT.sub("", line[2:])], expected=int(code["code"]) if code else 0)
        elif block.language == "python":
            # One namespace a page: the blocks so far run again, which is cheap and keeps failures in the block they belong to.
            self.pieces.append(block.text)
            self.call([sys.executable, "-c", "\n".join(self.pieces)])
        elif block.language == "yaml":
            yaml.safe_load(block.text)


def run_page(page: Path, folder: Path) -> None:
    runner = Page(folder)
    for block in blocks(page.read_text(encoding="utf-8")):
        try:
            runner.run(block)
        except AssertionError as failure:
            raise AssertionError(f"{page.relative_to(ROOT)}:{block.line}: {failure}") from None


@pytest.mark.parametrize("page", marked(PAGES))
def test_page_runs(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", marked(EXAMPLES))
def test_example_runs(page: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes((page.parent / "recipe.yaml").read_bytes())
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_on_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert [p.name for p in ROOT.glob("docs/*.md") if p.name != "index.md" and f"({p.name})" not in index] == []


def test_every_op_is_described() -> None:
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    plugin = find_plugin("image_classification")
    rows = {row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \| ([^|]*)\|", page, flags=re.MULTILINE)}
    documented = {name: set(re.findall(r"`(\w+)`", rows.get(name, ""))) for name in plugin.ops}
    assert documented == {name: {f.alias or n for n, f in op.spec.params.model_fields.items()} for name, op in plugin.ops.items()}


def test_blocks_are_read_as_written() -> None:
    page = "<!-- images: flat x -->\n\n<!-- file: a.yaml -->\n```yaml\na: 1\n```\nwords\n```console\n$ false  # exit 1\n```\n"
    assert [(b.language, b.text, b.key, b.value) for b in blocks(page)] == [
        ("", "", "images", "flat x"),
        ("yaml", "a: 1\n", "file", "a.yaml"),
        ("console", "$ false  # exit 1\n", "", ""),
    ]
