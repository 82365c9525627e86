"""Joins the accumulators of fitted statistics; records that do not fit together raise an error that names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from refinery_beam.errors import DataError, display
from refinery_beam.exact import ExactError, Partial
from refinery_beam.planning.nodes import Chain, FitPoint, Plan
from refinery_beam.plugins.base import ArrayType, PluginFailed, call_plugin

P = ParamSpec("P")
R = TypeVar("R")


def joined(plan: Plan, point: FitPoint, record_id: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that joins accumulators of a fit point, and give its result. `record_id` names the record in errors.

    Raises DataError for values that do not fit together, PluginFailed.
    """
    step = plan.fit_chain(point).steps[point.index]
    try:
        return call_plugin(step.name, f"op:{step.op}", function, *args, **kwargs)
    except PluginFailed as failed:
        if not isinstance(failed.error, ExactError):
            raise
        raise mixed_channels(point, str(failed.error), record_id=record_id) from failed.error


def mixed_channels(point: FitPoint, detail: str, *, record_id: str) -> DataError:
    """The error for grey, colour and transparent images in one statistic: no rule says which of them is wrong."""
    who = f", met at {display(record_id)}" if record_id else ""
    return DataError(
        f"{', '.join(point.steps)} cannot be fitted on images of different numbers of channels: {detail}{who}",
        code="mixed-channels",
        at=record_id or "Transformations",
        value=", ".join(point.steps),
    )


def type_before(chain: Chain, index: int) -> ArrayType:
    """The type that content has before a step."""
    return chain.steps[index - 1].out if index else chain.decoded


def stated_before(chain: Chain, index: int) -> ArrayType:
    """The same type, completed from Output's declaration where inference cannot tell and every step in between keeps the channels."""
    here = type_before(chain, index)
    open_end = len(here.shape) == len(chain.stored.shape) > 0 and here.shape[-1] is None
    if open_end and all(s.elementwise for s in chain.steps[index : len(chain.eager)]):
        return ArrayType(here.dtype, chain.stored.shape)
    return here


def merge_bytes(kind: type[Partial], parts: Sequence[bytes]) -> bytes:
    """Several accumulators merged into one; b'' is an empty accumulator."""
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
