"""Code of plugins that breaks its protocol, hook by hook: the run ends with the plugin's name, and no dataset comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam.errors import PluginError
from refinery_beam.launch import Settings
from refinery_beam.launch.run import RunResult, run_with
from refinery_beam.plugins.base import ArrayType, BadRecord, Plugin, whole
from refinery_beam.plugins.common.encodings import PlainColumn
from refinery_beam.plugins.common.kind import PlainKind
from refinery_beam.plugins.discovery import _Found, assemble
from support.recipes import SMALL, write_recipe

CODE = """
from refinery_beam.plugins.base import AssertionSpec, Extension, OpSpec, Params, GeneratedRecord


class Ways(Params):
    way: str = ""


def spec(name, section, **more):
    return OpSpec(name=name, section=section, version=1, params=Ways, summary="", **more)


class Own:
    kind = "own"
    spec = spec("own", "Filters")

    def transform(self, params):
        import apache_beam as beam

        from refinery_beam.records import Ref

        way = params.way
        if way == "raises":
            raise KeyError(way)
        if way == "none":
            return None

        def decide(ref):
            first = ref.record_id.endswith("circle_000.png")
            if way == "loses" and first:
                return []
            if way == "doubles" and first:
                return [(ref, True), (ref, True)]
            if way == "makes":
                return [(ref, True), (ref._replace(key=bytes(32), record_id="x/y.png"), True)]
            if way == "bare":
                return [ref]
            return [(ref._replace(label="circle"), not first)]

        return beam.FlatMap(decide)


class Quota:
    kind = "sample"
    spec = spec("quota", "Filters")

    def quota(self, records, params):
        return {"more": records + 1, "less": -1, "half": records / 2}.get(params.way) or 1 // 0


class PerClass:
    kind = "sample_per_class"
    spec = spec("per_class", "Filters")

    def tag(self, params):
        return ""

    def excluded(self, params):
        return ()

    def class_quota(self, label, records, params):
        return records + 1 if params.way == "more" else 1 // 0


class Twins:
    kind = "duplicates"
    spec = spec("twins", "Filters")

    def distance(self, params):
        return 1

    def signature(self, content):
        return -5


class Children:
    kind = "variants"
    spec = spec("children", "Generation")

    def fields(self, params):
        return {}

    def field_type(self, word):
        raise KeyError(word)

    def generated(self, params):
        return 1 // 0

    def extra(self, records, largest, params):
        return 0

    def infer(self, before, params):
        return before

    def apply(self, content, variant, stream):
        return content


class Sums:
    count, nonfinite = 1, 0

    def __init__(self, way):
        self.way = way

    def add(self, content):
        if self.way == "add":
            raise KeyError("add")

    def merge(self, other):
        if self.way == "merge":
            raise KeyError("merge")

    def dumps(self):
        return self.way.encode()

    @classmethod
    def loads(cls, data):
        return cls(data.decode())


class Fitted:
    spec = spec("unruly_fit", "Transformations", fitted=True, dtype_altering=True)

    def infer(self, before, params):
        if params.way == "infer":
            raise KeyError("infer")
        return before._replace(dtype="float32")

    def partial(self, before, params):
        if params.way == "partial":
            raise KeyError("partial")
        return Sums(params.way)

    def fit(self, merged, params):
        if params.way == "fit":
            raise KeyError("fit")
        return {"mean": [0.0]}

    def pinned(self, params):
        return None

    def apply(self, content, params, fitted, out):
        import numpy as np

        return np.asarray(content, "float32")


class Judge:
    spec = AssertionSpec(kind="judging", version=1, params=Params, summary="", field=True)

    def offence(self, value, params):
        raise KeyError(value)


PLUGIN = Extension(
    name="unruly", version=1, ops=[Own(), Quota(), PerClass(), Twins(), Children(), Fitted()], assertions=[Judge()]
)
"""

GENERATION = {"generation": ["{name: it, op: children, splits: [train], seed: 1, output_schema: {}}"]}
JUDGED = {"expectations": ["{field: label, assertion: {kind: judging}}"]}


def run(tmp_path: Path, images: Path, **parts: Any) -> RunResult:
    code = tmp_path / "unruly.py"
    code.write_text(CODE)
    recipe = write_recipe(images, tmp_path, base=SMALL, **{"splits": SPLITS, **parts})
    return run_with(recipe, Settings(cache_root=str(tmp_path / "cache"), plugin_paths=(str(code),)))


SPLITS = {"ratios": {"train": 0.75, "test": 0.25}, "seed": 3}


def filtered(op: str, way: str = "") -> dict[str, Any]:
    return {"filters": [{"name": "it", "op": op, "params": {"way": way}}]}


def fitted(way: str) -> dict[str, Any]:
    """Of other values than bytes, statistics are the op's own; a step after it makes them wanted before anything is stored."""
    steps = [
        *SMALL["Transformations"],
        "{name: float, op: cast, params: {dtype: float32}, splits: [train, test]}",
        "{name: crop, op: center_crop, params: {size: 16}, splits: [train, test]}",
        "{name: it, op: unruly_fit, fit_source: train, params: {way: " + way + "}, splits: [train, test]}",
        "{name: eager, op: center_crop, params: {size: 16}, splits: [train, test]}",
    ]
    return {"transformations": steps, "fields": {"image": {"dtype": "float32"}}}


