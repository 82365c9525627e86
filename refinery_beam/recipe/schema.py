"""JSON Schema of the recipe language, for editors: the models of the sections, and the words that the plugins bring.

It refuses nothing that the loader takes. Rules about several values at once, or about files, stay with `validate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from refinery_beam.plugins.base import AssertionSpec, OpSpec, Plugin
from refinery_beam.recipe.migrate import V1_ASSERTIONS, V1_DEFAULTS, V1_OPS
from refinery_beam.recipe.model import RecipeModel
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS
from refinery_beam.recipe.params import DAMAGE

Schema = dict[str, Any]


def json_schema(plugins: Sequence[Plugin] = ()) -> Schema:
    """JSON Schema (draft 2020-12) of recipes of every schema version.

    `plugins` bring the names of ops, assertions and source types, with their parameters; without any, these words are free.

    >>> json_schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    body = RecipeModel.model_json_schema(by_alias=True, mode="validation")
    properties, defs = body["properties"], body["$defs"]
    properties["schema_version"] = {"title": "Schema Version", "description": "3; older recipes say 1 or 2.", "enum": [1, 2, 3]}
    properties["variants"] = {**properties["overlays"], "title": "Variants", "description": "The older name of overlays."}
    if plugins:
        properties["plugin"] = {**properties["plugin"], "enum": [p.name for p in plugins]}
    _older_spellings(defs)
    _assertion_has_a_kind(defs)
    branches = [_newer_only(), *(_words_of(plugin, defs) for plugin in plugins)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "title": "refinery-beam recipe",
        "required": list(dict.fromkeys(["schema_version", *body.get("required", [])])),
        "allOf": branches,
    }


def _when(name: str, value: Any, then: Schema, otherwise: Schema | None = None) -> Schema:
    """`then` where a key has a value; `otherwise` where it has not."""
    found: Schema = {"if": {"properties": {name: {"const": value}}, "required": [name]}, "then": then}
    return found if otherwise is None else {**found, "else": otherwise}


def _items(rules: Mapping[str, Schema]) -> Schema:
    """A rule for the items of each named section."""
    return {"properties": {section: {"items": rule} for section, rule in rules.items()}}


# -- versions ----------------------------------------------------------------------------------------------------------------------


def _older_spellings(defs: dict[str, Schema]) -> None:
    """Let the items of Filters, Generation and Visualizations be spelt as in version 1; `_newer_only` takes it back for later ones."""
    filters, generation, pictures = defs["Filter"], defs["GenerationStep"], defs["Visualization"]
    filters["properties"]["predicate"] = {
        "description": "Version 1: the op and its parameters.",
        "type": "object",
        "required": ["op"],
        "properties": {"op": {"type": "string"}},
    }
    generation["properties"]["applies_at"] = {"description": "Version 1: splits.", "type": "array", "items": {"type": "string"}}
    generation["properties"]["output_schema_matches_input"] = {"description": "Version 1: output_schema.", "type": "boolean"}
    stages = pictures["properties"]["stage"]
    pictures["properties"]["stage"] = {"description": "Version 1 takes any word.", "type": "string", "anyOf": [stages, {}]}
    for item, free in ((filters, {"op"}), (generation, {"op", "output_schema"})):
        item["required"] = [name for name in item["required"] if name not in free]
    defs["VisualizationStage"] = stages


def _newer_only() -> Schema:
    newer = _items(
        {
            "Filters": {"required": ["op"], "properties": {"predicate": False}},
            "Generation": {
                "required": ["op", "output_schema"],
                "properties": {"applies_at": False, "output_schema_matches_input": False},
            },
            "Visualizations": {"properties": {"stage": {"$ref": "#/$defs/VisualizationStage"}}},
        }
    )
    return _when("schema_version", 1, {}, newer)


def _assertion_has_a_kind(defs: dict[str, Schema]) -> None:
    """An assertion is a mapping with a kind; its model takes any mapping, so that the loader can say more."""
    assertion = defs["Contract"]["properties"]["assertion"]
    assertion |= {"required": ["kind"], "properties": {"kind": {"type": "string"}}}


# -- plugins -----------------------------------------------------------------------------------------------------------------------


def _words_of(plugin: Plugin, defs: dict[str, Schema]) -> Schema:
    """The words of one plugin, for recipes that name it."""
    specs = {s: [op.spec for _, op in sorted(plugin.ops.items()) if op.spec.section == s] for s in (*OP_SECTIONS, "Visualizations")}
    kinds = [a.spec for _, a in sorted(plugin.assertions.items())]
    source = {"properties": {"type": {"enum": sorted(plugin.source_types)}}}
    decode = _model(plugin.kind.policy, defs)
    decode.get("properties", {}).pop(DAMAGE, None)
    content = {"decode": decode, "limits": _model(plugin.kind.limits, defs)}
    stored = {"encoding": {"anyOf": [{"enum": list(plugin.encodings)}, {"type": "null"}]}}
    types = {"properties": {"Input": {"properties": {"sources": {"items": source}, **content}}, "Output": {"properties": stored}}}
    older = {section: _ops(section, found, defs, older=True) for section, found in specs.items()}
    older |= {section: _assertions(section, kinds, defs, older=True) for section in ASSERTION_SECTIONS}
    newer = {section: _ops(section, found, defs) for section, found in specs.items()}
    newer |= {section: _assertions(section, kinds, defs) for section in ASSERTION_SECTIONS}
    return _when("plugin", plugin.name, {"allOf": [types, _when("schema_version", 1, _items(older), _items(newer))]})


