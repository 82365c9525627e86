"""The built-in plugin: images with class labels. `PLUGIN` is all that others use; importing it loads Pillow and no NumPy."""

from __future__ import annotations

from collections.abc import Mapping

from refinery_beam.plugins.assertions import STANDARD
from refinery_beam.plugins.base import AnyOp, Plugin
from refinery_beam.plugins.common.class_distribution_histogram import ClassDistributionHistogram
from refinery_beam.plugins.common.duplicate_minority_class import DuplicateMinorityClass
from refinery_beam.plugins.common.filters import (
    DropByLabel,
    FilterByField,
    FilterByLabel,
    RandomSample,
    SamplePerClass,
    SamplePerClassFractional,
)
from refinery_beam.plugins.common.label_from_path import LabelFromPath
from refinery_beam.plugins.common.vocabulary import CategoricalEncode
from refinery_beam.plugins.image_classification.encodings import ENCODINGS
from refinery_beam.plugins.image_classification.kind import ImageKind
from refinery_beam.plugins.image_classification.ops.augment import (
    ColorJitter,
    GaussianBlur,
    HorizontalFlip,
    RandomCrop,
    RandomErasing,
    Rotate,
    VerticalFlip,
)
from refinery_beam.plugins.image_classification.ops.colour import ToGrayscale, ToRgb
from refinery_beam.plugins.image_classification.ops.fact_range import FactRange
from refinery_beam.plugins.image_classification.ops.fields import Flatten, ImageSizeStats, PerceptualHash
from refinery_beam.plugins.image_classification.ops.filters import DropDuplicates, ImageSize
from refinery_beam.plugins.image_classification.ops.generate import ImagecorruptionsApply
from refinery_beam.plugins.image_classification.ops.geometry import CenterCrop, Pad, Resize
from refinery_beam.plugins.image_classification.ops.normalize import Cast, MeanSubtract, Normalize
from refinery_beam.plugins.image_classification.pictures import PICTURES

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
    FactRange(),
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
    ClassDistributionHistogram(),
    *PICTURES.values(),
)

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "Transformations": ("cast_dtype",),
}

PLUGIN = Plugin(
    name="image_classification",
    version=2,
    kind=ImageKind(),
    encodings=ENCODINGS,
    ops={op.spec.name: op for op in _OPS},
    known={op: section for section, ops in _KNOWN.items() for op in ops},
    assertions=STANDARD,
)
