"""Pixels as decoded to the colour mode of a policy; the table is in `codecs.decode`."""

from __future__ import annotations

from PIL import Image

from refinery_beam.plugins.image_classification.codecs.depth import SIXTEEN, check_range, eight_bits
from refinery_beam.plugins.image_classification.codecs.icc import converted
from refinery_beam.plugins.image_classification.codecs.words import words_of
from refinery_beam.plugins.image_classification.policy import DecodePolicy
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.notes import note


def coloured(image: Image.Image, policy: DecodePolicy) -> Image.Image:
    """The image in the mode that the policy names. Raises BadRecord ``unsupported_mode``."""
    want = policy.mode
    if policy.icc == "convert" and isinstance(profile := image.info.get("icc_profile"), bytes) and profile:
        image = _in_srgb(image, profile, policy)
    mode = image.mode
    if mode == want and (mode == "RGBA" or "transparency" not in image.info):
        return image
    if want == "keep":
        return _kept(image, policy.bits)
    if mode in SIXTEEN:
        image = eight_bits(image, policy.bits)
    elif mode == "LAB":
        image = _from_lab(image)
    elif mode in ("CMYK", "YCbCr", "HSV"):
        image = image.convert("RGB")
    elif mode == "1" or mode == "P" or mode == "PA" or "transparency" in image.info:
        image = _expanded(image, alpha=want == "RGBA" or policy.alpha != "drop")
    if image.mode in ("LA", "RGBA") and want != "RGBA":
        image = _flattened(image, policy.alpha)
    return image if image.mode == want else image.convert(want)


def _in_srgb(image: Image.Image, profile: bytes, policy: DecodePolicy) -> Image.Image:
    """The image by its ICC profile; samples of 16 bits that are kept stay as they are."""
    keep = policy.mode == "keep"
    if image.mode in SIXTEEN:
        if keep:
            note("profile_ignored")
            return image
        image = eight_bits(image, policy.bits)
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:
        image = _expanded(image, alpha=image.mode != "1" and (keep or policy.mode == "RGBA" or policy.alpha != "drop"))
    elif image.mode in ("YCbCr", "HSV"):
        image = image.convert("RGB")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return image
    return converted(image, profile)


def _kept(image: Image.Image, bits: int | None) -> Image.Image:
    mode = image.mode
    if mode in ("P", "PA", "1"):
        return _expanded(image, alpha=mode != "1")
    if mode in ("CMYK", "YCbCr", "HSV"):
        return image.convert("RGB")
    if mode == "LAB":
        return _from_lab(image)
    if mode in SIXTEEN:
        check_range(image, bits)
    if mode in SIXTEEN - {"I", "I;16"}:
        return Image.frombytes("I;16", image.size, image.tobytes(), "raw", mode)
    return image


def _expanded(image: Image.Image, *, alpha: bool) -> Image.Image:
    """Palette, 1-bit and colour-keyed images as L, RGB or, if `alpha` and they have any transparency, RGBA."""
    if alpha and image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB"):
        return image
    image = image.copy()
    image.info = {}
    return image.convert("L" if image.mode == "1" else "RGB")


def _flattened(image: Image.Image, alpha: str) -> Image.Image:
    plain = image.mode[:-1]
    if alpha == "drop":
        return image.convert("RGB") if plain == "RGB" else image.getchannel("L")
    level = 255 if alpha == "white" else 0
    ground = Image.new(plain, image.size, level if plain == "L" else (level, level, level))
    ground.paste(image if plain == "RGB" else image.getchannel("L"), (0, 0), image.getchannel("A"))
    return ground


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    try:
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        done = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    except Exception as error:
        raise BadRecord("unsupported_mode", f"LAB colours need LittleCMS: {words_of(error)}") from error
    assert done is not None
    return done