def _words(name: str, older: bool, spelt: Mapping[str, str]) -> list[str]:
    """A word, and those that version 1 has for it."""
    return [name, *(old for old, new in spelt.items() if older and new == name)]


def _kind_in(words: list[str]) -> Schema:
    return {"properties": {"kind": {"enum": words}}}


def _ops(section: str, specs: Sequence[OpSpec], defs: dict[str, Schema], *, older: bool = False) -> Schema:
    """What an item of a section may be: one of its ops, with the parameters of that op. In an `older` item (version 1) some have defaults,
    and those of filters may stand in the predicate."""
    branches, words = [], []
    for spec in specs:
        params = _model(spec.params, defs)
        properties = params.setdefault("properties", {})
        if section == "Filters":
            properties["seed"] = {"$ref": "#/$defs/Filter/properties/seed"}
            params["required"] = [name for name in params.get("required", []) if name != "seed"]
        if spec.fitted:
            properties["stats_from_instance"] = {
                "description": "Statistics that another recipe learned.",
                "type": "object",
                "properties": {"recipe": {"type": "string"}, "op_id": {"type": "string"}},
                "required": ["recipe", "op_id"],
                "additionalProperties": False,
            }
        if older:
            defaults = V1_DEFAULTS.get((section, spec.name), {})
            params["required"] = [name for name in params.get("required", []) if name not in defaults]
        name = f"{'v1-' if older else ''}op-{spec.name}"
        defs[name] = {**params, "description": spec.summary}
        then: Schema = {"properties": {"params": {"$ref": f"#/$defs/{name}"}}}
        if params.get("required"):
            then["required"] = ["params"]
        for word in _words(spec.name, older, V1_OPS):
            words.append(word)
            branches.append(_when("op", word, then))
        if older and section == "Filters":
            branches.append(_predicate(spec, params))
    return {"properties": {"op": {"enum": words}}, "allOf": branches}


def _predicate(spec: OpSpec, params: Schema) -> Schema:
    """A filter of version 1: the op and its parameters in one mapping. Parameters beside it count too, so none is missing for sure."""
    inside = {**params, "properties": {"op": {"const": spec.name}, **params["properties"]}, "required": ["op"]}
    named = {"type": "object", "required": ["op"], "properties": {"op": {"const": spec.name}}}
    return {"if": {"required": ["predicate"], "properties": {"predicate": named}}, "then": {"properties": {"predicate": inside}}}


def _assertions(section: str, specs: Sequence[AssertionSpec], defs: dict[str, Schema], *, older: bool = False) -> Schema:
    """What an assertion of a section may be: one of the kinds, with its parameters, and a field where it speaks of one."""
    here = [spec for spec in specs if section == "OutputExpectations" or not spec.output_only]
    branches, words = [], []
    for spec in here:
        for word in _words(spec.kind, older, V1_ASSERTIONS):
            words.append(word)
            name = f"assertion-{word}"
            params = _model(spec.params, defs)
            kind = {"const": word, "description": spec.summary}
            defs[name] = {**params, "properties": {"kind": kind, **params.get("properties", {})}, "description": spec.summary}
            one: Schema = {"properties": {"assertion": {"$ref": f"#/$defs/{name}"}}}
            one |= {"required": ["field"]} if spec.field else {}
            condition = {"properties": {"assertion": {"properties": {"kind": {"const": word}}, "required": ["kind"]}}}
            branches.append({"if": condition, "then": one})
    return {"properties": {"assertion": _kind_in(words)}, "allOf": branches}


def _model(model: type[BaseModel], defs: dict[str, Schema]) -> Schema:
    """The schema of a parameter model; what it refers to joins `defs` under names of its own."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    parts = schema.pop("$defs", {})
    names = {name: f"{model.__name__}-{name}" for name in parts}
    defs |= {names[name]: _renamed(part, names) for name, part in parts.items()}
    renamed: Schema = _renamed(schema, names)
    return renamed


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(v, names) for v in value]
    if not isinstance(value, dict):
        return value
    # A title that only repeats the key is noise in an editor.
    kept = {key: v for key, v in value.items() if not (key == "title" and isinstance(v, str))}
    return {
        key: f"#/$defs/{names[v.removeprefix('#/$defs/')]}" if key == "$ref" and isinstance(v, str) else _renamed(v, names)
        for key, v in kept.items()
    }
