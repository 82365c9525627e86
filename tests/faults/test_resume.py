"""Runs that go on where a killed run stopped: what is not made again, and that the bytes are those of a clean run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from support.counted import Counted
from support.everything import write_everything
from support.processes import left_over

EAGER = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.8, test: 0.2}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 24, method: lanczos}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
Output:
  record_schema: {{image: {{dtype: float32, shape: [24, 24, 3]}}, label: {{dtype: str}}}}
  shard_records: 4
Sinks:
  - {{name: arrays, stage: post_pipeline, field: image, format: npy_per_record, path_template: "{{split}}/{{record_id}}.npy"}}
"""

THREADS = ("--mode", "threads", "--workers", "2")
PROCESSES = ("--mode", "processes", "--workers", "2")


def eager(class_folders: Path, folder: Path) -> Counted:
    """A recipe with statistics that have a pass of their own, and with files of a sink."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(EAGER.format(path=class_folders))
    return Counted(recipe, str(folder / "cache"), folder)


@pytest.fixture
def counted(class_folders: Path, tmp_path: Path) -> Counted:
    return eager(class_folders, tmp_path)


@pytest.fixture(scope="module")
def once(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], int]:
    """What a clean run of that recipe gives, and how many files it decodes."""
    return clean(eager(class_folders, tmp_path_factory.mktemp("once")))


def clean(counted: Counted) -> tuple[dict[str, object], int]:
    """What a run in a cache root of its own gives, and how many files it decodes."""
    other = Counted(counted.recipe, str(counted.folder / "clean"), counted.folder)
    code, body, decodes = other.run(*THREADS)
    assert code == 0, body
    shutil.rmtree(other.root)
    return body, decodes


def parts(counted: Counted) -> list[Path]:
    return sorted(Path(counted.root).glob("resume/*/*/part.json"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [pytest.param(PROCESSES, id="processes"), pytest.param(THREADS, id="threads")])
def test_a_killed_run_goes_on(counted: Counted, once: tuple[dict[str, object], int], mode: tuple[str, ...]) -> None:
    body, every = once
    at = every * 9 // 10
    code, _, _ = counted.run(*mode, die_at=at)
    assert code == -signal.SIGKILL
    kept = len([p for p in parts(counted) if p.parent.name.startswith("dataset-")])
    assert kept and left_over(counted.folder) == []
    code, again, decodes = counted.run(*mode)
    assert code == 0, again
    assert (again["files_digest"], again["logical_digest"]) == (body["files_digest"], body["logical_digest"])
    reused = again["reused"]
    assert isinstance(reused, dict) and reused["shards"] == kept and reused["fit_records"] == body["counts"]["train"]  # type: ignore[index]
    # What is in no part is decoded once, and each of the few records at work three times alone: they might have killed the run. Codecs
    # are tried and the page is drawn in every run that draws it.
    Path(str(again["report"])).unlink()
    idle = counted.run(*mode)[2]
    assert decodes - idle <= 36 - reused["records"] + 3 * 4
    assert not list(Path(counted.root).glob("resume/*")), "an instance that is whole needs no parts"
    assert not list(Path(counted.root).glob("staging/*-*-*-*"))


@pytest.mark.slow
@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_every_kind_of_output_survives(class_folders: Path, tmp_path: Path, at: float) -> None:
    """Generated and augmented records, evidence of assertions, riding statistics, a sample, quarantined files."""
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    bad = sorted(photos.rglob("*.png"))[3]
    bad.write_bytes(bad.read_bytes()[:-30])
    recipe = write_everything(photos, tmp_path)
    recipe.write_text("".join(line for line in recipe.read_text().splitlines(True) if "split_record_counts" not in line))
    counted = Counted(recipe, str(tmp_path / "cache"), tmp_path)
    body, every = clean(counted)
    code, _, _ = counted.run(*THREADS, die_at=round(every * at))
    assert code == -signal.SIGKILL
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"], again["ledger"]) == (0, body["files_digest"], body["ledger"])
    assert at < 0.5 or again["reused"]["shards"] > 0  # type: ignore[index]


@pytest.mark.slow
def test_damaged_parts_are_made_again(counted: Counted, once: tuple[dict[str, object], int]) -> None:
    """Cut, changed, removed, replaced by a pipe or a folder: each is noticed, and the bytes are those of a clean run."""
    body, every = once
    assert counted.run(*THREADS, die_at=every * 9 // 10)[0] == -signal.SIGKILL
    damage = [_cut, _flip, _remove, _pipe, _folder, _flip_record, _cut_record, _pipe_record, _elsewhere]
    folders = [p.parent for p in parts(counted) if p.parent.name.startswith("dataset-")]
    assert len(folders) >= 5
    for i, how in enumerate(damage):
        how(folders[i % len(folders)])
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, body["files_digest"])
    reused = again["reused"]
    assert isinstance(reused, dict) and reused["shards"] == len(folders) - min(len(folders), len(damage))


def _shard(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("instance/dataset/*/part-*"))), None)


def _cut(folder: Path) -> None:
    shard = _shard(folder)
    if shard is not None:
        data = shard.read_bytes()
        shard.unlink()
        shard.write_bytes(data[:-7])


def _flip(folder: Path) -> None:
    shard = _shard(folder)
    if shard is not None:
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.unlink()
        shard.write_bytes(data)


def _remove(folder: Path) -> None:
    next(folder.glob("facts/*")).unlink()


def _pipe(folder: Path) -> None:
    shard = _shard(folder)
    if shard is not None and shard.is_file():
        shard.unlink()
        os.mkfifo(shard)


def _folder(folder: Path) -> None:
    shard = next(folder.glob("instance/sinks/arrays/*/*.npy"))
    shard.unlink()
    shard.mkdir()


def _flip_record(folder: Path) -> None:
    record = folder / "part.json"
    record.write_bytes(record.read_bytes().replace(b'"records', b'"recorde', 1).replace(b"train", b"trian", 1).replace(b"test", b"tset", 1))


def _cut_record(folder: Path) -> None:
    record = folder / "part.json"
    record.write_bytes(record.read_bytes()[:100])


def _pipe_record(folder: Path) -> None:
    (folder / "part.json").unlink()
    os.mkfifo(folder / "part.json")


def _elsewhere(folder: Path) -> None:
    """A record that names a file outside is no record, even with a digest that holds."""
    import hashlib
    import json

    text = json.dumps({"by": "", "files": [["instance", "../../../x", 1, "0"]], "body": {}}).encode()
    record = folder / "part.json"
    record.unlink()
    record.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


@pytest.mark.slow
def test_after_ctrl_c(counted: Counted, once: tuple[dict[str, object], int]) -> None:
    body, every = once
    code, failed, _ = counted.run(*THREADS, die_at=every * 8 // 10, die_of="SIGINT")
    assert (code, failed["errors"][0]["code"]) == (130, "interrupted")  # type: ignore[index]
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, body["files_digest"])
    assert again["reused"]["shards"] > 0  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("eager", [True, False])
def test_a_file_that_is_mended(class_folders: Path, counted: Counted, tmp_path: Path, eager: bool) -> None:
    """It makes another key. Shards that do not hold it, and have the same statistics applied, are taken over all the same."""
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    text = EAGER.format(path=photos)
    if not eager:
        text = "".join(line for line in text.splitlines(True) if "normalize" not in line).replace("float32", "uint8")
        text = text[: text.index("Sinks:")]
    counted.recipe.write_text(text)
    victims = {path: path.read_bytes() for path in sorted(photos.rglob("*.png"))}
    # One that is not met before some shards are whole: not while train is fitted, and not in the first shard.
    finished, failed = 0, dict[str, object]()
    for bad in sorted(victims, key=lambda path: path.name, reverse=True):
        bad.write_bytes(victims[bad][:-30])
        code, failed, _ = counted.run("--mode", "threads", "--workers", "1")
        assert (code, failed["errors"][0]["code"]) == (1, "truncated")  # type: ignore[index]
        finished = len([p for p in parts(counted) if p.parent.name.startswith("dataset-")])
        if finished:
            break
        bad.write_bytes(victims[bad])
    assert finished > 0
    assert f"{finished} finished shard" in str(failed.get("notes", "0 finished shard"))
    bad.write_bytes(victims[bad])
    body, _ = clean(counted)
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, body["files_digest"])
    reused = again.get("reused", {"shards": 0})
    assert isinstance(reused, dict) and reused["shards"] == finished
