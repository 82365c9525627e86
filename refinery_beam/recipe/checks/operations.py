"""Checks of operations: which splits, which statistics, which fields, which parameters."""

from __future__ import annotations

import os
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RefineryError, did_you_mean
from refinery_beam.recipe.checks import filters
from refinery_beam.recipe.checks.context import Context, Finding, Findings
from refinery_beam.recipe.checks.generated import generation_fields
from refinery_beam.recipe.model_ops import OP_SECTIONS, Operation
from refinery_beam.recipe.params import DAMAGE, validated


def operations_declare_stages_and_splits(c: Context) -> Findings:
    """4: an operation that names no split would do nothing."""
    for section, i, operation in c.operations():
        needs = section in ("Transformations", "Augmentations", "Featurizations")
        needs = needs or (section == "Filters" and "post_split" in operation.stages)
        if needs and not operation.splits:
            yield c.error(
                f"{operation.name!r} names no splits",
                (section, i, *(["splits"] if "splits" in operation.model_fields_set else [])),
                code="no-splits",
                splits=c.split_names or "train",
            )


def augmentations_train_only(c: Context) -> Findings:
    """5: only train is augmented."""
    for section, i, operation in c.operations("Augmentations"):
        for j, name in enumerate(operation.splits):
            if name != "train":
                yield c.error(
                    f"the augmentation {operation.name!r} runs on {name!r}",
                    (section, i, "splits", j),
                    code="augmentation-split",
                    value=name,
                )


def fit_on_train_uses_train_split(c: Context) -> Findings:
    """6: statistics come from train, unless the recipe states or borrows them."""
    for section, i, operation in c.operations("Transformations", "Featurizations"):
        spec = c.spec(section, operation)
        if spec is None:
            continue
        source = operation.fit_source
        if not spec.fitted:
            if source is not None:
                yield c.warning(
                    f"{operation.name!r} has a fit_source, but {operation.op} fits nothing",
                    (section, i, "fit_source"),
                    code="fit-source-unused",
                    value=source,
                )
        elif source is not None and source != "train":
            yield c.error(
                f"{operation.name!r} fits on {source!r}",
                (section, i, "fit_source"),
                code="fit-source",
                value=source,
                rule="statistics are fitted on train only",
                remedy="write 'fit_source: train'",
            )
        elif source is None and "stats_from_instance" not in operation.params and not _pinned(c, section, i, operation):
            yield c.error(
                f"{operation.name!r} is fitted, but does not say on what",
                (section, i),
                code="fit-source",
                rule="a fitted operation names the split its statistics come from",
                remedy="add 'fit_source: train'",
            )


def operations_reference_declared_fields(c: Context) -> Findings:
    """7: a featurization reads fields that exist when it runs."""
    for i, f in enumerate(c.model.Featurizations):
        known = c.known_fields(before=i)
        for j, name in enumerate(f.inputs):
            if name not in known and not c.open_fields:
                yield c.unknown(
                    f"{f.name!r} reads {name!r}, which is no field", name, known, ("Featurizations", i, "inputs", j), what="fields here"
                )


def generation_output_schema_consistent(c: Context) -> Findings:
    """14: generated records have the fields and types of the schema."""
    schema = c.model.Output.record_schema
    for i, g in enumerate(c.model.Generation):
        yield from generation_fields(c, i, g)
        if isinstance(g.output_schema, str):
            continue
        for name, declared in g.output_schema.items():
            wanted = schema.get(name)
            if wanted is None or wanted != declared:
                yield c.error(
                    f"{g.name!r} declares {name!r} "
                    + ("which is not in Output.record_schema" if wanted is None else "with another type than Output.record_schema"),
                    ("Generation", i, "output_schema", name),
                    key=True,
                    code="generation-schema",
                    value=name,
                    remedy=did_you_mean(name, schema) if wanted is None else None,
                )


def plugin_operation_params_validate(c: Context) -> Findings:
    """18: ops are known to the plugin, in their section, and have the parameters they take."""
    for section, i, operation in c.operations(*OP_SECTIONS, "Visualizations"):
        op = c.plugin.op(operation.op)
        at_home = op.spec.section if op is not None else c.plugin.known.get(operation.op)
        if at_home is None:
            words = [n for n, o in c.plugin.ops.items() if o.spec.section == section]
            words += [n for n, s in c.plugin.known.items() if s == section]
            yield c.error(
                f"unknown op {operation.op!r}",
                (section, i, "op"),
                code="unknown-op",
                value=operation.op,
                rule=f"{section} knows {', '.join(sorted(set(words))) or 'no ops'}",
                remedy=did_you_mean(operation.op, words) if words else f"remove {section}",
            )
        elif at_home != section:
            yield c.error(
                f"the op {operation.op!r} belongs to {at_home}, not to {section}",
                (section, i, "op"),
                code="op-section",
                value=operation.op,
                section=at_home,
            )
        for error in c.params(section, i, operation)[1]:
            if error.code in ("unknown-field", "missing-field"):
                yield Finding("error", error)
    yield from filters.filter_references(c)


def param_types(c: Context) -> Findings:
    """104: parameters have the types and ranges their op takes, and Input.decode and Input.limits those of the kind of data."""
    for name, model in (("decode", c.plugin.kind.policy), ("limits", c.plugin.kind.limits)):
        for error in validated(c.recipe, ("Input", name), getattr(c.model.Input, name), model)[1]:
            yield Finding("error", error)
    yield from _damage(c)
    for section, i, operation in c.operations(*OP_SECTIONS, "Visualizations"):
        for error in c.params(section, i, operation)[1]:
            if error.code not in ("unknown-field", "missing-field"):
                yield Finding("error", error)


