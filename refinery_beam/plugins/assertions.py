"""The twelve kinds of assertion of the language. Any plugin may take them over (``assertions=STANDARD``) and add its own.

Record kinds say what is wrong with one value. Dataset kinds count records by a key and judge the counts. A missing value is
``required_field``'s business; every other kind passes it over.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from refinery_beam.plugins.base import AnyAssertion, AssertionSpec, Facts, Params, Verdict
from refinery_beam.plugins.distances import distance, fractions_of

if TYPE_CHECKING:
    from typing import Self

SHOWN = 10
"""How many values, or records, a message names."""

Count = Annotated[int, Field(ge=0)]


class NoParams(Params):
    """Takes nothing."""


class CountRange(Params):
    """``min`` and ``max``, both included, at least one."""

    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        _check_ends(self)
        return self


class ValueRange(Params):
    """``min`` and ``max``, both included, at least one."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        _check_ends(self)
        return self


class Expected(Params):
    """``expected``: a dtype word."""

    expected: str


class SplitCounts(Params):
    """``counts``: records by split."""

    counts: dict[str, Count]


class PerClass(Params):
    """``per_class`` records, give or take ``tolerance``."""

    per_class: Count
    tolerance: Count = 1


class PerKey(Params):
    """``value_per_key`` records of every value."""

    value_per_key: Count


class PerCombination(Params):
    """``value_per_combination`` records of every combination of ``fields``."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    value_per_combination: Count


class Shape(Params):
    """``value``: the shape."""

    value: tuple[Count, ...]


class Values(Params):
    """``value``: the allowed values."""

    value: tuple[Any, ...]


class Number(Params):
    """``value``: the number of records."""

    value: Count


class Reference(Params):
    """What to compare with: an instance's split, fractions by value, or fractions of bins between ``edges``."""

    instance: str | None = None
    split: str | None = None
    fractions: dict[str, float] | tuple[float, ...] | None = None
    edges: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.instance is None) == (self.fractions is None):
            raise ValueError("a reference is either {instance, split} or {fractions}, with {edges} for numbers")
        if (self.instance is None) != (self.split is None):
            raise ValueError("instance and split go together")
        if isinstance(self.fractions, tuple):
            if self.edges is None or len(self.edges) != len(self.fractions) + 1:
                raise ValueError("a list of n fractions needs n + 1 edges")
            if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
                raise ValueError("edges increase")
        elif self.edges is not None:
            raise ValueError("edges go with a list of fractions")
        stated = list(self.fractions.values()) if isinstance(self.fractions, dict) else list(self.fractions or ())
        if stated and (min(stated) < 0 or abs(sum(map(_exact, stated), Fraction(0)) - 1) > Fraction(1, 10**9)):
            raise ValueError("fractions are at least 0 and sum to 1")
        return self


class Distribution(Params):
    """``reference``, the ``distance`` to it, and its ``max``."""

    reference: Reference
    distance: Literal["jensen_shannon", "l_infinity", "ks", "wasserstein"]
    max: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if isinstance(self.reference.fractions, dict) and self.distance in ("ks", "wasserstein"):
            raise ValueError(f"{self.distance} compares numbers: state edges, or use jensen_shannon or l_infinity")
        if self.reference.edges is not None and self.distance == "wasserstein":
            raise ValueError("wasserstein needs the values themselves: name an instance, or use ks")
        return self


class RequiredField:
    """The value is there."""

    spec = AssertionSpec(
        kind="required_field", version=1, params=NoParams, summary="is there", field=True, pixels="form", sees_missing=True
    )

    def offence(self, value: Any, params: NoParams) -> str:
        return "is missing" if value is None else ""


class DtypeEquals:
    """The value has a type: scalars by their kind and range, arrays by their dtype."""

    spec = AssertionSpec(kind="dtype_equals", version=1, params=Expected, summary="has the dtype", field=True, pixels="form")

    def offence(self, value: Any, params: Expected) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            name = str(value.dtype)
            return "" if name == params.expected or name.rstrip("0123456789").removeprefix("u") == params.expected else f"is {name}"
        if isinstance(value, list | tuple):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        return "" if _is(value, params.expected) else f"is {_short(value)} ({type(value).__name__})"


class InRange:
    """Every number lies between two."""

    spec = AssertionSpec(kind="value_range", version=1, params=ValueRange, summary="lies within", field=True, pixels="values")

    def offence(self, value: Any, params: ValueRange) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            ends = [value.min().item(), value.max().item()] if value.size else []
            return next((bad for end in ends if (bad := self.offence(end, params))), "")
        if isinstance(value, list | tuple):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"is {_short(value)}, not a number"
        low = params.min is None or value >= params.min
        high = params.max is None or value <= params.max
        return "" if low and high else f"is {_short(value)}"


