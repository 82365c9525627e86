"""Checks of Splits, of what refers to a split, and of SampleData."""

from __future__ import annotations

import math
from collections.abc import Mapping

from refinery_beam.recipe.checks.context import Context, Findings, Step


def splits_partition_correctly(c: Context) -> Findings:
    """8: exactly one rule makes the splits; ratios are fractions of at most the whole."""
    splits = c.model.Splits
    rules = [name for name in ("ratios", "key_assignment") if getattr(splits, name) is not None]
    if len(rules) == 2:
        yield c.error("Splits has ratios and key_assignment", ("Splits", "key_assignment"), key=True, code="two-split-rules")
    if not rules and not c.partitioned:
        yield c.error("nothing says how records become splits", ("Splits",), code="no-split-rule")
    if splits.key_assignment is not None and not splits.key_assignment.mapping:
        yield c.error(
            "key_assignment.mapping is empty",
            ("Splits", "key_assignment", "mapping"),
            code="no-splits",
            rule="the mapping names the split of each value",
            remedy="add entries such as 'a: train'",
        )
    if (splits.method == "ordered") != (splits.order_by is not None):
        yield c.error(
            "method: ordered lacks order_by" if splits.order_by is None else "order_by is given, but the method is not ordered",
            ("Splits", "method") if splits.order_by is None else ("Splits", "order_by"),
            code="order-by-misplaced",
            value=splits.order_by or splits.method,
        )
    elif splits.order_by is not None and splits.ratios is None:
        yield c.error("method: ordered lacks ratios", ("Splits", "method"), code="order-by-misplaced", value=splits.method)
    if splits.method == "hash" and splits.stratify_by is not None:
        yield c.warning(
            f"stratify_by {splits.stratify_by!r} has no effect with method: hash", ("Splits", "stratify_by"), code="stratify-unused"
        )
    if splits.ratios is None:
        return
    if not splits.ratios or not any(ratio > 0 for ratio in splits.ratios.values()):
        yield c.error(
            "ratios name no split" if not splits.ratios else "every ratio is 0",
            ("Splits", "ratios"),
            code="no-splits",
            rule="ratios give each split its share",
            remedy="for example {train: 0.8, test: 0.2}",
        )
        return
    for name, ratio in splits.ratios.items():
        if ratio < 0:
            yield c.error(f"the ratio of {name!r} is {ratio}", ("Splits", "ratios", name), code="negative-ratio", value=ratio)
    total = math.fsum(splits.ratios.values())
    if total > 1 + 1e-9:
        shown = int(total) if total == int(total) else round(total, 9)
        yield c.error(
            f"the ratios sum to {shown}", ("Splits", "ratios"), code="ratios-above-one", value=shown, remedy=_shares(splits.ratios, total)
        )
    elif total < 1 - 1e-9 and all(ratio >= 0 for ratio in splits.ratios.values()):
        yield c.warning(
            f"the ratios sum to {round(total, 9)}; the rest of the records stays unassigned",
            ("Splits", "ratios"),
            code="ratios-below-one",
            value=round(total, 9),
        )


def stratification_keys_exist(c: Context) -> Findings:
    """9: the fields that decide a record's split exist before splits are made."""
    splits = c.model.Splits
    early = c.early_fields
    asked: list[tuple[str, tuple[Step, ...], str | None]] = [
        ("stratify_by", ("Splits", "stratify_by"), splits.stratify_by),
        ("group_by", ("Splits", "group_by"), splits.group_by),
        ("order_by", ("Splits", "order_by"), splits.order_by),
        (
            "key_assignment.field",
            ("Splits", "key_assignment", "field"),
            splits.key_assignment.field if splits.key_assignment else None,
        ),
    ]
    for what, path, name in asked:
        if name is None or name in early or (c.open_fields and name not in c.model.Output.record_schema):
            continue
        declared = name in c.model.Output.record_schema or name in [f.output_field for f in c.model.Featurizations]
        if declared and c.open_fields:
            continue
        yield c.unknown(
            f"Splits.{what} names {name!r}, which "
            + ("does not exist yet when splits are made" if declared else "is no field of the records"),
            name,
            early,
            path,
            what="fields known before splits",
        )


