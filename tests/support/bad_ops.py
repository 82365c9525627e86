"""One op for each way to break a rule, otherwise in order."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refinery_beam.plugins.base import ArrayType, AssertionSpec, FieldType, GeneratedRecord, OpSpec, Params
from refinery_beam.plugins.image_classification.pixels import as_array


class NoParams(Params):
    """None."""


SPEC = OpSpec(name="bad", section="Transformations", version=1, params=NoParams, summary="Bad.")


class Good:
    spec = SPEC

    def infer(self, before: ArrayType, params: Any) -> ArrayType:
        return before

    def apply(self, pixels: Any, params: Any, fitted: Mapping[str, Any] | None, out: ArrayType) -> Any:
        return 255 - as_array(pixels)


class Unversioned(Good):
    spec = replace(SPEC, version=0)


class NotAnOp:
    spec = SPEC

    def infer(self, before: ArrayType, params: Any) -> ArrayType:
        return before


def _mixed(pixels: Any, number: int) -> Any:
    """The pixels, changed by all bits of a number: two bytes would be the same once in some hundred times."""
    array = as_array(pixels)
    return array ^ np.resize(np.frombuffer(number.to_bytes(8, "little", signed=True), np.uint8), array.shape)


class Random(Good):
    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        return _mixed(pixels, random.getrandbits(63))


class Clock(Good):
    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        return _mixed(pixels, time.perf_counter_ns())


class RunningMean(Good):
    """Subtracts the mean of what it has seen."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        array = as_array(pixels)
        self.found.append(int(array.mean()))
        return array - np.uint8(sum(self.found) // len(self.found))


class Scratch(Good):
    """Uses one scratch place for all threads."""

    def __init__(self) -> None:
        self.held: Any = None

    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        self.held = as_array(pixels)
        time.sleep(0.002)
        return 255 - self.held


class Overwriting(Good):
    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        pixels += 1
        return pixels.copy()


class Locked(Good):
    def __init__(self) -> None:
        self.lock = threading.Lock()


class WrongDtype(Good):
    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        return as_array(pixels).astype(np.float32)


class WrongShape(Good):
    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        return as_array(pixels)[1:]


class Hashing(Good):
    """Builtin hash() of text differs between processes."""

    def apply(self, pixels: Any, params: Any, fitted: Any, out: ArrayType) -> Any:
        return _mixed(pixels, hash("a word"))


class FloatSum:
    """An accumulator that rounds as it goes."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0
        self.nonfinite = 0

    def add(self, pixels: Any) -> None:
        self.total += 1e16 if as_array(pixels).shape[1] == 48 else 1.0
        self.count += 1

    def merge(self, other: FloatSum) -> None:
        self.total += other.total
        self.count += other.count

    def channels(self) -> tuple[Any, ...]:
        return ()

    def dumps(self) -> bytes:
        return repr((self.total, self.count)).encode()

    @classmethod
    def loads(cls, data: bytes) -> FloatSum:
        made = cls()
        total, count = data.decode().strip("()").split(",")
        made.total, made.count = float(total), int(count)
        return made


class InexactFit(Good):
    spec = replace(SPEC, fitted=True)

    def partial(self, before: ArrayType, params: Any) -> Any:
        return FloatSum()

    def fit(self, merged: FloatSum, params: Any) -> dict[str, Any]:
        return {"mean": [merged.total / merged.count]}

    def pinned(self, params: Any) -> dict[str, Any] | None:
        return None


class BadQuota:
    spec = replace(SPEC, section="Filters")
    kind = "sample"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: Any) -> bool:
        return True

    def quota(self, records: int, params: Any) -> int:
        return records + 1


class WrongField:
    spec = replace(SPEC, section="Featurizations")
    needs_pixels = True

    def infer(self, inputs: Sequence[FieldType], params: Any) -> FieldType:
        return FieldType("int64")

    def featurize(self, inputs: Sequence[Any], params: Any) -> Any:
        return "text"


class NotJson(WrongField):
    def featurize(self, inputs: Sequence[Any], params: Any) -> Any:
        return {1, 2}


class Generating:
    spec = replace(SPEC, section="Generation")
    kind = "variants"

    def fields(self, params: Any) -> dict[str, str]:
        return {}

    def field_type(self, word: str) -> FieldType:
        raise KeyError(word)

    def infer(self, before: ArrayType, params: Any) -> ArrayType:
        return before

    def generated(self, params: Any) -> list[GeneratedRecord]:
        return [GeneratedRecord("one", {}, {}), GeneratedRecord("two", {}, {})]

    def extra(self, count: int, largest: int, params: Any) -> int:
        return 0

    def apply(self, pixels: Any, made: Any, stream: Any) -> Any:
        return as_array(pixels) ^ np.uint8(stream.integer(256))


class CountingGeneration(Generating):
    def __init__(self) -> None:
        self.calls = 0

    def apply(self, pixels: Any, made: Any, stream: Any) -> Any:
        self.calls += 1
        return as_array(pixels) ^ np.uint8(self.calls % 256)


class LuckyGeneration(Generating):
    def apply(self, pixels: Any, made: Any, stream: Any) -> Any:
        return as_array(pixels) ^ np.uint8(random.randrange(256))


class TwinRecords(Generating):
    def generated(self, params: Any) -> list[GeneratedRecord]:
        return [GeneratedRecord("one", {}, {}), GeneratedRecord("one", {}, {})]


class LockedGeneration(Generating):
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Flip:
    spec = replace(SPEC, section="Augmentations")

    def infer(self, before: ArrayType, params: Any) -> ArrayType:
        return before

    def draw(self, stream: Any, params: Any, before: ArrayType) -> dict[str, Any]:
        return {"turn": stream.integer(2)}

    def apply(self, pixels: Any, sampled: Any, params: Any) -> Any:
        return as_array(pixels)[:, ::-1] if sampled["turn"] else as_array(pixels)


class LuckyFlip(Flip):
    def draw(self, stream: Any, params: Any, before: ArrayType) -> dict[str, Any]:
        return {"turn": random.randrange(1 << 30)}


class CountingFlip(Flip):
    def __init__(self) -> None:
        self.calls = 0

    def draw(self, stream: Any, params: Any, before: ArrayType) -> dict[str, Any]:
        self.calls += 1
        return {"turn": self.calls}


class ArrayDraw(Flip):
    def draw(self, stream: Any, params: Any, before: ArrayType) -> dict[str, Any]:
        return {"turn": np.zeros(3)}


class Shrinking(Flip):
    def apply(self, pixels: Any, sampled: Any, params: Any) -> Any:
        return as_array(pixels)[1:]


class ClockPicture:
    spec = replace(SPEC, section="Visualizations")
    needs_pixels = False

    def draw(self, view: Any, params: Any) -> Any:
        from PIL import Image

        return Image.fromarray(_mixed(np.zeros((8, 8), np.uint8), time.perf_counter_ns()))


class ClockAssertion:
    spec = AssertionSpec(kind="bad", version=1, params=NoParams, summary="Bad.", field=True)

    def offence(self, value: Any, params: Any) -> Any:
        return str(time.perf_counter_ns())


class WordlessAssertion(ClockAssertion):
    def offence(self, value: Any, params: Any) -> Any:
        return False


class CountingAssertion(ClockAssertion):
    def __init__(self) -> None:
        self.calls = 0

    def offence(self, value: Any, params: Any) -> Any:
        self.calls += 1
        return str(self.calls)
