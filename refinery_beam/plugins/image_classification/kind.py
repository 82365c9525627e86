"""Images, as everything above the plugins sees them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from refinery_beam.plugins.image_classification.codecs.container import REMEDIES
from refinery_beam.plugins.image_classification.codecs.decode import FACTS, accept, decode, read_facts, read_header, seems_whole
from refinery_beam.plugins.image_classification.codecs.loading import held
from refinery_beam.plugins.image_classification.codecs.remarks import remarks
from refinery_beam.plugins.image_classification.measures import QUALITY
from refinery_beam.plugins.image_classification.pixels import Pixels, as_array, channels
from refinery_beam.plugins.image_classification.policy import EXTENSIONS, HEIC_EXTENSIONS, DecodeLimits, DecodePolicy
from refinery_beam.plugins.kind import BadRecord, SourceType
from refinery_beam.plugins.notes import Noted
from refinery_beam.plugins.ops import ArrayType

if TYPE_CHECKING:
    import numpy as np

    from refinery_beam import rows
    from refinery_beam.exact import Partial

    Array = np.ndarray[Any, Any]

DECODED = {
    "RGB": ArrayType("uint8", (None, None, 3)),
    "RGBA": ArrayType("uint8", (None, None, 4)),
    "L": ArrayType("uint8", (None, None)),
    "keep": ArrayType("uint8", (None, None, None)),
}

_ADVICE = dict.fromkeys((f".{extension}" for extension in HEIC_EXTENSIONS), REMEDIES["heic"])


class ImageKind:
    """A `plugins.kind.Kind`: content is a Pillow image or an array (h, w) or (h, w, c), and in its plain form a C-order array."""

    field = "image"
    noun = "images"
    policy = DecodePolicy
    later_defaults: Mapping[str, Any] = {name: DecodePolicy.model_fields[name].default for name in ("icc", "bits")}
    unrecorded: Mapping[str, Any] = {"icc": "ignore"}
    limits = DecodeLimits
    source_types: Mapping[str, SourceType] = {
        "image_folder": SourceType("folder", EXTENSIONS, _ADVICE),
        "image_flat": SourceType("flat", EXTENSIONS, _ADVICE),
        "image_tree": SourceType("tree", EXTENSIONS, _ADVICE),
    }
    byte_values = True
    fact_types = FACTS
    measures = QUALITY

    def encoding_of(self, type: ArrayType) -> str:
        """A tensor where every image has one shape, else PNG."""
        return "tensor" if type.fixed else "png"

    def more_extensions(self, limits: DecodeLimits) -> tuple[str, ...]:
        """Those of HEIC, where it is accepted."""
        return HEIC_EXTENSIONS if "heic" in limits.formats else ()

    def decoded(self, policy: DecodePolicy) -> ArrayType:
        """8-bit pixels with the channels of the mode."""
        return DECODED[policy.mode]

    def decode(
        self,
        data: bytes,
        policy: DecodePolicy,
        limits: DecodeLimits,
        *,
        hint: ArrayType | None = None,
        facts: dict[str, Any] | None = None,
    ) -> Pixels:
        """A Pillow image by the policy; see `codecs.decode`. With ``draft`` JPEG files may be decoded smaller, never below the hint."""
        target = None
        if policy.draft and hint is not None and hint.shape[0] is not None and hint.shape[1] is not None:
            target = (hint.shape[1], hint.shape[0])
        return decode(data, policy=policy, limits=limits, target=target, facts=facts)

    def header(self, data: bytes, policy: DecodePolicy, limits: DecodeLimits) -> Mapping[str, Any]:
        """``width`` and ``height`` as the policy turns the image, Pillow's word for the ``mode`` of the file, its ``format``, its
        ``orientation`` (1 to 8, as EXIF numbers them), and what it states of its making (`codecs.stated`).
        """
        return read_facts(data, policy=policy, limits=limits)

    def whole(self, data: bytes) -> bool:
        """Whether the file is structured as one that ends where it ends."""
        return seems_whole(data)

    def held(self, content: Any, policy: DecodePolicy, limits: DecodeLimits, *, origin: str) -> Pixels:
        """A Pillow image of the policy's mode, within the limits."""
        return held(content, origin=origin, mode=policy.mode, max_pixels=limits.max_pixels)

    def accept(self, value: Any, policy: DecodePolicy, limits: DecodeLimits) -> Pixels:
        """A Pillow image or an array (h, w) or (h, w, c), by the policy: orientation, colour, 8 bits."""
        return accept(value, policy=policy, limits=limits)

    def plain(self, content: Pixels) -> Array:
        """A C-order array."""
        return as_array(content)

    def settle(self, content: Pixels, type: ArrayType) -> Array:
        """The array of the stored type. Where images have a channel axis a grey one gains it, where they have none it loses it."""
        array = as_array(content)
        if len(type.shape) == array.ndim + 1 and type.shape[-1] in (1, None):
            array = array.reshape((*array.shape, 1))
        elif len(type.shape) == 2 and array.ndim == 3 and array.shape[2] == 1:
            array = array.reshape(array.shape[:2])
        same = array.shape == type.shape or (
            array.ndim == len(type.shape) and all(w is None or w == n for w, n in zip(type.shape, array.shape, strict=True))
        )
        if not same or array.dtype != type.dtype:
            raise BadRecord("schema:image", f"the image is {array.dtype}{list(array.shape)}, Output declares {type}", stage="Output")
        return array

    def fits_header(self, data: bytes, policy: DecodePolicy, limits: DecodeLimits, type: ArrayType) -> None:
        """Height and width as the header states them."""
        width, height = read_header(data, policy=policy, limits=limits)
        if type.shape[0] not in (None, height) or type.shape[1] not in (None, width):
            raise BadRecord("schema:image", f"the image is {height} x {width}, Output declares {type}", stage="Output")

    def mismatch(self, content: Pixels, type: ArrayType) -> str:
        """Another number of channels: a statistic has one value a channel."""
        planes = 1 if len(type.shape) == 2 else type.shape[2]
        return "" if planes in (None, channels(content)) else f"the image has {channels(content)} channels"

    def proof(self, content: Array) -> rows.Pixels:
        """Dtype, shape and values."""
        from refinery_beam import rows

        return rows.Pixels(_word(content.dtype), content.shape, content.tobytes())

    def accumulator(self, type: ArrayType) -> Partial | None:
        """A histogram of 8-bit values: every statistic of them, and of what elementwise ops make of them, follows."""
        if type.dtype != "uint8":
            return None
        from refinery_beam.exact import ChannelHistogram

        return ChannelHistogram()

    def fingerprint(self, policy: DecodePolicy, limits: DecodeLimits) -> str:
        """What Pillow and its libraries do to a few small images: LittleCMS where profiles are converted, AVIF and JPEG 2000 where they are
        accepted, libheif where HEIC is; under ``damage: strict`` also what is refused.
        """
        from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint

        return codec_fingerprint(**_used(policy, limits))

    def codec_parts(self, policy: DecodePolicy, limits: DecodeLimits) -> Mapping[str, str]:
        """What `fingerprint` is the digest of: 16 hex digits for each format, filter and conversion."""
        from refinery_beam.plugins.image_classification.fingerprint import used_parts

        return used_parts(**_used(policy, limits))

    def self_test(self) -> Mapping[str, bool]:
        """Each part of the fingerprint, and whether this machine can do it at all."""
        from refinery_beam.plugins.image_classification.fingerprint import ABSENT, codec_parts

        return {name: part != ABSENT for name, part in codec_parts().items()}

    def remarks(self, tally: Mapping[str, Noted]) -> list[tuple[str, str]]:
        """The notes of `codecs.decode`."""
        return remarks(tally)

    def codecs(self) -> Mapping[str, str]:
        """Pillow's libraries."""
        from PIL import features

        found = {name: features.version_codec(name) or "" for name in ("jpg", "zlib", "jpg_2000", "libtiff") if features.check_codec(name)}
        if features.check_module("littlecms2"):
            found["littlecms2"] = features.version_module("littlecms2") or ""
        if features.check_module("webp"):
            found["webp"] = features.version_module("webp") or ""
        if features.check_feature("libjpeg_turbo"):
            found["libjpeg_turbo"] = features.version_feature("libjpeg_turbo") or ""
        return found


@cache
def _word(dtype: Any) -> str:
    """NumPy's word for a dtype. It makes it anew each time, of a dozen parts."""
    return str(dtype)


def _used(policy: DecodePolicy, limits: DecodeLimits) -> dict[str, Any]:
    """Which codecs a recipe with this policy and these limits can meet."""
    unused = [f"decode-{name}" for name in ("avif", "jpeg2000") if name not in limits.formats]
    unused += ["convert-icc"] if policy.icc == "ignore" else []
    return {"strict": policy.damage == "strict", "heic": "heic" in limits.formats, "unused": unused}
