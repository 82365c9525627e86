"""JSON Schema of the recipe language, for editors."""

from __future__ import annotations

from typing import Any

from refinery_beam.recipe.model import RecipeModel


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a schema_version 3 recipe.

    >>> json_schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    body = RecipeModel.model_json_schema(by_alias=True, mode="validation")
    required = ["schema_version", *body.get("required", [])]
    variants = {**body["properties"]["overlays"], "title": "Variants", "description": "The older name of overlays."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "title": "refinery-beam recipe",
        "properties": {**body["properties"], "variants": variants},
        "required": list(dict.fromkeys(required)),
    }
