"""The JSON Schema for editors agrees with the loader on the words of the language."""

from __future__ import annotations

import json

from refinery_beam.recipe import json_schema
from refinery_beam.recipe.model import RecipeModel


def test_schema_names_every_section_and_refuses_unknown_words() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {*RecipeModel.model_fields, "variants"}
    assert schema["required"] == ["schema_version", "plugin", "Input", "Output", "Labels"]
    assert schema["additionalProperties"] is False
    assert all(part.get("additionalProperties") is False for part in schema["$defs"].values() if part.get("type") == "object")


def test_schema_is_plain_json_with_the_seed_form_as_written() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$defs"]["FromMaster"]["properties"]["from"]["const"] == "master"
    assert schema["$defs"]["Decode"]["properties"]["mode"]["enum"] == ["RGB", "L", "RGBA", "keep"]
