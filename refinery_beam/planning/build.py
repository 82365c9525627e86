"""Recipe + plugin -> Plan: every decision that depends on the recipe is made here, once, before any engine starts.

Passes, in order: splits, filters, featurizations, chains (type inference and the deferred tail), fit points, output. Each collects
its errors, so that a user sees all of them at once, each with its position in the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refinery_beam.errors import RecipeError, RefineryError, raise_all
from refinery_beam.planning.borrowed import borrowed_statistics, fitted_field_problem, own_params
from refinery_beam.planning.build_generated import build_augmentations, build_generation, check_storable, step_versions
from refinery_beam.planning.chains import build_chains, build_fits
from refinery_beam.planning.contracts import build_contracts, check_tails
from refinery_beam.planning.filters import filter_facts, near_rule, split_tags
from refinery_beam.planning.generated import AUGMENTATION, aggressive, generated_fields
from refinery_beam.planning.nodes import Borrowed, FieldStep, FilterStep, Plan, SourceRoot, SplitPlan
from refinery_beam.planning.output import METADATA_FIELDS, build_output
from refinery_beam.planning.sample import build_sample
from refinery_beam.planning.sinks import build_sinks
from refinery_beam.planning.splits.strata import split_laws
from refinery_beam.plugins.base import (
    ArrayType,
    FeaturizeOp,
    FieldType,
    FilterOp,
    FittedFeaturizeOp,
    OpTypeError,
    Plugin,
    call_plugin,
)
from refinery_beam.recipe import Recipe, decode_limits, decode_policy, section_seed


def build_plan(
    recipe: Recipe,
    plugin: Plugin,
    *,
    partitions: Sequence[str] = (),
    roots: Sequence[str] | None = None,
    borrowed: Mapping[str, Borrowed] | None = None,
) -> Plan:
    """The plan of a recipe whose static checks passed.

    `partitions` are the partition names found by listing (for ``{split}`` layouts; declared ones need no listing). `roots` are the absolute
    source locations, resolved from the recipe when left out. `borrowed` are the statistics of ``stats_from_instance`` by operation;
    left out, the plan has none of their values and serves for checking only. Raises RecipeError or an ErrorGroup of them.
    """
    with plugin.named():
        return _build(recipe, plugin, partitions=partitions, roots=roots, borrowed=borrowed)


def _build(
    recipe: Recipe, plugin: Plugin, *, partitions: Sequence[str], roots: Sequence[str] | None, borrowed: Mapping[str, Borrowed] | None
) -> Plan:
    model = recipe.model
    errors: list[RefineryError] = []
    split = _split_plan(recipe, plugin, partitions)
    splits = split.splits
    pre, post = _filters(recipe, plugin, errors)
    policy = decode_policy(recipe, plugin)
    generation = build_generation(recipe, plugin, plugin.kind.decoded(policy), errors)
    augmentations = build_augmentations(recipe, plugin, errors)
    check_storable(recipe, generation, augmentations, plugin, errors)
    chains, stored = build_chains(recipe, plugin, splits, errors, augmentations, borrowed)
    fields = _fields(recipe, plugin, splits, errors, stored=stored, borrowed=borrowed)
    raise_all(errors)
    shown = stored  # sinks may write content that no row stores
    if plugin.kind.field not in model.Output.record_schema:
        stored = None
    output = build_output(recipe, plugin, fields, splits, chains, stored, errors, generated_fields(generation, augmentations))
    if aggressive(augmentations) and AUGMENTATION not in dict(output.fields):
        output = replace(output, fields=(*output.fields, (AUGMENTATION, FieldType("str"))))
    fits = build_fits(plugin, chains, errors, recipe, rides=True)
    contracts = build_contracts(recipe, plugin, errors)
    check_tails(plugin, contracts, chains, errors)
    sinks = build_sinks(recipe, plugin, splits, dict(output.fields) | {f.field: f.type for f in fields}, shown, errors)
    raise_all(errors)
    versions = {s.op: s.version for c in chains.values() for s in c.steps}
    versions |= {f.op: f.version for f in (*pre, *post)}
    versions |= {f.op: f.version for f in fields}
    if split.near_distance is not None:
        versions[split.near_op] = plugin.ops[split.near_op].spec.version
    versions |= step_versions(generation, augmentations)
    versions |= split_laws(split)
    versions |= {f"assertion:{c.kind}": c.version for c in contracts}
    return Plan(
        plugin=plugin.name,
        plugin_version=plugin.version,
        content=plugin.kind.field,
        seed=recipe.seed,
        sources=tuple(
            SourceRoot(
                name=s.name,
                root=roots[i] if roots else recipe.resolve(str(s.path)),
                loader=s.type if s.type in plugin.loaders else "",
            )
            for i, s in enumerate(model.Input.sources)
        ),
        label_field=model.Labels.field,
        unlabeled=tuple(s.partition for s in model.Input.sources if s.unlabeled and s.partition),
        decode=policy.model_dump(mode="json"),
        limits=decode_limits(recipe, plugin).model_dump(mode="json"),
        on_error=model.Input.on_error,
        max_bad_fraction=float(model.Input.max_bad_fraction),
        pre_filters=tuple(pre),
        post_filters=tuple(post),
        fields=tuple(fields),
        split=split,
        chains=chains,
        fits=fits,
        output=output,
        op_versions=dict(sorted(versions.items())),
        class_balance=_jsonable(model.Splits.class_balance),
        generation=generation,
        augmentations=augmentations,
        contracts=contracts,
        sample=build_sample(recipe, splits),
        sinks=sinks,
        plugin_sources=plugin.used_origins(
            op=versions,
            encoding=[output.encoding] if output.content_field is not None else [],
            loader=[s.type for s in model.Input.sources],
            assertion=[c.kind for c in contracts],
        ),
        loader_versions={s.type: plugin.loaders[s.type].version for s in model.Input.sources if s.type in plugin.loaders},
        plugin_code=plugin.code,
    )


def _split_plan(recipe: Recipe, plugin: Plugin, found: Sequence[str]) -> SplitPlan:
    model, s = recipe.model, recipe.model.Splits
    declared = [src.partition for src in model.Input.sources if src.partition]
    partitions = tuple(dict.fromkeys([*declared, *found]))
    common: dict[str, Any] = {
        "seed": section_seed(recipe, s.seed, "Splits"),
        "method": s.method,
        "stratify_by": s.stratify_by,
        "group_by": s.group_by,
        "keep_duplicates_together": s.keep_duplicates_together not in (False, "false"),
        "applies_to": s.applies_to,
        "order_by": s.order_by,
        "allow_empty": s.allow_empty,
    }
    if s.keep_duplicates_together == "near":
        common["near_op"], common["near_distance"] = near_rule(plugin)
    if s.ratios and (tags := split_tags(recipe, partitions)):
        ratios = tuple((name, float(value)) for name, value in s.ratios.items())
        common["applies_to"] = None
        others = tuple(t for t in tags if t != s.applies_to)
        return SplitPlan(mode="ratios", splits=tuple(n for n, _ in ratios) + others, ratios=ratios, tag=s.applies_to, **common)
    if s.ratios:
        ratios = tuple((name, float(value)) for name, value in s.ratios.items())
        others = tuple(p for p in partitions if p != s.applies_to) if s.applies_to else ()
        return SplitPlan(mode="ratios", splits=tuple(name for name, _ in ratios) + others, ratios=ratios, **common)
    if partitions:
        return SplitPlan(mode="partition", splits=partitions, **common)
    if s.key_assignment:
        mapping = dict(s.key_assignment.mapping)
        return SplitPlan(
            mode="key",
            splits=tuple(dict.fromkeys(mapping.values())),
            key_field=s.key_assignment.field,
            mapping=mapping,
            **common,
        )
    # A recipe without any rule and without partitions is caught by check 8; a layout's {split} is known only after listing.
    return SplitPlan(mode="partition", splits=(), **common)


def _filters(recipe: Recipe, plugin: Plugin, errors: list[RefineryError]) -> tuple[list[FilterStep], list[FilterStep]]:
    pre: list[FilterStep] = []
    post: list[FilterStep] = []
    for i, f in enumerate(recipe.model.Filters):
        op = plugin.op(f.op, "Filters")
        if not isinstance(op, FilterOp):
            errors.append(_unknown(recipe, ("Filters", i, "op"), f.op, "Filters"))
            continue
        params = _params(op.spec.params, f.params)
        written = f.seed if f.seed is not None else params.get("seed")
        seed = section_seed(recipe, written, f.name)
        stages = list(f.stages) or ["pre_split"]
        step: dict[str, Any] = {"name": f.name, "op": f.op, "version": op.spec.version, "params": params, "seed": seed, "kind": op.kind}
        step |= filter_facts(op, params)
        if "pre_split" in stages:
            pre.append(FilterStep(**step, splits=()))
        if "post_split" in stages:
            post.append(FilterStep(**step, splits=tuple(f.splits)))
    return pre, post


def _fields(
    recipe: Recipe,
    plugin: Plugin,
    splits: Sequence[str],
    errors: list[RefineryError],
    *,
    stored: ArrayType | None = None,
    borrowed: Mapping[str, Borrowed] | None = None,
) -> list[FieldStep]:
    model = recipe.model
    known: dict[str, FieldType] = {name: FieldType("str") for name in (*METADATA_FIELDS, model.Labels.field)}
    known |= {n: FieldType(f.dtype, None if f.shape is None else tuple(f.shape)) for n, f in model.Output.record_schema.items()}
    if stored is not None:
        known[plugin.kind.field] = FieldType(stored.dtype, stored.shape)
    found: list[FieldStep] = []
    for i, f in enumerate(model.Featurizations):
        op = plugin.op(f.op, "Featurizations")
        if not isinstance(op, FeaturizeOp):
            errors.append(_unknown(recipe, ("Featurizations", i, "op"), f.op, "Featurizations"))
            continue
        if f.output_field == model.Labels.field and not op.needs_pixels:
            continue  # the index derives labels from paths before splits; here it would come too late for stratify_by
        params = _params(op.spec.params, own_params(f.params))
        try:
            inputs = [known.get(name, FieldType("str")) for name in f.inputs]
            out = call_plugin(f.name, f"op:{f.op}", op.infer, inputs, op.spec.params.model_validate(params))
        except OpTypeError as error:
            errors.append(
                RecipeError(
                    f"featurization {f.name!r}: {error}",
                    code="op-type",
                    at=recipe.at(("Featurizations", i)),
                    value=f.op,
                    rule=str(error),
                    remedy="name inputs that the op takes",
                )
            )
            continue
        known[f.output_field] = out
        extra: dict[str, Any] = {}
        if op.spec.fitted and isinstance(op, FittedFeaturizeOp):
            problem = fitted_field_problem(recipe, i, op, found, splits, content=plugin.kind.field)
            if problem is not None:
                errors.append(problem)
                continue
            pinned: Mapping[str, Any] | None = op.pinned(op.spec.params.model_validate(params))
            origin: Mapping[str, Any] | None = None
            if "stats_from_instance" in f.params:
                pinned, origin = borrowed_statistics(f.name, borrowed)
            extra = {"fitted": True, "fit_source": f.fit_source, "pinned": pinned, "origin": origin}
        found.append(
            FieldStep(
                name=f.name,
                field=f.output_field,
                op=f.op,
                version=op.spec.version,
                params=params,
                inputs=tuple(f.inputs),
                needs_pixels=op.needs_pixels,
                splits=tuple(f.splits) or tuple(splits),
                type=out,
                **extra,
            )
        )
    return found


def _params(model: Any, written: Mapping[str, Any]) -> dict[str, Any]:
    """Validated parameters with defaults, as JSON. Check `param_types` has already said what is wrong with bad ones."""
    params: dict[str, Any] = model.model_validate(dict(written)).model_dump(mode="json")
    return params


def _unknown(recipe: Recipe, path: tuple[Any, ...], op: str, section: str) -> RecipeError:
    return RecipeError(f"{op!r} is not an op of {section}", code="unknown-op", at=recipe.at(path), value=op, section=section)


def _jsonable(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
