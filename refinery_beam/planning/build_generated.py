"""Generation and Augmentations of a recipe -> the plan's steps, their types, and the refusal of steps whose content cannot be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.planning.generated import AugmentStep, GenerateStep, aggressive
from refinery_beam.planning.nodes import Step
from refinery_beam.planning.output import stores_source
from refinery_beam.plugins.base import ArrayType, AugmentOp, GenerateOp, OpTypeError, Plugin, TransformOp, call_plugin
from refinery_beam.recipe import Recipe, section_seed


def build_generation(recipe: Recipe, plugin: Plugin, decoded: ArrayType, errors: list[RefineryError]) -> tuple[GenerateStep, ...]:
    """The generation steps in the recipe's order; `decoded` is the type of every image they meet."""
    steps = []
    for i, g in enumerate(recipe.model.Generation):
        op = plugin.op(g.op, "Generation")
        if not isinstance(op, GenerateOp):
            errors.append(_unknown(recipe, ("Generation", i, "op"), g.op, "Generation"))
            continue
        params = op.spec.params.model_validate(dict(g.params))
        try:
            if op.spec.pixel_altering:
                call_plugin(g.name, f"op:{g.op}", op.infer, decoded, params)
        except OpTypeError as error:
            errors.append(_odd_type(recipe, ("Generation", i), g.name, g.op, decoded, error, "set Input.decode.mode to RGB or L"))
            continue
        steps.append(
            GenerateStep(
                name=g.name,
                op=g.op,
                version=op.spec.version,
                params=params.model_dump(mode="json"),
                seed=section_seed(recipe, g.seed, g.name),
                kind=op.kind,
                splits=tuple(dict.fromkeys(g.splits)),
                replace=g.replace_input_records,
                fields=tuple(op.fields(params).items()),
            )
        )
    return tuple(steps)


def build_augmentations(recipe: Recipe, plugin: Plugin, errors: list[RefineryError]) -> tuple[AugmentStep, ...]:
    """The augmentation steps in the recipe's order."""
    steps = []
    for i, a in enumerate(recipe.model.Augmentations):
        op = plugin.op(a.op, "Augmentations")
        if not isinstance(op, AugmentOp):
            errors.append(_unknown(recipe, ("Augmentations", i, "op"), a.op, "Augmentations"))
            continue
        steps.append(
            AugmentStep(
                name=a.name,
                op=a.op,
                version=op.spec.version,
                params=op.spec.params.model_validate(dict(a.params)).model_dump(mode="json"),
                seed=section_seed(recipe, a.seed, a.name),
                splits=tuple(dict.fromkeys(a.splits)),
                materialization=a.materialization,
                expansion=a.expansion,
            )
        )
    return tuple(steps)


def augmented(plugin: Plugin, steps: Sequence[AugmentStep], split: str, before: ArrayType, *, lazy: bool = False) -> ArrayType:
    """The type that the stored (or with ``lazy`` the readers') augmentations of a split leave. Raises OpTypeError, naming the step."""
    for step in steps:
        if split not in step.splits or (step.materialization == "lazy") != lazy:
            continue
        bound = plugin.bind(step, AugmentOp)
        try:
            before = bound.call(bound.op.infer, before, bound.params)
        except OpTypeError as error:
            raise OpTypeError(f"augmentation {step.name!r}: {error}") from error
    return before


def retyped(plugin: Plugin, steps: Sequence[Step], before: ArrayType) -> tuple[Step, ...]:
    """A deferred tail with the shape that augmentations give. Its dtypes stay."""
    done = []
    for step in steps:
        bound = plugin.bind(step, TransformOp)
        out = bound.call(bound.op.infer, before, bound.params)._replace(dtype=step.out.dtype)
        done.append(replace(step, before=before, out=out))
        before = out
    return tuple(done)


def odd_augmentation(recipe: Recipe, plugin: Plugin, split: str, error: OpTypeError) -> RecipeError:
    """The refusal of augmentations that cannot take a split's stored type."""
    return RecipeError(
        f"the {plugin.kind.noun} of split {split!r} cannot be augmented: {error}",
        code="op-type",
        at=recipe.at(("Augmentations",), key=True),
        value=split,
        rule=f"augmentations take the {plugin.kind.noun} that are stored, before the ops that readers apply",
        remedy=f"declare in Output.record_schema.{plugin.kind.field} what the augmentations take, or change the transformations",
    )


def check_storable(
    recipe: Recipe, generation: Sequence[GenerateStep], augmentations: Sequence[AugmentStep], plugin: Plugin, errors: list[RefineryError]
) -> None:
    """Refuse steps whose content would not be kept: it is not in the schema, or the untouched source files are stored."""
    field = plugin.kind.field
    stored = field in recipe.model.Output.record_schema
    made = [("Generation", g.name) for g in generation if plugin.ops[g.op].spec.pixel_altering]
    changed = made + [("Augmentations", a.name) for a in aggressive(augmentations)]
    if not stored:
        for section, name in made + [("Augmentations", a.name) for a in augmentations]:
            errors.append(
                RecipeError(
                    f"{name!r} makes new {plugin.kind.noun}, but Output.record_schema has no {field}",
                    code="output-options",
                    at=recipe.at((section,), key=True),
                    value=name,
                    rule=f"what is made is stored: without {field!r} there is nothing to keep",
                    remedy=f"add {field!r} to Output.record_schema, or remove {name!r}",
                )
            )
    elif changed and stores_source(recipe, plugin):
        errors.append(
            RecipeError(
                f"encoding source keeps the original bytes, but {', '.join(repr(name) for _, name in changed)} changes the content",
                code="output-options",
                at=recipe.at(("Output", "encoding")),
                value=recipe.model.Output.encoding,
                encoding="source",
            )
        )


def step_versions(*steps: Sequence[GenerateStep | AugmentStep]) -> Mapping[str, int]:
    """{op: version} of the steps."""
    return {step.op: step.version for group in steps for step in group}


def _odd_type(recipe: Recipe, path: tuple[Any, ...], name: str, op: str, before: ArrayType, error: Exception, remedy: str) -> RecipeError:
    return RecipeError(
        f"{name!r} ({op}) cannot take {before}: {error}",
        code="op-type",
        at=recipe.at(path),
        value=str(before),
        rule=str(error),
        remedy=remedy,
    )


def _unknown(recipe: Recipe, path: tuple[Any, ...], op: str, section: str) -> RecipeError:
    return RecipeError(f"{op!r} is not an op of {section}", code="unknown-op", at=recipe.at(path), value=op, section=section)
