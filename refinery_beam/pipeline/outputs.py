"""The outputs of this room's transforms, with element types: refs that stay, and ledger rows of the others.

Beam pickles an output without an element type at the next stage boundary. Tagged outputs and partitions lose their element types, so this
module sets them again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam.records import LedgerRow, Ref

LOST = "lost"
"""The tag of ledger rows among the outputs of a DoFn."""


class Sieved(NamedTuple):
    """The refs that a step lets pass, and the ledger rows of the others."""

    kept: beam.PCollection[Ref]
    ledger: beam.PCollection[LedgerRow]


def sieved(refs: beam.PCollection[Any], label: str, step: Any) -> Sieved:
    """`refs` through a ParDo or FlatMap whose main output are refs and whose output `LOST` are ledger rows."""
    out = refs | label >> step.with_outputs(LOST, main="kept")
    return Sieved(typed(out.kept, Ref), typed(out[LOST], LedgerRow))


def lost(row: LedgerRow) -> Any:
    """A ledger row as a DoFn gives it."""
    return beam.pvalue.TaggedOutput(LOST, row)


def typed(pcoll: Any, kind: Any) -> Any:
    """The collection with its element type set."""
    pcoll.element_type = kind
    return pcoll


def side_input(pipeline: Any, pairs: list[Any], label: str) -> Any:
    """The (name, accumulator) pairs of several collections as one side input, a mapping. Flatten materialises, but only these few pairs."""
    return beam.pvalue.AsDict(tuple(pairs) | label >> beam.Flatten(pipeline=pipeline)) if pairs else {}
