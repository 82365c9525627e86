"""What is and what is not part of a recipe's identity; version spellings; the effective recipe."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinery_beam.identity import canonical_bytes
from refinery_beam.plugins.base import Plugin
from refinery_beam.recipe import canonical, effective_yaml, load_recipe


def identity(text: str, plugin: Plugin | None = None, **options: Any) -> bytes:
    return canonical_bytes(canonical(load_recipe("r.yaml", text=text, **options), plugin))


SAME: list[tuple[str, str]] = [
    ("seed: 7", "seed: 7   # a comment"),
    ("seed: 7", "seed: 8"),
    ("seed: 7", "seed: 7\nGeneration: []"),
    ("path: images", "path: /somewhere/else"),
    ("path: images", "path: ${env:HERE}/images"),
    ("path: images", "path: images\n      unlabeled: false"),
    ("path: images", "path: images\n  on_error: fail\n  decode: {draft: false, mode: RGB}"),
    ("path: images", "path: images\n  decode: {icc: convert, bits: null}\n  damage: standard\n  follow_links: outside"),
    ("path: images", "path: images\n  limits: {formats: [tiff, gif, bmp, webp, jpeg, png, pgm, jp2, avif]}"),
    ("{dtype: str}", '{"dtype": "str", shape: null}'),
    (
        "    image: {dtype: uint8, shape: [8, 8, 3]}\n    label: {dtype: str}",
        "    label: {dtype: str}\n    image: {shape: [8, 8, 3], dtype: uint8}",
    ),
    ("{kind: direct}", "{}"),
    ("train: 0.7", "train: 7e-1"),
    ("  stratify_by: label\n", "  stratify_by: label\n  method: exact\n  seed: null\n"),
    ("splits: [train, val, test]", "splits: [test, train, val]"),
    ("{size: 8, method: bilinear}", "{method: bilinear, size: 8}"),
    ("Labels:", "overlays: {a: {Splits: {}}}\nLabels:"),
    ("schema_version: 3", "schema_version: 2"),
    ("Output:\n", "Output:\n  format: [parquet, parquet]\n  encoding: null\n"),
    ("op: normalize\n", "op: normalize\n    params: {}\n"),
]

OTHER: list[tuple[str, str]] = [
    ("{train: 0.7, val: 0.15, test: 0.15}", "{train: 0.7, test: 0.15, val: 0.15}"),
    ("train: 0.7", "train: 0.6"),
    ("size: 8", "size: 9"),
    ("method: bilinear", "method: nearest"),
    ("name: resize", "name: shrink"),
    ("name: photos", "name: pictures"),
    ("labels: [cat, dog]", "labels: [dog, cat]"),
    ("labels: [cat, dog]", "labels: [cat]"),
    ("  stratify_by: label\n", ""),
    ("  stratify_by: label\n", "  stratify_by: label\n  seed: 7\n"),
    ("  stratify_by: label\n", "  stratify_by: label\n  seed: {from: master}\n"),
    ("  stratify_by: label\n", "  stratify_by: label\n  keep_duplicates_together: false\n"),
    ("path: images", "path: images\n  on_error: quarantine"),
    ("path: images", "path: images\n  decode: {mode: L}"),
    ("path: images", "path: images\n  decode: {icc: ignore}"),
    ("path: images", "path: images\n  decode: {bits: 12}"),
    ("path: images", "path: images\n  damage: strict"),
    ("shape: [8, 8, 3]", "shape: [8, 8, null]"),
    ("dtype: uint8", "dtype: float32"),
    ("splits: [train, val, test]", "splits: [train, val]"),
    ("Output:\n", "Output:\n  encoding: png\n"),
    ("plugin: image_classification", "plugin: tabular"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_does_not_matter(old: str, new: str, base: str, edit: Any, plugin: Plugin) -> None:
    assert identity(edit(base, old, new), plugin) == identity(base, plugin)
    assert identity(edit(base, old, new), plugin) == identity(base, plugin)


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_matters(old: str, new: str, base: str, edit: Any, plugin: Plugin) -> None:
    assert identity(edit(base, old, new), plugin) != identity(base, plugin)
    assert identity(edit(base, old, new)) != identity(base)


def test_v1_spelling_does_not_matter_once_parameter_defaults_are_filled_in(base: str, edit: Any, plugin: Plugin) -> None:
    assert identity(edit(base, "schema_version: 3", "schema_version: 1"), plugin) == identity(base, plugin)


def test_transformations_are_in_order(base: str) -> None:
    head, rest = base.split("Transformations:\n")
    body, tail = rest.split("Featurizations:\n")
    first, second = body.split("  - name: normalize")
    swapped = head + "Transformations:\n  - name: normalize" + second + first + "Featurizations:\n" + tail
    assert identity(swapped) != identity(base)


def test_parameter_defaults_do_not_matter_when_the_plugin_is_known(base: str, edit: Any, plugin: Plugin) -> None:
    written = edit(base, "method: bilinear", "method: bicubic, mode: stretch")
    unwritten = edit(base, ", method: bilinear", "")
    assert identity(written, plugin) == identity(unwritten, plugin)
    assert identity(written) != identity(unwritten)


def test_declared_floats_are_floats_and_free_form_numbers_keep_their_type(base: str, edit: Any, plugin: Plugin) -> None:
    one = edit(base, "{train: 0.7, val: 0.15, test: 0.15}", "{train: 1}")
    assert identity(one) == identity(edit(one, "train: 1", "train: 1.0"))
    cast = edit(base, "Featurizations:", "  - {name: c, op: cast, params: {dtype: float32, scale: 2}, splits: [train]}\nFeaturizations:")
    assert identity(cast, plugin) == identity(edit(cast, "scale: 2", "scale: 2.0"), plugin)
    forms = [identity(base + f"extensions: {{a: {{b: {v}}}}}\n") for v in ("5", "5.0", '"5"', "true", "null", "[5]")]
    assert len(set(forms)) == len(forms)


def test_overlays_matter_only_when_selected(base: str, edit: Any) -> None:
    text = base + "variants: {a: {Splits: {ratios: {train: 1.0}}}}\n"
    assert identity(text) == identity(base)
    plain = edit(base, "  ratios: {train: 0.7, val: 0.15, test: 0.15}\n  stratify_by: label\n", "  ratios: {train: 1.0}\n")
    assert identity(text, overlays=["a"]) == identity(plain)


def test_the_form_holds_no_location_no_seed_and_no_version(base: str) -> None:
    body = canonical(load_recipe("r.yaml", text=base))
    assert {"schema_version", "seed"}.isdisjoint(body)
    assert body["overlays"] == {}
    assert "path" not in body["Input"]["sources"][0]
    assert body["Splits"]["ratios"] == [["train", 0.7], ["val", 0.15], ["test", 0.15]]


COMMON = """\
plugin: image_classification
Input: {sources: [{name: a, type: image_folder, path: x}]}
Output: {record_schema: {image: {dtype: uint8, shape: [8, 8, 3]}, label: {dtype: str}}}
Labels: {field: label, source: {kind: derived, derivation: parent_directory_name}}
Splits: {ratios: {train: 0.5, test: 0.5}}
"""
V1 = (
    "schema_version: 1\n"
    + COMMON
    + """\
