"""The protocols of assertions: about one value, or about all records together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from refinery_beam.plugins.ops import Params


@dataclass(frozen=True, kw_only=True)
class AssertionSpec:
    """The facts about a kind of assertion for the compiler and the docs.

    ``field``: True needs one, False takes none. ``content`` says which part of a record's content it reads: none, its form (dtype and
    shape), or its values. A record assertion about values holds for an image exactly if it holds for each distinct value, and a dataset
    assertion counts every value of every channel once. ``output_only``: it is about what comes out, so it belongs to OutputExpectations.
    ``sees_missing``: it also judges records without a value. ``fact``: it is about the fact that its parameter of that name names;
    `offence` gets its value as a decimal, and ``max_fraction`` of the records may break it.
    """

    kind: str
    version: int
    params: type[Params]
    summary: str
    field: bool
    content: Literal["no", "form", "values"] = "no"
    output_only: bool = False
    fact: bool = False
    sees_missing: bool = False


class Facts(NamedTuple):
    """The facts for a dataset assertion besides its counts: the splits in order, the splits without labels, and in `comparison` the counts
    of values in the instance that it compares with (None without one).
    """

    splits: tuple[str, ...]
    unlabeled: tuple[str, ...]
    comparison: Sequence[tuple[Any, int]] | None = None


class Verdict(NamedTuple):
    """Whether an assertion holds, the numbers that it observed (JSON), and the fault in words if it fails."""

    passed: bool
    observed: Mapping[str, Any]
    message: str = ""


@runtime_checkable
class RecordAssertion(Protocol):
    """An assertion about one value: `offence` gives the fault of the value in words, '' if there is none. Content is in its plain form."""

    @property
    def spec(self) -> AssertionSpec: ...

    def offence(self, value: Any, params: Any) -> str: ...


@runtime_checkable
class DatasetAssertion(Protocol):
    """An assertion about all records together: each adds one to the count of its `key`, and `judge` gets the counts, sorted.

    ``key`` gets the split ('' before splits are made) and the values of `fields`, and gives a list of plain values, or None to skip the
    record.
    """

    @property
    def spec(self) -> AssertionSpec: ...

    def fields(self, field: str | None, params: Any) -> tuple[str, ...]: ...

    def key(self, split: str, values: Sequence[Any], params: Any) -> list[Any] | None: ...

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Any, facts: Facts) -> Verdict: ...


AnyAssertion: TypeAlias = RecordAssertion | DatasetAssertion
