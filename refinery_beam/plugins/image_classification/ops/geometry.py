"""Ops that change the size of an image: resize, center_crop, pad. Sizes are computed in integers, so all platforms round them
alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image
from pydantic import Field, model_validator

from refinery_beam.plugins.image_classification.ops.sizes import (
    FILL_WORDS,
    SIZE_WORDS,
    Fill,
    Margin,
    Size,
    check_fill,
    height_width,
    resized,
    wants_image,
    wants_uint8_or_float,
)
from refinery_beam.plugins.image_classification.pixels import BYTE_MODES, Pixels, as_array, channels, size_of, through_pillow
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import ArrayType, OpSpec, OpTypeError, Params

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Resize method words and Pillow's filters."""


class ResizeParams(Params):
    """Parameters of resize."""

    size: Size = Field(description=SIZE_WORDS)
    method: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = Field(
        default="bilinear", description="Pillow's resampling filter of that name; all but nearest average over the area when shrinking."
    )
    mode: Literal["stretch", "fit", "cover", "pad"] = Field(
        default="stretch",
        description=(
            "stretch: exactly the size, aspect not kept. fit: as large as fits inside the size, aspect kept, so shapes vary. "
            "cover: the largest centred part of the size's aspect, then exactly the size. pad: fit, then centred on a ground of `fill`."
        ),
    )
    fill: Fill = Field(default=0.0, description=FILL_WORDS + " Used by mode pad.")


class CenterCropParams(Params):
    """Parameters of center_crop."""

    size: Size = Field(description=SIZE_WORDS)


class PadParams(Params):
    """Parameters of pad."""

    size: Size | None = Field(default=None, description=SIZE_WORDS + " The image lies in its centre. Either this or `padding`.")
    padding: Margin | tuple[Margin, Margin] | tuple[Margin, Margin, Margin, Margin] | None = Field(
        default=None,
        description="Pixels added: one number for every side, [above and below, left and right], or [above, below, left, right].",
    )
    fill: Fill = Field(default=0.0, description=FILL_WORDS + " Used by mode constant.")
    mode: Literal["constant", "reflect", "edge"] = Field(
        default="constant", description="constant: `fill`. reflect: mirrored about the outermost pixel. edge: the outermost pixel repeated."
    )

    @model_validator(mode="after")
    def _one_of(self) -> PadParams:
        if (self.size is None) == (self.padding is None):
            raise ValueError("pad takes exactly one of size and padding")
        return self


