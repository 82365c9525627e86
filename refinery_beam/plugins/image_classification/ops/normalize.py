"""Ops that change how values are represented: cast, normalize, mean_subtract. All are elementwise and can be left to readers
(deferred).

An elementwise op on uint8 is a table of 256 values a channel. Looking values up gives the same bits as computing them, since each
output depends on one input value; it is only faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from refinery_beam.plugins.image_classification.ops.sizes import Number, known_channels, wants_image
from refinery_beam.plugins.image_classification.pixels import Pixels, as_array, channels
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import ArrayType, OpSpec, OpTypeError, Params

if TYPE_CHECKING:
    import numpy as np

    from refinery_beam.exact import Partial

    Array: TypeAlias = np.ndarray[Any, Any]

PerChannel: TypeAlias = Number | Annotated[tuple[Number, ...], Field(min_length=1)]

_DTYPES = Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]


# Of RGB in 0..1 these are 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225, as torchvision publishes them; here they are 255 times that,
# computed in decimals and rounded once.
_PRESETS: dict[str, dict[str, tuple[float, float, float]]] = {
    "imagenet": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
}


class CastParams(Params):
    """Parameters of cast."""

    dtype: _DTYPES = Field(description="The NumPy dtype of the result.")
    scale: Number = Field(default=1.0, description="What every value is multiplied by, in float64, before it is rounded to the dtype.")


class NormalizeParams(Params):
    """Parameters of normalize."""

    mean: PerChannel | None = Field(
        default=None, description="What is subtracted, one number or one a channel; with `std`. Left out: fitted."
    )
    std: PerChannel | None = Field(
        default=None, description="What is divided by, one number or one a channel; 0 counts as 1. Left out: fitted."
    )

    preset: Literal["imagenet"] | None = Field(
        default=None,
        description="Published constants instead of `mean` and `std`: those of ImageNet, of uint8 RGB pixels (255 times 0.485 ...).",
    )

    later = frozenset({"preset"})

    @field_validator("std")
    @classmethod
    def _not_negative(cls, value: Any) -> Any:
        if any(v < 0 for v in _listed(value or ())):
            raise ValueError("std is never negative")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> NormalizeParams:
        if (self.mean is None) != (self.std is None):
            raise ValueError("normalize takes both mean and std, or neither to fit them")
        if self.preset is not None and self.mean is not None:
            raise ValueError("normalize takes a preset, or mean and std")
        if isinstance(self.mean, tuple) and isinstance(self.std, tuple) and len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} values and std {len(self.std)}")
        return self


class MeanSubtractParams(Params):
    """Parameters of mean_subtract."""

    mean: PerChannel | None = Field(default=None, description="What is subtracted, one number or one a channel. Left out: fitted.")


class Cast:
    """value * scale in float64, then to the dtype without wrapping.

    Integers: rounded half to even, limited to the dtype's least and greatest value, NaN becomes 0. Floats: rounded half to even; finite
    values beyond the dtype's range become its greatest finite value. Integers to integers with scale 1 never pass through floats.
    """

    spec = OpSpec(
        name="cast",
        section="Transformations",
        version=1,
        params=CastParams,
        summary="Change the dtype, optionally scaling first.",
        deferrable=True,
        elementwise=True,
        pixel_altering=True,
        dtype_altering=True,
    )

    def infer(self, before: ArrayType, params: CastParams) -> ArrayType:
        """The same shape in the dtype."""
        wants_image(before, "cast")
        return ArrayType(params.dtype, before.shape)

    def apply(self, pixels: Pixels, params: CastParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """An array of the dtype."""
        array = as_array(pixels)
        if str(array.dtype) == "uint8":
            return looked_up(array, lambda byte_values: cast_array(byte_values, params.dtype, params.scale))
        return cast_array(array, params.dtype, params.scale)


class Normalize:
    """(x - mean) / std for each channel in float64, rounded once to the output dtype. A std of 0 counts as 1.

    Fitted on the values as they arrive, over all pixels of all records: the exact mean and the exact population standard deviation,
    each rounded once to a double.
    """

    spec = OpSpec(
        name="normalize",
        section="Transformations",
        version=1,
        params=NormalizeParams,
        summary="Subtract the mean and divide by the standard deviation of each channel.",
        fitted=True,
        deferrable=True,
        elementwise=True,
        pixel_altering=True,
        dtype_altering=True,
    )

    def infer(self, before: ArrayType, params: NormalizeParams) -> ArrayType:
        """float32 of the same shape; `apply` obeys another float dtype of its `out`."""
        _check_channels(before, "normalize", params.mean, params.std)
        if params.preset is not None and (before.dtype != "uint8" or known_channels(before) not in (3, None)):
            raise OpTypeError(
                f"preset: {params.preset} is for uint8 pixels of three channels",
                remedy="put normalize where pixels are uint8 RGB, or write mean and std",
            )
        _check_range(before, "normalize", params.mean, params.std)
        return ArrayType("float32", before.shape)

    def apply(self, pixels: Pixels, params: NormalizeParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """An array of ``out.dtype``. ``fitted`` holds mean and std, lists of one number or one a channel; pinned ones are used without
        it.
        """
        found = fitted if fitted is not None else self.pinned(params)
        if found is None:
            raise ValueError("normalize has neither fitted statistics nor mean and std")
        return shifted(pixels, found["mean"], [v or 1.0 for v in found["std"]], out.dtype)

    def partial(self, before: ArrayType, params: NormalizeParams) -> Partial:
        """An empty accumulator: histograms of uint8 images, exact moments of others."""
        return empty_partial(before)

    def fit(self, merged: Partial, params: NormalizeParams) -> dict[str, Any]:
        """{"channels": [{count, sum, sum_squares, min, max}], "mean": [...], "std": [...]}."""
        return fit_moments(merged)

    def pinned(self, params: NormalizeParams) -> dict[str, Any] | None:
        """Statistics stated in the recipe, in the form of `fit`, without channels; None if they are to be fitted."""
        if params.preset is not None:
            return {"channels": [], **{name: list(values) for name, values in _PRESETS[params.preset].items()}}
        if params.mean is None or params.std is None:
            return None
        return {"channels": [], "mean": _listed(params.mean), "std": _listed(params.std)}


class MeanSubtract:
    """x - mean for each channel in float64, rounded once to the output dtype. Fitted like normalize."""

    spec = OpSpec(
        name="mean_subtract",
        section="Transformations",
        version=1,
        params=MeanSubtractParams,
        summary="Subtract the mean of each channel.",
        fitted=True,
        deferrable=True,
        elementwise=True,
        pixel_altering=True,
        dtype_altering=True,
    )

    def infer(self, before: ArrayType, params: MeanSubtractParams) -> ArrayType:
        """float32 of the same shape; `apply` obeys another float dtype of its `out`."""
        _check_channels(before, "mean_subtract", params.mean)
        _check_range(before, "mean_subtract", params.mean, None)
        return ArrayType("float32", before.shape)

    def apply(self, pixels: Pixels, params: MeanSubtractParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """An array of ``out.dtype``. ``fitted`` holds mean, a list of one number or one a channel."""
        found = fitted if fitted is not None else self.pinned(params)
        if found is None:
            raise ValueError("mean_subtract has neither a fitted nor a stated mean")
        return shifted(pixels, found["mean"], None, out.dtype)

    def partial(self, before: ArrayType, params: MeanSubtractParams) -> Partial:
        """An empty accumulator: histograms of uint8 images, exact moments of others."""
        return empty_partial(before)

    def fit(self, merged: Partial, params: MeanSubtractParams) -> dict[str, Any]:
        """The same statistics as normalize's; only the mean is used."""
        return fit_moments(merged)

    def pinned(self, params: MeanSubtractParams) -> dict[str, Any] | None:
        """The mean stated in the recipe; None if it is to be fitted."""
        return None if params.mean is None else {"channels": [], "mean": _listed(params.mean)}


