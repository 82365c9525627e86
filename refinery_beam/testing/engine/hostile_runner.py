"""An engine that does its worst, within what Beam allows: a test of every promise that says "whatever the bundling".

A runner may cut its input into bundles anywhere, hand elements over in any order, give the values of a group in any order, and process a
bundle several times of which one counts. `HostileRunner` does all of it, at every stage, by a seed: the same seed is the same hostility.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from apache_beam.coders.coder_impl import create_OutputStream
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer, ListBuffer

from refinery_beam.identity import Stream, digest

PIECES = 5
"""How many bundles a stage makes of an input at most."""


class HostileRunner(fn_runner.FnApiRunner):
    """FnApiRunner in memory, with random bundle cuts, shuffled elements and group values, and one bundle in three processed twice."""

    def __init__(self, seed: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._seed = seed
        self._bundles = 0

    def _get_bundle_manager(self, bundle_context_manager: Any) -> Any:
        self._bundles += 1
        return _HostileBundles(
            bundle_context_manager,
            cache_token_generator=fn_runner.FnApiRunner.get_cache_token_generator(static=False),
            chance=Stream(seed=self._seed, op="bundles", key=digest("stage", self._bundles), domain="hostile"),
        )


class _HostileBundles(fn_runner.BundleManager):
    def __init__(self, context: Any, *, cache_token_generator: Any, chance: Stream) -> None:
        super().__init__(context, cache_token_generator=cache_token_generator)
        self._chance = chance

    def process_bundle(
        self,
        inputs: Mapping[str, Any],
        expected_outputs: Any,
        fired_timers: Any,
        expected_output_timers: Any,
        dry_run: bool = False,
    ) -> Any:
        if dry_run or len(inputs) != 1:
            return super().process_bundle(inputs, expected_outputs, fired_timers, expected_output_timers, dry_run)
        ((name, buffer),) = inputs.items()
        result, splits = None, []
        for piece in self._pieces(name, buffer):
            if self._chance.integer(3) == 0:
                again = {name: self._encoded(name, piece)}
                super().process_bundle(again, expected_outputs, fired_timers, expected_output_timers, True)
            once = {name: self._encoded(name, piece)}
            result, more = super().process_bundle(once, expected_outputs, fired_timers, expected_output_timers)
            splits += more
        return result, splits

    def _pieces(self, name: str, buffer: Any) -> list[list[Any]]:
        """The elements of a stage's input, shuffled and cut; at least one piece, so that an empty stage still starts and finishes."""
        coder = self.bundle_context_manager.get_input_coder_impl(name)
        elements = list(coder.decode_all(b"".join(buffer)))
        if isinstance(buffer, GroupingBuffer):
            elements = [e.with_value((e.value[0], self._shuffled(list(e.value[1])))) for e in elements]
        elements = self._shuffled(elements)
        cuts = sorted(self._chance.integer(len(elements) + 1) for _ in range(self._chance.integer(PIECES)))
        edges = [0, *cuts, len(elements)]
        pieces = [elements[a:b] for a, b in pairwise(edges) if a < b]
        return pieces or [[]]

    def _encoded(self, name: str, elements: list[Any]) -> ListBuffer:
        coder = self.bundle_context_manager.get_input_coder_impl(name)
        stream = create_OutputStream()
        for element in elements:
            coder.encode_to_stream(element, stream, True)
        buffer = ListBuffer(coder)
        buffer.append(stream.get())
        return buffer

    def _shuffled(self, items: list[Any]) -> list[Any]:
        """Shuffle by Fisher-Yates with words of a `Stream`."""
        for i in range(len(items) - 1, 0, -1):
            j = self._chance.integer(i + 1)
            items[i], items[j] = items[j], items[i]
        return items
