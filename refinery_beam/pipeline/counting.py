"""Counts elements by key. Each bundle counts for itself, so an element costs no more than its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.window import GlobalWindow, GlobalWindows

KeyOf = Callable[[Any], Any]
"""The key that an element counts for, or None where it does not count; picklable."""


class CountBy(beam.PTransform):
    """Elements -> (key, how many) pairs. `kind` is the type of keys, of which every bundle has some in memory: let them be few."""

    def __init__(self, key_of: KeyOf, kind: Any = str) -> None:
        super().__init__()
        self._key_of, self._kind = key_of, kind

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[tuple[Any, int]]:
        pairs = tuple[self._kind, int]  # type: ignore[name-defined]
        counts = elements | "Count" >> beam.ParDo(CountInBundle(self._key_of)).with_output_types(pairs)
        return counts | "Sum" >> beam.CombinePerKey(Total()).with_output_types(pairs)


class CountInBundle(beam.DoFn):
    """Gives the counts of a bundle at its end."""

    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of

    def start_bundle(self) -> None:
        self._counts: Counter[Any] = Counter()

    def process(self, element: Any) -> None:
        key = self._key_of(element)
        if key is not None:
            self._counts[key] += 1

    def finish_bundle(self) -> Iterable[Any]:
        window = GlobalWindow()
        for key in sorted(self._counts):
            yield GlobalWindows.windowed_value((key, self._counts[key]), window.max_timestamp())


@beam.typehints.with_input_types(int)
@beam.typehints.with_output_types(int)
class Total(beam.CombineFn):
    """The sum of counts, with an accumulator that is written as an integer and not pickled."""

    def get_accumulator_coder(self) -> Any:
        return coders.VarIntCoder()

    def create_accumulator(self) -> int:
        return 0

    def add_input(self, accumulator: int, element: int) -> int:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[int]) -> int:
        return sum(accumulators)

    def extract_output(self, accumulator: int) -> int:
        return accumulator
