"""The columns of facts/records.parquet: units, derived facts, and how a fact is printed.

Facts are whole numbers. One with a scale is in units of 1/scale, which the metadata of its column states (``refinery:scale``); it is
printed as a decimal of so many digits, never by way of a float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Array = npt.NDArray[Any]

SCALE = b"refinery:scale"

KEYS = ("split", "record_id", "label")
"""The columns that name a record and are no facts of its file."""


class Derived(NamedTuple):
    """A fact that follows from stored ones: their names, its scale, and its value."""

    needs: tuple[str, ...]
    scale: int
    of: Callable[..., Any]
    what: str


DERIVED: Mapping[str, Derived] = {
    "pixels": Derived(("width", "height"), 1, lambda w, h: w * h, "width times height"),
    "side": Derived(("width", "height"), 1, lambda w, h: _root(w * h), "the side of a square of as many pixels, rounded down"),
    "aspect": Derived(("width", "height"), 1000, lambda w, h: _divided(w, h), "width divided by height"),
    "elongation": Derived(("width", "height"), 1000, lambda w, h: _longer(w, h), "the longer side divided by the other"),
    "bytes_per_pixel": Derived(("bytes", "width", "height"), 1000, lambda b, w, h: _divided(b, w * h), "bytes of the file a pixel"),
}
"""The derived facts by name, rounded half up. A record has one where it has all that it needs."""


def value(row: Mapping[str, Any], name: str) -> Any:
    """A stored or derived fact of a row; None where it has none.

    >>> value({"width": 640, "height": 480}, "aspect")
    1333
    """
    if name in row or name not in DERIVED:
        return row.get(name)
    known = [row.get(need) for need in DERIVED[name].needs]
    return None if any(v is None for v in known) else DERIVED[name].of(*known)


def scales(schema: pa.Schema) -> dict[str, int]:
    """The scale of every number among a table's columns and of the facts derived from them, as its metadata states them."""
    import pyarrow as pa

    found = {f.name: int((f.metadata or {}).get(SCALE, b"1")) for f in schema if pa.types.is_integer(f.type)}
    return found | {name: d.scale for name, d in DERIVED.items() if all(need in found for need in d.needs)}


def shown(value: int, scale: int) -> str:
    """A fact as a decimal.

    >>> shown(1234, 100), shown(-5, 1000), shown(7, 1)
    ('12.34', '-0.005', '7')
    """
    if scale == 1:
        return str(value)
    digits = len(str(scale)) - 1
    whole, rest = divmod(abs(value), scale)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}}"


def parsed(text: str, scale: int) -> int:
    """The inverse of `shown`: a decimal in units of 1/scale. Raises ValueError for text that is no such number.

    >>> parsed("12.3", 100)
    1230
    """
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(text) * scale
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no number") from error
    if number != number.to_integral_value():
        raise ValueError(f"{text!r} has more places than the fact, which is in units of 1/{scale}")
    return int(number)


def fixed(numerator: int, denominator: int, digits: int = 4) -> str:
    """A fraction as a decimal of so many digits, rounded half up.

    >>> fixed(2, 3), fixed(-1, 8, 2)
    ('0.6667', '-0.13')
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    unit = 10**digits
    rounded = (2 * abs(numerator) * unit + denominator) // (2 * denominator)
    return shown(-rounded if numerator < 0 else rounded, unit)


def with_scales(fields: Sequence[pa.Field], scales: Mapping[str, int]) -> list[pa.Field]:
    """Fields with their scales in their metadata."""
    return [f.with_metadata({SCALE: str(scales[f.name]).encode()}) if scales.get(f.name, 1) != 1 else f for f in fields]


def arrays(table: pa.Table, names: Iterable[str]) -> dict[str, tuple[Array, Array]]:
    """Stored or derived numbers of a table as arrays: by name (int64 values, bool where there is one). Of those it has not, none."""
    import numpy as np

    found: dict[str, tuple[Array, Array]] = {}

    def stored(name: str) -> tuple[Array, Array]:
        if name not in found:
            column = table.column(name).combine_chunks()
            values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            found[name] = values, ~column.is_null().to_numpy(zero_copy_only=False)
        return found[name]

    wanted = {}
    for name in names:
        if name in table.schema.names:
            wanted[name] = stored(name)
        elif name in DERIVED and all(need in table.schema.names for need in DERIVED[name].needs):
            parts = [stored(need) for need in DERIVED[name].needs]
            known = np.logical_and.reduce([there for _, there in parts])
            values = np.zeros(len(table), np.int64)
            values[known] = DERIVED[name].of(*(part[known] for part, _ in parts))
            wanted[name] = values, known
    return wanted


def _divided(a: Any, b: Any) -> Any:
    """a / b in units of 1/1000, rounded half up. Of whole numbers, or arrays of them."""
    return (2000 * a + b) // (2 * b)


def _longer(w: Any, h: Any) -> Any:
    if isinstance(w, int):
        return _divided(max(w, h), min(w, h))
    import numpy as np

    return _divided(np.maximum(w, h), np.minimum(w, h))


def _root(n: Any) -> Any:
    """The square root, rounded down."""
    if isinstance(n, int):
        return isqrt(n)
    import numpy as np

    near = np.sqrt(n.astype(np.float64)).astype(np.int64)
    near -= near * near > n
    near += (near + 1) * (near + 1) <= n
    return near
