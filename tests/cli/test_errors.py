"""Broken recipes as a new user writes them: each error names place, value, rule and remedy, on stderr or as one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refinery_beam.cli.app import call
from refinery_beam.errors import DataError
from refinery_beam.testing import images

GOOD = """\
schema_version: 3
plugin: image_classification
seed: 0
Input:
  sources:
    - name: photos
      type: image_folder
      path: my-images
Labels:
  field: label
  source: {kind: direct}
Output:
  record_schema:
    image: {dtype: uint8, shape: [32, 32, 3]}
    label: {dtype: str}
Splits:
  ratios: {train: 0.7, val: 0.15, test: 0.15}
  stratify_by: label
Transformations:
  - name: resize
    op: resize
    params: {size: 32, method: bilinear}
    splits: [train, val, test]
  - name: normalize
    op: normalize
    fit_source: train
    splits: [train, val, test]
"""
FLAT = """\
      type: image_flat
      path: my-flat/images
      label_from: {path: my-flat/labels.csv, join: by_id, id_field: filename, label_field: class}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("errors")
    images.class_folders(root / "my-images", per_class=2)
    images.flat_with_csv(root / "my-flat", per_class=2)
    return root


def edited(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def section(name: str, following: str) -> str:
    return GOOD[GOOD.index(name) : GOOD.index(following)]


FOLDER = section("      type: image_folder", "Labels:")
MEANT = "did you mean {!r}?".format

# name: (recipe, code, line:column, exit code, what the message says, what the remedy says)
BROKEN: dict[str, tuple[str, str, str, int, str, str]] = {
    "section typo": (
        edited(("Transformations:", "Transformation:")),
        "unknown-field",
        "19:1",
        1,
        "'Transformation'",
        MEANT("Transformations"),
    ),
    "op typo": (edited(("op: resize", "op: resiez")), "unknown-op", "21:9", 1, "'resiez'", MEANT("resize")),
    "unknown op": (edited(("op: resize", "op: sharpen")), "unknown-op", "21:9", 1, "'sharpen'", "known: cast, "),
    "param typo": (edited(("method: bil", "metod: bil")), "unknown-field", "22:24", 1, "'metod'", MEANT("method")),
    "param value typo": (edited(("bilinear", "bilinar")), "bad-value", "22:32", 1, "'bilinar'", MEANT("bilinear")),
    "field typo": (edited(("fit_source", "fit_sorce")), "unknown-field", "26:5", 1, "'fit_sorce'", MEANT("fit_source")),
    "source type typo": (edited(("image_folder", "imagefolder")), "unknown-source-type", "7:13", 1, "'imagefolder'", MEANT("image_folder")),
    "dtype typo": (edited(("uint8", "unit8")), "unknown-dtype", "14:20", 1, "'unit8'", MEANT("uint8")),
    "plugin typo": (
        edited(("classification", "clasification")),
        "unknown-plugin",
        "2:9",
        3,
        "clasification",
        MEANT("image_classification"),
    ),
    "planned plugin": (edited(("image_classification", "tabular")), "not-executed-yet", "2:9", 1, "'tabular'", "image_classification"),
    "text for a number": (edited(("size: 32", "size: big")), "bad-type", "22:20", 1, "'big'", "write a number"),
    "text for a seed": (edited(("seed: 0", "seed: yes")), "bad-type", "3:7", 1, "'yes'", "write a number"),
    "quoted ratio": (edited(("train: 0.7", 'train: "0.7"')), "bad-type", "17:19", 1, "'0.7'", "remove the quotes"),
    "size zero": (edited(("size: 32", "size: 0")), "bad-value", "22:20", 1, "not the number 0", "write a number that is at least 1"),
    "size of three": (edited(("size: 32", "size: [32, 32, 3]")), "bad-value", "22:20", 1, "one of 3", "a list of at most 2 items"),
    "splits as a word": (edited(("[train, val, test]", "train")), "bad-type", "23:13", 1, "'train'", "write [train]"),
    "empty section": (edited(("Splits:", "Filters:\nSplits:")), "bad-type", "16:1", 1, "nothing (null)", "write [], or remove the key"),
    "no Input": (edited((section("Input:", "Labels:"), "")), "missing-field", "1:1", 1, "'Input'", "add 'Input:' here"),
    "no Output": (edited((section("Output:", "Splits:"), "")), "missing-field", "1:1", 1, "'Output'", "add 'Output:' here"),
    "no Splits": (edited((section("Splits:", "Transf"), "")), "no-split-rule", "1:1", 1, "nothing says how", "add 'ratios: "),
    "no op": (edited(("    op: resize\n", "")), "missing-field", "20:5", 1, "'op'", "add 'op:' here"),
    "no size": (edited(("{size: 32, ", "{")), "missing-field", "22:13", 1, "'size'", "add 'size:' here"),
    "wrong split": (edited(("[train, val,", "[train, valid,")), "unknown-split", "23:21", 1, "'valid'", MEANT("val")),
    "ratios above one": (edited(("test: 0.15", "test: 0.25")), "ratios-above-one", "17:11", 1, "sum to 1.1", "lower one of them"),
    "percentages": (
        edited(("{train: 0.7, val: 0.15, test: 0.15}", "{train: 70, val: 15, test: 15}")),
        "ratios-above-one",
        "17:11",
        1,
        "sum to 100",
        "write train: 0.7, val: 0.15, test: 0.15",
    ),
    "negative ratio": (edited(("test: 0.15", "test: -0.15")), "negative-ratio", "17:41", 1, "-0.15", "between 0 and 1"),
    "shape against resize": (
        edited(("[32, 32, 3]", "[64, 64, 3]")),
        "schema-reachable",
        "14:12",
        1,
        "splits train, val, test never are",
        "declare {dtype: uint8, shape: [32, 32, 3]}",
    ),
    "path typo": (edited(("my-images", "my-image")), "path-missing", "8:13", 1, "does not exist", MEANT("my-images")),
    "path to a file": (edited(("my-images", "my-flat/labels.csv")), "path-not-a-folder", "8:13", 1, "is not a folder", "check the path"),
    "column typo": (edited((FOLDER, FLAT.replace("class}", "clas}"))), "label-column-missing", "9:92", 1, "'clas'", MEANT("class")),
    "table missing": (edited((FOLDER, FLAT.replace("labels.csv", "label.csv"))), "path-missing", "9:26", 1, "label.csv", "labels.csv"),
    "flat without labels": (
        edited((FOLDER, "".join(FLAT.splitlines(keepends=True)[:2]))),
        "no-label-source",
        "6:7",
        1,
        "has no labels",
        "add label_from",
    ),
    "stratify by a typo": (edited(("_by: label", "_by: lable")), "unknown-field-name", "18:16", 1, "'lable'", MEANT("label")),
    "normalize without fit_source": (edited(("    fit_source: train\n", "")), "fit-source", "24:5", 1, "'normalize'", "fit_source: train"),
    "fitted on val": (edited(("fit_source: train", "fit_source: val")), "fit-source", "26:17", 1, "'val'", "fit_source: train"),
    "no version": (edited(("schema_version: 3\n", "")), "schema-version", "1:1", 1, "lacks 'schema_version'", "schema_version: 3"),
    "quoted version": (edited(("version: 3", 'version: "3"')), "schema-version", "1:17", 1, "the text '3'", "remove the quotes"),
    "future version": (edited(("version: 3", "version: 9")), "schema-version", "1:17", 1, "the number 9", "schema_version: 3"),
    "tabs": (edited(("  sources:", "\tsources:")), "yaml-syntax", "5:1", 1, "malformed YAML", "spaces, not tabs"),
    "unclosed bracket": (
        edited(("[train, val, test]", "[train, val, test")),
        "yaml-syntax",
        "24:9",
        1,
        "that begins at 23:13",
        "between there and here",
    ),
    "duplicate key": (edited(("seed: 0", "seed: 0\nseed: 1")), "yaml-duplicate-key", "4:1", 1, "recipe.yaml:3:1", "remove one of the two"),
    "alias": (edited(("seed: 0", "seed: *a")), "yaml-alias", "3:7", 1, "*a", "write the value out"),
    "a list": ("- a\n- b\n", "not-a-mapping", "1:1", 1, "a mapping, not a list", "schema_version: 3"),
    "a word": ("hello\n", "not-a-mapping", "1:1", 1, "'hello'", "schema_version: 3"),
    "only comments": ("# nothing\n", "not-a-mapping", "1:1", 1, "empty", "schema_version: 3"),
    "source encoding and resize": (
        edited(("Splits:", "  encoding: source\nSplits:"), (GOOD[GOOD.index("  - name: norm") :], "")),
        "encoding-source",
        "16:13",
        1,
        "'resize' changes their content",
        "choose another encoding",
    ),
    "encoding typo": (edited(("Splits:", "  encoding: pgn\nSplits:")), "bad-value", "16:13", 1, "'pgn'", MEANT("png")),
    "missing variable": (edited(("my-images", "${env:NOT_SET_HERE}/x")), "env-missing", "8:13", 1, "NOT_SET_HERE", "set NOT_SET_HERE"),
    "one name twice": (edited(("name: normalize", "name: resize")), "duplicate-name", "24:11", 1, "recipe.yaml:20:11", "rename one"),
    "label not in the schema": (
        edited(("    label: {dtype: str}\n", "")),
        "label-not-in-schema",
        "10:10",
        1,
        "'label'",
        "add 'label: {dtype: str}' to Output.record_schema",
    ),
    "a field nobody makes": (
        edited(("label: {dtype: str}", "label: {dtype: str}\n    width: {dtype: int32}")),
        "schema-reachable",
        "16:12",
        1,
        "'width'",
        "drop it from the schema",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_recipe(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text, code, at, exit_code, message, remedy = BROKEN[name]
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    Path("recipe.yaml").write_text(text)

    assert call(["run", "recipe.yaml"]) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    first, *lines = err.splitlines()
    assert first.startswith(f"error: recipe.yaml:{at}: ")
    assert message in first
    assert any(line.startswith("  rule:   ") for line in lines)
    assert any(line.startswith("  remedy: ") and remedy in line for line in lines)
    assert "Traceback" not in err

    assert call(["run", "recipe.yaml", "--json"]) == exit_code
    out, err = capsys.readouterr()
    assert err == ""
    body = json.loads(out)
    assert list(body) == ["contract", "errors"] and body["contract"] == 1
    (error,) = body["errors"]
    assert list(error) == ["code", "message", "place", "value", "rule", "remedy"]
    assert (error["code"], error["place"]) == (code, f"recipe.yaml:{at}")
    assert message in error["message"] and error["rule"] and remedy in error["remedy"]
    assert not Path("cache").exists() or not list(Path("cache").glob("instances/*"))


@pytest.mark.parametrize("verb", ["run", "plan", "validate", "status", "verify"])
def test_every_verb_says_the_same(verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    Path("recipe.yaml").write_text(BROKEN["op typo"][0])
    assert call([verb, "recipe.yaml"]) == 1
    assert capsys.readouterr().err.startswith("error: recipe.yaml:21:9: unknown op 'resiez'\n")


def test_several_errors_are_all_said(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    Path("recipe.yaml").write_text(edited(("my-images", "my-image"), ("bilinear", "bilinar"), ("_by: label", "_by: lable")))
    assert call(["run", "recipe.yaml"]) == 1
    err = capsys.readouterr().err
    assert err.count("error: recipe.yaml:") >= 1
    Path("recipe.yaml").write_text(edited(("my-images", "my-image"), ("_by: label", "_by: lable"), ("op: resize", "op: resiez")))
    assert call(["run", "recipe.yaml", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert {e["code"] for e in body["errors"]} == {"path-missing", "unknown-field-name", "unknown-op"}
    assert call(["run", "recipe.yaml"]) == 1
    assert capsys.readouterr().err.endswith("3 errors\n")


# arguments: (exit code, code, what is said)
USAGE: dict[str, tuple[list[str], int, str, str]] = {
    "no argument": (["run"], 2, "usage", "Missing argument 'recipe'"),
    "two arguments": (["run", "recipe.yaml", "more"], 2, "usage", "(more)"),
    "unknown verb": (["rnu", "recipe.yaml"], 2, "usage", "there is no verb 'rnu'"),
    "unknown option": (["run", "recipe.yaml", "--sed", "1"], 2, "usage", "--sed"),
    "workers zero": (["run", "recipe.yaml", "--workers", "0"], 2, "workers-range", "--workers 0"),
    "workers zero before": (["--workers", "0", "run", "recipe.yaml"], 2, "workers-range", "--workers 0"),
    "workers a word": (["run", "recipe.yaml", "--workers", "x"], 2, "usage", "'--workers': not a whole number"),
    "runner": (["run", "recipe.yaml", "--runner", "nosuch"], 2, "unknown-runner", "'nosuch'"),
    "mode": (["run", "recipe.yaml", "--mode", "fast"], 2, "unknown-mode", "'fast'"),
    "seed": (["run", "recipe.yaml", "--seed", "99999999999999999999"], 2, "bad-seed", "out of range"),
    "overlay": (["run", "recipe.yaml", "--overlay", "nope"], 1, "unknown-overlay", "'nope'"),
    "cache in a source": (
        ["run", "recipe.yaml", "--cache-root", "my-images/cache"],
        1,
        "output-inside-source",
        "inside the source 'photos'",
    ),
    "cache is a file": (["run", "recipe.yaml", "--cache-root", "recipe.yaml"], 3, "cache-not-a-directory", "not a directory"),
    "no such recipe": (["run", "nothere.yaml"], 1, "recipe-unreadable", "no such file"),
    "a folder as recipe": (["run", "my-images"], 1, "recipe-unreadable", "is a directory"),
    "a picture as recipe": (["run", "my-images/circle/circle_000.png"], 1, "yaml-not-utf8", "0x89 is not UTF-8"),
    "status of nothing": (["status", "nothere"], 1, "recipe-unreadable", "no such file"),
    "status of photos": (["status", "my-images"], 3, "not-an-instance", "it has no manifest.json"),
    "verify of photos": (["verify", "my-images"], 3, "not-an-instance", "no manifest.json"),
    "verify before run": (["verify", "recipe.yaml", "--cache-root", "empty"], 3, "no-instance", "has no instance"),
}


@pytest.mark.parametrize("name", list(USAGE))
def test_wrong_usage(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, exit_code, code, words = USAGE[name]
    monkeypatch.chdir(folder)
    Path("recipe.yaml").write_text(GOOD)
    assert call(arguments) == exit_code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and words in err and "  remedy: " in err and "Traceback" not in err
    assert call([*arguments, "--json"]) == exit_code
    out, err = capsys.readouterr()
    (error,) = json.loads(out)["errors"]
    assert (error["code"], err) == (code, "")
    assert words in error["message"]


def test_nobody_is_told_to_remove_photos(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    call(["verify", "my-images"])
    assert "remove" not in "".join(capsys.readouterr())


def test_debug_shows_the_traceback_and_the_words(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    Path("recipe.yaml").write_text(BROKEN["op typo"][0])
    assert call(["run", "recipe.yaml", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "error: recipe.yaml:21:9: unknown op 'resiez'" in err


def test_a_bug_is_called_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    from refinery_beam.cli import app

    monkeypatch.setattr(app, "app", lambda **_: 1 / 0)
    assert call(["run", "recipe.yaml"]) == 4
    out, err = capsys.readouterr()
    assert out == "" and "this is a bug" in err and "ZeroDivisionError" in err and "Traceback" not in err
    assert call(["run", "recipe.yaml", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "internal"


def test_values_are_said_in_the_recipes_words() -> None:
    error = DataError("no", code="c", at="r.yaml:1:1", value=True)
    assert error.render() == "r.yaml:1:1: no\n  value:  true"
    assert DataError("no", code="c", at="r.yaml", value="r.yaml").render() == "r.yaml: no", "what is said already is not said again"
    assert DataError("no", code="c", value="a\x1b[2Jb").render() == "no\n  value:  a\\x1b[2Jb"
    assert error.to_dict()["value"] is True
