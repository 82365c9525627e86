"""The JSON Schema for editors agrees with the loader: valid recipes pass, wrong words are marked where they stand."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import json_schema, load_recipe, run_checks
from refinery_beam.recipe.model import RecipeModel
from refinery_beam.recipe.yaml.nodes import to_data
from refinery_beam.recipe.yaml.parse import parse_yaml
from refinery_beam.scaffold import schema_text
from support import seeds

TESTS = Path(__file__).parent.parent
RECIPES = sorted((TESTS / "compat" / "recipes").glob("*.yaml"))
DOCS = sorted((TESTS.parent / "docs").glob("*.md"))


@cache
def validator() -> Any:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def marked(data: Any) -> list[tuple[str, str]]:
    """What an editor marks: (place, what is wrong)."""
    return [(e.json_path, e.message) for e in validator().iter_errors(data)]


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
    whole = json.dumps(json_schema([PLUGIN]))
    assert '"enum": ["RGB", "L", "RGBA", "keep"]' in whole and '"enum": ["tensor", "png", "jpeg", "webp", "source"]' in whole


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_no_valid_recipe_is_marked(path: Path) -> None:
    """Every recipe of the compatibility suite that is valid as far as one can see without its files, in all three versions."""
    text = path.read_text(encoding="utf-8")
    if "#: refused: " not in text:
        assert marked(to_data(parse_yaml(text.encode(), name=path.name))) == []


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.stem)
def test_no_recipe_of_the_docs_is_marked(path: Path) -> None:
    for text in re.findall(r"```yaml\n(schema_version: .*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        data = to_data(parse_yaml(text.encode(), name=path.name))
        wrong_on_purpose = ("ratioes", "posterize", "unsharp", "tiff", "at_most_per_folder")  # four of them are known where their plugin is
        assert [m for m in marked(data) if not any(word in m[1] for word in wrong_on_purpose)] == []


@pytest.mark.parametrize("text", [seeds.MAIN, seeds.SIDECAR, seeds.PARTITIONED, seeds.UNLABELED])
def test_no_recipe_that_people_have_is_marked(text: str) -> None:
    assert marked(to_data(parse_yaml(text.encode(), name="r"))) == []


TAKEN = [
    ("shape: [64, 64, 3]}, label: {dtype: str}}", "shape: [64, null, 3]}, label: {dtype: str}}, format: parquet"),
    ("shape: [64, 64, 3]}, label: {dtype: str}}", "shape: null}, label: {dtype: str}}, format: [parquet], encoding: null"),
    ("path: .}]", "path: .}], limits: {formats: [JPG, tif, png]}, max_bad_fraction: 0"),
    ("train: 0.5, test: 0.5}", "train: 1}, class_balance: {strategy: w, applies_to: [train]}, keep_duplicates_together: false"),
    ("params: {labels: [a, 0]}", "params: {labels: [a], seed: {from: master}}"),
    ("splits: [train, test]", "splits: [train], fit_source: null"),
    ("size: 64", "size: [64, 32], fill: [1, 2, 3]"),
    ("Splits:", "variants: {}\nextensions: {}\nSampleData: null\nSplits:"),
]


@pytest.mark.parametrize(("old", "new"), TAKEN)
def test_every_spelling_that_the_loader_takes(old: str, new: str) -> None:
    assert RIGHT.count(old) == 1
    text = RIGHT.replace(old, new)
    load_recipe("r.yaml", text=text)
    assert marked(to_data(parse_yaml(text.encode(), name="r"))) == []


WRONG = {
    "gate_unknown_key": "$.Splits",
    "gate_unknown_op": "$.Transformations[0].op",
    "gate_wrong_type": "$.Splits.ratios",
    "gate_version_four": "$.schema_version",
    "contract_unknown_kind": "$.OutputExpectations[0].assertion.kind",
    "contract_empty_distribution": "$.OutputExpectations[0].assertion",
    "pictures_unknown": "$.Visualizations[0].op",
    "generation_unknown_corruption": "$.Generation[0].params.corruption_types[0]",
    "generation_without_seed": "$.Generation[0]",
    "augment_lazy_checked": "$.Augmentations[0].params.p",
    "source_audio_in_images": "$.Input.sources[0].type",
    "filter_drop_classes": "",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words_are_marked_where_they_stand(name: str) -> None:
    """What another place decides (a tag that no filter gives) is for `validate`."""
    locations = [at for at, _ in marked(to_data(parse_yaml((TESTS / "compat" / "recipes" / f"{name}.yaml").read_bytes(), name=name)))]
    assert (WRONG[name] in locations) if WRONG[name] else locations == []


EDITS: list[tuple[str, str, str]] = [
    ("method: bilinear", "method: bilinaer", "$.Transformations[0].params.method"),
    ("size: 64", "sise: 64", "$.Transformations[0].params"),
    ("size: 64", "size: 0", "$.Transformations[0].params.size"),
    (", params: {size: 64, method: bilinear}", "", "$.Transformations[0]"),
    ("image_folder", "image_foldr", "$.Input.sources[0].type"),
    ("stages: [pre_split]", "stages: [before]", "$.Filters[0].stages[0]"),
    ("op: filter_by_label", "op: filter_by_lable", "$.Filters[0].op"),
    ("op: filter_by_label", "op: resize", "$.Filters[0].op"),
    ("op: filter_by_label, params", "predicate", "$.Filters[0]"),
    ("kind: required_field", "kind: required_filed", "$.InputContracts[0].assertion.kind"),
    ("kind: required_field", "kind: required_field, value: 1", "$.InputContracts[0].assertion"),
    ("field: image, assertion", "assertion", "$.InputContracts[0]"),
    ("{from: master}", "{from: me}", "$.Filters[0].seed"),
    ("plugin: image_classification", "plugin: image_clasification", "$.plugin"),
    ("stage: post_pipeline", "stage: at_the_end", "$.Visualizations[0].stage"),
]
RIGHT = """\
schema_version: 3
plugin: image_classification
Input: {sources: [{name: photos, type: image_folder, path: .}]}
Output: {record_schema: {image: {dtype: uint8, shape: [64, 64, 3]}, label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
InputContracts: [{field: image, assertion: {kind: required_field}}]
Filters: [{name: f, op: filter_by_label, params: {labels: [a, 0]}, stages: [pre_split], seed: {from: master}}]
Splits: {ratios: {train: 0.5, test: 0.5}}
Transformations: [{name: r, op: resize, params: {size: 64, method: bilinear}, splits: [train, test]}]
Visualizations: [{name: v, op: sample_grid, stage: post_pipeline, mode: reporting}]
"""


@pytest.mark.parametrize(("old", "new", "at"), EDITS)
def test_an_editor_and_the_loader_mark_the_same(old: str, new: str, at: str) -> None:
    assert marked(to_data(parse_yaml(RIGHT.encode(), name="r"))) == []
    assert RIGHT.count(old) == 1
    text = RIGHT.replace(old, new)
    assert at in [p for p, _ in marked(to_data(parse_yaml(text.encode(), name="r")))]
    refused: list[RefineryError] = []
    try:
        recipe = load_recipe("r.yaml", text=text)
        refused = [e for c in run_checks(recipe, find_plugin("image_classification")) for e in c.errors if c.status == "fail"]
    except RefineryError as error:
        refused = error.errors()
    assert refused


OLDER = """\
schema_version: 1
plugin: image_classification
Input: {sources: [{name: photos, type: image_folder, path: .}]}
Output: {record_schema: {image: {dtype: uint8, shape: [64, 64, 3]}, label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
InputContracts: [{field: image, assertion: {kind: dtype, expected: uint8}}]
Filters: [{name: f, predicate: {op: filter_by_label, labels: [a, 0]}}, {name: g, predicate: {op: random_sample, fraction: 0.5, seed: 1}}]
Splits: {ratios: {train: 0.5, test: 0.5}}
Transformations: [{name: r, op: resize, params: {size: 64}, splits: [train, test]}, {name: c, op: cast_dtype, params: {dtype: uint8}}]
"""


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("", "", ""),
        ("size: 64", "sise: 64", "$.Transformations[0].params"),
        ("size: 64", "size: big", "$.Transformations[0].params.size"),
        ("cast_dtype, params: {dtype: uint8}", "cast_dtype, params: {dtype: uint9}", "$.Transformations[1].params.dtype"),
        ("cast_dtype", "cast_type", "$.Transformations[1].op"),
        ("labels: [a, 0]", "lables: [a, 0]", "$.Filters[0].predicate"),
        ("fraction: 0.5", "fraction: half", "$.Filters[1].predicate.fraction"),
        ("kind: dtype", "kind: dtipe", "$.InputContracts[0].assertion.kind"),
        ("expected: uint8", "expects: uint8", "$.InputContracts[0].assertion"),
    ],
)
def test_parameters_of_version_1(old: str, new: str, at: str) -> None:
    assert not old or OLDER.count(old) == 1
    found = [p for p, _ in marked(to_data(parse_yaml(OLDER.replace(old, new).encode(), name="r")))]
    assert (at in found) if at else found == []


@pytest.mark.parametrize(
    ("word", "meant"), [("string", "str"), ("boolean", "bool"), ("double", "float64"), ("int", "int"), ("int_", "int64")]
)
def test_dtype_words_are_understood_alike(word: str, meant: str) -> None:
    text = RIGHT.replace("label: {dtype: str}", f"label: {{dtype: str}}, other: {{dtype: {word}}}")
    assert marked(to_data(parse_yaml(text.encode(), name="r"))) == []
    recipe = load_recipe("r.yaml", text=text)
    assert recipe.model.Output.record_schema["other"].dtype == meant
    for wrong in ("text", "<f4", "object"):
        data = to_data(parse_yaml(text.replace(f"dtype: {word}}}", f"dtype: '{wrong}'}}").encode(), name="r"))
        assert "$.Output.record_schema.other.dtype" in [p for p, _ in marked(data)]


def test_words_of_third_parties(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from refinery_beam.plugins.base import Extension, OpSpec, Params\n\n\nclass P(Params):\n    bits: int\n\n\n"
        "class Op:\n    spec = OpSpec(name='posterize', section='Transformations', version=1, params=P, summary='Fewer levels.')\n"
        "    def infer(self, before, params): return before\n    def apply(self, pixels, params, fitted, out): return pixels\n\n\n"
        "PLUGIN = Extension(name='mine', version=1, ops=[Op()])\n"
    )
    schema = json.loads(schema_text([str(tmp_path / "mine.py")]))
    text = RIGHT.replace("op: resize, params: {size: 64, method: bilinear}", "op: posterize, params: {bits: two}")
    data = to_data(parse_yaml(text.encode(), name="r"))
    locations = [e.json_path for e in jsonschema.Draft202012Validator(schema).iter_errors(data)]
    assert locations == ["$.Transformations[0].params.bits"] and ("$.Transformations[0].op" in [p for p, _ in marked(data)])
