"""Applies the steps of a chain to content. Workers bind the steps of a plan, readers the steps that a manifest records; both call `run`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from refinery_beam.identity import Stream, record_key
from refinery_beam.plugins.base import ArrayType, AugmentOp, BoundOp, Content, Kind, TransformOp, type_of

Fitted: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Fitted statistics by step name."""


class BoundStep(NamedTuple):
    """One transformation of a chain: its op and parameters, the type of its result, and statistics stated by the recipe or an instance."""

    bound: BoundOp[TransformOp]
    out: ArrayType
    stated: Mapping[str, Any] | None = None


def run(content: Content, steps: Iterable[BoundStep], fitted: Fitted) -> Content:
    """The content after `steps`; `content` itself when there is none. Raises BadRecord for content an op cannot take, and PluginFailed."""
    for bound, out, stated in steps:
        content = bound.call(bound.op.apply, content, bound.params, fitted.get(bound.name, stated), out)
    return content


def draw(kind: Kind, augmentation: BoundOp[AugmentOp], content: Content, stream: Stream) -> tuple[Content, dict[str, Any]]:
    """The content after one augmentation, and the sampled parameters. Raises BadRecord, PluginFailed."""
    plain = kind.plain(content)
    sampled = augmentation.call(augmentation.op.draw, stream, augmentation.params, type_of(plain))
    return augmentation.call(augmentation.op.apply, plain, sampled, augmentation.params), sampled


class LazyStep(NamedTuple):
    """One augmentation that readers apply, with the seed of its draws."""

    bound: BoundOp[AugmentOp]
    seed: int


def augment_lazily(kind: Kind, steps: Sequence[LazyStep], content: Content, *, record_id: str, epoch: int) -> Content:
    """Plain content as it is in one epoch: a function of the seeds, the names, the record and the epoch alone. Raises BadRecord."""
    key = record_key(record_id) if steps else b""
    for step in steps:
        stream = Stream(seed=step.seed, op=step.bound.name, key=key, replica=epoch, domain="epoch")
        content, _ = draw(kind, step.bound, content, stream)
    return kind.plain(content)