def empty_partial(before: ArrayType) -> Partial:
    """The accumulator for values of a dtype."""
    from refinery_beam.exact import ChannelHistogram, FloatMoments

    return ChannelHistogram() if before.dtype == "uint8" else FloatMoments()


def fit_moments(merged: Partial) -> dict[str, Any]:
    """Exact sums and the doubles derived from them. Raises ExactError for no values, and for NaN or infinite ones."""
    sums = merged.channels()
    return {"channels": [c.to_dict() for c in sums], "mean": [c.mean() for c in sums], "std": [c.std() for c in sums]}


def shifted(pixels: Pixels, mean: Sequence[float], std: Sequence[float] | None, dtype: str) -> Array:
    """(x - mean) / std in float64, then one rounding to `dtype`. Raises BadRecord if the image has another number of channels."""
    import numpy as np

    array = as_array(pixels)
    planes = channels(array)
    for values in (mean, std or mean):
        if len(values) not in (1, planes):
            raise BadRecord("wrong_size", f"an image of {planes} channels, statistics of {len(values)}")

    def compute(values: Array) -> Array:
        # Values beyond a narrow dtype become infinite, which the schema checks name; a warning on stderr names nothing.
        with np.errstate(over="ignore", invalid="ignore"):
            moved = values.astype(np.float64) - np.asarray(mean, np.float64)
            if std is not None:
                moved /= np.asarray(std, np.float64)
            return moved.astype(dtype, copy=False)

    if str(array.dtype) == "uint8":
        return looked_up(array, compute)
    return compute(array)


