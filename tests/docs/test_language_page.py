"""docs/recipes.md tells the whole language: a word that is not on the page is a word that nobody finds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import json_schema
from refinery_beam.recipe.checks import CHECKS
from refinery_beam.recipe.reserved import SOURCE_TYPES

PAGE = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
REFUSED = PAGE[PAGE.index("This page shows") : PAGE.index("The recipe that the fragments")]
OLD = {"predicate", "applies_at", "output_schema_matches_input"}
"""Spellings of version 1, which docs/compatibility.md covers."""


def documented(word: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", PAGE) is not None


def properties() -> dict[str, Any]:
    schema = json_schema()
    parts = {"": schema, **schema["$defs"]}
    found = {f"{name}.{field}": value for name, part in parts.items() for field, value in part.get("properties", {}).items()}
    for model in (PLUGIN.kind.policy, PLUGIN.kind.limits):
        found |= {f"{model.__name__}.{field}": value for field, value in model.model_json_schema()["properties"].items()}
    return {**found, "OutputSection.encoding": {"enum": list(PLUGIN.encodings)}}


def test_every_section_and_field() -> None:
    assert [path for path in properties() if not documented(path.rpartition(".")[2]) and path.rpartition(".")[2] not in OLD] == []


def test_every_word_of_a_choice() -> None:
    words = {(path, word) for path, value in properties().items() for word in value.get("enum", ()) if isinstance(word, str)}
    assert len(words) > 30 and [pair for pair in sorted(words) if not documented(pair[1])] == []


@pytest.mark.parametrize("name", sorted(PLUGIN.ops))
def test_every_op_with_its_parameters(name: str) -> None:
    op: Any = PLUGIN.ops[name]
    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, flags=re.MULTILINE)
    parameters = [field.alias or key for key, field in op.spec.params.model_fields.items()]
    assert [p for p in parameters if not re.search(rf"`{p}`", row)] == []


def test_every_kind_of_assertion_and_type_of_source() -> None:
    assert [kind for kind in PLUGIN.assertions if not re.search(rf"^\| `{kind}` ", PAGE, flags=re.MULTILINE)] == []
    assert [kind for kind in PLUGIN.source_types if not re.search(rf"^\| `{kind}` \|", PAGE, flags=re.MULTILINE)] == []


def test_what_is_refused_is_said() -> None:
    formats = set(properties()["OutputSection.format"]["anyOf"][0]["enum"]) - {"parquet"}
    types = set(SOURCE_TYPES) - PLUGIN.source_types
    assert {word for word in formats | types | {"target_sample_rate"} if word not in REFUSED} == set()
    assert {word for word in PLUGIN.source_types if f"`{word}`" in REFUSED} == set()


def test_every_check_by_number_and_name() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert rows == [(str(n), name, _first_line(check).partition(": ")[2].rstrip(".")) for n, name, check in CHECKS]


def _first_line(function: Any) -> str:
    line: str = function.__doc__.splitlines()[0]
    return line