WAYS = {
    "own: raises": (filtered("own", "raises"), "KeyError: 'raises'"),
    "own: no transform": (filtered("own", "none"), "transform gives NoneType, not a PTransform"),
    "own: loses": (filtered("own", "loses"), "it says 0 times whether photos/circle/circle_000.png stays"),
    "own: doubles": (filtered("own", "doubles"), "it says 2 times whether photos/circle/circle_000.png stays"),
    "own: makes up": (filtered("own", "makes"), "it makes up x/y.png"),
    "own: bare references": (filtered("own", "bare"), "it gives Ref, not pairs"),
    "quota: more": (filtered("quota", "more"), "its quota of 36 records is 37, not a whole number from 0 to 36"),
    "quota: less": (filtered("quota", "less"), "its quota of 36 records is -1"),
    "quota: half": (filtered("quota", "half"), "its quota of 36 records is 18.0"),
    "quota: raises": (filtered("quota"), "ZeroDivisionError"),
    "class quota: more": (filtered("per_class", "more"), "its quota of 12 records is 13"),
    "class quota: raises": (filtered("per_class"), "ZeroDivisionError"),
    "signature: negative": (filtered("twins"), "the signature is -5, not a whole number of 64 bits"),
    "variants: raises": (GENERATION, "ZeroDivisionError"),
    "infer: raises": (fitted("infer"), "KeyError: 'infer'"),
    "partial: raises": (fitted("partial"), "KeyError: 'partial'"),
    "add: raises": (fitted("add"), "KeyError: 'add'"),
    "merge: raises": (fitted("merge"), "KeyError: 'merge'"),
    "fit: raises": (fitted("fit"), "KeyError: 'fit'"),
    "assertion: raises": (JUDGED, "KeyError"),
}


FEW = ("own: loses", "quota: raises", "signature: negative", "variants: raises", "add: raises", "fit: raises", "assertion: raises")
"""One of each kind of plugin code; the others among the slow tests."""


@pytest.mark.parametrize("way", [way if way in FEW else pytest.param(way, marks=pytest.mark.slow) for way in WAYS])
def test_it_ends_the_run_with_the_name_of_the_plugin(class_folders: Path, tmp_path: Path, way: str) -> None:
    parts, words = WAYS[way]
    with pytest.raises(PluginError) as caught:
        run(tmp_path, class_folders, **parts)
    assert caught.value.code == "op-failed" and caught.value.exit_code == 3
    assert "of the plugin 'unruly' failed" in str(caught.value) and words in str(caught.value)
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))


def test_a_filter_decides_and_changes_nothing(class_folders: Path, tmp_path: Path) -> None:
    built = run(tmp_path, class_folders, **filtered("own", "relabels"))
    rows = [row for split in built.counts for row in rb.open_instance(built.path).split(split)]
    assert {(row["record_id"].split("/")[1], row["label"]) for row in rows} == {(c, c) for c in ("circle", "square", "triangle")}
    assert built.manifest.raw["ledger"] == {"filtered": 1} and len(rows) == 35


@pytest.mark.parametrize("encoding", ["source", "png", "jpeg"])
def test_whoever_reads_owns_what_is_read(class_folders: Path, tmp_path: Path, encoding: str) -> None:
    steps = None if encoding == "source" else SMALL["Transformations"]
    shapeless = {"image": {"shape": [None, None, 3]}}
    file = write_recipe(class_folders, tmp_path, base=SMALL, transformations=steps, output={"encoding": encoding}, fields=shapeless)
    built = run_with(file, Settings(cache_root=str(tmp_path / "cache")))
    row = rb.open_instance(built.path).split("train")[0]
    served = rb.Replay.from_instance(built.path)(class_folders / row["record_id"].removeprefix("photos/"))
    assert np.array_equal(row["image"], served)
    row["image"] += 1
    served += 1


class Numbers(PlainKind):
    field, noun, encoding = "number", "numbers", "plain"

    def decoded(self, policy: Any) -> ArrayType:
        return ArrayType("int64", ())

    def decode(self, data: bytes, policy: Any, limits: Any, *, hint: ArrayType | None = None, facts: Any = None) -> int:
        return int(data)


def test_a_plain_column_holds_numbers_and_refuses_what_it_cannot_hold() -> None:
    kind, column = Numbers(), PlainColumn("plain", "int64", "int64")
    assert column.refuse(ArrayType("int", ())) is None and column.refuse(ArrayType("str", ())) is not None
    assert column.write(kind.settle(7, ArrayType("int64", ())), quality=0) == 7
    for bad, where in ((2**70, column), ("half \ud800", PlainColumn("plain", "str", "string"))):
        with pytest.raises(BadRecord, match="cannot hold it"):
            where.write(bad, quality=0)
    with pytest.raises(BadRecord, match="half a surrogate pair at 5"):
        kind.settle("half \ud800", ArrayType("str", ()))
    with pytest.raises(BadRecord, match="a loader gives str"):
        kind.held("seven", None, None, origin="a loader")
    assert PlainColumn("plain", "str", "string").size("né") == 3


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    assert whole(np.uint64(2**63)) == 2**63 and whole(np.int8(-1)) == -1
    assert [whole(value) for value in (np.float64(2), np.bool_(True), True, "2", None, np.zeros(2, int))] == [None] * 6


def test_a_plugin_is_checked_word_by_word() -> None:
    def refused(**words: Any) -> str:
        plugin = Plugin(**{"name": "x", "version": 1, "kind": Numbers(), "ops": {}, **words})
        with pytest.raises(PluginError) as caught:
            assemble([_Found(plugin, "there.py", "0")])
        assert caught.value.code == "plugin-protocol"
        return str(caught.value)

    assert "has a kind that is not a Kind" in refused(kind=Numbers)
    assert "has a kind that is not a Kind" in refused(kind=object())
    assert "lists the encoding 'plain' as 'simple'" in refused(encodings={"simple": PlainColumn("plain", "str", "string")})
    squeezed = PlainColumn("plain", "str", "string", compression="gzip")
    assert "has the encoding 'plain' with compression 'gzip'" in refused(encodings={"plain": squeezed})
    assert "has an assertion that is none" in refused(assertions={"x": object()})
