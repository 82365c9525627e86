"""Sources on an object store, here fsspec's store in memory, which keeps no checksums. Real servers: tests/stores/test_sources.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refinery_beam import locations
from refinery_beam.errors import DataError, RecipeError
from refinery_beam.index.digests.hints import HintCache, ObjectState
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.pipeline.rows.digest_files import digest_file
from refinery_beam.records import Ref
from support.recipes import Run, write_recipe


def put_tree(folder: Path, url: str) -> str:
    """Copy a folder to a store."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            locations.write(locations.join(url, path.relative_to(folder).as_posix()), path.read_bytes())
    return url


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}-{os.getpid()}"


def test_a_source_on_a_store_is_the_same_input(class_folders: Path, store: str, tmp_path: Path, run: Run) -> None:
    put_tree(class_folders, f"{store}/photos")
    locations.write(f"{store}/photos/circle/.hidden.png", b"x")
    locations.write(f"{store}/photos/circle/notes.txt", b"x")
    locations.write(f"{store}/photos/top.png", b"x")
    local = run(write_recipe(class_folders, tmp_path))
    recipe = write_recipe(f"{store}/photos/", tmp_path, name="remote.yaml")
    assert run(recipe).status == "hit"
    away = run(recipe, cache="other")
    assert (away.status, away.manifest.raw["files_digest"]) == ("built", local.manifest.raw["files_digest"])
    assert away.notes[0] == (
        "source 'photos': left out 1 .txt in 'circle/' (such as 'circle/notes.txt'); "
        "1 hidden in 'circle/' (such as 'circle/.hidden.png'); 1 top_level (such as 'top.png')"
    )
    settings = Settings(cache_root=str(tmp_path / "other"))
    assert prepare(recipe, settings).index.hashed == 0
    locations.write(f"{store}/photos/circle/0.png", next(class_folders.rglob("*.png")).read_bytes())
    again = prepare(recipe, settings)
    assert again.index.hashed == 1 and not again.lookup().manifest


def test_label_tables_and_variables(flat_with_csv: Path, store: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tree(flat_with_csv, f"{store}/flat")

    def over(root: str, name: str) -> Path:
        table = {"path": f"{root}/labels.csv", "join": "by_id", "id_field": "filename", "label_field": "class"}
        source = {"type": "image_flat", "label_from": table}
        return write_recipe(f"{root}/images", tmp_path, name=name, source=source, labels="{field: label, source: {}}")

    monkeypatch.setenv("STORE", store)
    built = run(over(str(flat_with_csv), "local.yaml"))
    assert built.status == "built"
    assert run(over("${env:STORE}/flat", "remote.yaml")).status == "hit"


def test_identical_files_are_found_across_places(class_folders: Path, store: str, tmp_path: Path) -> None:
    put_tree(class_folders, f"{store}/photos")
    roots = {"photos": class_folders, "copies": f"{store}/photos"}
    sources = [{"name": name, "type": "image_folder", "path": str(root)} for name, root in roots.items()]
    recipe = write_recipe(class_folders, tmp_path, input={"sources": sources})
    index = prepare(recipe, Settings(cache_root=str(tmp_path / "c"))).index
    assert (index.kind, index.facts.files, index.repeats.records) == ("sha256", (36, 36), 72)


def test_what_is_refused(class_folders: Path, store: str, tmp_path: Path) -> None:
    def over(url: str) -> Path:
        return write_recipe(url, tmp_path)

    with pytest.raises(DataError) as nothing:
        prepare(over(f"{store}/nothing"), Settings(cache_root=str(tmp_path / "cache")))
    assert (nothing.value.code, nothing.value.value) == ("source-path", f"{store}/nothing")
    assert nothing.value.at.endswith("recipe.yaml:6:48")
    locations.write(f"{store}/notes/a.txt", b"x")
    with pytest.raises(DataError) as empty:
        prepare(over(f"{store}/notes"), Settings(cache_root=str(tmp_path / "cache")))
    assert empty.value.code == "no-class-folder"
    put_tree(class_folders, f"{store}/photos")
    with pytest.raises(RecipeError) as inside:
        prepare(over(f"{store}/photos"), Settings(cache_root=f"{store}/photos/cache"))
    assert inside.value.code == "output-inside-source"


def test_a_file_that_cannot_be_read_is_a_row(store: str) -> None:
    locations.write(f"{store}/a.png", b"abc")

    def ref(path: str, size: int) -> Ref:
        return Ref(f"s/{path}", b"", 0, path, size, b"", None, "", b"", "", "", "")

    assert digest_file(ref("a.png", 3), root=store).digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_file(ref("a.png", 4), root=store)[1:] == ("", "changed_during_run", "listed with 4 bytes, read 3")
    assert digest_file(ref("b.png", 3), root=store)[1:3] == ("", "unreadable")


def test_hints_of_objects(tmp_path: Path) -> None:
    hints = HintCache(str(tmp_path / "hints.sqlite"))
    state = ObjectState(3, "generation 17")
    hints.store([("gs://b/a.png", state, b"d" * 32)])
    assert hints.lookup(["gs://b/a.png"]) == {"gs://b/a.png": (b"3 generation 17", b"d" * 32)}
