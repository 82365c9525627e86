"""What code of a plugin raises: a bad record goes to the ledger wherever it is found, a fault ends the run with the plugin's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.errors import DataError, PluginError, RefineryError
from refinery_beam.launch import Settings
from refinery_beam.launch.run import RunResult, run_with
from refinery_beam.plugins.base import AugmentOp, Encoding, Extension, GenerateOp, OpSpec, Params, Plugin
from refinery_beam.plugins.common import vocabulary
from refinery_beam.plugins.common.encodings import PlainColumn
from refinery_beam.plugins.discovery import _Found, assemble, find_plugin
from refinery_beam.plugins.image_classification import PLUGIN
from support.recipes import SMALL, quarantine, write_recipe

CODE = """
from refinery_beam.plugins.base import BadRecord, Extension, FieldType, OpSpec, Params
from refinery_beam.plugins.common.encodings import EncodedFile


class PickyParams(Params):
    how: str = "refuse"


def judge(text, params):
    if "circle" in text and params.how == "refuse":
        raise BadRecord("round", "it rolls away")
    if "circle" in text:
        raise KeyError(params.how)


class Brightness:
    spec = OpSpec(name="brightness", section="Featurizations", version=1, params=PickyParams, summary="")
    needs_pixels = True

    def infer(self, inputs, params):
        return FieldType("int64")

    def featurize(self, inputs, params):
        judge(inputs[1], params)
        return int(inputs[0].sum())


class PathLength:
    spec = OpSpec(name="path_length", section="Featurizations", version=1, params=PickyParams, summary="")
    needs_pixels = False

    def infer(self, inputs, params):
        return FieldType("int64")

    def featurize(self, inputs, params):
        judge(inputs[0], params)
        return len(inputs[0])


class Pick:
    spec = OpSpec(name="pick", section="Filters", version=1, params=PickyParams, summary="")
    kind = "predicate"

    def keep(self, label, fields, params):
        judge(label, params)
        return True


class Picky(EncodedFile):
    def write(self, content, *, quality):
        judge("circle" if content.sum() % 2 else "", PickyParams(how="refuse" if self.name == "picky" else "fail"))
        return content.tobytes()

    def read(self, cell):
        import numpy as np

        return np.frombuffer(cell, np.uint8).reshape(16, 16, 3).copy()


class PickyFolder:
    source_type = "picky_folder"
    version = 1

    def files(self, root):
        from pathlib import Path

        from refinery_beam.plugins.base import LoaderFile

        return [LoaderFile(p.relative_to(root).as_posix(), label=p.parent.name) for p in Path(root).glob("*/*")]

    def decode(self, data, *, mode):
        raise KeyError("no such codec")