class Resize:
    """Pillow's resize, without its reducing_gap shortcut.

    Rounding: `fit` and `pad` scale the other side to the nearest whole pixel, halves up, at least 1. `cover` resamples straight from
    the centred part of the source (a box with fractions of pixels), as ``PIL.ImageOps.fit`` does. `pad` puts the odd pixel below and
    right. RGBA and LA images are weighted by their alpha while resampling (Pillow's rule). Float images go through Pillow's 32-bit mode
    F, channel by channel, and keep their dtype. An image that has the size already is returned unchanged.
    """

    spec = OpSpec(
        name="resize",
        section="Transformations",
        version=1,
        params=ResizeParams,
        summary="Bring every image to a size.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: ResizeParams) -> ArrayType:
        """Fixed height and width, except for mode fit."""
        wants_uint8_or_float(before, "resize")
        height, width = height_width(params.size)
        if params.mode == "fit":
            if before.shape[0] is None or before.shape[1] is None:
                return resized(before, None, None)
            return resized(before, *fitted_size(before.shape[0], before.shape[1], height, width))
        if params.mode == "pad":
            check_fill(params.fill, before, "resize")
        return resized(before, height, width)

    def apply(self, pixels: Pixels, params: ResizeParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """The resized image, in the form it came."""
        height, width = height_width(params.size)
        have_height, have_width = size_of(pixels)
        box = None
        if params.mode in ("fit", "pad"):
            new = fitted_size(have_height, have_width, height, width)
        else:
            new = (height, width)
            if params.mode == "cover":
                box = covered_box(have_height, have_width, height, width)
        done = pixels
        if (have_height, have_width) != new:
            method, size = FILTERS[params.method], (new[1], new[0])
            done = through_pillow(pixels, lambda image: image.resize(size, method, box))
        if params.mode != "pad" or new == (height, width):
            return done
        top, left = (height - new[0]) // 2, (width - new[1]) // 2
        return padded(done, (top, height - new[0] - top, left, width - new[1] - left), params.fill)


class CenterCrop:
    """The middle of the image: rows from (h - height) // 2, columns from (w - width) // 2. Smaller ones raise BadRecord ``wrong_size``."""

    spec = OpSpec(
        name="center_crop",
        section="Transformations",
        version=1,
        params=CenterCropParams,
        summary="Keep the middle of every image.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: CenterCropParams) -> ArrayType:
        """The size of the crop."""
        wants_image(before, "center_crop")
        height, width = height_width(params.size)
        if (before.shape[0] or height) < height or (before.shape[1] or width) < width:
            raise OpTypeError(f"center_crop to {height} x {width} needs images at least as large; {before} is smaller. Resize or pad first")
        return resized(before, height, width)

    def apply(self, pixels: Pixels, params: CenterCropParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """The cropped image, in the form it came."""
        height, width = height_width(params.size)
        have_height, have_width = size_of(pixels)
        if have_height < height or have_width < width:
            raise BadRecord("wrong_size", f"center_crop to {height} x {width}: the image is {have_height} x {have_width}, smaller")
        top, left = (have_height - height) // 2, (have_width - width) // 2
        if isinstance(pixels, Image.Image):
            return pixels.crop((left, top, left + width, top + height))
        return as_array(pixels[top : top + height, left : left + width])


class Pad:
    """New pixels around the image. With `size` the odd pixel goes below and right; images larger than that raise BadRecord
    ``wrong_size``.
    """

    spec = OpSpec(
        name="pad",
        section="Transformations",
        version=1,
        params=PadParams,
        summary="Add pixels around every image.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: PadParams) -> ArrayType:
        """The size with the new pixels."""
        wants_image(before, "pad")
        if params.mode == "constant":
            check_fill(params.fill, before, "pad")
        height, width = before.shape[:2]
        if params.padding is not None:
            top, bottom, left, right = margins(params.padding)
            return resized(before, None if height is None else height + top + bottom, None if width is None else width + left + right)
        assert params.size is not None
        want_height, want_width = height_width(params.size)
        if (height or 0) > want_height or (width or 0) > want_width:
            raise OpTypeError(f"pad to {want_height} x {want_width} takes no larger images; {before} is larger. Resize or crop first")
        return resized(before, want_height, want_width)

    def apply(self, pixels: Pixels, params: PadParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """The padded image."""
        if params.padding is not None:
            around = margins(params.padding)
        else:
            assert params.size is not None
            height, width = height_width(params.size)
            have_height, have_width = size_of(pixels)
            if have_height > height or have_width > width:
                raise BadRecord("wrong_size", f"pad to {height} x {width}: the image is {have_height} x {have_width}, larger")
            top, left = (height - have_height) // 2, (width - have_width) // 2
            around = (top, height - have_height - top, left, width - have_width - left)
        if params.mode == "constant":
            return padded(pixels, around, params.fill)
        import numpy as np

        array = as_array(pixels)
        top, bottom, left, right = around
        rows_columns = ((top, bottom), (left, right), (0, 0))[: array.ndim]
        grown: Pixels = np.pad(array, rows_columns, mode=params.mode)
        return grown


def fitted_size(height: int, width: int, want_height: int, want_width: int) -> tuple[int, int]:
    """The largest (height, width) of the same aspect inside the wanted one: the other side to the nearest pixel, halves up, at least 1.

    >>> fitted_size(375, 500, 224, 224), fitted_size(1, 1000, 10, 10)
    ((168, 224), (1, 10))
    """
    if width * want_height <= height * want_width:
        return want_height, max(1, (2 * width * want_height + height) // (2 * height))
    return max(1, (2 * height * want_width + width) // (2 * width)), want_width


def covered_box(height: int, width: int, want_height: int, want_width: int) -> tuple[float, float, float, float] | None:
    """The largest centred part of the wanted aspect, (left, top, right, bottom) in source pixels; None if that is the whole image.

    >>> covered_box(100, 200, 50, 50)
    (50.0, 0.0, 150.0, 100.0)
    """
    if width * want_height == height * want_width:
        return None
    if width * want_height > height * want_width:
        part_width, part_height = (want_width / want_height) * height, float(height)
    else:
        part_width, part_height = float(width), width / (want_width / want_height)
    left, top = (width - part_width) * 0.5, (height - part_height) * 0.5
    return left, top, left + part_width, top + part_height


def margins(padding: int | tuple[int, ...]) -> tuple[int, int, int, int]:
    """(above, below, left, right) of a padding parameter.

    >>> margins(1), margins((1, 2)), margins((1, 2, 3, 4))
    ((1, 1, 1, 1), (1, 1, 2, 2), (1, 2, 3, 4))
    """
    if isinstance(padding, int):
        return (padding, padding, padding, padding)
    if len(padding) == 2:
        return (padding[0], padding[0], padding[1], padding[1])
    return (padding[0], padding[1], padding[2], padding[3])


def padded(pixels: Pixels, around: tuple[int, int, int, int], fill: float | Sequence[float]) -> Pixels:
    """The image on a ground of `fill`, with (above, below, left, right) new pixels. Raises BadRecord if the fill has another number of
    channels.
    """
    top, bottom, left, right = around
    planes = channels(pixels)
    values = list(fill) if isinstance(fill, Sequence) else [fill]
    if len(values) not in (1, planes):
        raise BadRecord("wrong_size", f"a fill of {len(values)} values for an image of {planes} channels")
    values = values * planes if len(values) == 1 else values
    height, width = size_of(pixels)
    if isinstance(pixels, Image.Image) and pixels.mode in BYTE_MODES:
        colour = tuple(int(v) for v in values)
        ground = Image.new(pixels.mode, (left + width + right, top + height + bottom), colour if planes > 1 else colour[0])
        ground.paste(pixels, (left, top))
        return ground
    import numpy as np

    array = as_array(pixels)
    canvas = np.empty((top + height + bottom, left + width + right, *array.shape[2:]), array.dtype)
    canvas[...] = np.asarray(values if array.ndim == 3 else values[0]).astype(array.dtype)
    canvas[top : top + height, left : left + width] = array
    return canvas
