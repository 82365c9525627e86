"""The effective recipe: what was really run, as YAML that loads again to the same identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from refinery_beam.masking import holds_secret
from refinery_beam.recipe.canonical import full_model
from refinery_beam.recipe.load import NAME_LINE
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS
from refinery_beam.recipe.yaml.write import to_yaml

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.recipe.load import Recipe

VARIABLES = "REFINERY_BEAM_"
"""How the variables begin that stand for locations in a recipe that leaves its folder."""


def effective_yaml(recipe: Recipe, plugin: Plugin | None = None, *, locations: Literal["absolute", "symbolic"] = "absolute") -> str:
    """Deterministic YAML of the recipe after overlays and migrations, with its effective seed and every default written out.

    It loads to the same `canonical` form and seed. Locations are made absolute, or ``symbolic``: every path becomes a variable, as
    ``${env:REFINERY_BEAM_SOURCE_PHOTOS}``, whose value is in `location_variables`, so that the text is the same in every folder and names
    no user. URLs stay as they are, unless they hold a secret, and ``${env:NAME}`` is never replaced by the variable's value. Empty and
    null entries, and overlays, are left out.
    """
    body = full_model(recipe, plugin)
    body["seed"] = recipe.seed
    del body["overlays"]
    if locations == "absolute":
        for holder, key, _ in _locations(body):
            holder[key] = recipe.absolute(holder[key])
        return to_yaml(_written(body))
    _symbolic(recipe, body)
    written = [str(holder[key]) for holder, key, _ in _locations(body)]
    variables = dict.fromkeys(text[len("${env:") : text.index("}")] for text in written if text.startswith("${env:"))
    named = [f"{NAME_LINE}{recipe.name}"] if recipe.name else []
    head = ["# Variables say where things lie on this machine:", *(f"#   {variable}" for variable in variables)] if variables else []
    return "".join(f"{line}\n" for line in (*named, *head)) + to_yaml(_written(body))


def location_variables(recipe: Recipe) -> dict[str, str]:
    """The variables of the ``symbolic`` form with the absolute paths they stand for, in the order of the recipe."""
    return _symbolic(recipe, full_model(recipe, None))


def _symbolic(recipe: Recipe, body: dict[str, Any]) -> dict[str, str]:
    """Put a variable in place of every path of `body`; gives the paths by variable."""
    found: dict[str, str] = {}
    for holder, key, word in _locations(body):
        location = recipe.absolute(holder[key])
        if location.startswith("${env:") or ("://" in location and not holds_secret(location)):
            continue
        # A table that lies in its source's folder moves with it.
        inside = next((v for v, folder in found.items() if location.startswith(folder.rstrip("/") + "/")), None)
        if inside is not None:
            holder[key] = f"${{env:{inside}}}{location[len(found[inside].rstrip('/')) :]}"
            continue
        variable = name = VARIABLES + re.sub("[^A-Z0-9]+", "_", word.upper()).strip("_")
        number = 1
        while variable in found:
            number += 1
            variable = f"{name}_{number}"
        found[variable] = location
        holder[key] = f"${{env:{variable}}}"
    return found


def _locations(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Everything in a recipe's body that holds a location: the mapping, the key in it, and words for it."""
    for source in body["Input"]["sources"]:
        yield source, "path", f"source {source['name']}"
        if source["label_from"] is not None:
            yield source["label_from"], "path", f"labels {source['name']}"
    for section in ASSERTION_SECTIONS:
        for number, item in enumerate(body[section], start=1):
            comparison = item["assertion"].get("reference")
            if isinstance(comparison, dict) and isinstance(comparison.get("instance"), str):
                yield comparison, "instance", f"instance {number}"
    for section in OP_SECTIONS:
        for item in body[section]:
            borrowed = item["params"].get("stats_from_instance")
            if isinstance(borrowed, dict) and isinstance(borrowed.get("recipe"), str):
                yield borrowed, "recipe", f"recipe {item['name']}"


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
