"""Random changes of train images: flips, crops, rotations, colours, erased boxes, blur.

Every op draws numbers first and applies them then. They are whole numbers and doubles that JSON keeps exactly, so an image can be made
again from them. All take 8-bit images; flips and crops take any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from PIL import Image, ImageEnhance
from pydantic import AfterValidator, Field

from refinery_beam.plugins.image_classification.ops.sizes import (
    FILL_WORDS,
    SIZE_WORDS,
    Fill,
    Margin,
    Number,
    Size,
    check_fill,
    height_width,
    known_channels,
    resized,
    wants_image,
)
from refinery_beam.plugins.image_classification.pixels import Pixels, as_array, as_image, channels, is_bytes
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import ArrayType, OpSpec, OpTypeError, Params

if TYPE_CHECKING:
    from refinery_beam.identity import Stream

Share: TypeAlias = Annotated[Number, Field(ge=0, le=1)]
TRIES = 10
"""How often random_erasing draws a box until one fits."""


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range rises: {value[0]:g} is above {value[1]:g}")
    return value


class FlipParams(Params):
    """Parameters of horizontal_flip and vertical_flip."""

    p: Share = Field(default=0.5, description="The chance that an image is mirrored.")


class RandomCropParams(Params):
    """Parameters of random_crop."""

    size: Size = Field(description=SIZE_WORDS)
    padding: Margin = Field(default=0, description="Pixels added on every side before cropping.")
    padding_mode: Literal["reflect", "replicate", "zero", "constant"] = Field(
        default="reflect",
        description="reflect: mirrored about the outermost pixel. replicate: the outermost pixel repeated. zero, constant: black.",
    )


class ColorJitterParams(Params):
    """Parameters of color_jitter."""

    brightness: Share = Field(default=0.0, description="The factor of the brightness is drawn from 1 - b to 1 + b; 0 leaves it.")
    contrast: Share = Field(default=0.0, description="Likewise for the distance to the mean grey.")
    saturation: Share = Field(default=0.0, description="Likewise for the distance to the pixel's grey. Grey images are left.")
    hue: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="The hue is turned by a share of the circle drawn from -h to h. Grey images are left."
    )


class RandomErasingParams(Params):
    """Parameters of random_erasing."""

    p: Share = Field(default=0.5, description="The chance that a box is erased.")
    scale: Annotated[tuple[Annotated[Number, Field(gt=0, le=1)], Annotated[Number, Field(gt=0, le=1)]], AfterValidator(_rising)] = Field(
        default=(0.02, 0.33), description="The box's share of the image, from and to."
    )
    ratio: Annotated[tuple[Annotated[Number, Field(gt=0)], Annotated[Number, Field(gt=0)]], AfterValidator(_rising)] = Field(
        default=(0.3, 3.3), description="Height over width of the box, from and to; drawn evenly in its logarithm."
    )


class RotateParams(Params):
    """Parameters of rotate."""

    degrees: Annotated[Number, Field(ge=0, le=180)] = Field(description="The angle is drawn from -degrees to degrees, counter-clockwise.")
    fill: Fill = Field(default=0.0, description=FILL_WORDS)


class GaussianBlurParams(Params):
    """Parameters of gaussian_blur."""

    sigma: Annotated[tuple[Annotated[Number, Field(gt=0, le=100)], Annotated[Number, Field(gt=0, le=100)]], AfterValidator(_rising)] = (
        Field(default=(0.1, 2.0), description="The width of the blur in pixels, from and to.")
    )
    p: Share = Field(default=1.0, description="The chance that an image is blurred.")


class _Flip:
    spec: OpSpec
    axis: int

    def infer(self, before: ArrayType, params: FlipParams) -> ArrayType:
        """The type of the input."""
        wants_image(before, self.spec.name)
        return before

    def draw(self, stream: Stream, params: FlipParams, before: ArrayType) -> dict[str, Any]:
        """{"flip": whether}."""
        return {"flip": stream.uniform() < params.p}

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: FlipParams) -> Pixels:
        """The image, mirrored or not."""
        import numpy as np

        return as_array(np.flip(as_array(pixels), self.axis)) if sampled["flip"] else pixels


class HorizontalFlip(_Flip):
    """Left becomes right, with chance `p`."""

    spec = OpSpec(
        name="horizontal_flip", section="Augmentations", version=1, params=FlipParams, summary="Mirror left and right.", pixel_altering=True
    )
    axis = 1


class VerticalFlip(_Flip):
    """Above becomes below, with chance `p`."""

    spec = OpSpec(
        name="vertical_flip", section="Augmentations", version=1, params=FlipParams, summary="Mirror above and below.", pixel_altering=True
    )
    axis = 0


class RandomCrop:
    """A window of `size` at an evenly drawn position, after `padding`. Images smaller than that raise BadRecord ``wrong_size``."""

    spec = OpSpec(
        name="random_crop",
        section="Augmentations",
        version=1,
        params=RandomCropParams,
        summary="Keep a window at a random place.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: RandomCropParams) -> ArrayType:
        """The size of the crop."""
        wants_image(before, "random_crop")
        height, width = height_width(params.size)
        extra = 2 * params.padding
        if (before.shape[0] or height) + extra < height or (before.shape[1] or width) + extra < width:
            raise OpTypeError(f"random_crop to {height} x {width} needs images at least as large, padding included; {before} is smaller")
        return resized(before, height, width)

    def draw(self, stream: Stream, params: RandomCropParams, before: ArrayType) -> dict[str, Any]:
        """{"top": row, "left": column}, in the padded image."""
        height, width = height_width(params.size)
        have = [int(n or 0) + 2 * params.padding for n in before.shape[:2]]
        if have[0] < height or have[1] < width:
            raise BadRecord(
                "wrong_size", f"random_crop to {height} x {width}: the image is {have[0]} x {have[1]} with its padding, smaller"
            )
        return {"top": stream.integer(have[0] - height + 1), "left": stream.integer(have[1] - width + 1)}

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: RandomCropParams) -> Pixels:
        """The window."""
        import numpy as np

        array = as_array(pixels)
        height, width = height_width(params.size)
        if params.padding:
            mode: Any = {"reflect": "reflect", "replicate": "edge", "zero": "constant", "constant": "constant"}[params.padding_mode]
            array = np.pad(array, [(params.padding,) * 2, (params.padding,) * 2, *[(0, 0)] * (array.ndim - 2)], mode=mode)
        top, left = sampled["top"], sampled["left"]
        return as_array(array[top : top + height, left : left + width])


class ColorJitter:
    """Brightness, contrast, saturation (Pillow's ImageEnhance), then hue (a turn in whole steps of 1/256), each if it is above 0."""

    spec = OpSpec(
        name="color_jitter",
        section="Augmentations",
        version=1,
        params=ColorJitterParams,
        summary="Change brightness, contrast, saturation and hue a little.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: ColorJitterParams) -> ArrayType:
        """The type of the input."""
        return _coloured(before, "color_jitter")

    def draw(self, stream: Stream, params: ColorJitterParams, before: ArrayType) -> dict[str, Any]:
        """The drawn factors {"brightness", "contrast", "saturation"} and {"hue": steps of 1/256}; only what is above 0 draws."""
        found: dict[str, Any] = {}
        for name in ("brightness", "contrast", "saturation"):
            if (most := getattr(params, name)) > 0:
                found[name] = 1.0 + stream.uniform(-most, most)
        if params.hue > 0:
            found["hue"] = round(stream.uniform(-params.hue, params.hue) * 256)
        return found

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: ColorJitterParams) -> Pixels:
        """The image in its new colours."""
        shape = None if isinstance(pixels, Image.Image) else pixels.shape
        image = _bytes_of(pixels, "color_jitter")
        if "brightness" in sampled:
            image = ImageEnhance.Brightness(image).enhance(sampled["brightness"])
        if "contrast" in sampled:
            image = ImageEnhance.Contrast(image).enhance(sampled["contrast"])
        if image.mode == "RGB":
            if "saturation" in sampled:
                image = ImageEnhance.Color(image).enhance(sampled["saturation"])
            if sampled.get("hue"):
                hue, saturation, value = image.convert("HSV").split()
                turned = hue.point([(i + sampled["hue"]) % 256 for i in range(256)])
                image = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
        return image if shape is None else as_array(image).reshape(shape)


class RandomErasing:
    """With chance `p` a box is filled with the image's mean colour (rounded half up). A box that does not fit is drawn again, ten times
    at most.
    """

    spec = OpSpec(
        name="random_erasing",
        section="Augmentations",
        version=1,
        params=RandomErasingParams,
        summary="Fill a random box with the mean colour.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: RandomErasingParams) -> ArrayType:
        """The type of the input."""
        return _byte_type(before, "random_erasing")

    def draw(self, stream: Stream, params: RandomErasingParams, before: ArrayType) -> dict[str, Any]:
        """{"box": [top, left, height, width]}, or {"box": null}."""
        from refinery_beam.randoms import exponential, logarithm

        nothing: dict[str, Any] = {"box": None}
        if stream.uniform() >= params.p:
            return nothing
        height, width = int(before.shape[0] or 0), int(before.shape[1] or 0)
        low, high = logarithm(params.ratio[0]), logarithm(params.ratio[1])
        for _ in range(TRIES):
            area = stream.uniform(*params.scale) * height * width
            aspect = exponential(stream.uniform(low, high))
            tall, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < tall < height and 0 < wide < width:
                return {"box": [stream.integer(height - tall + 1), stream.integer(width - wide + 1), tall, wide]}
        return nothing

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: RandomErasingParams) -> Pixels:
        """The image with the box filled."""
        import numpy as np

        if sampled["box"] is None:
            return pixels
        top, left, tall, wide = sampled["box"]
        array = as_array(pixels).copy()
        count = array.shape[0] * array.shape[1]
        sums = array.sum(axis=(0, 1), dtype=np.int64)
        array[top : top + tall, left : left + wide] = ((2 * sums + count) // (2 * count)).astype(np.uint8)
        return array


class Rotate:
    """Turned about the centre by a drawn angle, linear between pixels; corners that come into view have the colour `fill`."""

    spec = OpSpec(
        name="rotate",
        section="Augmentations",
        version=1,
        params=RotateParams,
        summary="Turn by a random angle.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: RotateParams) -> ArrayType:
        """The type of the input."""
        check_fill(params.fill, before, "rotate")
        return _byte_type(before, "rotate")

    def draw(self, stream: Stream, params: RotateParams, before: ArrayType) -> dict[str, Any]:
        """{"degrees": angle}."""
        return {"degrees": stream.uniform(-params.degrees, params.degrees)}

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: RotateParams) -> Pixels:
        """The turned image."""
        shape = None if isinstance(pixels, Image.Image) else pixels.shape
        image = _bytes_of(pixels, "rotate")
        fill = [int(v) for v in params.fill] if isinstance(params.fill, tuple) else [int(params.fill)]
        fill = fill * channels(image) if len(fill) == 1 else fill
        colour: Any = fill[0] if channels(image) == 1 else tuple(fill)
        turned = image.rotate(sampled["degrees"], Image.Resampling.BILINEAR, fillcolor=colour)
        return turned if shape is None else as_array(turned).reshape(shape)


class GaussianBlur:
    """With chance `p` a Gaussian of a drawn width, cut at four widths; values are rounded half up."""

    spec = OpSpec(
        name="gaussian_blur",
        section="Augmentations",
        version=1,
        params=GaussianBlurParams,
        summary="Blur by a random width.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: GaussianBlurParams) -> ArrayType:
        """The type of the input."""
        return _byte_type(before, "gaussian_blur")

    def draw(self, stream: Stream, params: GaussianBlurParams, before: ArrayType) -> dict[str, Any]:
        """{"sigma": width}, or {"sigma": null}."""
        return {"sigma": stream.uniform(*params.sigma) if stream.uniform() < params.p else None}

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: GaussianBlurParams) -> Pixels:
        """The blurred image."""
        import numpy as np

        from refinery_beam.plugins.image_classification.ops.sampling import gaussian

        if sampled["sigma"] is None:
            return pixels
        array = as_array(pixels)
        values = gaussian(array.reshape(*array.shape[:2], -1).astype(np.float64), sampled["sigma"])
        return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8).reshape(array.shape)


def _byte_type(before: ArrayType, op: str) -> ArrayType:
    wants_image(before, op)
    if before.dtype != "uint8":
        raise OpTypeError(f"{op} takes uint8 images, not {before}")
    return before


def _coloured(before: ArrayType, op: str) -> ArrayType:
    _byte_type(before, op)
    if known_channels(before) not in (1, 3, None):
        raise OpTypeError(f"{op} takes images of one or three channels, not {before}")
    return before


def _bytes_of(pixels: Pixels, op: str) -> Image.Image:
    if not is_bytes(pixels) or channels(pixels) > 4:
        raise BadRecord("unsupported_mode", f"{op} takes 8-bit images of at most four channels")
    return as_image(pixels)
