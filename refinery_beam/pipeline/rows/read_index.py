"""Reads the driver's refs as PTransforms; `job.index_parts` defines the files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from refinery_beam.job.index_parts import list_groups, read_groups
from refinery_beam.pipeline.rows.coders import ROW_TYPES  # noqa: F401 - registers the coders
from refinery_beam.records import Ref


class ReadGroups(beam.PTransform):
    """The refs of row groups that were dealt out."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, groups: beam.PCollection[Any]) -> beam.PCollection[Ref]:
        return groups | "Read" >> beam.FlatMap(read_groups, self._folder).with_output_types(Ref)


class DealGroups(beam.PTransform):
    """The row groups of an index folder, dealt out to workers: (number, names) pairs, for `ReadGroups`."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, pipeline: Any) -> beam.PCollection[Any]:
        return (
            pipeline
            | "Start" >> beam.Impulse()
            | "List" >> beam.FlatMap(_groups, self._folder).with_output_types(tuple[int, str])
            | "Deal" >> beam.GroupByKey()
        )


def _groups(_: bytes, folder: str) -> Iterator[tuple[int, str]]:
    return list_groups(folder)
