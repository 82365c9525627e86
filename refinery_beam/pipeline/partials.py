"""Accumulators of fitted statistics: how two are joined, and what is said where their images do not go together. No Beam."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import DataError, display
from refinery_beam.exact import ExactError, Partial
from refinery_beam.plan.nodes import Chain, FitPoint


def add_partial(total: Partial, other: Partial, point: FitPoint, *, record_id: str = "") -> None:
    """Merge `other` into `total`, both of one fit point. Raises DataError where their images have different numbers of channels."""
    try:
        total.merge(other)
    except ExactError as error:
        raise mixed_channels(point, str(error), record_id=record_id) from error


def mixed_channels(point: FitPoint, detail: str, *, record_id: str = "") -> DataError:
    """Grey, colour and see-through images met in one statistic: no rule says which of them is wrong."""
    who = f", met at {display(record_id)}" if record_id else ""
    return DataError(
        f"{', '.join(point.steps)} cannot be fitted on images of different numbers of channels: {detail}{who}",
        code="mixed-channels",
        place=display(record_id) or "Transformations",
        value=", ".join(point.steps),
        rule="a statistic has one value a channel, so all images it is fitted on have the same channels",
        remedy="set Input.decode.mode to RGB or L, put to_rgb or to_grayscale first, or declare the channels in Output.record_schema.image",
    )


def planes_before(chain: Chain, index: int) -> int | None:
    """How many channels the values before a step have: inferred, else what Output declares behind steps that keep the channels."""
    here = (chain.steps[index - 1].out if index else chain.decoded).shape
    if len(here) == 3 and here[2] is None and all(s.elementwise for s in chain.steps[index : len(chain.eager)]):
        here = chain.stored.shape
    return 1 if len(here) == 2 else here[2]


def merge_bytes(kind: type[Partial], parts: Sequence[bytes]) -> bytes:
    """The merged accumulator of several; b'' stands for an empty one."""
    merged: Partial | None = None
    for part in parts:
        if not part:
            continue
        loaded = kind.loads(part)
        if merged is None:
            merged = loaded
        else:
            merged.merge(loaded)
    return merged.dumps() if merged is not None else b""
