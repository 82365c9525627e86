"""Runs a recipe on a hostile engine: checks that it gives the same dataset, and that only small elements cross its stages.

    from refinery_beam.testing.hostile import check_recipe

    def test_my_recipe_does_not_depend_on_the_engine():
        check_recipe("recipe.yaml", seeds=3)

Each seed is another way to cut the input into bundles, to order it and the values of groups, and to process bundles twice
(`refinery_beam.testing.engine`). An op or a plugin that depends on any of it gives another dataset under some seed.

    python -m refinery_beam.testing.hostile recipe.yaml --seeds 3

runs the same check, and prints how large the elements were at every crossing of stages.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from refinery_beam.errors import RefineryError
from refinery_beam.launch.run import RunResult, run_with
from refinery_beam.launch.settings import Settings
from refinery_beam.runners.local import RunnerFactory, constructed_runner
from refinery_beam.testing.engine import hostile, measured
from refinery_beam.testing.engine.sizes import LargeElement, PickledElement, Sizes

__all__ = ["DependsOnTheEngine", "LargeElement", "PickledElement", "check_recipe"]


class DependsOnTheEngine(AssertionError):
    """A hostile run gave another dataset than the plain run; the message names the seed and the first difference."""


def check_recipe(
    recipe: str | Path,
    *,
    seeds: int | Iterable[int] = 3,
    overlays: Sequence[str] = (),
    plugin_paths: Sequence[str] = (),
    before: Sequence[str | Path] = (),
) -> Sizes:
    """Make the dataset of a recipe plainly and under every seed (their number, or a list), in temporary caches.

    `before` are recipes whose instances it needs. Gives the sizes of the elements that crossed stages. Raises DependsOnTheEngine with the
    first difference, LargeElement or PickledElement (all AssertionErrors), and RefineryError if the plain run fails.
    """
    sizes = Sizes()
    with tempfile.TemporaryDirectory(prefix="refinery-beam-hostile-") as folder:

        def made(cache: str, factory: RunnerFactory = constructed_runner) -> RunResult:
            location = str(Path(folder) / cache)
            for other in before:
                run_with(other, Settings(cache_root=location, plugin_paths=tuple(plugin_paths)))
            return run_with(
                recipe,
                Settings(
                    cache_root=location,
                    overlays=tuple(overlays),
                    plugin_paths=tuple(plugin_paths),
                    mode="threads",
                    runner_factory=measured(sizes, factory),
                ),
            )

        plain = made("plain")
        for seed in range(seeds) if isinstance(seeds, int) else seeds:
            try:
                other = made(f"seed-{seed}", hostile(seed))
            except RefineryError as error:
                raise DependsOnTheEngine(f"seed {seed}: the run fails, the plain one does not: {error.render()}") from error
            found = first_difference(plain, other)
            if found:
                raise DependsOnTheEngine(f"seed {seed}: {found}")
    sizes.check()
    return sizes


def first_difference(one: RunResult, other: RunResult) -> str:
    """The first difference between two instances of one recipe, '' if there is none: a record, else a file, else a fact of the manifest."""
    names = ("manifest.json", *(entry["path"] for entry in one.manifest.raw["files"]))
    if all(_bytes(one, name) == _bytes(other, name) for name in names):
        return ""
    return next(_differences(one, other))


def _differences(one: RunResult, other: RunResult) -> Iterator[str]:
    for split in one.counts:
        rows, others = _rows(one, split), _rows(other, split)
        for record_id in sorted(rows.keys() ^ others.keys()):
            yield f"record {record_id} is in {split} of {'the plain' if record_id in rows else 'the hostile'} run only"
        for record_id, row in sorted(rows.items()):
            for column, value in row.items():
                if others[record_id][column] != value:
                    yield f"record {record_id} of {split}: column {column!r} is {_short(value)} and {_short(others[record_id][column])}"
    for entry in one.manifest.raw["files"]:
        if _bytes(one, entry["path"]) != _bytes(other, entry["path"]):
            yield f"{entry['path']} has other bytes, or another name"
    yield from _facts(one.manifest.raw, other.manifest.raw, "manifest.json")
    yield "manifest.json has other bytes"


def _rows(result: RunResult, split: str) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    files = [e["path"] for e in result.manifest.raw["files"] if e["path"].startswith(f"dataset/{split}/")]
    return {row["record_id"]: row for name in files for row in pq.read_table(Path(result.path) / name, partitioning=None).to_pylist()}


def _bytes(result: RunResult, name: str) -> bytes | None:
    path = Path(result.path) / name
    return path.read_bytes() if path.is_file() else None


def _facts(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _facts(one.get(key), other.get(key), f"{where}: {key}" if where.endswith(".json") else f"{where}.{key}")
    elif one != other:
        yield f"{where} is {_short(one)} and {_short(other)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=lambda v: f"{len(v)} bytes" if isinstance(v, bytes) else str(v))
    return text if len(text) <= 80 else text[:79] + "…"


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the recipes of a command line and print the sizes at their crossings."""
    parser = argparse.ArgumentParser(prog="python -m refinery_beam.testing.hostile", description="Recipes under a hostile engine.")
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=3, help="how many ways to be hostile (default 3)")
    given = parser.parse_args(arguments)
    for recipe in given.recipes:
        sizes = check_recipe(recipe, seeds=given.seeds)
        print(f"{recipe}: the same under {given.seeds} seeds\n{sizes.table()}")


if __name__ == "__main__":
    main()
