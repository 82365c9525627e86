"""Checks of partitions: what the sources declare to be a split of its own, and what Splits may say beside it."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.base import ClassSampleOp, GenerateOp, NamesLabels
from refinery_beam.recipe.checks.context import Context, Findings


def partitions_consistent(c: Context) -> Findings:
    """20: every source has a partition or none has, and Splits says how they become splits."""
    sources, splits = c.model.Input.sources, c.model.Splits
    named = [i for i, s in enumerate(sources) if s.partition is not None]
    for i, source in enumerate(sources):
        has_token = bool(source.layout and "{split}" in source.layout)
        if source.partition is not None and has_token:
            yield c.error(
                f"the source {source.name!r} has a partition and a {{split}} layout",
                ("Input", "sources", i, "partition"),
                code="partition-twice",
                value=source.partition,
            )
        if c.partitioned and source.partition is None and not has_token:
            yield c.error(
                f"the source {source.name!r} has no partition, others have",
                ("Input", "sources", i),
                code="partition-missing",
                value=source.name,
            )
    if "partition" in c.model.Output.record_schema and c.label == "partition":
        yield c.error(
            "the label cannot be called partition",
            ("Labels", "field"),
            code="reserved-field",
            value="partition",
            rule="'partition' is the declared partition of a record",
            remedy="rename it",
        )
    if not c.partitioned:
        yield from _tag_splits(c)
        return
    if splits.applies_to is not None and not c.split_layouts and splits.applies_to not in c.partitions:
        yield c.error(
            f"Splits.applies_to names {splits.applies_to!r}, which is no partition",
            ("Splits", "applies_to"),
            code="unknown-partition",
            value=splits.applies_to,
            rule="applies_to names the partition that ratios divide",
            remedy=did_you_mean(splits.applies_to, c.partitions),
        )
    if splits.ratios is not None and splits.applies_to is None:
        yield c.error(
            "ratios are given, but the sources are partitioned",
            ("Splits", "ratios"),
            code="ratios-with-partitions",
            partition=_to_divide(c.partitions),
        )
    if splits.applies_to is not None and splits.ratios is None:
        yield c.error(
            "Splits.applies_to needs ratios",
            ("Splits", "applies_to"),
            code="applies-to-without-ratios",
            value=splits.applies_to,
            divided="partition",
        )
    if splits.key_assignment is not None:
        yield c.error(
            "key_assignment is given, but the sources are partitioned", ("Splits", "key_assignment"), code="key-assignment-with-partitions"
        )
    for name in splits.ratios or ():
        if name != splits.applies_to and name in c.partitions:
            at = next(i for i in named if sources[i].partition == name)
            yield c.error(
                f"the split {name!r} of ratios is also a partition ({c.recipe.at(('Input', 'sources', at, 'partition'))})",
                ("Splits", "ratios", name),
                key=True,
                code="split-name-collision",
                value=name,
                others="partitions passed through",
            )


def _tag_splits(c: Context) -> Findings:
    """What ``applies_to`` needs where it names a tag."""
    splits = c.model.Splits
    if splits.applies_to is None or splits.applies_to not in c.early_tags:
        return
    if splits.ratios is None:
        yield c.error(
            "Splits.applies_to needs ratios",
            ("Splits", "applies_to"),
            code="applies-to-without-ratios",
            value=splits.applies_to,
            divided="tag of the records",
        )
    for name in splits.ratios or ():
        if name != splits.applies_to and name in c.early_tags:
            yield c.error(
                f"the split {name!r} of ratios is also a tag",
                ("Splits", "ratios", name),
                key=True,
                code="split-name-collision",
                value=name,
                others="splits named by tags",
            )


def unlabeled_consistency(c: Context) -> Findings:
    """21: unlabeled records meet nothing that asks for their label."""
    unlabeled: set[str] = set()
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if not source.unlabeled:
            continue
        if source.partition is None and "{split}" not in (source.layout or ""):
            yield c.error(
                f"the unlabeled source {source.name!r} has no partition", (*at, "unlabeled"), code="unlabeled-without-partition", value=True
            )
        elif source.partition is not None:
            unlabeled.add(source.partition)
        if source.label_from is not None:
            yield c.error(f"the unlabeled source {source.name!r} has a label table", (*at, "label_from"), code="unlabeled-with-labels")
        if c.arrangement(source) == "folder":
            yield c.error(
                f"the unlabeled source {source.name!r} is of type {source.type}, whose folders are classes",
                (*at, "type"),
                code="unlabeled-type",
                value=source.type,
                type=c.type_arranged("flat"),
            )
    splits = c.model.Splits
    parts = tuple(splits.ratios or ()) if splits.applies_to in unlabeled else ()
    if splits.stratify_by == c.label and splits.applies_to in unlabeled:
        yield c.error(
            f"stratify_by {c.label!r} on the unlabeled partition {splits.applies_to!r}",
            ("Splits", "stratify_by"),
            code="label-of-unlabeled",
            value=splits.stratify_by,
            rule="unlabeled records cannot be stratified by label",
            remedy="remove stratify_by, or name a labeled partition in applies_to",
        )
    for section, i, operation in c.operations("Filters", "Generation", "Featurizations"):
        op = c.plugin.op(operation.op)
        labels = isinstance(op, NamesLabels | ClassSampleOp) or operation.params.get("field") == c.label
        reads = (labels and section == "Filters") or c.label in getattr(operation, "inputs", ())
        reads = reads and (section != "Filters" or "post_split" in operation.stages)
        reads = reads or (isinstance(op, GenerateOp) and op.kind == "balance")
        touched = [s for s in operation.splits if s in unlabeled.union(parts)]
        if reads and touched:
            yield c.error(
                f"{operation.name!r} reads the label of the unlabeled split {touched[0]!r}"
                + (f", a part of {splits.applies_to!r}" if touched[0] in parts else ""),
                (section, i, "splits"),
                code="label-of-unlabeled",
                value=touched[0],
                remedy=f"remove {touched[0]} from its splits",
            )
        elif labels and unlabeled and section == "Filters" and "pre_split" in operation.stages:
            yield c.error(
                f"{operation.name!r} filters by label before the split, where unlabeled records are too",
                (section, i),
                code="label-of-unlabeled",
                value=operation.op,
                remedy="write 'stages: [post_split]' and the labeled splits",
            )
    for i, contract in enumerate(c.model.OutputExpectations):
        if parts and contract.field == c.label and contract.assertion["kind"] == "per_class_count_per_split":
            yield c.error(
                f"per_class_count_per_split counts the label in {parts[0]!r}, a part of the unlabeled {splits.applies_to!r}",
                ("OutputExpectations", i, "field"),
                code="label-of-unlabeled",
                value=parts[0],
                remedy=f"remove it, or leave the partition {splits.applies_to} whole",
            )


def _to_divide(partitions: Sequence[str]) -> str:
    return "train" if "train" in partitions or not partitions else partitions[0]
