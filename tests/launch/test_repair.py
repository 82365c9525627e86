"""`verify --repair`: what is damaged is made again, nothing else is touched, and what cannot be done is said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.cache.listed import is_rendered
from support.recipes import write_recipe

MORE = {
    "sinks": ['{name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{record_id}.png"}'],
    "sample": "{selector: {n: 4}}",
    "pictures": ["{name: grid, op: sample_grid, params: {n: 4}, stage: post_pipeline, mode: reporting}"],
}


@pytest.fixture(scope="module")
def first(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, rb.RunResult]:
    """A folder with pictures, a recipe and a cache root, built once, and what it was."""
    home = tmp_path_factory.mktemp("repair") / "home"
    photos = shutil.copytree(class_folders, home / "photos")
    result = rb.run(write_recipe(photos, home, **MORE), cache_root=home / "cache")
    shutil.copytree(home, home.with_name("whole"))
    return home, result


@pytest.fixture
def built(first: tuple[Path, rb.RunResult]) -> rb.RunResult:
    """The instance as it was built, whatever the test before did."""
    home, result = first
    shutil.rmtree(home)
    shutil.copytree(home.with_name("whole"), home)
    return result


@pytest.fixture
def home(first: tuple[Path, rb.RunResult]) -> Path:
    return first[0]


@pytest.fixture
def photos(home: Path) -> Path:
    return home / "photos"


def contents(folder: str) -> dict[str, tuple[bytes, int]]:
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_ino) for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "remove": Path.unlink,
    "pipe": pipe,
    "link": link,
    "folder": folder,
}


def test_two_shards_and_a_file_of_a_sink(built: rb.RunResult, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the records of those shards are decoded, and a reader that has a damaged file open keeps it."""
    import refinery_beam.record.source as source

    before = contents(built.path)
    one, two = (built.manifest.shards(split)[0] for split in ("train", "test"))
    lost = sorted(path for path in before if path.startswith("sinks/png/val/"))[0]
    flip(Path(built.path) / one.path)
    (Path(built.path) / two.path).unlink()
    (Path(built.path) / lost).unlink()
    decoded: list[str] = []
    real = source.SourceFiles.decode
    monkeypatch.setattr(source.SourceFiles, "decode", lambda self, ref, *a, **k: decoded.append(ref.record_id) or real(self, ref, *a, **k))
    with open(Path(built.path) / one.path, "rb") as reader:
        report = rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True, deep=True, mode="threads", workers=1)
        assert reader.read() != before[one.path][0]
    assert (report.ok, report.not_repaired) == (True, ())
    assert report.repaired == tuple(sorted([one.path, two.path, lost]))
    after = contents(built.path)
    assert {p: data for p, (data, _) in after.items()} == {p: data for p, (data, _) in before.items()}
    touched = {p for p in before if after[p][1] != before[p][1] and not is_rendered(p)}
    assert touched == set(report.repaired)
    assert one.records and two.records and len(decoded) < sum(built.counts.values())
    assert rb.verify(built.path, cache_root=home / "cache", repair=True).repaired == ()


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGE)
def test_every_file_of_an_instance(built: rb.RunResult, home: Path, how: str) -> None:
    before = {path: data for path, (data, _) in contents(built.path).items()}
    for path in before:
        if path == "manifest.json" or is_rendered(path):
            continue
        shutil.copytree(built.path, home / "whole")
        DAMAGE[how](Path(built.path) / path)
        assert not rb.verify(home / "recipe.yaml", cache_root=home / "cache").ok
        report = rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True)
        assert (report.ok, report.repaired, report.not_repaired) == (True, (path,), ()), path
        assert {p: data for p, (data, _) in contents(built.path).items()} == before
        shutil.rmtree(home / "whole")


