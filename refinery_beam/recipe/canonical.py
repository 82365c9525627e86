"""The identity form of a recipe: what it means, without how it was written and where its data lies."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from refinery_beam.identity import LAW_VERSION, ordered_pairs
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS
from refinery_beam.recipe.params import DAMAGE, full_assertion, full_params

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Params, Plugin
    from refinery_beam.recipe.load import Recipe


NEUTRAL: dict[str, dict[str, Any]] = {
    "Input": {"damage": "standard"},
    "Output": {"compression": None, "row_group_bytes": None, "facts": "on"},
    "Splits": {"order_by": None, "allow_empty": False},
}
"""Fields that are no part of the form while they have these values. They are younger than the form, and a cache outlives them."""


def canonical(recipe: Recipe, plugin: Plugin | None = None) -> dict[str, Any]:
    """A plain mapping for `identity.canonical_bytes`, equal for recipes that mean the same and for no others.

    Left out: locations and which links are followed, the seed (it is a part of the instance key of its own), the schema version, overlays,
    pictures. Filled in: every default, with `plugin` also those of op parameters. ``Splits.ratios`` is a list of pairs because its order
    has meaning; lists of splits, stages and formats are sorted because theirs has none. Numbers keep the type their declaration gives
    them; in free-form values 5, 5.0 and "5" differ.
    """
    body = full_model(recipe, plugin)
    for name in ("schema_version", "seed"):
        del body[name]
    body["overlays"] = {}
    body["Visualizations"] = []  # drawn from the finished dataset: another picture is no other dataset
    body["law"] = LAW_VERSION
    del body["Input"]["follow_links"]
    for source in body["Input"]["sources"]:
        del source["path"]
        if source["label_from"] is not None:
            del source["label_from"]["path"]
            # Words that came later, and change nothing where they are left out: recipes without them keep their key.
            for name in ("encoding", "delimiter", "order", "single_label"):
                if not source["label_from"][name]:
                    del source["label_from"][name]
    body["Input"]["limits"] = {k: _as_set(v) if isinstance(v, list) else v for k, v in body["Input"]["limits"].items()}
    body["Output"]["format"] = _as_set(body["Output"]["format"])
    for section, values in NEUTRAL.items():
        for name, value in values.items():
            if body[section][name] == value:
                del body[section][name]
    if plugin is not None:
        later = plugin.kind.later_defaults
        body["Input"]["decode"] = {k: v for k, v in body["Input"]["decode"].items() if k not in later or v != later[k]}
    if body["Splits"]["ratios"] is not None:
        body["Splits"]["ratios"] = ordered_pairs(body["Splits"]["ratios"])
    for section in ASSERTION_SECTIONS:
        for item in body[section]:
            if isinstance(comparison := item["assertion"].get("reference"), dict) and comparison.get("instance") is not None:
                comparison["instance"] = ""  # which instance it is enters the key as that instance's own key
    for section in (*OP_SECTIONS, "Sinks"):
        for item in body[section]:
            for name in ("splits", "stages"):
                if item.get(name) is not None:
                    item[name] = _as_set(item[name])
            borrowed = item.get("params", {}).get("stats_from_instance")
            if isinstance(borrowed, dict):
                borrowed.pop("recipe", None)
    return body


def full_model(recipe: Recipe, plugin: Plugin | None = None) -> dict[str, Any]:
    """The model as plain data in the words of schema version 3, defaults written out."""
    body: dict[str, Any] = recipe.model.model_dump(mode="json", by_alias=True)
    if plugin is not None:
        body["Input"]["decode"] = _full(plugin.kind.policy, body["Input"]["decode"])
        body["Input"]["decode"].pop(DAMAGE, None)
        body["Input"]["limits"] = _full(plugin.kind.limits, body["Input"]["limits"])
        for section in OP_SECTIONS:
            for index, operation in enumerate(getattr(recipe.model, section)):
                body[section][index]["params"] = full_params(recipe, section, index, operation, plugin=plugin)
        for section in ASSERTION_SECTIONS:
            for index, contract in enumerate(getattr(recipe.model, section)):
                body[section][index]["assertion"] = full_assertion(contract.assertion, plugin=plugin)
    return copy.deepcopy(body)


def _full(model: type[Params], written: dict[str, Any]) -> dict[str, Any]:
    """Values with every default written out; as written where they do not validate."""
    try:
        full: dict[str, Any] = model.model_validate(written).model_dump(mode="json")
    except ValidationError:
        return written
    return full


def _as_set(words: list[str]) -> list[str]:
    return sorted(dict.fromkeys(words))