PLUGIN = Extension(
    name="picking",
    version=1,
    ops=[Brightness(), PathLength(), Pick()],
    encodings=[Picky("picky"), Picky("failing")],
    loaders=[PickyFolder()],
)
"""


def featurized(how: str, **step: Any) -> dict[str, Any]:
    made = {"name": "made", "output_field": "made", "params": {"how": how}, "splits": ["train", "test"], **step}
    return {"featurizations": [made], "fields": {"made": {"dtype": "int64"}}}


def run(tmp_path: Path, images: Path, *, on_error: str = "quarantine", **parts: Any) -> RunResult:
    code = tmp_path / "picking.py"
    code.write_text(CODE)
    recipe = write_recipe(images, tmp_path, base=SMALL, input={**quarantine(0.9), "on_error": on_error}, **parts)
    return run_with(recipe, Settings(cache_root=str(tmp_path / "cache"), plugin_paths=(str(code),)))


WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a featurization of pixels": lambda how: featurized(how, op="brightness", inputs=["image", "label"]),
    "a filter": lambda how: {"filters": [{"name": "pick", "op": "pick", "params": {"how": how}}]},
    "an encoding": lambda how: {"output": {"encoding": "failing" if how == "fail" else "picky"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_record_is_quarantined(class_folders: Path, tmp_path: Path, way: str) -> None:
    plain = rb.open_instance(run(tmp_path, class_folders).path)
    every = [row for split in plain.splits for row in plain.split(split)]
    bad = {row["record_id"] for row in every if (row["image"].sum() % 2 if way == "an encoding" else row["label"] == "circle")}
    built = run(tmp_path, class_folders, **WAYS[way]("refuse"))
    assert built.manifest.raw["ledger"] == {"round": len(bad)} and 0 < len(bad) == 36 - sum(built.counts.values())
    ledger = pq.read_table(tmp_path / built.path / "report/ledger.parquet").to_pylist()
    assert {(row["reason"], row["detail"], row["record_id"]) for row in ledger} == {("round", "it rolls away", one) for one in bad}


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_record_ends_the_run_where_the_recipe_says_so(class_folders: Path, tmp_path: Path, way: str) -> None:
    # One error, or a group of those that were found by the time the run stopped.
    with pytest.raises(RefineryError, match=r"round: it rolls away \(record photos/") as caught:
        run(tmp_path, class_folders, on_error="fail", **WAYS[way]("refuse"))
    assert {(type(one), one.code) for one in caught.value.errors()} == {(DataError, "round")}


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_names_the_plugin_and_the_record(class_folders: Path, tmp_path: Path, way: str) -> None:
    with pytest.raises(PluginError, match=r"of the plugin 'picking' failed on photos/.*KeyError") as caught:
        run(tmp_path, class_folders, **WAYS[way]("fail"))
    assert caught.value.code == "op-failed" and caught.value.exit_code == 3


def test_a_loader_that_fails_is_named(class_folders: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"the loader 'picky_folder' of the plugin 'picking' failed on photos/.*no such codec"):
        run(tmp_path, class_folders, source={"type": "picky_folder"})


def test_a_featurization_of_metadata_takes_every_record(class_folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'made' cannot take photos/circle/.*it rolls away"):
        run(tmp_path, class_folders, **featurized("refuse", op="path_length", inputs=["path"]))


def test_a_vocabulary_of_too_many_values_ends_the_run(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "LIMIT", 2)
    number = "{name: made, op: categorical_encode, inputs: [label], output_field: label_id, fit_source: train, splits: [train, test]}"
    with pytest.raises(DataError, match="'made' cannot be fitted on label: more than 2 distinct values") as caught:
        run(tmp_path, class_folders, featurizations=[number], fields={"label_id": {"dtype": "int64"}})
    assert caught.value.code == "vocabulary_too_large"


def test_what_is_stored_is_read_with_the_plugin_only(class_folders: Path, tmp_path: Path) -> None:
    built = run(tmp_path, class_folders, **WAYS["an encoding"]("refuse"))
    assert list(built.manifest.raw["plugin"]["sources"]) == ["picking"]
    with pytest.raises(PluginError, match="has no encoding 'picky'") as caught:
        rb.open_instance(built.path).split("train")[0]
    assert caught.value.code == "unknown-encoding"


def test_columns_and_epochs_are_read_with_the_plugin(class_folders: Path, tmp_path: Path) -> None:
    flip = "{name: flip, op: horizontal_flip, params: {p: 0.5}, splits: [train], materialization: lazy}"
    built = run(tmp_path, class_folders, augmentations=[flip], output={"encoding": "picky"})
    train = rb.open_instance(built.path, plugin_paths=[str(tmp_path / "picking.py")]).split("train")
    assert sorted(train.columns("label").epoch(1)[0]) == ["label", "record_id"]
    assert train.epoch(1)[0]["image"].shape == (16, 16, 3)
    assert len(list(train.columns("image").epoch(2))) == built.counts["train"]


class Nothing:
    def __init__(self, section: Any) -> None:
        self.spec = OpSpec(name="nothing", section=section, version=1, params=Params, summary="")


def found(extension: Extension) -> list[_Found]:
    return [_Found(extension, "there.py", "0")]


@pytest.mark.parametrize(("section", "protocol"), [("Generation", GenerateOp), ("Augmentations", AugmentOp)])
def test_an_op_without_its_methods_is_refused(section: str, protocol: type) -> None:
    with pytest.raises(PluginError, match=f"the op 'nothing', which is not a {protocol.__name__}") as caught:
        assemble(found(Extension(name="x", version=1, ops=[Nothing(section)])))
    assert caught.value.code == "plugin-protocol"


def test_an_encoding_has_a_name_of_its_own_and_its_methods() -> None:
    with pytest.raises(PluginError, match=r"the encoding 'png' of there.py exists already"):
        assemble(found(Extension(name="x", version=1, encodings=[PlainColumn("png", "str", "string")])))
    broken: Any = object()
    with pytest.raises(PluginError, match="an encoding that is not an Encoding: object"):
        assemble(found(Extension(name="x", version=1, encodings=[broken])))
    made: Plugin = assemble(found(Extension(name="x", version=7, encodings=[PlainColumn("plain", "str", "string")])))[PLUGIN.name]
    assert isinstance(made.encoding("plain"), Encoding)
    assert made.used_origins(encoding=["plain"]) == {"x": {"version": 7, "digest": "0"}} and made.used_origins(encoding=["png"]) == {}


def test_an_encoding_that_nobody_knows() -> None:
    with pytest.raises(RefineryError, match="has no encoding 'bmp'"):
        find_plugin("image_classification").encoding("bmp")
