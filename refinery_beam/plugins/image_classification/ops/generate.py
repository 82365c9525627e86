"""imagecorruptions_apply: corrupted copies of images as new records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.image_classification.ops.sizes import known_channels
from refinery_beam.plugins.image_classification.pixels import Pixels
from refinery_beam.plugins.ops import ArrayType, FieldType, GeneratedRecord, OpSpec, OpTypeError, Params

if TYPE_CHECKING:
    from refinery_beam.identity import Stream

COMMON = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog"),
    *("brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
NAMES = (*COMMON, "speckle_noise", "gaussian_blur", "spatter", "saturate")
TAGS: Mapping[str, FieldType] = {
    "corruption": FieldType("str"),
    "severity": FieldType("int64"),
    "source_path": FieldType("str"),
    "seed": FieldType("uint64"),
}
NONE = "none"
"""The corruption of a preserved copy; its severity is 0."""

_Name: TypeAlias = Annotated[str, Field(min_length=1)]


class ImagecorruptionsApplyParams(Params):
    """Parameters of imagecorruptions_apply."""

    corruption_types: Annotated[tuple[Annotated[str, Field(json_schema_extra={"enum": list(NAMES)})], ...], Field(min_length=1)] = Field(
        description="Which corruptions, each once: " + ", ".join(NAMES) + "."
    )
    severities: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=5)], ...], Field(min_length=1)] = Field(
        description="How strong, each once: 1 to 5."
    )
    preserve_original: bool = Field(default=False, strict=True, description="Also a copy without corruption: type none, severity 0.")
    tag_fields: tuple[_Name, ...] | dict[str, _Name] = Field(
        default=("corruption", "severity", "source_path"),
        description=(
            "Which of corruption, severity, source_path and seed become fields of the children; a mapping {field name: corruption} "
            "gives them names of your own."
        ),
    )

    @field_validator("corruption_types")
    @classmethod
    def _types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in NAMES:
                raise ValueError(f"there is no corruption {name!r}; {did_you_mean(name, NAMES) or 'known: ' + ', '.join(NAMES)}")
        return _unique(value, "corruption")

    @field_validator("severities")
    @classmethod
    def _severities(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _unique(value, "severity")

    @field_validator("tag_fields")
    @classmethod
    def _tags(cls, value: Any) -> Any:
        words = tuple(value.values()) if isinstance(value, dict) else value
        for word in words:
            if word in TAGS:
                continue
            if isinstance(value, dict) and set(value) <= set(TAGS):
                turned = ", ".join(f"{own}: {tag}" for tag, own in value.items())
                raise ValueError(f"{word!r} is no tag; a mapping gives your own name first, then the tag: {{{turned}}}")
            raise ValueError(f"there is no tag {word!r}; tags are {', '.join(TAGS)}")
        _unique(words, "tag field")
        return value


class ImagecorruptionsApply:
    """One record for each (corruption, severity) pair, ``parent#name:fog:3``; with `preserve_original` an unchanged copy,
    ``parent#name:none:0``.

    Random numbers come from a stream of (op seed, op name, parent record, "fog:3"), so a pair does not depend on the other pairs of the
    recipe. The image is the decoded one, before Transformations: 8-bit, one or three channels, at least 32 x 32.
    """

    spec = OpSpec(
        name="imagecorruptions_apply",
        section="Generation",
        version=2,
        params=ImagecorruptionsApplyParams,
        summary="Make corrupted copies: the nineteen corruptions of ImageNet-C at five severities.",
        pixel_altering=True,
    )
    kind: Literal["variants", "balance"] = "variants"

    def fields(self, params: ImagecorruptionsApplyParams) -> Mapping[str, str]:
        """The tag words and the names of their fields."""
        tags = params.tag_fields
        return {word: own for own, word in tags.items()} if isinstance(tags, dict) else {word: word for word in tags}

    def field_type(self, word: str) -> FieldType:
        """The type of a tag."""
        return TAGS[word]

    def infer(self, before: ArrayType, params: ImagecorruptionsApplyParams) -> ArrayType:
        """The type of the input."""
        if before.dtype != "uint8" or known_channels(before) not in (1, 3, None):
            raise OpTypeError(f"imagecorruptions_apply takes uint8 images of one or three channels, not {before}")
        return before

    def generated(self, params: ImagecorruptionsApplyParams) -> Sequence[GeneratedRecord]:
        """The preserved copy, then every pair in the order written."""
        pairs = [(NONE, 0)] if params.preserve_original else []
        pairs += [(kind, severity) for kind in params.corruption_types for severity in params.severities]
        return [
            GeneratedRecord(f"{kind}:{severity}", {"type": kind, "severity": severity}, {"corruption": kind, "severity": severity})
            for kind, severity in pairs
        ]

    def extra(self, count: int, largest: int, params: ImagecorruptionsApplyParams) -> int:
        """None: every class gets the same generated records."""
        return 0

    def apply(self, pixels: Pixels, made: Mapping[str, Any], stream: Stream) -> Pixels:
        """The corrupted image: uint8, of the same shape."""
        if made["type"] == NONE:
            return pixels
        from refinery_beam.plugins.image_classification.ops.corruptions import corrupt

        return corrupt(pixels, made["type"], made["severity"], stream)


def _unique(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"the {what} {value!r} is named twice")
    return values