@pytest.mark.parametrize("how", [how if how in ("flip", "pipe") else pytest.param(how, marks=pytest.mark.slow) for how in DAMAGE])
def test_what_is_rendered_is_made_again(built: rb.RunResult, home: Path, how: str) -> None:
    """No manifest lists it; no run hangs on it; and a repair of anything else draws it again."""
    before = {path: data for path, (data, _) in contents(built.path).items()}
    rendered = [path for path in before if is_rendered(path)]
    assert {"report/report.html", "report/pictures/grid.png", "report/pictures/pictures.json"} <= set(rendered)
    for path in rendered:
        DAMAGE[how](Path(built.path) / path)
    if how != "folder":  # which says that it is one
        assert rb.run(home / "recipe.yaml", cache_root=home / "cache").status == "hit"
    shard = built.manifest.shards("train")[0].path
    flip(Path(built.path) / shard)
    report = rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True)
    assert (report.ok, report.repaired, report.not_repaired) == (True, (shard,), ())
    assert {p: data for p, (data, _) in contents(built.path).items()} == before


def test_by_the_folder_of_the_instance(built: rb.RunResult, home: Path) -> None:
    path = built.manifest.shards("train")[0].path
    (Path(built.path) / path).unlink()
    report = rb.verify(built.path, cache_root=home / "cache", repair=True)
    assert (report.ok, report.repaired) == (True, (path,))


def test_without_its_raw_data_nothing_is_worse(built: rb.RunResult, photos: Path, home: Path) -> None:
    path = built.manifest.shards("train")[0].path
    flip(Path(built.path) / path)
    before = contents(built.path)
    next(photos.rglob("*.png")).unlink()
    report = rb.verify(built.path, cache_root=home / "cache", repair=True)
    (left,) = report.not_repaired
    assert (report.ok, report.repaired, left.path) == (False, (), path)
    assert "the files differ" in left.reason
    shutil.rmtree(photos)
    (left,) = rb.verify(built.path, cache_root=home / "cache", repair=True).not_repaired
    assert "does not exist" in left.reason
    assert contents(built.path) == before


def test_the_manifest_itself(built: rb.RunResult, home: Path) -> None:
    """An instance cannot tell what its manifest said; its recipe can build it again."""
    manifest = Path(built.path) / "manifest.json"
    whole = manifest.read_bytes()
    for damage in (lambda: flip(manifest), manifest.unlink, lambda: (manifest.unlink(missing_ok=True), os.mkfifo(manifest))):
        damage()
        report = rb.verify(built.path, cache_root=home / "cache", repair=True)
        (left,) = report.not_repaired
        assert left.path == "manifest.json" and "cannot be repaired from itself" in left.reason and not report.ok
        report = rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True)
        assert (report.ok, report.repaired) == (True, ("manifest.json",))
        assert manifest.read_bytes() == whole


def test_a_stranger_is_left_to_its_owner(built: rb.RunResult, home: Path) -> None:
    note = Path(built.path) / "note.txt"
    note.write_text("mine")
    report = rb.verify(built.path, cache_root=home / "cache", repair=True)
    (left,) = report.not_repaired
    assert (left.path, note.read_text(), report.ok) == ("note.txt", "mine", False)
    assert "not in the manifest" in left.reason


def test_a_damaged_picture_is_drawn_again(built: rb.RunResult, home: Path) -> None:
    picture = Path(built.pictures["grid"])
    whole = picture.read_bytes()
    picture.write_bytes(b"not a picture")
    shard = Path(built.path) / built.manifest.shards("train")[0].path
    flip(shard)
    assert rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True).ok
    assert picture.read_bytes() == whole


def test_statistics_have_all_their_rows(built: rb.RunResult, home: Path) -> None:
    """A statistic is made of all records: the whole is made again, compared, and only the damaged file is put back."""
    path = next(entry.path for entry in built.manifest.files if entry.path.startswith("fitted_statistics/"))
    shard = built.manifest.shards("train")[0].path
    before = contents(built.path)
    flip(Path(built.path) / path)
    flip(Path(built.path) / shard)
    report = rb.verify(home / "recipe.yaml", cache_root=home / "cache", repair=True)
    assert (report.ok, report.repaired) == (True, tuple(sorted([path, shard])))
    after = contents(built.path)
    assert {p for p in before if after[p] != before[p] and not is_rendered(p)} == {path, shard}
    assert pq.read_metadata(Path(built.path) / shard).num_rows