class ShapeEquals:
    """The array, or list, has a shape."""

    spec = AssertionSpec(kind="shape_equals", version=1, params=Shape, summary="has the shape", field=True, pixels="form")

    def offence(self, value: Any, params: Shape) -> str:
        shape = tuple(int(n) for n in value.shape) if hasattr(value, "shape") else _list_shape(value)
        return "" if shape == tuple(params.value) else f"has shape {list(shape)}"


class InSet:
    """The value is one of a list."""

    spec = AssertionSpec(kind="value_in_set", version=1, params=Values, summary="is one of", field=True, pixels="values")

    def offence(self, value: Any, params: Values) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            import numpy as np

            value = np.unique(value).tolist()
        if isinstance(value, list | tuple) and not any(isinstance(v, list | tuple) for v in params.value):
            return next((bad for item in value if (bad := self.offence(item, params))), "")
        return "" if any(_same(value, v) for v in params.value) else f"is {_short(value)}"


class RecordCount:
    """How many records there are."""

    spec = AssertionSpec(kind="record_count_in_range", version=1, params=CountRange, summary="the number of records", field=False)

    def fields(self, field: str | None, params: CountRange) -> tuple[str, ...]:
        return ()

    def key(self, split: str, values: Sequence[Any], params: CountRange) -> list[Any] | None:
        return []

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: CountRange, facts: Facts) -> Verdict:
        total = sum(count for _, count in counts)
        good = (params.min is None or total >= params.min) and (params.max is None or total <= params.max)
        return Verdict(good, {"records": total}, f"there are {total} records")


class SplitRecordCounts:
    """Exactly so many records in each named split."""

    spec = AssertionSpec(
        kind="split_record_counts", version=1, params=SplitCounts, summary="the records of splits", field=False, output_only=True
    )

    def fields(self, field: str | None, params: SplitCounts) -> tuple[str, ...]:
        return ()

    def key(self, split: str, values: Sequence[Any], params: SplitCounts) -> list[Any] | None:
        return [split]

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: SplitCounts, facts: Facts) -> Verdict:
        have = dict.fromkeys(facts.splits, 0) | {key[0]: count for key, count in counts}
        wrong = [f"{split} has {have.get(split, 0)}, not {n}" for split, n in params.counts.items() if have.get(split, 0) != n]
        return Verdict(not wrong, {"counts": have}, _listed(wrong))


class PerClassPerSplit:
    """Every class has about the same number of records in every split that has labels."""

    spec = AssertionSpec(
        kind="per_class_count_per_split",
        version=1,
        params=PerClass,
        summary="records of a class in a split",
        field=True,
        output_only=True,
    )

    def fields(self, field: str | None, params: PerClass) -> tuple[str, ...]:
        return (field or "",)

    def key(self, split: str, values: Sequence[Any], params: PerClass) -> list[Any] | None:
        return None if values[0] is None else [split, values[0]]

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: PerClass, facts: Facts) -> Verdict:
        have = {(key[0], _text(key[1])): count for key, count in counts}
        classes = sorted({value for _, value in have})
        wrong, low, high = [], None, None
        for split in facts.splits:
            if split in facts.unlabeled and not any(s == split for s, _ in have):
                continue
            for value in classes:
                count = have.get((split, value), 0)
                low, high = count if low is None else min(low, count), count if high is None else max(high, count)
                if abs(count - params.per_class) > params.tolerance:
                    wrong.append(f"{value!r} in {split} has {count}")
        return Verdict(not wrong, {"classes": len(classes), "least": low, "most": high, "violations": len(wrong)}, _listed(wrong))


class _CountEach(ABC):
    """Every distinct key has exactly so many records, all splits together."""

    @abstractmethod
    def _number(self, params: Any) -> int:
        """The count that every key must have, by whatever name the kind's parameters give it."""

    def fields(self, field: str | None, params: Any) -> tuple[str, ...]:
        return (field or "",)

    def key(self, split: str, values: Sequence[Any], params: Any) -> list[Any] | None:
        return None if any(value is None for value in values) else list(values)

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Any, facts: Facts) -> Verdict:
        want = self._number(params)
        wrong = [f"{', '.join(repr(_text(v)) for v in key)} has {count}" for key, count in counts if count != want]
        numbers = [count for _, count in counts]
        observed = {"keys": len(counts), "least": min(numbers, default=None), "most": max(numbers, default=None), "violations": len(wrong)}
        return Verdict(not wrong, observed, _listed(wrong))


class CountByField(_CountEach):
    """Every value of a field has exactly so many records."""

    spec = AssertionSpec(kind="count_by_field", version=1, params=PerKey, summary="records of each value", field=True)

    def _number(self, params: PerKey) -> int:
        return params.value_per_key


