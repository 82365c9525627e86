"""Texts with class labels, as a plugin of one file: a kind of data, and an op of three sections. Everything else is the house's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from refinery_beam.plugins.assertions import STANDARD
from refinery_beam.plugins.base import ArrayType, BadRecord, OpSpec, Params, Plugin, SourceType
from refinery_beam.plugins.common.encodings import SOURCE, PlainColumn
from refinery_beam.plugins.common.filters import FilterByLabel, RandomSample
from refinery_beam.plugins.common.kind import PlainKind


class TextKind(PlainKind):
    field, noun, encoding = "text", "texts", "plain"
    source_types: Mapping[str, SourceType] = {"text_folder": SourceType("folder", ("txt",))}

    def decode(self, data: bytes, policy: Any, limits: Any, *, hint: ArrayType | None = None, facts: Any = None) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise BadRecord("not_utf8", f"byte {error.start} is no UTF-8") from error


class Lower:
    spec = OpSpec(name="lower", section="Transformations", version=1, params=Params, summary="In small letters.", pixel_altering=True)

    def infer(self, before: ArrayType, params: Params) -> ArrayType:
        return before

    def apply(self, content: str, params: Params, fitted: Any, out: ArrayType) -> str:
        return content.lower()


class WordCounts(Counter[str]):
    count, nonfinite = property(lambda self: self.total()), 0

    def add(self, content: str) -> None:
        self.update(content.split())

    merge = Counter.update

    def dumps(self) -> bytes:
        return json.dumps(sorted(self.items())).encode()

    @classmethod
    def loads(cls, data: bytes) -> WordCounts:
        return cls(dict(json.loads(data)))


class CommonWords(Params):
    most: int = Field(default=3, ge=1)


class KeepCommonWords(Lower):
    spec = OpSpec(name="keep_common_words", section="Transformations", version=1, params=CommonWords, summary="", fitted=True)

    def partial(self, before: ArrayType, params: CommonWords) -> WordCounts:
        return WordCounts()

    def fit(self, merged: WordCounts, params: CommonWords) -> dict[str, Any]:
        return {"words": [word for word, _ in sorted(merged.items(), key=lambda item: (-item[1], item[0]))[: params.most]]}

    def pinned(self, params: CommonWords) -> None:
        return None

    def apply(self, content: str, params: Any, fitted: Mapping[str, Any] | None, out: ArrayType) -> str:
        assert fitted is not None
        return " ".join(word for word in content.split() if word in fitted["words"])


OPS = {op.spec.name: op for op in (Lower(), KeepCommonWords(), FilterByLabel(), RandomSample())}
STORED = {"plain": PlainColumn("plain", "str", "string"), "source": SOURCE}
PLUGIN = Plugin(name="plain_text", version=1, kind=TextKind(), encodings=STORED, ops=OPS, assertions=STANDARD)
