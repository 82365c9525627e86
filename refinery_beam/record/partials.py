"""Accumulators of fitted statistics: how two are joined, and what is said where their records do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import DataError, display
from refinery_beam.exact import ExactError, Partial
from refinery_beam.planning.nodes import Chain, FitPoint
from refinery_beam.plugins.base import ArrayType


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


def type_before(chain: Chain, index: int) -> ArrayType:
    """The type that content has before a step."""
    return chain.steps[index - 1].out if index else chain.decoded


def stated_before(chain: Chain, index: int) -> ArrayType:
    """The same, with what Output declares where inference cannot tell and only steps that keep the channels lie between."""
    here = type_before(chain, index)
    open_end = len(here.shape) == len(chain.stored.shape) > 0 and here.shape[-1] is None
    if open_end and all(s.elementwise for s in chain.steps[index : len(chain.eager)]):
        return ArrayType(here.dtype, chain.stored.shape)
    return here


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
