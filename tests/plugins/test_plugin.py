"""The plugin as a whole: protocol, words, thread safety, discovery."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.errors import PluginError
from refinery_beam.plugins.base import (
    ArrayType,
    AugmentOp,
    FeaturizeOp,
    FilterOp,
    FittedFeaturizeOp,
    FittedOp,
    GenerateOp,
    Params,
    TransformOp,
)
from refinery_beam.plugins.discovery import find_plugin, plugin_names
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.plugins.pictures import PictureOp
from refinery_beam.recipe.migrate import V1_DEFAULTS

PROTOCOLS = {
    "Transformations": TransformOp,
    "Filters": FilterOp,
    "Featurizations": FeaturizeOp,
    "Generation": GenerateOp,
    "Augmentations": AugmentOp,
    "Visualizations": PictureOp,
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "resize": {"size": 16},
    "center_crop": {"size": 16},
    "pad": {"padding": 2},
    "to_grayscale": {},
    "to_rgb": {},
    "cast": {"dtype": "float32"},
    "normalize": {"mean": 1, "std": 2},
    "mean_subtract": {"mean": 1},
    "filter_by_label": {"labels": ["a"]},
    "random_sample": {"n": 3},
    "sample_per_class": {"n_per_class": 3, "label": "t", "exclude_already_labeled": ["u"]},
    "sample_per_class_fractional": {"n_per_class_base": 3, "fractions": {"a": 0.5}},
    "drop_by_label": {"labels": ["t"]},
    "drop_duplicates": {"kind": "near"},
    "image_size": {"min_width": 3, "max_aspect": 2.5},
    "fact_range": {"fact": "aspect", "min": 0.5, "max": 2.5},
    "filter_by_field": {"field": "f", "in": [1, "x", 0.5, True]},
    "label_from_path": {},
    "image_size_stats": {},
    "duplicate_minority_class": {},
    "imagecorruptions_apply": {"corruption_types": ["fog"], "severities": [1, 5]},
    "horizontal_flip": {},
    "vertical_flip": {"p": 1},
    "random_crop": {"size": 16},
    "color_jitter": {"brightness": 0.5},
    "random_erasing": {},
    "rotate": {"degrees": 30},
    "gaussian_blur": {},
    "categorical_encode": {},
    "flatten": {},
    "perceptual_hash": {},
    "class_distribution_histogram": {"group_by": "label"},
    "sample_grid": {"n": 4, "per_class": True},
    "mean_image_per_class": {},
    "pixel_distribution": {"bins": 8, "splits": ["train"]},
    "augmented_sample_grid": {"seed": 3},
    "corruption_severity_grid": {"corruption_types": ["fog"], "severities": [1]},
    "severity_ladder": {"corruption_type": "fog"},
}


@pytest.mark.parametrize("name", PLUGIN.ops)
def test_every_op_keeps_the_protocol(name: str) -> None:
    op = PLUGIN.ops[name]
    spec = op.spec
    assert spec.name == name and spec.version >= 1 and spec.summary.endswith(".")
    assert isinstance(op, PROTOCOLS[spec.section])
    assert isinstance(op, FittedOp | FittedFeaturizeOp) == spec.fitted
    assert issubclass(spec.params, Params)
    assert not spec.deferrable or spec.elementwise
    params = spec.params.model_validate(EXAMPLES[name])
    # The plan keeps parameters as JSON and reads them back in every worker.
    assert spec.params.model_validate(params.model_dump(mode="json", by_alias=True)) == params
    assert type(pickle.loads(pickle.dumps(op))) is type(op)  # noqa: S301


@pytest.mark.parametrize("name", PLUGIN.ops)
def test_every_parameter_is_described_and_unknown_ones_refused(name: str) -> None:
    model = PLUGIN.ops[name].spec.params
    assert all(field.description for field in model.model_fields.values())
    assert model.model_json_schema()["additionalProperties"] is False
    with pytest.raises(ValueError, match="no_such_word"):
        model.model_validate({**EXAMPLES[name], "no_such_word": 1})


def test_v1_defaults_are_parameters() -> None:
    for (section, name), defaults in V1_DEFAULTS.items():
        op = PLUGIN.ops[name]
        assert op.spec.section == section and set(defaults) <= set(op.spec.params.model_fields)


def test_known_words_are_not_executed_ones() -> None:
    assert not set(PLUGIN.known) & set(PLUGIN.ops)
    assert PLUGIN.known == {"cast_dtype": "Transformations"}
    assert PLUGIN.op("resize") is PLUGIN.ops["resize"] and PLUGIN.op("nothing") is None
    assert PLUGIN.sections == {
        *("Filters", "Generation", "Transformations", "Augmentations", "Featurizations", "Visualizations"),
        *("InputContracts", "OutputExpectations", "SampleData", "Sinks"),
    }


@pytest.mark.parametrize("name", [n for n, op in PLUGIN.ops.items() if op.spec.section == "Transformations"])
def test_ops_are_safe_in_threads(name: str) -> None:
    op: Any = PLUGIN.ops[name]
    params = op.spec.params.model_validate(EXAMPLES[name])
    images = [Image.frombytes("RGB", (40, 30), bytes((i * k) & 255 for i in range(3600))) for k in range(1, 20)]
    out = op.infer(ArrayType("uint8", (30, 40, 3)), params)

    def work(image: Image.Image) -> bytes:
        return as_array(op.apply(image, params, None, out)).tobytes()

    serial = [work(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, images * 4)) == serial * 4


@pytest.mark.parametrize("name", [n for n, op in PLUGIN.ops.items() if op.spec.section == "Transformations"])
@pytest.mark.parametrize("before", ["uint8 RGB", "uint8 L", "float32 RGB"])
def test_what_comes_out_is_what_was_inferred(name: str, before: str) -> None:
    op: Any = PLUGIN.ops[name]
    params = op.spec.params.model_validate(EXAMPLES[name])
    array = np.zeros((30, 40) if before.endswith("L") else (30, 40, 3), before.split()[0])
    out = op.infer(ArrayType(str(array.dtype), array.shape), params)
    done = as_array(op.apply(array, params, None, out))
    assert (str(done.dtype), done.shape) == out


def test_discovery() -> None:
    assert find_plugin("image_classification") is PLUGIN
    assert plugin_names() == ("image_classification",)
    with pytest.raises(PluginError) as caught:
        find_plugin("image-clasification")
    assert caught.value.code == "unknown-plugin" and caught.value.remedy == "did you mean 'image_classification'?"
    with pytest.raises(PluginError) as caught:
        find_plugin("tabular")
    assert caught.value.code == "not-executed-yet"
