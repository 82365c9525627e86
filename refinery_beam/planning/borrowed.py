"""Borrowed statistics (of another instance) and fitted featurizations in a plan, and the refusal of those that cannot work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.errors import RecipeError
from refinery_beam.planning.nodes import Borrowed, FieldStep
from refinery_beam.plugins.base import ArrayType, FittedFeaturizeOp
from refinery_beam.recipe import Recipe


def own_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """An operation's parameters without ``stats_from_instance``, which only the compiler reads."""
    return {name: value for name, value in params.items() if name != "stats_from_instance"}


def borrowed_statistics(name: str, borrowed: Mapping[str, Borrowed] | None) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The borrowed (statistics, origin) of an operation; empty if a plan is only checked and nothing was looked up."""
    if borrowed is None:
        return {}, None
    return borrowed[name].statistics, borrowed[name].origin


def channel_problem(statistics: Mapping[str, Any] | None, before: ArrayType) -> tuple[int, int] | None:
    """(channels of the statistics, channels of the images) where the two do not fit; None where they do, or where it is not known."""
    planes = {2: 1, 3: before.shape[-1]}.get(len(before.shape)) if before.shape else None
    for name in ("mean", "std"):
        values = (statistics or {}).get(name)
        if planes is not None and isinstance(values, list) and len(values) not in (1, planes):
            return len(values), planes
    return None


def fitted_field_problem(
    recipe: Recipe, index: int, op: FittedFeaturizeOp, earlier: Sequence[FieldStep], splits: Sequence[str], *, content: str
) -> RecipeError | None:
    """Why a featurization cannot be fitted on metadata: its inputs come too late, its fit source is not there, or its name is taken."""
    f = recipe.model.Featurizations[index]
    late = {step.field for step in earlier if step.needs_pixels or step.fitted} | {content}
    for j, name in enumerate(f.inputs):
        if name in late:
            return RecipeError(
                f"{f.name!r} is fitted on {name!r}, which is not known before files are read",
                code="op-type",
                at=recipe.at(("Featurizations", index, "inputs", j)),
                value=name,
                rule=f"{op.spec.name} takes the label, paths, table columns and what is made of them",
                remedy="name such a field",
            )
    if any(t.name == f.name for t in recipe.model.Transformations):
        return RecipeError(
            f"a transformation and the featurization {f.name!r} would keep their statistics in one file",
            code="duplicate-name",
            at=recipe.at(("Featurizations", index, "name")),
            value=f.name,
            rule="fitted operations have names of their own",
        )
    if f.fit_source is not None and (f.fit_source not in splits or f.fit_source not in f.splits):
        return RecipeError(
            f"{f.name!r} is fitted on {f.fit_source}, but it does not run on that split",
            code="fit-source",
            at=recipe.at(("Featurizations", index)),
            value=f.fit_source,
            split=f.fit_source,
        )
    return None
