"""The plan in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refinery_beam.errors import display
from refinery_beam.planning.nodes import Chain, FilterStep, OutputPlan, Plan, Step

CLASS_LINES = 20
"""Classes whose counts a plan shows."""


def explain(plan: Plan, *, records: int, sources: Sequence[tuple[str, str]], counts: Sequence[str] = ()) -> str:
    """What a run of the plan does, stage by stage, for a person. `counts` are lines on how many records each split gets."""
    lines = [f"Input: {records:,} files from " + ", ".join(f"{name} ({kind})" for name, kind in sources)]
    lines += [f"Filter before splits: {_named(f.name, f.op)}{_cost(f)}" for f in plan.pre_filters]
    lines.append("Splits: " + split_rule(plan))
    lines += counts
    lines += [f"Filter in {', '.join(f.splits)}: {_named(f.name, f.op)}{_cost(f)}" for f in plan.post_filters]
    for g in plan.generation:
        replaces = ", in place of their parents" if g.replace else ""
        lines.append(f"Make records in {', '.join(g.splits)}: {_named(g.name, g.op)}{replaces}")
    for point in plan.fits:
        where = "while shards are written, from the stored pixels" if point.riding else f"in a pass of its own over {point.split}"
        lines.append(f"Fit {', '.join(point.steps)} on {point.split}: {where}")
    for field in plan.fitted_fields():
        if field.needs_fit:
            lines.append(f"Fit {field.name} on {field.fit_source}: over references, nothing is decoded")
    lines += [f"Import {name}: from {o['op_id']} of instance {o['recipe_hash'][:16]}" for name, o in plan.borrowed().items()]
    lines += [f"Third-party code: {name} {o['version']}, source {o['digest'][:12]}" for name, o in plan.plugin_sources.items()]
    for chain in _distinct(plan):
        lines += _chain(chain[0], chain[1])
    for a in plan.augmentations:
        how = f"stored, {a.expansion} of each" if a.materialization == "aggressive" else "when reading"
        lines.append(f"Augment {', '.join(a.splits)}: {_named(a.name, a.op)}, {how}")
    lines += [f"Field {f.field}: {f.op} of {', '.join(f.inputs)}" for f in plan.fields]
    out = plan.output
    lines.append("Output: " + ", ".join(f"{name} {t.dtype}{'' if t.shape is None else list(t.shape)}" for name, t in out.fields))
    lines.append(
        f"{plan.content or 'content'}: {'not stored' if out.content_field is None else 'encoding ' + out.encoding}"
        + ("" if plan.decodes or plan.selects_by_files else "; nothing is decoded")
    )
    lines.append("Parquet: " + _storage(out))
    lines += [f"{c.section}: {c.kind}{f' of {c.field}' if c.field else ''} ({c.severity})" for c in plan.contracts]
    if plan.sample is not None:
        s = plan.sample
        size = f"{s.n} records" if s.n is not None else f"{s.fraction} of the records"
        lines.append(f"Sample: {size} of each {'class of ' if s.kind == 'per_class' else ''}{', '.join(s.splits)} (seed {s.seed})")
    lines += [f"Sink {s.name}: {s.field} of {', '.join(s.splits)} to sinks/{s.name}/{s.template}" for s in plan.sinks]
    return "\n".join(lines)


def _storage(out: OutputPlan) -> str:
    """The compression and row groups of the plan's files."""
    storage = out.storage
    if out.content_field is None:
        return f"compression {storage.fields}"
    words = storage.content if storage.content == storage.fields else f"{storage.content} ({out.content_field}), {storage.fields} (others)"
    bounds = f"{storage.row_group_bytes >> 10:,} KiB"
    if storage.row_group_rows is not None:
        bounds = f"{storage.row_group_rows} rows and {storage.row_group_bytes >> 12:,} KiB, {bounds} at most"
    return f"compression {words}, row groups of {bounds}"


def class_table(classes: Mapping[str, Mapping[str, int]] | None) -> list[str]:
    """Lines with the records of each split, in all and by class; None where only a run can tell.

    >>> print("\\n".join(class_table({"train": {"cat": 1400, "dog": 7}, "test": {"cat": 600}})))
             train  test
      all    1,407   600
      'cat'  1,400   600
      'dog'      7     0
    """
    if classes is None:
        return ["  how many records each gets is known when the steps before have run"]
    labels = sorted({label for counts in classes.values() for label in counts if label})
    rows = [("", *classes), ("all", *(f"{sum(counts.values()):,}" for counts in classes.values()))]
    rows += [(f"'{display(label)}'", *(f"{counts.get(label, 0):,}" for counts in classes.values())) for label in labels[:CLASS_LINES]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  " + "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return lines + ([f"  and {len(labels) - CLASS_LINES:,} more classes; --json has them all"] if len(labels) > CLASS_LINES else [])


def split_rule(plan: Plan) -> str:
    """How records are assigned to splits."""
    s = plan.split
    if s.mode == "partition":
        return "by the source's partition: " + (", ".join(s.splits) or "found when listing")
    if s.mode == "key":
        return f"by field {s.key_field}: " + ", ".join(f"{value} to {name}" for value, name in s.mapping.items())
    method = f"ordered by {s.order_by}" if s.method == "ordered" else s.method
    text = ", ".join(f"{name} {ratio:g}" for name, ratio in s.ratios) + f" ({method}, seed {s.seed})"
    if s.applies_to:
        text += f", of partition {s.applies_to}"
    if s.tag:
        text += f", of the records tagged {s.tag}; others go where their tag says"
    if s.stratify_by:
        text += f", stratified by {s.stratify_by}"
    if s.group_by:
        text += f", grouped by {s.group_by}"
    if s.near_distance is not None:
        return text + f", pictures within {s.near_distance} bits together"
    return text + (", identical files together" if s.keep_duplicates_together else "")


def _distinct(plan: Plan) -> list[tuple[list[str], Chain]]:
    found: dict[tuple[tuple[str, ...], int], tuple[list[str], Chain]] = {}
    for split, chain in plan.chains.items():
        found.setdefault((tuple(s.name for s in chain.steps), len(chain.eager)), ([], chain))[0].append(split)
    return list(found.values())


def _chain(splits: Sequence[str], chain: Chain) -> list[str]:
    steps = [f"decode {chain.decoded}", *map(_step, chain.eager)]
    lines = [f"Content of {', '.join(splits)}: " + " -> ".join(steps) + f" -> stored as {chain.stored}"]
    if chain.deferred:
        lines.append("  applied when reading: " + " -> ".join(map(_step, chain.deferred)))
    return lines


def _cost(step: FilterStep) -> str:
    """What a filter costs besides a glance at metadata."""
    if step.needs_pixels:
        return ", in a pass of its own that decodes every file once more"
    return ", in a pass of its own that reads every file's header" if step.needs_header else ""


def _step(step: Step) -> str:
    return f"{_named(step.name, step.op)} {step.out}"


def _named(name: str, op: str) -> str:
    return name if name == op else f"{name} ({op})"
