"""Codecs and row groups: the defaults by encoding and size of a row, what a recipe declares, and that silence is no part of identity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.identity import canonical_bytes
from refinery_beam.planning.storage import Storage, storage_of
from refinery_beam.plugins.common.encodings import PlainColumn
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import canonical, effective_yaml, load_recipe
from support.plans import plan_of, recipe_of


def stored(content: str, *, fields: str = "zstd:1", group: int = 1 << 20, rows: int | None = 8) -> Storage:
    return Storage(content=content, fields=fields, row_group_bytes=group, row_group_rows=rows)


@pytest.mark.parametrize(
    ("parts", "storage"),
    [
        ({}, stored("lz4")),
        ({"output": {"encoding": "png"}}, stored("lz4")),
        ({"output": {"encoding": "jpeg"}}, stored("lz4")),
        ({"fields": {"image": None}}, stored("zstd:1")),
        ({"output": {"compression": "zstd:9"}}, stored("zstd:9", fields="zstd:9")),
        ({"output": {"compression": "zstd"}}, stored("zstd:1")),
        ({"output": {"row_group_bytes": 1 << 22}}, stored("lz4", group=1 << 22, rows=None)),
        ({"output": {"compression": "none", "row_group_bytes": 4096}}, stored("none", fields="none", group=4096, rows=None)),
    ],
)
def test_storage(parts: dict[str, Any], storage: Storage) -> None:
    assert plan_of(**parts).output.storage == storage


def test_the_codec_of_an_encoding() -> None:
    class Other:
        name = "other"

    class Squeezed:
        compression = "zstd"

    declared = recipe_of().model.Output
    assert storage_of(PlainColumn("plain", "str", "string"), declared).content == "zstd:1"
    assert storage_of(Other(), declared).content == "lz4"  # type: ignore[arg-type]
    assert storage_of(Squeezed(), declared).content == "zstd:1"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [(3072, 86), (27_648, 10), (49_152, 8), (131_071, 8), (131_073, 8), (150_528, 7), (786_432, 2), (5_000_000, 1)],
)
def test_rows_of_a_group(row_bytes: int, rows: int) -> None:
    """Many small rows, few large ones."""
    storage = stored("lz4")
    assert next(n for n in range(1, 1000) if storage.full(n, n * row_bytes)) == rows
    assert next(n for n in range(1, 1000) if replace(storage, row_group_rows=None).full(n, n * row_bytes)) == -(-(1 << 20) // row_bytes)


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
