"""An instance is whole wherever it lies: copied, with its raw data gone, or back where they are."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cache.manifest import sealed
from refinery_beam.cli.app import call
from support.recipes import write_recipe

GRID = "{name: grid, op: sample_grid, params: {n: 3}, stage: post_pipeline, mode: reporting}"


@pytest.fixture
def photos(class_folders: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_folders, tmp_path / "home" / "erika" / "photos"))


@pytest.fixture
def built(photos: Path, tmp_path: Path) -> rb.Instance:
    recipe = write_recipe("photos", photos.parent, pictures=[GRID])
    return rb.run(recipe, cache_root=tmp_path / "cache")


def text_of(instance: rb.Instance) -> str:
    return (Path(instance.path) / "recipe.yaml").read_text()


def test_the_recipe_is_equal_from_two_folders_and_names_no_user(built: rb.Instance, photos: Path, tmp_path: Path) -> None:
    assert "erika" not in text_of(built)
    assert str(tmp_path) not in text_of(built)
    assert 'path: "${env:REFINERY_BEAM_SOURCE_PHOTOS}"' in text_of(built)
    other = tmp_path / "elsewhere"
    other.mkdir()
    moved = Path(shutil.move(photos, other / "pictures"))
    again = rb.run(write_recipe(moved, other, pictures=[GRID]), cache_root=tmp_path / "other cache")
    assert text_of(again) == text_of(built)
    assert (Path(again.path) / "manifest.json").read_bytes() == (Path(built.path) / "manifest.json").read_bytes()


def test_no_user_stands_in_any_file(built: rb.Instance, tmp_path: Path) -> None:
    for file in Path(built.path).rglob("*"):
        assert not file.is_file() or b"erika" not in file.read_bytes()


def test_every_verb_works_on_a_copy_with_the_raw_data_gone(
    built: rb.Instance, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = next((photos / "circle").iterdir())
    kept = one.read_bytes()
    shown = [row["label"] for row in built["train"]]
    copy = Path(shutil.copytree(built.path, tmp_path / "ds"))
    shutil.rmtree(copy / "report" / "pictures")
    shutil.rmtree(tmp_path / "home")
    shutil.rmtree(tmp_path / "cache")
    for target in (copy, copy / "recipe.yaml"):
        data = rb.open_instance(target, cache_root=tmp_path / "none")
        assert [row["label"] for row in data["train"]] == shown
        assert data.report.startswith("# ")
        assert data.replay(kept).shape == (32, 32, 3)
        assert rb.status(target, cache_root=tmp_path / "none").status == "hit"
        assert rb.verify(target, deep=True, cache_root=tmp_path / "none").ok
        assert Path(rb.draw(target, cache_root=tmp_path / "none").pictures["grid"]) == copy / "report" / "pictures" / "grid.png"
    result = rb.run(copy / "recipe.yaml", cache_root=tmp_path / "none")
    assert (result.status, result.path, result.counts) == ("opened", str(copy), built.counts)
    assert "the environment variable REFINERY_BEAM_SOURCE_PHOTOS is not set" in result.notes[0]
    assert call(["--cache-root", str(tmp_path / "none"), "run", str(copy / "recipe.yaml")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("opened, without its raw data: 36 records")
    assert "the raw data of this dataset are not here" in said.err
    assert call(["--cache-root", str(tmp_path / "none"), "--json", "run", str(copy / "recipe.yaml")]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "opened"


def test_the_key_is_found_again_where_the_raw_data_are(built: rb.Instance, photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    # The cache knows where the data were.
    again = rb.run(Path(built.path) / "recipe.yaml", cache_root=cache)
    assert (again.status, again.path) == ("hit", built.path)
    assert rb.plan(Path(built.path) / "recipe.yaml", cache_root=cache).status == "hit"
    # A copy is found itself, whatever the cache root holds.
    copy = Path(shutil.copytree(built.path, tmp_path / "ds"))
    os.environ["REFINERY_BEAM_SOURCE_PHOTOS"] = str(photos)
    try:
        found = rb.run(copy / "recipe.yaml", cache_root=tmp_path / "fresh")
        assert (found.status, found.path) == ("hit", str(copy))
        (photos / "circle" / "more.png").write_bytes((photos / "circle" / "circle_000.png").read_bytes())
        changed = rb.run(copy / "recipe.yaml", cache_root=tmp_path / "fresh")
        assert (changed.status, len(changed["train"]) + len(changed["val"]) + len(changed["test"])) == ("built", 37)
        assert changed.manifest.recipe_hash == built.manifest.recipe_hash
    finally:
        del os.environ["REFINERY_BEAM_SOURCE_PHOTOS"]


def test_a_moved_source_is_found_by_the_newest_run(built: rb.Instance, photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    moved = Path(shutil.move(photos, tmp_path / "moved"))
    assert rb.run(Path(built.path) / "recipe.yaml", cache_root=cache).status == "opened"
    assert rb.run(write_recipe(moved, tmp_path, pictures=[GRID]), cache_root=cache).status == "hit"
    assert rb.run(Path(built.path) / "recipe.yaml", cache_root=cache).status == "hit"


def test_an_edited_recipe_of_an_instance_is_a_recipe_like_any(built: rb.Instance, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(built.path, tmp_path / "ds"))
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("seed: 0", "seed: 1"))
    with pytest.raises(rb.RecipeError) as caught:
        rb.run(copy / "recipe.yaml", cache_root=tmp_path / "fresh")
    assert caught.value.code == "env-missing"
    with pytest.raises(rb.RecipeError):
        rb.run(Path(built.path) / "recipe.yaml", seed=7, cache_root=tmp_path / "fresh")


def test_tables_in_a_source_other_sources_and_urls(tmp_path: Path) -> None:
    from refinery_beam.recipe import effective_yaml, load_recipe, location_variables

    labels = {"join": "by_id", "id_field": "id", "label_field": "label"}
    sources: list[dict[str, Any]] = [
        {"name": "a-b", "type": "image_flat", "path": "photos", "label_from": {"path": "photos/labels.csv", **labels}},
        {"name": "a_b", "type": "image_flat", "path": "/data/more", "label_from": {"path": "tables/more.csv", **labels}},
        {"name": "far", "type": "image_flat", "path": "gs://bucket/photos", "label_from": {"path": "${env:TABLES}/far.csv", **labels}},
    ]
    path = write_recipe("photos", tmp_path, transformations=None)
    import yaml

    raw = yaml.safe_load(path.read_text())
    raw["Input"]["sources"] = sources
    path.write_text(yaml.safe_dump(raw))
    recipe = load_recipe(path)
    text = effective_yaml(recipe, locations="symbolic")
    written = yaml.safe_load(text)["Input"]["sources"]
    assert [(s["path"], s["label_from"]["path"]) for s in written] == [
        ("${env:REFINERY_BEAM_SOURCE_A_B}", "${env:REFINERY_BEAM_SOURCE_A_B}/labels.csv"),
        ("${env:REFINERY_BEAM_SOURCE_A_B_2}", "${env:REFINERY_BEAM_LABELS_A_B}"),
        ("gs://bucket/photos", "${env:TABLES}/far.csv"),
    ]
    assert location_variables(recipe) == {
        "REFINERY_BEAM_SOURCE_A_B": str(tmp_path / "photos"),
        "REFINERY_BEAM_SOURCE_A_B_2": "/data/more",
        "REFINERY_BEAM_LABELS_A_B": str(tmp_path / "tables" / "more.csv"),
    }
    again = load_recipe("again.yaml", text=text, variables=location_variables(recipe))
    assert again.resolve(written[0]["label_from"]["path"]) == str(tmp_path / "photos" / "labels.csv")
    assert effective_yaml(again, locations="symbolic") == text


def test_a_manifest_that_lists_no_recipe_has_none(built: rb.Instance) -> None:
    raw = sealed({**built.manifest.raw, "annexes": []})
    from refinery_beam.cache.manifest import manifest_bytes

    (Path(built.path) / "manifest.json").write_bytes(manifest_bytes(raw))
    assert [(f.code, f.path) for f in rb.verify(built.path).findings] == [("unlisted", "recipe.yaml"), ("unlisted", "selection.json")]


def test_the_selection_is_kept(photos: Path, tmp_path: Path) -> None:
    (photos / "circle" / "notes.txt").write_text("x")
    built = rb.run(write_recipe("photos", photos.parent), cache_root=tmp_path / "cache")
    kept = json.loads((Path(built.path) / "selection.json").read_text())
    assert kept["sources"][0]["kinds"][0]["folders"] == [{"folder": "circle", "count": 1, "examples": ["circle/notes.txt"]}]
    assert rb.status(built.path).to_dict()["selection"] == kept
    (photos / "circle" / "notes.txt").unlink()
    again = rb.run(write_recipe("photos", photos.parent), cache_root=tmp_path / "cache")
    assert again.status == "hit", "what is left out changes no dataset"
    other = rb.run(write_recipe("photos", photos.parent), cache_root=tmp_path / "other")
    assert (other.manifest.files_digest, other.manifest.annexes) != (built.manifest.files_digest, built.manifest.annexes)
    assert other.manifest.files_digest == built.manifest.files_digest
