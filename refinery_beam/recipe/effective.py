"""The effective recipe: what was really run, as YAML that loads again to the same identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from refinery_beam.recipe.canonical import full_model
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS
from refinery_beam.recipe.yaml.write import to_yaml

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.recipe.load import Recipe


def effective_yaml(recipe: Recipe, plugin: Plugin | None = None, *, locations: Literal["absolute", "written"] = "absolute") -> str:
    """Deterministic YAML of the recipe after overlays and migrations, with its effective seed and every default written out.

    It loads to the same `canonical` form and seed. Locations are made absolute (``locations="written"`` leaves them alone);
    ``${env:NAME}`` is never replaced by the variable's value. Empty and null entries, and overlays, are left out.
    """
    body = full_model(recipe, plugin)
    body["seed"] = recipe.seed
    del body["overlays"]
    if locations == "absolute":
        for source in body["Input"]["sources"]:
            source["path"] = recipe.absolute(source["path"])
            if source["label_from"] is not None:
                source["label_from"]["path"] = recipe.absolute(source["label_from"]["path"])
        for section in ASSERTION_SECTIONS:
            for item in body[section]:
                comparison = item["assertion"].get("reference")
                if isinstance(comparison, dict) and isinstance(comparison.get("instance"), str):
                    comparison["instance"] = recipe.absolute(comparison["instance"])
        for section in OP_SECTIONS:
            for item in body[section]:
                borrowed = item["params"].get("stats_from_instance")
                if isinstance(borrowed, dict) and isinstance(borrowed.get("recipe"), str):
                    borrowed["recipe"] = recipe.absolute(borrowed["recipe"])
    return to_yaml(_written(body))


def _written(body: dict[str, Any]) -> dict[str, Any]:
    """The entries worth writing: not the nulls and empty lists that mean "nothing declared"."""
    out: dict[str, Any] = {}
    for section, value in body.items():
        if value is None or value == [] or (section == "extensions" and not value):
            continue
        if isinstance(value, dict) and section != "extensions":
            value = _trim(value)
        elif isinstance(value, list):
            value = [_trim(item) for item in value]
        out[section] = value
    return out


def _trim(item: dict[str, Any]) -> dict[str, Any]:
    # Only fields of models may be left out when null; params and assertions are free-form, where null is a value.
    out: dict[str, Any] = {}
    for key, value in item.items():
        if value is None:
            continue
        if key in ("sources",):
            value = [_trim(v) for v in value]
        elif key in ("label_from", "selector", "source"):
            value = _trim(value) if isinstance(value, dict) else value
        out[key] = value
    return out