class CountByFields(_CountEach):
    """Every combination of some fields has exactly so many records."""

    spec = AssertionSpec(kind="count_by_fields", version=1, params=PerCombination, summary="records of each combination", field=False)

    def fields(self, field: str | None, params: PerCombination) -> tuple[str, ...]:
        return params.fields

    def _number(self, params: PerCombination) -> int:
        return params.value_per_combination


class PerClassEquals(_CountEach):
    """Every class has exactly so many records."""

    spec = AssertionSpec(kind="per_class_count_equals", version=1, params=Number, summary="records of each class", field=True)

    def _number(self, params: Number) -> int:
        return params.value


class Distributional:
    """The values are distributed about as stated, or as in another instance; see `distances`."""

    spec = AssertionSpec(kind="distributional", version=1, params=Distribution, summary="is distributed as", field=True, pixels="values")

    def fields(self, field: str | None, params: Distribution) -> tuple[str, ...]:
        return (field or "",)

    def key(self, split: str, values: Sequence[Any], params: Distribution) -> list[Any] | None:
        return None if values[0] is None else list(values)

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Distribution, facts: Facts) -> Verdict:
        here = [(key[0], count) for key, count in counts]
        values = sum(count for _, count in here)
        observed: dict[str, Any] = {"values": values, "distance": None}
        if not values:
            return Verdict(False, observed, "no record has a value")
        reference = params.reference
        if facts.reference is not None or reference.edges is not None or params.distance in ("ks", "wasserstein"):
            odd = next((v for v, _ in [*here, *(facts.reference or ())] if isinstance(v, bool) or not isinstance(v, int | float)), None)
            if odd is not None and (params.distance in ("ks", "wasserstein") or reference.edges is not None):
                return Verdict(False, observed, f"{params.distance} compares numbers, and a value is {_short(odd)}")
        p, q = self._pair(here, reference, facts)
        if not q:
            return Verdict(False, observed, "the reference has no value")
        exact = distance(params.distance, p, q)
        observed["distance"] = float(exact)
        good = exact <= _exact(params.max) if isinstance(exact, Fraction) else Fraction(exact) <= _exact(params.max)
        return Verdict(good, observed, f"the {params.distance} distance is {float(exact):.6g}, more than {params.max:g}")

    def _pair(self, here: Sequence[tuple[Any, int]], reference: Reference, facts: Facts) -> tuple[dict[Any, Fraction], dict[Any, Fraction]]:
        if facts.reference is not None:
            both = [*here, *facts.reference]
            as_is = all(isinstance(v, int | float) and not isinstance(v, bool) for v, _ in both)
            mine = _summed((v if as_is else _text(v), n) for v, n in here)
            theirs = _summed((v if as_is else _text(v), n) for v, n in facts.reference)
            return fractions_of(mine), _weights(theirs)
        if isinstance(reference.fractions, dict):
            return fractions_of(_summed((_text(v), n) for v, n in here)), _scaled(reference.fractions)
        assert reference.edges is not None and reference.fractions is not None
        edges = reference.edges
        return fractions_of(_summed((_bin(v, edges), n) for v, n in here)), _scaled(dict(enumerate(reference.fractions)))


STANDARD: Mapping[str, AnyAssertion] = {
    a.spec.kind: a
    for a in (
        RecordCount(),
        RequiredField(),
        DtypeEquals(),
        InRange(),
        Distributional(),
        SplitRecordCounts(),
        PerClassPerSplit(),
        CountByField(),
        CountByFields(),
        ShapeEquals(),
        InSet(),
        PerClassEquals(),
    )
}
"""The twelve kinds by their words."""


def _check_ends(params: Any) -> None:
    if params.min is None and params.max is None:
        raise ValueError("a range has at least one end, min or max")
    if params.min is not None and params.max is not None and params.min > params.max:
        raise ValueError("min is at most max")


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
    """Equal as the recipe means it: 1 is 1.0, but neither "1" nor true."""
    return isinstance(a, bool) == isinstance(b, bool) and isinstance(a, str) == isinstance(b, str) and bool(a == b)


def _text(value: Any) -> str:
    """A value as a word: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _listed(wrong: Sequence[str]) -> str:
    more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return ", ".join(wrong[:SHOWN]) + more


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _summed(pairs: Any) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for value, count in pairs:
        total[value] += count
    return dict(total)


def _weights(counts: Mapping[Any, int]) -> dict[Any, Fraction]:
    return fractions_of(counts) if sum(counts.values()) else {}


def _scaled(stated: Mapping[Any, float]) -> dict[Any, Fraction]:
    exact = {key: _exact(value) for key, value in stated.items()}
    total = sum(exact.values())
    return {key: value / total for key, value in exact.items() if value}


def _bin(value: float, edges: Sequence[float]) -> int:
    """The number of the bin [edge, next edge) of a value, the last one closed; -1 below all, the number of bins above."""
    from bisect import bisect_right

    return len(edges) - 2 if value == edges[-1] else bisect_right(edges, value) - 1
