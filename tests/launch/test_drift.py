"""`drift` compares two instances by what each of them wrote down of itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cli.app import call
from support.recipes import SMALL, write_recipe

HOSTILE = "<b>\x1b[31m"


@pytest.fixture(scope="module")
def pair(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two recipes and their cache root. The second set has every picture lighter by 40 of 255 at most, and a class under another name."""
    folder = tmp_path_factory.mktemp("drift")
    light = folder / "light"
    shutil.copytree(class_folders, light)
    for path in light.rglob("*.*"):
        Image.open(path).convert("RGB").point(lambda value: min(255, value + 40)).save(path)
    (light / "circle").rename(light / HOSTILE)
    recipes = [write_recipe(images, folder, name=f"{name}.yaml", base=SMALL) for name, images in (("a", class_folders), ("b", light))]
    for recipe in recipes:
        rb.run(recipe, cache_root=folder / "cache")
    return recipes[0], recipes[1], folder / "cache"


def test_what_moved_and_by_how_much(pair: tuple[Path, Path, Path]) -> None:
    a, b, cache = pair
    found = rb.drift(a, b, cache_root=cache).drift["splits"]["all"]
    # Every grey value moves by 40, but for those that end at 255; means are exact, and bins are at most a sixteenth wide.
    before, after = map(float, found["facts"]["mean"]["mean"])
    assert 30 < after - before <= 40
    assert abs(float(found["facts"]["mean"]["wasserstein"]) - (after - before)) < after / 16
    for channel in ("red", "green", "blue"):
        assert 30 < float(found["channels"][channel]["wasserstein"]) <= 40.5
        before, after = map(float, found["channels"][channel]["mean"])
        assert after - before == pytest.approx(float(found["channels"][channel]["wasserstein"]), abs=0.01)
    assert found["facts"]["width"]["wasserstein"] == "0.0000"
    # A third of the records has another label.
    assert (found["labels"]["l_infinity"], found["labels"]["only_in_a"], found["labels"]["only_in_b"]) == ("0.3333", ["circle"], [HOSTILE])


def test_text_json_and_notebook_say_the_same_and_nothing_else(pair: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b, cache = pair
    result = rb.drift(a, b, cache_root=cache)
    assert call(["drift", str(a), str(b), "--cache-root", str(cache)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "only in b: <b>\\x1b[31m" in said.replace("\\u001b", "\\x1b")
    moved = result.drift["splits"]["all"]["facts"]["mean"]
    assert f"mean {moved['mean'][0]} in a, {moved['mean'][1]} in b, moved by {moved['wasserstein']}" in said
    assert call(["drift", str(a), str(b), "--cache-root", str(cache), "--json"]) == 0
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (body["splits"], body["a"], body["b"]) == (json.loads(json.dumps(result.drift["splits"])), result.a, result.b)
    html = result._repr_html_()
    assert html.count("<table>") == len(result.drift["splits"])
    assert f"<td>mean</td><td>{moved['mean'][0]}</td><td>{moved['mean'][1]}</td><td>{moved['wasserstein']}</td>" in html


def test_the_document_lies_in_the_instance(pair: tuple[Path, Path, Path]) -> None:
    a, _, cache = pair
    instance = rb.run(a, cache_root=cache)
    body = json.loads((Path(instance.path) / "report" / "drift.json").read_text())
    assert {split: found["record_count"] for split, found in body["splits"].items()} == instance.manifest.counts
    assert any(file.path == "report/drift.json" for file in instance.manifest.files)
    for summary in body["feature_summary"].values():
        pixels = {sum(counts) for counts in summary["channels"].values()}
        assert len(pixels) == 1 and pixels.pop() > 0


def test_an_instance_without_facts_is_compared_by_its_labels(class_folders: Path, tmp_path: Path, pair: tuple[Path, Path, Path]) -> None:
    a, _, cache = pair
    bare = tmp_path / "bare.yaml"
    bare.write_text(a.read_text().replace("Output:", "Output:\n  facts: off", 1))
    rb.run(bare, cache_root=cache)
    found = rb.drift(a, bare, cache_root=cache).drift
    assert found["missing"] == ["b has no summary of its facts, so only labels are compared"]
    assert found["splits"]["all"]["labels"]["l_infinity"] == "0.0000" and found["splits"]["all"]["facts"] == {}


def test_a_recipe_that_was_not_run_is_refused(pair: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, _ = pair
    assert call(["drift", str(a), str(b), "--cache-root", str(tmp_path / "empty")]) != 0
    assert "run" in capsys.readouterr().err