Filters:
  - {name: f, predicate: {op: filter_by_label, labels: [a, b]}}
  - {name: r, predicate: {op: random_sample, n: 5, seed: 3}, stages: [post_split], splits: [train]}
Generation:
  - {name: duplicate_minority_class, inputs: [image], output_schema_matches_input: true, seed: 1, applies_at: [train]}
  - {name: fog, inputs: [image], output_schema: matches_input, seed: 1,
     params: {op: imagecorruptions_apply, corruption_types: [fog], severities: [1]}}
Transformations:
  - {name: resize, op: resize, params: {size: 8}, splits: [train, test]}
  - {name: c, op: cast_dtype, params: {dtype: float32}, splits: [train, test]}
Augmentations:
  - {name: flip, op: horizontal_flip}
  - {name: jitter, op: color_jitter, params: {hue: 0.1}}
  - {name: crop, op: random_crop, params: {size: 6}}
  - {name: erase, op: random_erasing}
Featurizations:
  - {name: l, op: label_from_path, inputs: [path], output_field: label, splits: [train, test]}
InputContracts:
  - {field: image, assertion: {kind: dtype, expected: uint8}}
OutputExpectations:
  - {assertion: {kind: record_count, min: 1}}
  - {field: image, assertion: {kind: range, min: 0}}
