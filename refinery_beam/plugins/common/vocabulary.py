"""categorical_encode: values as numbers, by a vocabulary learned on train. Exact, and fitted before any file is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from refinery_beam.dtypes import Integer
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import FieldType, OpSpec, OpTypeError, Params

Value: TypeAlias = str | int | bool

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,99}")

LIMIT = 1 << 17
"""How many distinct values a vocabulary may have: every worker gets the whole vocabulary."""


class CategoricalEncodeParams(Params):
    """Parameters of categorical_encode."""

    vocabulary: tuple[StrictBool | StrictInt | StrictStr, ...] | None = Field(
        default=None, description="The values, in the order of their numbers. Left out: learned on train."
    )
    ordering: Literal["alphabetical", "first_seen"] = Field(
        default="alphabetical",
        description="The order of a learned vocabulary: by code point (whole numbers by size, also where they come as text), or by the "
        "smallest record key that has the value.",
    )
    output_dtype: Integer = Field(default="int64", description="The dtype of the numbers, which are stored as whole numbers.")
    oov: Literal["error", "ignore", "index"] = Field(
        default="error",
        description="A value outside of the vocabulary, or none: a bad record (`out_of_vocabulary`), -1, or a number of its own, the last.",
    )

    @field_validator("vocabulary")
    @classmethod
    def _distinct(cls, value: tuple[Value, ...] | None) -> tuple[Value, ...] | None:
        if value is not None and (not value or len({_known(v) for v in value}) < len(value)):
            raise ValueError("a vocabulary has at least one value, each once")
        return value

    @model_validator(mode="after")
    def _signed(self) -> CategoricalEncodeParams:
        if self.oov == "ignore" and self.output_dtype.startswith("u"):
            raise ValueError(f"oov: ignore gives -1, which {self.output_dtype} cannot hold")
        return self


class ValueCounts:
    """How often each value occurs, and the smallest record key it occurs with. Merging is exact in any grouping and order."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Value], tuple[int, bytes]] = {}

    @property
    def count(self) -> int:
        """How many values were observed, without missing ones."""
        return sum(n for n, _ in self._counts.values())

    def observe(self, inputs: Sequence[Any], key: bytes) -> None:
        """Count the value of the record with a 32-byte key; None is a missing value."""
        value = inputs[0]
        if value is not None:
            self._put(_known(value), 1, key)

    def merge(self, other: ValueCounts) -> None:
        """Add the counts of another accumulator."""
        for known, (count, key) in other._counts.items():
            self._put(known, count, key)

    def _put(self, known: tuple[str, Value], count: int, key: bytes) -> None:
        before = self._counts.get(known)
        self._counts[known] = (count, key) if before is None else (before[0] + count, min(before[1], key))
        if len(self._counts) > LIMIT:
            raise BadRecord("vocabulary_too_large", f"more than {LIMIT} distinct values")

    def items(self) -> list[tuple[Value, int, bytes]]:
        """(value, count, smallest key), sorted by kind and value."""
        return [(value, *self._counts[kind, value]) for kind, value in sorted(self._counts, key=lambda k: (k[0], k[1]))]

    def dumps(self) -> bytes:
        """Canonical bytes."""
        return json.dumps([[v, n, k.hex()] for v, n, k in self.items()], ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def loads(cls, data: bytes) -> ValueCounts:
        """The inverse of `dumps`."""
        made = cls()
        for value, count, key in json.loads(data):
            made._put(_known(value), count, bytes.fromhex(key))
        return made


class CategoricalEncode:
    """The position of a value in a vocabulary: 0, 1, 2, ..., stored as whole numbers."""

    spec = OpSpec(
        name="categorical_encode",
        section="Featurizations",
        version=2,
        params=CategoricalEncodeParams,
        summary="Number the values of a field by a vocabulary learned on train.",
        fitted=True,
    )
    needs_pixels = False

    def infer(self, inputs: Sequence[FieldType], params: CategoricalEncodeParams) -> FieldType:
        """The output dtype."""
        if len(inputs) != 1 or inputs[0].shape is not None or inputs[0].dtype.startswith("float"):
            raise OpTypeError("categorical_encode takes one input of text, whole numbers or truth values that is known without pixels")
        return FieldType(params.output_dtype)

    def partial(self, params: CategoricalEncodeParams) -> ValueCounts:
        """An empty count."""
        return ValueCounts()

    def fit(self, merged: ValueCounts, params: CategoricalEncodeParams) -> dict[str, Any]:
        """{"records", "vocabulary": values in order, "counts": how often each occurs}."""
        items = merged.items()
        if params.ordering == "first_seen":
            items = sorted(items, key=lambda item: item[2])
        elif all(isinstance(value, str) and _INTEGER.fullmatch(value) for value, _, _ in items):
            # Folders and tables give text. Classes 1 to 12 are numbers all the same.
            items = sorted(items, key=lambda item: int(item[0]))
        vocabulary, counts = [v for v, _, _ in items], [n for _, n, _ in items]
        return {"records": merged.count, "ordering": params.ordering, "vocabulary": vocabulary, "counts": counts}

    def pinned(self, params: CategoricalEncodeParams) -> dict[str, Any] | None:
        """The vocabulary stated in the recipe."""
        return None if params.vocabulary is None else {"vocabulary": list(params.vocabulary)}

    def featurize(self, inputs: Sequence[Any], params: CategoricalEncodeParams) -> int:
        """With a stated vocabulary only."""
        found = self.pinned(params)
        if found is None:
            raise ValueError("categorical_encode has neither a learned nor a stated vocabulary")
        return self.featurize_fitted(inputs, params, found)

    def featurize_fitted(self, inputs: Sequence[Any], params: CategoricalEncodeParams, fitted: Mapping[str, Any]) -> int:
        """The number of the value. BadRecord ``out_of_vocabulary``, or ``vocabulary_too_large`` if the dtype cannot hold the number.

        >>> op, params = CategoricalEncode(), CategoricalEncodeParams(oov="index")
        >>> [op.featurize_fitted([v], params, {"vocabulary": ["cat", "dog"]}) for v in ("dog", "cat", "cow", None)]
        [1, 0, 2, 2]
        """
        vocabulary = fitted["vocabulary"]
        value = inputs[0]
        number = _numbers(vocabulary).get(_known(value)) if value is not None else None
        if number is None:
            if params.oov == "ignore":
                return -1
            if params.oov == "error":
                shown = "no value" if value is None else f"{value!r}"
                raise BadRecord("out_of_vocabulary", f"{shown} is not in the vocabulary of {len(vocabulary)} values")
            number = len(vocabulary)
        bits = int(params.output_dtype.lstrip("uint")) - params.output_dtype.startswith("int")
        if number >> bits:
            raise BadRecord("vocabulary_too_large", f"{params.output_dtype} cannot hold {number}")
        return number


def _known(value: Value) -> tuple[str, Value]:
    """A key under which 1, True and '1' are three values."""
    return type(value).__name__, value


_CACHE: dict[int, tuple[Any, dict[tuple[str, Value], int]]] = {}


def _numbers(vocabulary: Sequence[Value]) -> dict[tuple[str, Value], int]:
    """The vocabulary as a mapping, cached for the last list. The cache keeps the list, so that Python does not reuse its id."""
    held = _CACHE.get(id(vocabulary))
    if held is None or held[0] is not vocabulary:
        if len(_CACHE) > 64:
            _CACHE.clear()
        held = _CACHE[id(vocabulary)] = (vocabulary, {_known(v): i for i, v in enumerate(vocabulary)})
    return held[1]
