"""The rule that derives labels: what `validate` says and what the index asks are one function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.common.label_from_path import LabelFromPath
from refinery_beam.recipe import load_recipe
from refinery_beam.recipe.labels import label_rule

STEP = "  - {name: l, op: label_from_path, inputs: [path], output_field: label, splits: [train], params: {source: stem}}\n"
PIXELS = "  - {name: l, op: image_size_stats, inputs: [image], output_field: label, splits: [train]}\n"


class OwnRule(LabelFromPath):
    def derivation(self, params: Any) -> str:
        return "second_word"


@pytest.mark.parametrize(
    ("source", "step", "derivation", "codes"),
    [
        ("{kind: direct}", "", None, []),
        ("{kind: derived, derivation: filename}", "", "filename", []),
        ("{kind: derived}", STEP, "stem", []),
        ("{kind: derived, derivation: stem}", STEP, "stem", []),
        ("{kind: derived, derivation: filename}", STEP, None, ["label-made-twice"]),
        ("{kind: derived}", "", None, ["label-not-made"]),
        ("{kind: derived}", PIXELS, None, ["label-not-made"]),
        ("{kind: derived}", STEP.replace("source: stem", "source: stems"), None, []),
        ("{kind: derived}", STEP.replace("label_from_path", "no_such_op"), None, []),
    ],
)
def test_the_rule(source: str, step: str, derivation: str | None, codes: list[str], base: str, edit: Any, plugin: Plugin) -> None:
    rule = label_rule(load_recipe("r.yaml", text=edit(base, "{kind: direct}", source) + step), plugin)
    assert (rule.derivation, [e.code for e in rule.errors]) == (derivation, codes)


def test_a_third_party_names_a_rule_that_exists(base: str, edit: Any, plugin: Plugin) -> None:
    own = replace(plugin, ops={**plugin.ops, "label_from_path": OwnRule()})
    rule = label_rule(load_recipe("r.yaml", text=edit(base, "{kind: direct}", "{kind: derived}") + STEP), own)
    assert rule.derivation is None and [e.code for e in rule.errors] == ["label-not-made"]
    assert "'second_word', which is no rule" in rule.errors[0].message
