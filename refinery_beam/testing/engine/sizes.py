"""Measures the elements that cross from one fused stage to the next, when the local engine stores them.

The check of coders (`testing.engine.lint`) says what a crossing may carry; this module measures what it carried. Sizes are of the encoded
element, with the dozen bytes of its window. Values of one group are counted one by one, as they are shuffled: no engine puts a group into
one element.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.testing.engine.lint import describe_coder, pickles

ROW_BYTES = 2048
"""The largest row in bytes: a ref with its lineage is about 1 KB, evidence names its first ten records."""

PARTIAL_BYTES = 64 << 10
"""The largest accumulator in bytes: three histograms of 256 integers, or the vocabulary of a field."""


@dataclass
class Crossing:
    """The sizes at one crossing: the producer of the elements, their coder, and their number by powers of two."""

    producer: str
    coder: str
    elements: int = 0
    total: int = 0
    largest: int = 0
    histogram: Counter[int] = field(default_factory=Counter)

    def add(self, size: int) -> None:
        self.elements += 1
        self.total += size
        self.largest = max(self.largest, size)
        self.histogram[(size - 1).bit_length()] += 1

    @property
    def bound(self) -> int:
        """The size limit of its elements: small for rows, larger for accumulators (a number of bytes, or of keys)."""
        return ROW_BYTES if "row(" in self.coder else PARTIAL_BYTES


class LargeElement(AssertionError):
    """An element that crosses a stage is too large: refs and counts may cross, pixels never."""


class PickledElement(AssertionError):
    """An element that crosses a stage is pickled: slow, and unreadable for engines in other languages."""


class Sizes:
    """The crossings of one job or of several, by producer and coder."""

    def __init__(self) -> None:
        self._crossings: dict[tuple[str, str], Crossing] = {}

    def at(self, producer: str, coder: str) -> Crossing:
        """The crossing with this producer and coder."""
        return self._crossings.setdefault((producer, coder), Crossing(producer, coder))

    def merge(self, other: Sizes) -> None:
        """Add the crossings of another job."""
        for theirs in other.crossings:
            mine = self.at(theirs.producer, theirs.coder)
            mine.elements += theirs.elements
            mine.total += theirs.total
            mine.largest = max(mine.largest, theirs.largest)
            mine.histogram.update(theirs.histogram)

    @property
    def crossings(self) -> list[Crossing]:
        """The crossings, sorted by name."""
        return [self._crossings[key] for key in sorted(self._crossings)]

    def check(self) -> None:
        """Raise LargeElement or PickledElement for the first crossing that breaks a rule."""
        for crossing in self.crossings:
            if pickles(crossing.coder):
                raise PickledElement(f"{crossing.producer} pickles what it sends to another stage: {crossing.coder}")
            if crossing.largest > crossing.bound:
                raise LargeElement(
                    f"{crossing.producer} sends an element of {crossing.largest:,} bytes to another stage; "
                    f"{crossing.coder} may have {crossing.bound:,}"
                )

    def table(self) -> str:
        """A line a crossing: elements, mean and largest size, and how many elements had at most 64, 128, ... bytes."""
        lines = [f"{'elements':>9} {'mean':>7} {'largest':>8}  at most 64 B, 128, ... ; made by"]
        for crossing in (c for c in self.crossings if c.elements):
            bars = _bars(crossing.histogram)
            lines.append(
                f"{crossing.elements:9,} {crossing.total // crossing.elements:7,} {crossing.largest:8,}  {bars}  {crossing.producer}"
            )
        return "\n".join(lines)


STEPS = range(6, 17)
_BARS = " ▁▂▃▄▅▆▇█"


def _bars(histogram: Mapping[int, int]) -> str:
    """One bar for each power of two from 64 bytes to 64 KiB; smaller and larger elements count in the first and the last bar."""
    counts = [0] * len(STEPS)
    for power, count in histogram.items():
        counts[min(max(power, STEPS[0]), STEPS[-1]) - STEPS[0]] += count
    most = max(counts)
    return "".join(_BARS[-(-8 * c // most)] for c in counts)


def measure(runner: Any, sizes: Sizes) -> Any:
    """The runner, a FnApiRunner of any kind, changed to add to `sizes` every element that it stores between two stages."""
    plain: Callable[[Any], Any] = runner._get_bundle_manager

    def measuring(context: Any) -> Any:
        _listen(context, sizes)
        return plain(context)

    runner._get_bundle_manager = measuring
    return runner


def _listen(context: Any, sizes: Sizes) -> None:
    """Measure the elements that a stage writes into the engine's buffers."""
    plain = context.get_buffer
    outputs = {name: sizes.at(*made) for name, made in _producers(context).items()}

    def get_buffer(buffer_id: bytes, transform_id: str) -> Any:
        buffer = plain(buffer_id, transform_id)
        if transform_id in outputs:  # the others are timers
            coder = context.get_input_coder_impl(transform_id)
            # By listener: one runner may be measured by several.
            crossings: dict[int, Crossing] = vars(buffer).setdefault("told", {})
            crossings[id(sizes)] = outputs[transform_id]

            def append(data: bytes) -> None:
                for size in _element_sizes(coder, data):
                    for crossing in crossings.values():
                        crossing.add(size)
                type(buffer).append(buffer, data)

            # The engine asks for the buffer before every append, and holds a lock meanwhile.
            buffer.append = append
        return buffer

    context.get_buffer = get_buffer


def _producers(context: Any) -> dict[str, tuple[str, str]]:
    """For every output of a stage, the transform that makes its elements and the coder they are written with."""
    from apache_beam.runners.worker import bundle_processor

    components = context.execution_context.pipeline_components
    found = {}
    for transform in context.stage.transforms:
        if transform.spec.urn == bundle_processor.DATA_OUTPUT_URN:
            (pcoll,) = transform.inputs.values()
            producer = next((t.unique_name for t in context.stage.transforms if pcoll in t.outputs.values()), transform.unique_name)
            found[transform.unique_name] = (producer, describe_coder(components, components.pcollections[pcoll].coder_id))
    return found


def _element_sizes(coder: Any, data: bytes) -> Iterator[int]:
    from apache_beam.coders.coder_impl import create_InputStream

    stream = create_InputStream(data)
    left = stream.size()
    while left:
        coder.decode_from_stream(stream, True)
        before, left = left, stream.size()
        yield before - left
