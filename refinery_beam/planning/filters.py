"""Builds the filters of a plan, its tags and its near duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from refinery_beam.errors import RecipeError
from refinery_beam.plugins.base import TAGS_FIELD, ClassSampleOp, DuplicatesOp, FilterOp, Plugin
from refinery_beam.recipe import Recipe


def filter_facts(op: FilterOp, params: Mapping[str, Any]) -> dict[str, Any]:
    """The `FilterStep` fields that an op derives from its parameters."""
    validated = op.spec.params.model_validate(dict(params))
    if isinstance(op, ClassSampleOp):
        return {"tag": op.tag(validated), "excluded": tuple(op.excluded(validated))}
    return {"distance": op.distance(validated)} if isinstance(op, DuplicatesOp) else {}


def near_rule(plugin: Plugin) -> tuple[str, int]:
    """The duplicates op whose signature splits use for ``keep_duplicates_together: near``, and its default distance."""
    for name, op in sorted(plugin.ops.items()):
        if isinstance(op, DuplicatesOp):
            try:
                distance = op.distance(op.spec.params.model_validate({"kind": "near"}))
            except ValidationError:
                continue  # its duplicates are identical files only
            if distance is not None:
                return name, distance
    raise RecipeError(
        f"the plugin {plugin.name} knows no near duplicates",
        code="not-executed-yet",
        value="near",
        rule="keep_duplicates_together: near needs a plugin with a signature",
        remedy="write 'keep_duplicates_together: exact'",
    )


def split_tags(recipe: Recipe, partitions: Sequence[str]) -> list[str]:
    """The tags that records may have when splits are made, if ``Splits.applies_to`` names one of them; else nothing.

    Sources that name partitions come first: `applies_to` is then one of those.
    """
    model = recipe.model
    if partitions or any(s.partition or (s.layout and "{split}" in s.layout) for s in model.Input.sources):
        return []
    early = [f for f in model.Filters if "pre_split" in f.stages]
    tags = list(dict.fromkeys(t for f in early if isinstance(t := f.params.get("label"), str)))
    return tags if model.Splits.applies_to in tags else []


def tags_schema(recipe: Recipe) -> list[RecipeError]:
    """What is wrong with a declared ``sample_per_class_tags``: it is a list of text of any length."""
    declared = recipe.model.Output.record_schema.get(TAGS_FIELD)
    if declared is None or (declared.dtype in ("str", "string") and declared.shape == (None,)):
        return []
    return [
        RecipeError(
            f"{TAGS_FIELD} is declared as {declared.dtype}" + ("" if declared.shape is None else str(list(declared.shape))),
            code="schema-reachable",
            at=recipe.at(("Output", "record_schema", TAGS_FIELD)),
            value=declared.dtype,
            rule="tags are a list of text, as many as a record has",
            remedy="write {dtype: str, shape: [null]}",
        )
    ]
