from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.index.listing.layout import FLAT, FOLDER, Layout, Match


def test_folder_is_one_level() -> None:
    layout = Layout(FOLDER)
    assert layout.match("cat/1.png") == Match("cat", None)
    assert layout.match("1.png") is None
    assert layout.match("cat/deep/1.png") is None


def test_flat_is_any_depth() -> None:
    layout = Layout(FLAT)
    assert [layout.match(p) for p in ("1.png", "a/1.png", "a/b/1.png")] == [Match(None, None)] * 3


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("{split}/{label}/{file}", "train/cat/1.png", ("cat", "train")),
        ("{split}/{label}/{file}", "train/cat/x/1.png", None),
        ("{label}/**/{file}", "cat/1.png", ("cat", None)),
        ("{label}/**/{file}", "cat/a/b/1.png", ("cat", None)),
        ("**/{label}/{file}", "x/y/cat/1.png", ("cat", None)),
        ("**/{label}/{file}", "1.png", None),
        ("data/*/{label}/{file}", "data/2020/cat/1.png", ("cat", None)),
        ("data/*/{label}/{file}", "Data/2020/cat/1.png", None),
        ("*/{file}", "a/1.png", (None, None)),
        ("{file}", "1.png", (None, None)),
        ("{file}", "a/1.png", None),
        ("cafe\u0301/{label}/{file}", "caf\u00e9/re\u0301/1.png", ("r\u00e9", None)),
    ],
)
def test_match(template: str, path: str, expected: tuple[str | None, str | None] | None) -> None:
    assert Layout(template).match(path) == expected


_PATTERN = {"{label}": "(?P<label>[^/]+)", "{split}": "(?P<split>[^/]+)", "{file}": "[^/]+", "*": "[^/]+"}


def _as_regex(template: str) -> re.Pattern[str]:
    out = ""
    for segment in template.split("/"):
        out += "(?:[^/]+/)*" if segment == "**" else _PATTERN.get(segment, re.escape(segment)) + "/"
    return re.compile(out[:-1])


@st.composite
def _templates(draw: st.DrawFn) -> str:
    plain = st.sampled_from(["a", "b", "*"])
    segments = draw(st.lists(plain, max_size=3))
    for token in draw(st.sets(st.sampled_from(["{label}", "{split}", "**"]))):
        segments.insert(draw(st.integers(0, len(segments))), token)
    return "/".join([*segments, "{file}"])


@given(_templates(), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=7))
def test_agrees_with_a_regular_expression(template: str, parts: list[str]) -> None:
    path = "/".join(parts)
    found = Layout(template).match(path)
    expected = _as_regex(template).fullmatch(path)
    assert (found is None) == (expected is None)
    if expected is not None and found is not None:
        groups = expected.groupdict()
        assert found == Match(groups.get("label"), groups.get("split"))


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
def test_a_second_look_says_the_same(parts: list[str]) -> None:
    layout = Layout("**/b/{label}/{file}")
    path = "/".join(parts)
    assert layout.match(path) == layout.match(path) == Layout("**/b/{label}/{file}").match(path)
    assert fnmatch.fnmatch(path, "*b/?/?") or layout.match(path) is None
