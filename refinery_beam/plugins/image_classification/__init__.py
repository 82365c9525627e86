"""The built-in plugin: images with class labels. `PLUGIN` is its whole face; importing it loads Pillow and no NumPy."""

from __future__ import annotations

from collections.abc import Mapping

from refinery_beam.plugins.assertions import STANDARD
from refinery_beam.plugins.base import AnyOp, Plugin
from refinery_beam.plugins.image_classification.augment import (
    ColorJitter,
    GaussianBlur,
    HorizontalFlip,
    RandomCrop,
    RandomErasing,
    Rotate,
    VerticalFlip,
)
from refinery_beam.plugins.image_classification.choose import (
    DropByLabel,
    DropDuplicates,
    FilterByField,
    ImageSize,
    SamplePerClass,
    SamplePerClassFractional,
)
from refinery_beam.plugins.image_classification.colour import ToGrayscale, ToRgb
from refinery_beam.plugins.image_classification.featurize import ImageSizeStats, LabelFromPath
from refinery_beam.plugins.image_classification.fields import Flatten, PerceptualHash
from refinery_beam.plugins.image_classification.filter import FilterByLabel, RandomSample
from refinery_beam.plugins.image_classification.generate import DuplicateMinorityClass, ImagecorruptionsApply
from refinery_beam.plugins.image_classification.geometry import CenterCrop, Pad, Resize
from refinery_beam.plugins.image_classification.normalize import Cast, MeanSubtract, Normalize
from refinery_beam.plugins.image_classification.pictures import PICTURES
from refinery_beam.plugins.image_classification.vocabulary import CategoricalEncode

_OPS: tuple[AnyOp, ...] = (
    Resize(),
    CenterCrop(),
    Pad(),
    ToGrayscale(),
    ToRgb(),
    Cast(),
    Normalize(),
    MeanSubtract(),
    FilterByLabel(),
    RandomSample(),
    SamplePerClass(),
    SamplePerClassFractional(),
    DropByLabel(),
    DropDuplicates(),
    ImageSize(),
    FilterByField(),
    LabelFromPath(),
    ImageSizeStats(),
    DuplicateMinorityClass(),
    ImagecorruptionsApply(),
    HorizontalFlip(),
    VerticalFlip(),
    RandomCrop(),
    ColorJitter(),
    RandomErasing(),
    Rotate(),
    GaussianBlur(),
    CategoricalEncode(),
    Flatten(),
    PerceptualHash(),
    *PICTURES.values(),
)

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "Transformations": ("cast_dtype",),
}

PLUGIN = Plugin(
    name="image_classification",
    version=1,
    sections=frozenset(
        {"Input", "Output", "Labels", "Filters", "Splits", "Generation", "Transformations", "Augmentations", "Featurizations"}
        | {"InputContracts", "OutputExpectations", "SampleData", "Sinks", "Visualizations"}
    ),
    ops={op.spec.name: op for op in _OPS},
    known={op: section for section, ops in _KNOWN.items() for op in ops},
    source_types=frozenset({"image_folder", "image_flat", "image_tree"}),
    module=__name__,
    assertions=STANDARD,
)
