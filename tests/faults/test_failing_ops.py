"""An op that raises what it should not: the run ends with the op, its plugin and the record, however it ran. Nothing is promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import PluginError
from refinery_beam.launch import Settings
from refinery_beam.launch.run import run_with
from refinery_beam.testing import images
from support.recipes import SMALL, quarantine, write_recipe

PLUGIN = """
from refinery_beam.plugins.base import Extension, FieldType, OpSpec, Params, GeneratedRecord
from refinery_beam.plugins.image_classification.pixels import as_array

class NoParams(Params):
    pass

def check(pixels):
    if as_array(pixels)[0, 0].tolist() == [1, 2, 3]:
        raise ZeroDivisionError("a colour\\nI never saw")
    return pixels

def spec(name, section):
    return OpSpec(name=name, section=section, version=1, params=NoParams, summary="Fails.")

class Change:
    spec = spec("change", "Transformations")
    def infer(self, before, params):
        return before
    def apply(self, pixels, params, fitted, out):
        return check(pixels)

class Choose:
    spec = spec("choose", "Filters")
    kind = "predicate"
    def keep(self, label, fields, params):
        return label != "odd" or 1 // 0 > 0
    def quota(self, records, params):
        return records

class Field:
    spec = spec("field", "Featurizations")
    needs_pixels = True
    def infer(self, inputs, params):
        return FieldType("int64")
    def featurize(self, inputs, params):
        return int(as_array(check(inputs[0])).sum())

class Vary:
    spec = spec("vary", "Augmentations")
    def infer(self, before, params):
        return before
    def draw(self, stream, params, before):
        return {}
    def apply(self, pixels, sampled, params):
        return check(pixels)

class Make:
    spec = spec("make", "Generation")
    kind = "variants"
    def fields(self, params):
        return {}
    def field_type(self, word):
        raise KeyError(word)
    def infer(self, before, params):
        return before
    def generated(self, params):
        return [GeneratedRecord("one", {}, {})]
    def extra(self, count, largest, params):
        return 0
    def apply(self, pixels, variant, stream):
        return check(pixels)

PLUGIN = Extension(name="failing", version=1, ops=[Change(), Choose(), Field(), Vary(), Make()])
"""

STEPS: dict[str, dict[str, Any]] = {
    "change": {"transformations": ["{name: step, op: change, splits: [train]}"]},
    "choose": {"filters": ["{name: step, op: choose}"]},
    "field": {
        "featurizations": ["{name: step, inputs: [image], output_field: total, op: field, splits: [train]}"],
        "fields": {"total": {"dtype": "int64"}},
    },
    "vary": {"augmentations": ["{name: step, op: vary, materialization: aggressive}"]},
    "make": {"generation": ["{name: step, op: make, inputs: [image], output_schema: matches_input, seed: 1}"]},
}


def written(folder: Path, op: str) -> Path:
    parts = {"transformations": None, "input": quarantine(1.0), "splits": ALL_TRAIN, **STEPS[op]}
    parts["fields"] = {"image": {"shape": [8, 8, 3]}, **parts.get("fields", {})}
    return write_recipe("photos", folder, base=SMALL, **parts)


ALL_TRAIN = "{key_assignment: {field: label, mapping: {circle: train, odd: train}}}"


@pytest.mark.parametrize("op", STEPS)
@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_the_op_the_plugin_and_the_record_are_named(op: str, mode: str, tmp_path: Path) -> None:
    if mode == "processes" and op not in ("change", "choose"):
        pytest.skip("the way out of a process is the same for all")
    images.class_folders(tmp_path / "photos", classes=("circle",), per_class=6, size=(8, 8), formats=("png",))
    (tmp_path / "photos" / "odd").mkdir()
    odd = images.draw("circle", 99, size=(8, 8))
    odd.putpixel((0, 0), (1, 2, 3))
    odd.save(tmp_path / "photos" / "odd" / "one.png")
    (tmp_path / "failing.py").write_text(PLUGIN)
    recipe = written(tmp_path, op)
    settings = Settings(cache_root=str(tmp_path / "cache"), mode=mode, workers=2, plugin_paths=(str(tmp_path / "failing.py"),))
    with pytest.raises(PluginError) as caught:
        run_with(recipe, settings)
    error = caught.value
    record = "photos/odd/one.png" + ("" if op != "make" else "#step:one")
    record = record + "#step:0" if op == "vary" else record
    said = "ZeroDivisionError: integer division or modulo by zero" if op == "choose" else "ZeroDivisionError: a colour\\nI never saw"
    assert (error.code, error.exit_code, error.at, error.value) == ("op-failed", 3, record, "step")
    assert error.message == f"the op {op!r} of the plugin 'failing' failed on {record}: {said}"
    assert not (tmp_path / "cache" / "instances").exists() and not [
        p.name for p in (tmp_path / "cache" / "staging").iterdir() if p.name != "trash"
    ]
