"""The hostile engine is hostile, and still right."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
import pytest

from refinery_beam.testing.engine.hostile_runner import HostileRunner


class Bundles(beam.DoFn):
    """Leaves one file a finished bundle, named by what it saw in which order."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def start_bundle(self) -> None:
        self._taken: list[int] = []

    def process(self, number: int) -> Iterable[int]:
        self._taken.append(number)
        yield number

    def finish_bundle(self) -> None:
        with open(Path(self._folder) / "bundles", "a") as file:
            file.write(" ".join(map(str, self._taken)) + "\n")


def bundles(folder: Path, seed: int) -> list[list[int]]:
    folder.mkdir()
    with beam.Pipeline(runner=HostileRunner(seed)) as pipeline:
        _ = (
            pipeline
            | beam.Create(list(range(20)))
            | beam.ParDo(Bundles(str(folder)))
            | beam.Map(lambda n: ("all", n)).with_output_types(tuple[str, int])
            | beam.GroupByKey()
            | beam.MapTuple(lambda _, ns: (folder / "grouped").write_text(" ".join(map(str, ns))))
        )
    return [[int(n) for n in line.split()] for line in (folder / "bundles").read_text().splitlines()]


@pytest.mark.parametrize("seed", range(3))
def test_every_element_arrives_in_some_order(tmp_path: Path, seed: int) -> None:
    taken = bundles(tmp_path / "a", seed)
    assert {n for bundle in taken for n in bundle} == set(range(20))
    assert [n for bundle in taken for n in bundle] != list(range(20))
    grouped = [int(n) for n in (tmp_path / "a" / "grouped").read_text().split()]
    assert sorted(grouped) == list(range(20))
    assert grouped != list(range(20))


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    first = bundles(tmp_path / "a", 1)
    assert bundles(tmp_path / "b", 1) == first
    assert bundles(tmp_path / "c", 2) != first


def test_some_seed_cuts_and_some_seed_replays(tmp_path: Path) -> None:
    runs = [bundles(tmp_path / str(seed), seed) for seed in range(6)]
    assert any(len(run) > 1 for run in runs)
    assert any(sum(map(len, run)) > 20 for run in runs)
