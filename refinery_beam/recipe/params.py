"""Parameters through the plugin's own models: those of operations and assertions, and what Input says of decoding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from refinery_beam.errors import RecipeError
from refinery_beam.recipe.model_ops import Filter, Operation
from refinery_beam.recipe.words import translate

if TYPE_CHECKING:
    from refinery_beam.plugins.base import OpSpec, Params, Plugin
    from refinery_beam.recipe.load import Recipe


DAMAGE = "damage"
"""The field of a kind's decode policy that gets the word of ``Input.damage``. Recipes do not write it under ``Input.decode``."""


def op_params(recipe: Recipe, section: str, index: int, operation: Operation, *, plugin: Plugin) -> tuple[Params | None, list[RecipeError]]:
    """The validated parameters of one operation, or None with the errors (with positions in the recipe).

    None with no errors means the plugin has no executable op of that name and section, so there is nothing to validate against.
    ``stats_from_instance`` is read by the compiler, not by the op, and is left out. Text never becomes a number.
    """
    spec = op_spec(plugin, section, operation.op)
    if spec is None:
        return None, []
    return validated(recipe, (section, index, "params"), given_params(recipe, operation, spec), spec.params)


def validated(
    recipe: Recipe, at: tuple[str | int, ...], written: dict[str, Any], model: type[Params]
) -> tuple[Params | None, list[RecipeError]]:
    """The parameters at a path of the recipe by their model, or None with the errors; text never becomes a number."""
    try:
        return model.model_validate_json(json.dumps(written), strict=True), []
    except ValidationError as error:
        if _only_lists_for_tuples(error):
            # A model with functions of its own before a tuple sees a list there, which strictness refuses.
            try:
                return model.model_validate(written), []
            except ValidationError as lax:
                error = lax
        return None, translate(error, data=written, model=model, position_of=recipe.at, prefix=at)


def _only_lists_for_tuples(error: ValidationError) -> bool:
    kinds = ("tuple_type", "set_type", "frozen_set_type")
    return all(detail["type"] in kinds and isinstance(detail["input"], list) for detail in error.errors(include_url=False))


def op_spec(plugin: Plugin, section: str, name: str) -> OpSpec | None:
    """The spec of an executable op in a section, or None."""
    op = plugin.op(name, section)
    return None if op is None else op.spec


def given_params(recipe: Recipe, operation: Operation, spec: OpSpec) -> dict[str, Any]:
    """The parameters as written, without what is not the op's own business."""
    params = {k: v for k, v in operation.params.items() if k != "stats_from_instance" or k in spec.params.model_fields}
    seed = spec.params.model_fields.get("seed")
    if seed is not None and seed.is_required() and isinstance(operation, Filter) and "seed" not in params:
        # A filter's seed stands beside its op; an op that insists on seeing one is shown the one that counts.
        from refinery_beam.recipe.seeds import section_seed

        params["seed"] = section_seed(recipe, operation.seed, operation.name)
    return params


def decode_policy(recipe: Recipe, plugin: Plugin) -> Params:
    """``Input.decode``, with ``Input.damage``, by the model of the plugin's kind of data. Checks have said what is wrong with it."""
    damage = {DAMAGE: recipe.model.Input.damage} if DAMAGE in plugin.kind.policy.model_fields else {}
    return plugin.kind.policy.model_validate({**recipe.model.Input.decode, **damage})


def decode_limits(recipe: Recipe, plugin: Plugin) -> Params:
    """``Input.limits`` by the model of the plugin's kind of data. Checks have said what is wrong with it."""
    return plugin.kind.limits.model_validate(recipe.model.Input.limits)


def full_assertion(assertion: Mapping[str, Any], *, plugin: Plugin) -> dict[str, Any]:
    """An assertion with the defaults of its parameters written out; as written where its kind is unknown or it does not validate."""
    kind = plugin.assertions.get(assertion["kind"])
    written = {k: v for k, v in assertion.items() if k != "kind"}
    if kind is None:
        return dict(assertion)
    try:
        params = kind.spec.params.model_validate_json(json.dumps(written), strict=True)
    except ValidationError:
        return dict(assertion)
    full = params.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"kind": assertion["kind"], **full}


def full_params(recipe: Recipe, section: str, index: int, operation: Operation, *, plugin: Plugin) -> dict[str, Any]:
    """Plain parameters with every default written out; as written where the op is unknown or its parameters do not validate."""
    validated, _ = op_params(recipe, section, index, operation, plugin=plugin)
    if validated is None:
        return dict(operation.params)
    full: dict[str, Any] = validated.model_dump(mode="json", by_alias=True)
    if isinstance(operation, Filter):
        full.pop("seed", None)
    if "stats_from_instance" in operation.params:
        full["stats_from_instance"] = operation.params["stats_from_instance"]
    return full
