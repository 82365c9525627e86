"""What loads but is not executed yet is refused by name; what is executed is not."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.plugins.base import Plugin
from refinery_beam.recipe import load_recipe, refuse_unexecuted

LAST = "    splits: [train]\n"

NOT_YET: list[tuple[str, str, str]] = [
    (LAST, LAST + "§Augmentations: [{name: a, op: horizontal_flip}]\n", "Augmentations"),
    (LAST, LAST + "§Generation: [{name: a, op: duplicate_minority_class, seed: 1, output_schema: matches_input}]\n", "Generation"),
    (LAST, LAST + "§InputContracts: [{field: image, assertion: {kind: required_field}}]\n", "InputContracts"),
    (LAST, LAST + "§OutputExpectations: [{field: image, assertion: {kind: required_field}}]\n", "OutputExpectations"),
    (LAST, LAST + "§Sinks: [{name: s, stage: post_Splits, field: image, format: png_per_record, path_template: '{record_id}'}]\n", "Sinks"),
    (LAST, LAST + "§SampleData: {selector: {n: 3}}\n", "SampleData"),
    ("    op: filter_by_label\n", "    op: §sample_per_class_fractional\n", "sample_per_class_fractional"),
    ("    op: filter_by_label\n", "    op: §drop_duplicates\n", "drop_duplicates"),
    ("Output:\n", "Output:\n  format: [parquet, §jsonl]\n", "jsonl"),
    ("Output:\n", "Output:\n  format: §webdataset\n", "webdataset"),
    ("  stratify_by: label\n", "  keep_duplicates_together: §near\n", "near"),
    ("type: image_folder", "type: §image_table", "image_table"),
    ("type: image_folder", "type: §image_parquet", "image_parquet"),
    ("type: image_folder", "type: §webdataset", "webdataset"),
    ("type: image_folder", "type: §instance", "instance"),
    ("type: image_folder", "type: §audio_flat", "audio_flat"),
    ("path: images\n", "path: images\n      target_sample_rate: §16000\n", "target_sample_rate"),
]


@pytest.mark.parametrize(("old", "new", "word"), NOT_YET)
def test_refused_by_name(old: str, new: str, word: str, base: str, edit: Any, marked: Any, plugin: Plugin) -> None:
    case = marked(edit(base, old, new))
    errors = refuse_unexecuted(load_recipe("r.yaml", text=case.text), plugin)
    assert [(e.code, e.at) for e in errors] == [("not-executed-yet", case.at)]
    assert word in errors[0].message and errors[0].remedy and errors[0].exit_code == 1


def test_tag_splits(base: str, edit: Any, plugin: Plugin) -> None:
    text = edit(
        base, "Filters:\n", "Filters:\n  - {name: t, op: sample_per_class_fractional, params: {n_per_class_base: 5, label: probe}}\n"
    )
    text = edit(text, "  stratify_by: label\n", "  applies_to: probe\n")
    messages = [e.message for e in refuse_unexecuted(load_recipe("r.yaml", text=text), plugin)]
    assert messages == ["the op 'sample_per_class_fractional' is not executed yet"]


def test_what_is_executed_passes(base: str, edit: Any, plugin: Plugin) -> None:
    assert refuse_unexecuted(load_recipe("r.yaml", text=base), plugin) == []
    overlay = base + "overlays: {a: {Augmentations: [{name: a, op: horizontal_flip}]}}\n"
    assert refuse_unexecuted(load_recipe("r.yaml", text=overlay), plugin) == []
    assert len(refuse_unexecuted(load_recipe("r.yaml", text=overlay, overlays=["a"]), plugin)) == 1
    empty = base + "Augmentations: []\nextensions: {}\nSampleData: null\n"
    assert refuse_unexecuted(load_recipe("r.yaml", text=empty), plugin) == []
    local = edit(base, "path: images", "path: file:///data/images")
    assert refuse_unexecuted(load_recipe("r.yaml", text=local), plugin) == []


DECLARED = """\
InputContracts: [{field: image, assertion: {kind: required_field}}]
OutputExpectations: [{field: image, assertion: {kind: required_field}}]
SampleData: {selector: {n: 3}}
Sinks: [{name: s, stage: post_pipeline, field: image, format: png_per_record, path_template: '{record_id}'}]
"""


def test_contracts_samples_and_sinks_are_executed(base: str, marked: Any) -> None:
    from refinery_beam.plugins.image_classification import PLUGIN

    def refused(text: str) -> list[str]:
        return [e.at for e in refuse_unexecuted(load_recipe("r.yaml", text=text), PLUGIN)]

    assert refused(base + DECLARED) == refused(base)
    for stage in ("post_InputContracts", "post_Filters", "post_Splits", "post_Generation"):
        case = marked(base + DECLARED.replace("post_pipeline", f"§{stage}"))
        assert refused(case.text) == [*refused(base), case.at]


def test_extensions_are_for_plugins_that_list_them(base: str) -> None:
    from dataclasses import replace

    from refinery_beam.plugins.image_classification import PLUGIN
    from refinery_beam.recipe import run_checks

    reader = replace(PLUGIN, extension_keys={"ns": frozenset({"key"})})
    known, unknown = (load_recipe("r.yaml", text=f"{base}extensions: {{ns: {{{key}: 1}}}}\n") for key in ("key", "kay"))
    assert [c.status for c in run_checks(known, reader) if c.number == 28] == ["pass"]
    assert [e.code for c in run_checks(unknown, reader) if c.number == 28 for e in c.errors] == ["unknown-extension"]
    assert not any("extensions" in e.message for e in refuse_unexecuted(known, reader))
    assert [e.code for c in run_checks(known, PLUGIN) if c.number == 28 for e in c.errors] == ["unknown-extension"]


def test_kinds_come_from_the_plugin(base: str) -> None:
    """A kind of a third party is checked by its own parameter model, and known by name."""
    from dataclasses import replace

    from refinery_beam.plugins.assertions import InRange
    from refinery_beam.plugins.image_classification import PLUGIN
    from refinery_beam.recipe import run_checks

    class Near(InRange):
        spec = replace(InRange.spec, kind="near")

    plugin = replace(PLUGIN, assertions={**PLUGIN.assertions, "near": Near()})
    codes = {}
    for params in ("min: 1", "min: '1'", "max: 0, min: 1", "mix: 1"):
        recipe = load_recipe("r.yaml", text=f"{base}InputContracts: [{{field: label, assertion: {{kind: near, {params}}}}}]\n")
        codes[params] = [e.code for c in run_checks(recipe, plugin) if c.number == 105 for e in c.errors]
        assert [e.code for c in run_checks(recipe, PLUGIN) if c.number == 105 for e in c.errors] == ["unknown-assertion"]
    assert codes == {
        "min: 1": [],
        "min: '1'": ["bad-type"],
        "max: 0, min: 1": ["bad-value"],
        "mix: 1": ["unknown-field"],
    }
