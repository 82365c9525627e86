"""Counts by key do not depend on how the engine cuts its bundles, or on bundles that it does again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest

from refinery_beam.pipeline.counting import CountBy
from refinery_beam.testing.engine.hostile_runner import HostileRunner


def ending(number: int) -> str | None:
    """The last digit of a number; None for those that count for nothing."""
    return None if number % 7 == 0 else str(number % 10)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_element_counts_once(seed: int | None, tmp_path: Path) -> None:
    out = tmp_path / "counts"
    with beam.Pipeline(runner="FnApiRunner" if seed is None else HostileRunner(seed=seed)) as p:
        counts = p | beam.Create(range(1_000)) | CountBy(ending)
        _ = counts | beam.MapTuple(lambda key, many: f"{key} {many}") | beam.io.WriteToText(str(out), shard_name_template="")
    found = [line.split() for line in out.read_text().splitlines()]
    assert {key: int(many) for key, many in found} == Counter(filter(None, map(ending, range(1_000))))
    assert len(found) == 10


def test_nothing_is_counted_where_nothing_counts(tmp_path: Path) -> None:
    out = tmp_path / "counts"
    with beam.Pipeline(runner="FnApiRunner") as p:
        counts = p | beam.Create([7, 14, 21]) | CountBy(ending)
        _ = counts | beam.Map(str) | beam.io.WriteToText(str(out), shard_name_template="")
    assert out.read_text() == ""
