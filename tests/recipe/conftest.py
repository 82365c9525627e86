"""A small plugin with the shapes of the real one, and a recipe in which every check passes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from refinery_beam.plugins.assertions import STANDARD
from refinery_beam.plugins.base import OpSpec, Params, Plugin
from refinery_beam.plugins.common.filters import FilterByLabel, SamplePerClass
from refinery_beam.plugins.common.label_from_path import LabelFromPath
from refinery_beam.plugins.image_classification.encodings import ENCODINGS
from refinery_beam.plugins.image_classification.kind import ImageKind

IMAGE_OPS = "Transformations"


class Resize(Params):
    size: Annotated[int, Field(gt=0)] | tuple[int, int]
    method: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    mode: Literal["stretch", "fit", "cover", "pad"] = "stretch"


class Normalize(Params):
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _both(self) -> Normalize:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are given together or not at all")
        return self


class Cast(Params):
    dtype: Literal["uint8", "float32", "float64"]
    scale: float = 1.0


class RandomSample(Params):
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    n: int | None = None


class Nothing(Params):
    pass


@dataclass(frozen=True)
class FakeOp:
    spec: OpSpec
    needs_pixels: bool = True

    def pinned(self, params: Any) -> dict[str, Any] | None:
        return {"mean": params.mean} if getattr(params, "mean", None) is not None else None


def make_plugin(**changes: Any) -> Plugin:
    specs = [
        FakeOp(OpSpec(name="resize", section="Transformations", version=1, params=Resize, summary="", pixel_altering=True)),
        FakeOp(
            OpSpec(
                name="normalize",
                section="Transformations",
                version=1,
                params=Normalize,
                summary="",
                fitted=True,
                deferrable=True,
                dtype_altering=True,
            )
        ),
        FakeOp(OpSpec(name="cast", section="Transformations", version=1, params=Cast, summary="", dtype_altering=True, deferrable=True)),
        FakeOp(OpSpec(name="to_rgb", section="Transformations", version=1, params=Nothing, summary="", pixel_altering=True)),
        FilterByLabel(),
        SamplePerClass(),
        FakeOp(OpSpec(name="random_sample", section="Filters", version=1, params=RandomSample, summary="")),
        LabelFromPath(),
        FakeOp(OpSpec(name="image_size_stats", section="Featurizations", version=1, params=Nothing, summary="")),
    ]
    known = {
        "sample_per_class_fractional": "Filters",
        "drop_by_label": "Filters",
        "drop_duplicates": "Filters",
        "duplicate_minority_class": "Generation",
        "imagecorruptions_apply": "Generation",
        "horizontal_flip": "Augmentations",
        "random_crop": "Augmentations",
        "color_jitter": "Augmentations",
        "random_erasing": "Augmentations",
        "categorical_encode": "Featurizations",
        "flatten": "Featurizations",
    }
    words: dict[str, Any] = {
        "name": "image_classification",
        "version": 1,
        "sections": frozenset({"Input", "Output", "Labels", "Filters", "Splits", "Transformations", "Featurizations"}),
        "ops": {op.spec.name: op for op in specs},
        "known": known,
        "kind": ImageKind(),
        "encodings": ENCODINGS,
        "assertions": STANDARD,
    }
    return Plugin(**{**words, **changes})


BASE = """\
schema_version: 3
plugin: image_classification
seed: 7
Input:
  sources:
    - name: photos
      type: image_folder
      path: images
Output:
  record_schema:
    image: {dtype: uint8, shape: [8, 8, 3]}
    label: {dtype: str}
    path: {dtype: str}
Labels:
  field: label
  source: {kind: direct}
Filters:
  - name: some
    op: filter_by_label
    params: {labels: [cat, dog]}
Splits:
  ratios: {train: 0.7, val: 0.15, test: 0.15}
  stratify_by: label
Transformations:
  - name: resize
    op: resize
    params: {size: 8, method: bilinear}
    splits: [train, val, test]
  - name: normalize
    op: normalize
    fit_source: train
    splits: [train, val, test]
Featurizations:
  - name: sizes
    op: image_size_stats
    inputs: [image]
    output_field: size
    splits: [train]
"""


@pytest.fixture
def plugin() -> Plugin:
    return make_plugin()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which BASE's paths exist."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text("file,class,group\na,cat,1\n")
    return tmp_path


@pytest.fixture
def base() -> str:
    return BASE


class Marked:
    """Text with one '§' before the place an error must name."""

    def __init__(self, text: str, file: str = "r.yaml") -> None:
        self.text = text.replace("§", "")
        at = text.find("§")
        head = text[:at]
        self.at = "" if at < 0 else f"{file}:{head.count(chr(10)) + 1}:{at - head.rfind(chr(10))}"


@pytest.fixture
def marked() -> type[Marked]:
    return Marked


def edited(text: str, old: str, new: str) -> str:
    """`text` with one known piece replaced; a piece that is not there is a mistake in the test."""
    assert text.count(old) >= 1, f"{old!r} is not in the base recipe"
    return text.replace(old, new, 1)


@pytest.fixture
def edit() -> Any:
    return edited
