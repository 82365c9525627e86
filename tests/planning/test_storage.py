"""Codecs and row groups: the defaults by encoding and size of a row, what a recipe declares, and that silence is no part of identity."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.identity import canonical_bytes
from refinery_beam.planning.storage import Storage
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import canonical, effective_yaml, load_recipe
from support.plans import plan_of, recipe_of

LARGE: dict[str, Any] = {
    "transformations": ["{name: resize, op: resize, params: {size: 224}, splits: [train, test]}"],
    "fields": {"image": {"shape": [224, 224, 3]}},
}


@pytest.mark.parametrize(
    ("parts", "storage"),
    [
        (LARGE, Storage(content="lz4", fields="zstd:1", row_group_bytes=1 << 20)),
        ({}, Storage(content="zstd:1", fields="zstd:1", row_group_bytes=8 << 20)),
        ({"output": {"encoding": "png"}}, Storage(content="none", fields="zstd:1", row_group_bytes=1 << 20)),
        (LARGE | {"output": {"encoding": "jpeg"}}, Storage(content="none", fields="zstd:1", row_group_bytes=1 << 20)),
        ({"fields": {"image": None}}, Storage(content="zstd:1", fields="zstd:1", row_group_bytes=8 << 20)),
        ({"output": {"compression": "zstd:9"}}, Storage(content="zstd:9", fields="zstd:9", row_group_bytes=8 << 20)),
        ({"output": {"compression": "zstd"}}, Storage(content="zstd:1", fields="zstd:1", row_group_bytes=8 << 20)),
        (LARGE | {"output": {"row_group_bytes": 1 << 22}}, Storage(content="lz4", fields="zstd:1", row_group_bytes=1 << 22)),
        ({"output": {"compression": "none", "row_group_bytes": 4096}}, Storage(content="none", fields="none", row_group_bytes=4096)),
    ],
)
def test_storage(parts: dict[str, Any], storage: Storage) -> None:
    assert plan_of(**parts).output.storage == storage


@pytest.mark.parametrize(
    ("written", "message", "remedy"),
    [
        ("zst", "there is no codec 'zst'", "did you mean 'zstd'?"),
        ("gzip", "there is no codec 'gzip'", "known: lz4, none, snappy, zstd"),
        ("zstd:23", "'23' is no level of zstd", "write a level from 1 to 22, or zstd alone"),
        ("zstd:0", "'0' is no level of zstd", "write a level from 1 to 22, or zstd alone"),
        ("zstd:", "'' is no level of zstd", "write a level from 1 to 22, or zstd alone"),
        ("zstd:03", "'03' is no level of zstd", "write a level from 1 to 22, or zstd alone"),
        ("lz4:3", "lz4 has no level", "write lz4"),
    ],
)
def test_codecs_that_are_none(written: str, message: str, remedy: str) -> None:
    with pytest.raises(RefineryError) as caught:
        recipe_of(output={"compression": written})
    (error,) = caught.value.errors()
    assert (error.code, error.value, error.message, error.remedy) == ("bad-value", written, f"Output.compression: {message}", remedy)
    assert error.at.startswith("r.yaml:") and "zstd:3" in (error.rule or "")


@pytest.mark.parametrize("written", [True, 3, {"codec": "zstd"}])
def test_a_codec_is_a_word(written: Any) -> None:
    with pytest.raises(RefineryError) as caught:
        recipe_of(output={"compression": written})
    assert [e.code for e in caught.value.errors()] == ["bad-type"]


@pytest.mark.parametrize("written", [0, 4095, (1 << 30) + 1])
def test_row_groups_have_bounds(written: int) -> None:
    with pytest.raises(RefineryError, match=r"Output\.row_group_bytes must be"):
        recipe_of(output={"row_group_bytes": written})


def identity(**output: Any) -> bytes:
    return canonical_bytes(canonical(recipe_of(output=output), PLUGIN))


def test_what_is_not_declared_is_not_in_the_identity() -> None:
    assert b"compression" not in identity() and b"row_group" not in identity()
    assert identity(compression=None, row_group_bytes=None) == identity()
    assert identity(compression="zstd") == identity(compression="zstd:1")
    assert len({identity(), identity(compression="zstd"), identity(compression="lz4"), identity(row_group_bytes=1 << 20)}) == 4


def test_the_effective_recipe_loads_to_the_same_identity() -> None:
    recipe = recipe_of(output={"compression": "zstd", "row_group_bytes": 1 << 20})
    text = effective_yaml(recipe, PLUGIN)
    assert 'compression: "zstd:1"' in text
    assert canonical(load_recipe("r.yaml", text=text), PLUGIN) == canonical(recipe, PLUGIN)
    assert "compression" not in effective_yaml(recipe_of(), PLUGIN)