Visualizations:
  - {name: grid, op: sample_grid, stage: post_pipeline, mode: reporting}
variants:
  none: {Augmentations: []}
"""
)
V2 = (
    "schema_version: 2\n"
    + COMMON
    + """\
Filters:
  - {name: f, op: filter_by_label, params: {labels: [a, b], action: include}}
  - {name: r, op: random_sample, params: {n: 5, seed: 3}, stages: [post_split], splits: [train]}
Generation:
  - {name: duplicate_minority_class, op: duplicate_minority_class, inputs: [image], output_schema: matches_input, seed: 1, splits: [train]}
  - {name: fog, op: imagecorruptions_apply, inputs: [image], output_schema: matches_input, seed: 1,
     params: {corruption_types: [fog], severities: [1], preserve_original: false}}
Transformations:
  - {name: resize, op: resize, params: {size: 8, method: bilinear}, splits: [train, test]}
  - {name: c, op: cast, params: {dtype: float32, scale: 1.0}, splits: [train, test]}
Augmentations:
  - {name: flip, op: horizontal_flip, params: {p: 0.5}}
  - {name: jitter, op: color_jitter, params: {hue: 0.1, brightness: 0.0, contrast: 0.0, saturation: 0.0}}
  - {name: crop, op: random_crop, params: {size: 6, padding: 0, padding_mode: reflect}}
  - {name: erase, op: random_erasing, params: {p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3]}}
Featurizations:
  - {name: l, op: label_from_path, inputs: [path], output_field: label, splits: [train, test], params: {source: parent_directory_name}}
InputContracts:
  - {field: image, assertion: {kind: dtype_equals, expected: uint8}}
OutputExpectations:
  - {assertion: {kind: record_count_in_range, min: 1}}
  - {field: image, assertion: {kind: value_range, min: 0}}
Visualizations:
  - {name: grid, op: sample_grid, params: {n: 16, per_class: false}, stage: post_pipeline, mode: reporting}
variants:
  none: {Augmentations: []}