def looked_up(array: Array, compute: Callable[[Array], Array]) -> Array:
    """`compute` of a uint8 image, by computing the 256 byte values of each channel once; `compute` must be elementwise over a last axis of
    channels.
    """
    import numpy as np

    planes = channels(array)
    ramp = np.arange(256, dtype=np.uint8)
    if array.ndim == 2:
        return np.take(compute(ramp[:, None])[:, 0], array)
    table = compute(np.repeat(ramp[:, None], planes, axis=1))
    if planes == 1 or bool((table == table[:, :1]).all()):
        return np.take(np.ascontiguousarray(table[:, 0]), array)
    # One flat table: the index of value v in channel i is v * planes + i.
    index = array.astype(np.intp)
    index *= planes
    index += np.arange(planes)
    return np.take(table.reshape(-1), index)


def cast_array(array: Array, dtype: str, scale: float) -> Array:
    """The saturating cast that `Cast` describes."""
    import numpy as np

    target = np.dtype(dtype)
    if target.kind != "f" and array.dtype.kind in "iu" and scale == 1.0:
        limits = np.iinfo(target)
        have = np.iinfo(array.dtype)
        held = np.clip(array, max(limits.min, have.min), min(limits.max, have.max))
        return held.astype(target)
    with np.errstate(over="ignore", invalid="ignore"):
        values = array.astype(np.float64) * scale
    if target.kind == "f":
        top = float(np.finfo(target).max)
        # Infinities of the input stay; an infinity from the scale is limited like any value out of range.
        return np.where(np.isfinite(array), np.clip(values, -top, top), values).astype(target)
    limits = np.iinfo(target)
    values = np.rint(np.nan_to_num(values, nan=0.0, posinf=math.inf, neginf=-math.inf))
    # 2**63 - 1 and 2**64 - 1 are no doubles, so the ends are set explicitly, not by clipping.
    low, high = values <= float(limits.min), values >= float(limits.max)
    inside = np.where(low | high, 0.0, values).astype(target)
    inside[low] = limits.min
    inside[high] = limits.max
    return inside


def _check_channels(before: ArrayType, op: str, *stated: Any) -> None:
    wants_image(before, op)
    planes = known_channels(before)
    for value in stated:
        if isinstance(value, tuple) and planes is not None and len(value) not in (1, planes):
            raise OpTypeError(f"{op} has {len(value)} values for {planes} channels")


def _check_range(before: ArrayType, op: str, mean: Any, std: Any) -> None:
    """Refuse constants for values of 0 to 1 on whole numbers, whose range begins at 255. Zero and one change nothing, so they may stand."""
    if mean is None or before.dtype.startswith("float"):
        return
    means, stds = _listed(mean), _listed(std) if std is not None else []
    if any(abs(m) > 1 for m in means) or any(s > 1 for s in stds) or (not any(means) and all(s in (0, 1) for s in stds)):
        return
    top = {"uint8": 255, "uint16": 65_535}.get(before.dtype, 0)
    range_words = f"go from 0 to {top}" if top else "are whole numbers"
    scaled = f"mean: {_scaled(means, top)}" + (f", std: {_scaled(stds, top)}" if stds else "") if top else "constants of their range"
    raise OpTypeError(
        f"its constants (mean {', '.join(f'{m:g}' for m in means)}) are for values of 0 to 1, and {before.dtype} pixels {range_words}",
        remedy=("write preset: imagenet, or " if op == "normalize" and _are_imagenet(means, top) else "write ")
        + f"{scaled}, or scale before: cast to float32 with scale {f'{1 / top:.17g}' if top else '...'}",
    )


def _are_imagenet(means: Sequence[float], top: int) -> bool:
    published = _PRESETS["imagenet"]["mean"]
    return top == 255 and len(means) == 3 and all(abs(255 * m - p) < 3 for m, p in zip(means, published, strict=True))


def _scaled(values: Sequence[float], top: int) -> str:
    return "[" + ", ".join(f"{v * top:.6g}" for v in values) + "]"


def _listed(value: float | Sequence[float]) -> list[float]:
    return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]