def _damage(c: Context) -> Findings:
    """``damage`` stands under Input, and is strict only where the kind of data can look closer."""
    if DAMAGE in c.model.Input.decode:
        yield c.error(
            "unknown field 'damage' under Input.decode",
            ("Input", "decode", DAMAGE),
            key=True,
            code="unknown-field",
            value=DAMAGE,
            rule="damage is a field of Input itself",
            remedy="write Input.damage",
        )
    if c.model.Input.damage == "strict" and DAMAGE not in c.plugin.kind.policy.model_fields:
        yield c.error(
            f"{c.plugin.name} has no strict search for damage",
            ("Input", DAMAGE),
            code="bad-value",
            value="strict",
            rule="damage: strict is for kinds of data whose decoders forgive damage",
            remedy="remove Input.damage",
        )


def stats_from_instance_exclusive(c: Context) -> Findings:
    """22: an operation fits its statistics or borrows them, not both; borrowing names a recipe and an op."""
    for section, i, operation in c.operations("Transformations", "Featurizations"):
        borrowed = operation.params.get("stats_from_instance")
        if borrowed is None:
            continue
        at = (section, i, "params", "stats_from_instance")
        problem = _borrowed_problem(borrowed)
        if problem:
            yield c.error(f"stats_from_instance of {operation.name!r} {problem}", at, code="stats-import")
        if operation.fit_source is not None:
            yield c.error(
                f"{operation.name!r} has fit_source and stats_from_instance",
                (section, i, "fit_source"),
                code="stats-import",
                value=operation.fit_source,
                rule="statistics are fitted here or imported, not both",
                remedy="remove one of the two",
            )
        spec = c.spec(section, operation)
        if spec is not None and spec.fitted and not c.params(section, i, operation)[1] and _pinned(c, section, i, operation):
            yield c.error(
                f"{operation.name!r} states its statistics and imports them",
                at,
                key=True,
                code="stats-import",
                rule="statistics are stated, fitted here or imported: one of the three",
                remedy="remove stats_from_instance, or what is stated",
            )
        if spec is not None and not spec.fitted:
            yield c.error(
                f"{operation.name!r} imports statistics, but {operation.op} uses none",
                at,
                key=True,
                code="stats-import",
                value=operation.op,
                rule="stats_from_instance belongs to fitted operations",
                remedy="remove it",
            )


def stats_source_resolves(c: Context) -> Findings:
    """106: the recipe to borrow statistics from exists."""
    for section, i, operation in c.operations("Transformations", "Featurizations"):
        borrowed = operation.params.get("stats_from_instance")
        if borrowed is None or _borrowed_problem(borrowed):
            continue
        path = (section, i, "params", "stats_from_instance", "recipe")
        try:
            resolved = c.recipe.resolve(borrowed["recipe"])
        except RefineryError as error:
            error.at = c.recipe.at(path)
            yield Finding("error", error)
            continue
        if "://" not in resolved and not os.path.isfile(resolved):
            why = "is no file" if os.path.exists(resolved) else locations.why_absent(resolved)
            yield c.error(f"the recipe {borrowed['recipe']!r} {why}", path, code="path-missing", value=borrowed["recipe"])


def dtype_altering_with_aggressive(c: Context) -> Findings:
    """27: stored augmentations are made of uint8 pixels, so nothing may have changed the dtype before."""
    aggressive = {s: a.name for a in c.model.Augmentations if a.materialization == "aggressive" for s in a.splits}
    if not aggressive:
        return
    steps = list(c.operations("Transformations"))
    for position, (section, i, operation) in enumerate(steps):
        spec = c.spec(section, operation)
        touched = [s for s in operation.splits if s in aggressive]
        if spec is None or not spec.dtype_altering or not touched:
            continue
        rest = [c.spec(s, o) for s, _, o in steps[position:] if touched[0] in o.splits]
        deferred = all(r is not None and r.deferrable for r in rest) and not c.stores_floats
        if not deferred:
            yield c.error(
                f"{operation.name!r} changes the dtype before the aggressive augmentation {aggressive[touched[0]]!r}",
                (section, i),
                code="dtype-before-augmentation",
                value=operation.op,
                content=c.content,
            )


def pixel_altering_needs_no_sink(c: Context) -> Findings:
    """26: prepared pixels are stored in the dataset itself, so no sink is needed."""
    yield c.note("prepared pixels are stored in the dataset; no sink is needed to keep them")


def _pinned(c: Context, section: str, index: int, operation: Operation) -> bool:
    params, errors = c.params(section, index, operation)
    ask = getattr(c.plugin.op(operation.op), "pinned", None)
    if errors:
        return True  # bad parameters are reported by their own check; what they would pin is unknown
    return bool(ask is not None and params is not None and ask(params) is not None)


def _borrowed_problem(value: Any) -> str:
    if not isinstance(value, dict):
        return "is no mapping"
    for name in ("recipe", "op_id"):
        if not isinstance(value.get(name), str) or not value[name]:
            return f"lacks {name!r}"
    odd = sorted(set(value) - {"recipe", "op_id"})
    return f"has the unknown key {odd[0]!r}" if odd else ""