"""
)
V3 = V2.replace("schema_version: 2", "schema_version: 3").replace("variants", "overlays").replace("n: 5, seed: 3}", "n: 5}, seed: 3")


@pytest.mark.parametrize("overlays", [(), ("none",)])
@pytest.mark.parametrize("with_plugin", [True, False])
def test_three_spellings_one_identity(overlays: tuple[str, ...], with_plugin: bool, plugin: Plugin) -> None:
    bound = plugin if with_plugin else None
    assert identity(V1, bound, overlays=overlays) == identity(V2, bound, overlays=overlays) == identity(V3, bound, overlays=overlays)
    written = [load_recipe("r.yaml", text=t).schema_version_written for t in (V1, V2, V3)]
    assert written == [1, 2, 3]


@pytest.mark.parametrize("text", [V1, V2, V3])
def test_effective_recipe_of_every_version(text: str, plugin: Plugin) -> None:
    recipe = load_recipe("r.yaml", text=text, seed=42)
    once = effective_yaml(recipe, plugin)
    again = load_recipe("e.yaml", text=once)
    assert canonical(again, plugin) == canonical(recipe, plugin)
    assert again.seed == 42
    assert effective_yaml(again, plugin) == once


def test_effective_locations(base: str, edit: Any, tmp_path: Any) -> None:
    (tmp_path / "r.yaml").write_text(base)
    recipe = load_recipe(tmp_path / "r.yaml")
    assert yaml.safe_load(effective_yaml(recipe))["Input"]["sources"][0]["path"] == str(tmp_path / "images")
    assert (
        yaml.safe_load(effective_yaml(recipe, locations="symbolic"))["Input"]["sources"][0]["path"] == "${env:REFINERY_BEAM_SOURCE_PHOTOS}"
    )
    (tmp_path / "r.yaml").write_text(edit(base, "path: images", "path: ${env:HERE}/images"))
    recipe = load_recipe(tmp_path / "r.yaml")
    assert yaml.safe_load(effective_yaml(recipe))["Input"]["sources"][0]["path"] == "${env:HERE}/images"


text_values = st.text(max_size=12).filter(lambda t: "${" not in t)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=6) | st.sampled_from(["no", "on", "y", "null", "1", "1e3", "日本"])
free = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_values, inner, max_size=3),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {"dtype": text_values}, optional={"shape": st.none() | st.lists(st.none() | st.integers(1, 999), max_size=3)}
)
seeds = st.integers(-(2**63), 2**64 - 1) | st.just({"from": "master"})
operations = st.fixed_dictionaries(
    {"name": names, "op": names},
    optional={
        "params": st.dictionaries(text_values.filter(lambda k: k != "seed"), free, max_size=3),
        "splits": st.lists(names, max_size=3),
    },
)
sources = st.fixed_dictionaries(
    {"name": names, "type": names, "path": st.text("abc/ é.", min_size=1, max_size=9).filter(str.strip)},
    optional={
        "partition": st.none() | names,
        "unlabeled": st.booleans(),
        "layout": text_values,
        "label_from": st.fixed_dictionaries({"path": st.just("l.csv"), "join": st.just("by_row_order"), "label_field": text_values}),
    },
)
recipes = st.fixed_dictionaries(
    {
        "schema_version": st.sampled_from([2, 3]),
        "plugin": text_values,
        "Input": st.fixed_dictionaries(
            {"sources": st.lists(sources, min_size=1, max_size=3)},
            optional={
                "on_error": st.sampled_from(["fail", "quarantine"]),
                "max_bad_fraction": st.floats(0, 1) | st.sampled_from([0, 1]),
                "decode": st.fixed_dictionaries({}, optional={"draft": st.booleans(), "mode": st.sampled_from(["L", "RGB"])}),
            },
        ),
        "Output": st.fixed_dictionaries(
            {"record_schema": st.dictionaries(text_values, fields, min_size=1, max_size=3)},
            optional={"encoding": st.sampled_from(["png", None]), "format": st.sampled_from(["parquet", ["jsonl", "parquet"]])},
        ),
        "Labels": st.fixed_dictionaries(
            {"field": names, "source": st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["direct", "derived"])})}
        ),
    },
    optional={
        "seed": st.integers(-(2**63), 2**64 - 1),
        "Splits": st.fixed_dictionaries(
            {},
            optional={
                "ratios": st.none() | st.dictionaries(text_values, st.floats(0, 1) | st.integers(0, 1), max_size=4),
                "key_assignment": st.fixed_dictionaries({"field": names, "mapping": st.dictionaries(text_values, names, max_size=3)}),
                "seed": st.none() | seeds,
                "class_balance": text_values | st.fixed_dictionaries({"strategy": names, "applies_to": st.lists(names, max_size=2)}),
                "keep_duplicates_together": st.sampled_from(["exact", "near", False]),
            },
        ),
        "Filters": st.lists(operations, max_size=2),
        "Transformations": st.lists(operations, max_size=3),
        "InputContracts": st.lists(
            st.fixed_dictionaries({"assertion": st.dictionaries(names, free, max_size=2).map(lambda d: {**d, "kind": "k"})}), max_size=2
        ),
        "SampleData": st.fixed_dictionaries({"selector": st.fixed_dictionaries({}, optional={"n": st.integers(), "seed": seeds})}),
        "extensions": st.dictionaries(names, st.dictionaries(text_values, free, max_size=2), max_size=2),
    },
)


def shuffled(value: Any, rng: random.Random, keep: bool = False) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        if not keep:
            rng.shuffle(items)
        return {k: shuffled(v, rng, keep=k == "ratios") for k, v in items}
    return [shuffled(v, rng) for v in value] if isinstance(value, list) else value


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(recipes, st.randoms(use_true_random=False))
def test_generated_recipes_survive_the_round_trip_and_key_order(data: dict[str, Any], rng: random.Random) -> None:
    import json

    recipe = load_recipe("r.yaml", text=json_as_yaml(data))
    form = canonical(recipe)
    text = effective_yaml(recipe)
    again = load_recipe("e.yaml", text=text)
    assert canonical_bytes(canonical(again)) == canonical_bytes(form)
    assert again.seed == recipe.seed
    assert effective_yaml(again) == text
    other = load_recipe("o.yaml", text=json_as_yaml(shuffled(data, rng)))
    assert canonical_bytes(canonical(other)) == canonical_bytes(form)
    assert json.loads(canonical_bytes(form)) == form


def json_as_yaml(value: Any) -> str:
    """JSON with every character YAML cannot hold escaped; JSON is YAML then."""
    from refinery_beam.recipe.yaml.write import on_one_line

    return on_one_line(value)
