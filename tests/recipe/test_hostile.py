"""Text that is no recipe, or wants to hurt: refused at once, by name and place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.recipe import load_recipe
from refinery_beam.recipe.yaml.nodes import to_data
from refinery_beam.recipe.yaml.parse import MAX_BYTES, MAX_DEPTH, parse_yaml
from refinery_beam.recipe.yaml.scalars import resolve_scalar


def billion_laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 10)]
    return "\n".join(lines)


def deep_laughs() -> str:
    return "\n".join(["a0: &a0 [[[[[[[[x]]]]]]]]"] + [f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]" for i in range(1, 9)])


HEAD = "schema_version: 3\n"
HOSTILE: dict[str, tuple[str | bytes, str, str]] = {
    # name: (text, code, line:column)
    "empty": ("", "not-a-mapping", "1:1"),
    "only a comment": ("# nothing\n", "not-a-mapping", "1:1"),
    "null": ("~", "not-a-mapping", "1:1"),
    "a list": ("- a\n- b\n", "not-a-mapping", "1:1"),
    "a scalar": ("recipe", "not-a-mapping", "1:1"),
    "ten megabytes": ("a: " + "x" * 10_000_000, "yaml-too-large", "1:1"),
    "one byte too many": (b"a: " + b"x" * (MAX_BYTES - 2), "yaml-too-large", "1:1"),
    "deep flow": (HEAD + "a: " + "[" * 900 + "]" * 900, "yaml-too-deep", f"2:{3 + MAX_DEPTH}"),
    "deep block": ("".join(" " * i + f"k{i}:\n" for i in range(1000)), "yaml-too-deep", "65:65"),
    "deep lists": ("- " * 1000, "yaml-too-deep", "1:129"),
    "unclosed deep flow": ("{a: " * 1000, "yaml-too-deep", "1:257"),
    "many values": ("a: [" + "1," * 200_000 + "]", "yaml-too-many-values", "1:199999"),
    "billion laughs": (billion_laughs(), "yaml-too-many-values", "5:45"),
    "deep laughs": (
        "\n".join(["a0: &a0 [[[[[[[[x]]]]]]]]"] + [f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]" for i in range(1, 9)]),
        "yaml-too-deep",
        "8:17",
    ),
    "an anchor of a mapping": (HEAD + "plugin: &p {a: b}\n", "yaml-alias", "2:9"),
    "an alias of itself": (HEAD + "plugin: &p [x, *p]\n", "yaml-alias", "2:16"),
    "an alias of nothing": (HEAD + "plugin: *p\n", "yaml-alias", "2:9"),
    "merge of an alias": (HEAD + "Input:\n  <<: *p\n", "yaml-alias", "3:7"),
    "python tag": (HEAD + 'plugin: !!python/object/apply:os.system ["true"]\n', "yaml-tag", "2:9"),
    "python name tag": (HEAD + "plugin: !!python/name:os.system\n", "yaml-tag", "2:9"),
    "a core tag": (HEAD + "plugin: !!str 5\n", "yaml-tag", "2:9"),
    "a local tag": (HEAD + "plugin: !x 5\n", "yaml-tag", "2:9"),
    "duplicate key": (HEAD + "seed: 1\nplugin: x\nseed: 2\n", "yaml-duplicate-key", "4:1"),
    "duplicate nested key": (HEAD + "Splits: {seed: 1, seed: 2}\n", "yaml-duplicate-key", "2:19"),
    "duplicate quoted key": (HEAD + 'seed: 1\n"seed": 2\n', "yaml-duplicate-key", "3:1"),
    "a number as key": (HEAD + "Splits:\n  ratios: {1: 0.5}\n", "yaml-key-not-text", "3:12"),
    "true as key": (HEAD + "true: 1\n", "yaml-key-not-text", "2:1"),
    "null as key": (HEAD + "~: 1\n", "yaml-key-not-text", "2:1"),
    "a list as key": (HEAD + "[a, b]: 1\n", "yaml-key-not-text", "2:1"),
    "two documents": (HEAD + "---\n" + HEAD, "yaml-many-documents", "2:1"),
    "tab": (HEAD + "Input:\n\tsources: []\n", "yaml-syntax", "3:1"),
    "open bracket": (HEAD + "Input: [1, 2\n", "yaml-syntax", "3:1"),
    "open quote": (HEAD + 'plugin: "abc\n', "yaml-syntax", "3:1"),
    "colon in text": (HEAD + "plugin: a: b\n", "yaml-syntax", "2:10"),
    "bad indentation": (HEAD + "Input:\n    a: 1\n  b: 2\n", "yaml-syntax", "4:3"),
    "latin-1": (HEAD.encode() + "plugin: café\n".encode("latin-1"), "yaml-not-utf8", "2:12"),
    "utf-16": (HEAD.encode("utf-16"), "yaml-not-utf8", "1:1"),
    "a png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "yaml-not-utf8", "1:1"),
    "a zip": (b"PK\x03\x04\x14\x00", "yaml-characters", "1:3"),
    "NUL": (HEAD + "plugin: a\x00b\n", "yaml-characters", "2:10"),
    "escape character": (HEAD + "plugin: a\x1b[31m\n", "yaml-characters", "2:10"),
    "lone surrogate": (HEAD + "plugin: a\ud800\n", "yaml-not-utf8", "2:10"),
    "infinity": (HEAD + "seed: .inf\n", "yaml-number", "2:7"),
    "not a number": (HEAD + "seed: .nan\n", "yaml-number", "2:7"),
    "huge float": (HEAD + "seed: 1e999\n", "yaml-number", "2:7"),
    "huge integer": (HEAD + "seed: " + "9" * 100_000 + "\n", "yaml-number", "2:7"),
    "huge hex": (HEAD + "seed: 0x" + "f" * 100_000 + "\n", "yaml-number", "2:7"),
    "no version": ("plugin: x\n", "schema-version", "1:1"),
    "version as text": ('schema_version: "3"\n', "schema-version", "1:17"),
    "version true": ("schema_version: true\n", "schema-version", "1:17"),
    "version 4": ("schema_version: 4\n", "schema-version", "1:17"),
    "version 3.0": ("schema_version: 3.0\n", "schema-version", "1:17"),
    "version empty": ("schema_version:\n", "schema-version", "1:1"),
    "both overlay words": (HEAD + "variants: {}\noverlays: {}\n", "variants-and-overlays", "2:1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_fast_by_code_and_place(name: str) -> None:
    text, code, at = HOSTILE[name]
    started = time.process_time()
    with pytest.raises(RefineryError) as caught:
        if isinstance(text, str):
            load_recipe("r.yaml", text=text)
        else:
            parse_yaml(text, name="r.yaml")
    assert time.process_time() - started < 0.3
    first = caught.value.errors()[0]
    assert (first.code, first.at) == (code, f"r.yaml:{at}")
    assert first.rule and isinstance(first, RecipeError)
    assert len(first.render()) < 2000


@pytest.mark.parametrize("name", ["ten megabytes", "deep block", "billion laughs", "latin-1", "a png"])
def test_refused_from_a_file_too(name: str, tmp_path: Path) -> None:
    text, code, at = HOSTILE[name]
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    started = time.process_time()
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert time.process_time() - started < 0.3
    assert (caught.value.code, caught.value.at) == (code, f"{path}:{at}")


def test_both_places_of_a_duplicate_are_named() -> None:
    with pytest.raises(RecipeError, match=r"'seed' is written twice; the first is at r.yaml:2:1"):
        load_recipe("r.yaml", text=HOSTILE["duplicate key"][0].__str__())


def test_all_duplicates_are_reported_at_once_but_not_endlessly() -> None:
    text = HEAD + "".join(f"k{i}: 1\nk{i}: 2\n" for i in range(100))
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=text)
    assert len(caught.value.errors()) == 25


@pytest.mark.parametrize("target", ["missing.yaml", ".", "a\x00b"])
def test_unreadable_files(target: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(f"{tmp_path}/{target}")
    assert caught.value.code == "recipe-unreadable"
    assert caught.value.exit_code == 1


SCALARS: list[tuple[str, Any]] = [
    ("no", "no"),
    ("on", "on"),
    ("yes", "yes"),
    ("off", "off"),
    ("y", "y"),
    ("true", True),
    ("False", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("5", 5),
    ("-5", -5),
    ("+5", 5),
    ("5.0", 5.0),
    ("1e-3", 0.001),
    ("1.5e-1", 0.15),
    ("1E3", 1000.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("017", "017"),
    ("007.5", "007.5"),
    ("0o17", 15),
    ("0x1F", 31),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("0b1", "0b1"),
    ("2024-01-01", "2024-01-01"),
    ("-", "-"),
    (".", "."),
    ("e3", "e3"),
    ("=", "="),
    ("<<", "<<"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    resolved = resolve_scalar(text)
    assert resolved == value and type(resolved) is type(value)


def test_quoted_scalars_stay_text_and_a_byte_order_mark_is_no_content() -> None:
    tree = parse_yaml(b"\xef\xbb\xbfa: '5'\nb: \"true\"\nc: |\n  null\n", name="r.yaml")
    assert to_data(tree) == {"a": "5", "b": "true", "c": "null\n"}
    assert tree.value["a"].key == (1, 1)


@pytest.mark.parametrize("depth", [1_000, 50_000])
def test_as_deep_as_one_likes(depth: int) -> None:
    """Newer scanners give up at a thousand brackets by themselves: still a helpful line, wherever they stood then."""
    with pytest.raises(RecipeError) as caught:
        parse_yaml(HEAD + "a: " + "[" * depth + "]" * depth, name="r.yaml")
    assert caught.value.code == "yaml-too-deep" and caught.value.at.startswith("r.yaml:2:")


def test_aliases_of_scalars_and_lists_are_written_out() -> None:
    """PyYAML writes them itself, for a list that stands in a structure twice."""
    import yaml

    splits = ["train", "val"]
    given = {"a": {"splits": splits}, "b": [{"splits": splits}, {"deep": [[1, splits], splits]}]}
    text = yaml.safe_dump(given)
    assert "&id001" in text and "*id001" in text
    assert to_data(parse_yaml(text, name="r.yaml")) == given
    root = parse_yaml("a: &x 5\nb: *x\nc: &l [*x, &x six, {k: *x}]\nd: *l\n*x : end\n", name="r.yaml")
    assert to_data(root) == {"a": 5, "b": 5, "c": [5, "six", {"k": "six"}], "d": [5, "six", {"k": "six"}], "six": "end"}
    # Each stands for itself: what migration rewrites in one is not rewritten in the other.
    assert root.value["c"].value[2] is not root.value["d"].value[2]
    assert root.value["d"].at == (4, 4)
