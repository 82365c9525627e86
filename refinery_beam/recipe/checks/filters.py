"""Checks of the names in filters: tags that an earlier filter gives, fields that exist before splits. Part of check 18."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.base import ClassSampleOp, NamesFields, NamesLabels, NamesTags, PredicateOp
from refinery_beam.recipe.checks.context import Context, Findings, Step
from refinery_beam.recipe.model_ops import Filter


def filter_references(c: Context) -> Findings:
    """Tags and fields that filters name."""
    for section, i, f in c.operations("Filters"):
        op: object = c.plugin.op(f.op)
        params, _ = c.params("Filters", i, f)
        if params is None:
            continue  # the model of the parameters reports their errors
        if isinstance(op, NamesTags):
            for name, tags in op.tags_named(params).items():
                yield from _tags(c, i, f, name, tags)
        if isinstance(op, NamesFields):
            for name, wanted in op.fields_named(params).items():
                yield from _field(c, section, i, f, name, wanted)


def _tags(c: Context, index: int, f: Filter, name: str, named: Sequence[str]) -> Findings:
    known = [c.tags_before(index, stage) for stage in f.stages]
    for j, tag in enumerate(named):
        if any(tag in tags for tags in known):
            continue
        every = list(dict.fromkeys(t for tags in known for t in tags))
        at: tuple[Step, ...] = ("Filters", index, "params", name, j)
        ops = c.plugin.ops.items()
        givers = sorted(word for word, op in ops if isinstance(op, ClassSampleOp))
        by_class = ", ".join(sorted(word for word, op in ops if isinstance(op, PredicateOp) and isinstance(op, NamesLabels)))
        remedy = f"remove it; to drop classes use {by_class}" if by_class else "remove it"
        yield c.error(
            f"{f.name!r} names the tag {tag!r}, which no filter before it gives",
            at,
            code="unknown-tag",
            value=tag,
            rule=f"tags are given by {', '.join(givers)}" + (f"; here: {', '.join(every)}" if every else ""),
            remedy=did_you_mean(tag, every) if every else remedy,
        )


def _field(c: Context, section: str, index: int, f: Filter, parameter: str, name: str) -> Findings:
    known = c.early_fields
    if name in known or c.open_fields:
        return
    yield c.unknown(
        f"{f.op} names {name!r}, which is no field of the records when filters run",
        name,
        known,
        (section, index, "params", parameter),
        what="fields known before splits",
    )
