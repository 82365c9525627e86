"""docs/errors.md is written from the catalogue, and lists every word that programs may rely on, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from refinery_beam.rules import RULES
from refinery_beam.rules.page import page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")


def words_of(heading: str) -> set[str]:
    """The words of the first column below a heading of second level."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert section, heading
    return {word for row in re.findall(r"^\| (`[^|]+) \|", section[1], flags=re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)}


def trees(*folders: str) -> Iterator[ast.AST]:
    for folder in folders or ("",):
        for file in sorted((ROOT / "refinery_beam" / folder).rglob("*.py")):
            yield ast.parse(file.read_bytes())


def plain_words(node: ast.expr) -> set[str]:
    """The words an expression may give: a word, or a choice between words."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return plain_words(node.body) | plain_words(node.orelse)
    return set()


def first_words(names: set[str], *folders: str) -> set[str]:
    """The first argument of every call of one of these names, where it is a plain word."""
    return {
        word
        for tree in trees(*folders)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in names
        for word in plain_words(node.args[0])
    }


def test_the_page_is_the_catalogue() -> None:
    assert page() == PAGE, "`make docs-errors` writes the page"


def test_the_page_lists_every_code() -> None:
    assert words_of("Error codes") == set(RULES)


def test_every_ledger_reason_is_listed() -> None:
    listed = words_of("Ledger reasons")
    raised = first_words({"BadRecord"}, "plugins", "record", "crashes")
    assert sorted(word for word in raised if word not in listed and not word.startswith("schema:")) == []
    assert (
        sorted(
            listed
            - raised
            - {"schema:FIELD", "contract:KIND", "filtered", "duplicate", "unassigned", "label_missing", "unreadable", "bad_name"}
        )
        == []
    )


def test_every_finding_is_listed() -> None:
    found = {word for word in first_words({"tally.add", "add", "Finding"}, "cache") if re.fullmatch(r"[a-z-]+", word)}
    assert len(found) >= 10
    assert sorted(found - words_of("Findings of `verify`")) == []


@pytest.mark.parametrize("heading", ["Ledger reasons", "Error codes", "Findings of `verify`"])
def test_the_page_is_read_as_written(heading: str) -> None:
    assert len(words_of(heading)) > 5
