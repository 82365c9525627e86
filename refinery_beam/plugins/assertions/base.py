"""The protocols of assertions: about one value, or about all records together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from refinery_beam.plugins.ops import Params


@dataclass(frozen=True, kw_only=True)
class AssertionSpec:
    """What the compiler and the docs know of a kind of assertion.

    ``field``: True needs one, False takes none. ``content`` says what of a record's content it may look at: nothing, its form (dtype and
    shape), or its values. Of an image a record assertion then holds exactly when it holds for each distinct value, and a dataset assertion
    counts every value of every channel once. ``output_only``: it speaks of splits, so it belongs to OutputExpectations.
    ``sees_missing``: it is asked about records without a value too.
    """

    kind: str
    version: int
    params: type[Params]
    summary: str
    field: bool
    content: Literal["no", "form", "values"] = "no"
    output_only: bool = False
    sees_missing: bool = False


class Facts(NamedTuple):
    """What a dataset assertion may know beside its counts: the splits in order, those without labels, and the counts of the values of the
    instance it names (None without one).
    """

    splits: tuple[str, ...]
    unlabeled: tuple[str, ...]
    comparison: Sequence[tuple[Any, int]] | None = None


class Verdict(NamedTuple):
    """Whether an assertion holds, the numbers it saw (JSON), and, when it does not hold, what is wrong in words."""

    passed: bool
    observed: Mapping[str, Any]
    message: str = ""


@runtime_checkable
class RecordAssertion(Protocol):
    """An assertion about one value: `offence` says what is wrong with it, '' when nothing is. Content is in its plain form."""

    @property
    def spec(self) -> AssertionSpec: ...

    def offence(self, value: Any, params: Any) -> str: ...


@runtime_checkable
class DatasetAssertion(Protocol):
    """An assertion about all records together: each adds one to the count of its `key`, and `judge` sees the counts, sorted.

    ``key`` gets the split ('' before splits are made) and the values of `fields`, and gives a list of plain values, or None to pass over.
    """

    @property
    def spec(self) -> AssertionSpec: ...

    def fields(self, field: str | None, params: Any) -> tuple[str, ...]: ...

    def key(self, split: str, values: Sequence[Any], params: Any) -> list[Any] | None: ...

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Any, facts: Facts) -> Verdict: ...


AnyAssertion: TypeAlias = RecordAssertion | DatasetAssertion