def class_imbalance_strategy_in_one_place(c: Context) -> Findings:
    """10: class balance is stated in Splits or by a filter, not both; the splits it names exist."""
    balance = c.model.Splits.class_balance
    if balance is None:
        return
    for i, f in enumerate(c.model.Filters):
        if f.op == "class_balance" or f.name == "class_balance" or "class_balance" in f.params:
            yield c.error(
                f"class balance is set in Splits and by the filter {f.name!r}", ("Filters", i), code="class-balance-twice", value=f.name
            )
    if isinstance(balance, str):
        return
    for i, name in enumerate(balance.applies_to):
        if name not in c.split_names and not c.split_layouts:
            message = f"class_balance.applies_to names the unknown split {name!r}"
            yield c.unknown_split(message, name, ("Splits", "class_balance", "applies_to", i))


def split_references_defined(c: Context) -> Findings:
    """15: every split an operation names is made by ratios, key_assignment, a partition, a {split} layout or a tag."""
    if c.split_layouts:
        yield c.note("layouts with {split} name further splits when files are listed")
        return
    if not c.split_names and not c.model.Splits.ratios:
        return  # check 8 says that nothing makes splits; that every name is then unknown is no news
    for section, i, operation in c.operations():
        for j, name in enumerate(operation.splits):
            if name not in c.split_names:
                yield c.unknown_split(f"unknown split {name!r}", name, (section, i, "splits", j))
        source = getattr(operation, "fit_source", None)
        if source is not None and source not in c.split_names:
            yield c.unknown_split(f"unknown split {source!r}", source, (section, i, "fit_source"))
    sample = c.model.SampleData
    for j, name in enumerate((sample.selector.splits or ()) if sample else ()):
        if name not in c.split_names:
            yield c.unknown_split(f"unknown split {name!r}", name, ("SampleData", "selector", "splits", j))
    splits = c.model.Splits
    if splits.applies_to is not None and not c.partitioned and splits.applies_to not in c.early_tags:
        late = splits.applies_to in c.tags
        yield c.error(
            f"Splits.applies_to names {splits.applies_to!r}, "
            + ("a tag that is given only after the split" if late else "which is neither a partition nor a tag"),
            ("Splits", "applies_to"),
            code="unknown-partition",
            value=splits.applies_to,
            remedy="add pre_split to the stages of its filter" if late else None,
        )


def sample_data_strict_subset(c: Context) -> Findings:
    """16: a sample is n records or a fraction of them, never all."""
    if c.model.SampleData is None:
        return
    selector = c.model.SampleData.selector
    at = ("SampleData", "selector")
    if (selector.n is None) == (selector.fraction is None):
        yield c.error(
            "the selector has both n and fraction" if selector.n is not None else "the selector has neither n nor fraction",
            at,
            code="sample-size",
        )
    if selector.n is not None and selector.n < 1:
        yield c.error(
            f"n is {selector.n}", (*at, "n"), code="sample-size", value=selector.n, rule="n is at least 1", remedy="write 1 or more"
        )
    if selector.fraction is not None and not 0 < selector.fraction < 1:
        yield c.error(
            f"fraction is {selector.fraction}",
            (*at, "fraction"),
            code="sample-size",
            value=selector.fraction,
            rule="a fraction lies between 0 and 1, both excluded",
            remedy="write for example 0.1",
        )


def splits_operate_at_clip_level(c: Context) -> Findings:
    """29: windows of a clip do not decide splits."""
    name = c.model.Splits.stratify_by
    if name in ("window_index", "source_record_id") and any(g.replace_input_records for g in c.model.Generation):
        yield c.error(
            f"stratify_by {name!r} is made by a Generation, after splits",
            ("Splits", "stratify_by"),
            code="unknown-field-name",
            value=name,
            rule="splits are made of whole clips, before windows are cut",
            remedy="stratify by a field of the clip",
        )


def _shares(ratios: Mapping[str, float], total: float) -> str:
    if total >= 2 and min(ratios.values()) >= 0:
        # Percentages, or counts: what was meant is the same with one as the sum.
        return "write " + ", ".join(f"{name}: {round(value / total, 4):g}" for name, value in ratios.items())
    return "lower one of them"
