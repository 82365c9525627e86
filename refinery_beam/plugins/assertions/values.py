"""Assertions about one value. Only `required_field` judges missing values; every other kind skips them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from refinery_beam.dtypes import Dtype
from refinery_beam.plugins.assertions.base import AssertionSpec
from refinery_beam.plugins.assertions.words import Count, check_ends, short
from refinery_beam.plugins.ops import Params

if TYPE_CHECKING:
    from typing import Self


class NoParams(Params):
    """Takes nothing."""


class ValueRange(Params):
    """``min`` and ``max``, both included, at least one."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_ends(self)
        return self


class Expected(Params):
    """``expected``: a dtype word."""

    expected: Dtype


class Shape(Params):
    """``value``: the shape."""

    value: Annotated[tuple[Count, ...], Field(min_length=1)]


class Values(Params):
    """``value``: the allowed values."""

    value: tuple[Any, ...]


class RequiredField:
    """The value is not missing."""

    spec = AssertionSpec(
        kind="required_field", version=1, params=NoParams, summary="is there", field=True, content="form", sees_missing=True
    )

    def offence(self, value: Any, params: NoParams) -> str:
        return "is missing" if value is None else ""


class DtypeEquals:
    """The value has a type: scalars by their kind and range, arrays by their dtype."""

    spec = AssertionSpec(kind="dtype_equals", version=1, params=Expected, summary="has the dtype", field=True, content="form")

    def offence(self, value: Any, params: Expected) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            name = str(value.dtype)
            return "" if name == params.expected or name.rstrip("0123456789").removeprefix("u") == params.expected else f"is {name}"
        if isinstance(value, list | tuple):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        return "" if _is(value, params.expected) else f"is {short(value)} ({type(value).__name__})"


class InRange:
    """Every number lies between two."""

    spec = AssertionSpec(kind="value_range", version=1, params=ValueRange, summary="lies within", field=True, content="values")

    def offence(self, value: Any, params: ValueRange) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            ends = [value.min().item(), value.max().item()] if value.size else []
            return next((bad for end in ends if (bad := self.offence(end, params))), "")
        if isinstance(value, list | tuple):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"is {short(value)}, not a number"
        low = params.min is None or value >= params.min
        high = params.max is None or value <= params.max
        return "" if low and high else f"is {short(value)}"


class ShapeEquals:
    """The array, or list, has a shape."""

    spec = AssertionSpec(kind="shape_equals", version=1, params=Shape, summary="has the shape", field=True, content="form")

    def offence(self, value: Any, params: Shape) -> str:
        shape = tuple(int(n) for n in value.shape) if hasattr(value, "shape") else _list_shape(value)
        return "" if shape == tuple(params.value) else f"has shape {list(shape)}"


class InSet:
    """The value is one of a list."""

    spec = AssertionSpec(kind="value_in_set", version=1, params=Values, summary="is one of", field=True, content="values")

    def offence(self, value: Any, params: Values) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            import numpy as np

            value = np.unique(value).tolist()
        if isinstance(value, list | tuple) and not any(isinstance(v, list | tuple) for v in params.value):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        return "" if any(_same(value, v) for v in params.value) else f"is {short(value)}"


def _is(value: Any, word: str) -> bool:
    """Whether a plain value is of a dtype word: integers within the word's range, integers as floats, truth values as neither."""
    if word in ("str", "bytes", "bool"):
        return isinstance(value, {"str": str, "bytes": bytes, "bool": bool}[word])
    if isinstance(value, bool):
        return False
    if word.startswith("float"):
        return isinstance(value, int | float)
    if not isinstance(value, int):
        return False
    if word == "int":
        return True
    bits = int(word.removeprefix("u").removeprefix("int"))
    return 0 <= value < 1 << bits if word.startswith("u") else -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _list_shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return (len(value), *(_list_shape(value[0]) if value else ()))


def _same(a: Any, b: Any) -> bool:
    """Equality of recipe values: 1 equals 1.0, but neither "1" nor true."""
    return isinstance(a, bool) == isinstance(b, bool) and isinstance(a, str) == isinstance(b, str) and bool(a == b)
