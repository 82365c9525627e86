"""Assertions about how many records there are: of all, of splits, of classes, of values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from refinery_beam.plugins.assertions.base import AssertionSpec, Facts, Verdict
from refinery_beam.plugins.assertions.words import Count, check_ends, listed, text
from refinery_beam.plugins.ops import Params

if TYPE_CHECKING:
    from typing import Self


class CountRange(Params):
    """``min`` and ``max``, both included, at least one."""

    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_ends(self)
        return self


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


class Number(Params):
    """``value``: the number of records."""

    value: Count


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
        return Verdict(not wrong, {"counts": have}, listed(wrong))


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
        have = {(key[0], text(key[1])): count for key, count in counts}
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
        return Verdict(not wrong, {"classes": len(classes), "least": low, "most": high, "violations": len(wrong)}, listed(wrong))


class _CountEach(ABC):
    """Every distinct key has exactly so many records, all splits together."""

    @abstractmethod
    def _number(self, params: Any) -> int:
        """The count that every key must have; each kind of assertion has its own parameter for it."""

    def fields(self, field: str | None, params: Any) -> tuple[str, ...]:
        return (field or "",)

    def key(self, split: str, values: Sequence[Any], params: Any) -> list[Any] | None:
        return None if any(value is None for value in values) else list(values)

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Any, facts: Facts) -> Verdict:
        want = self._number(params)
        wrong = [f"{', '.join(repr(text(v)) for v in key)} has {count}" for key, count in counts if count != want]
        numbers = [count for _, count in counts]
        observed = {"keys": len(counts), "least": min(numbers, default=None), "most": max(numbers, default=None), "violations": len(wrong)}
        return Verdict(not wrong, observed, listed(wrong))


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
