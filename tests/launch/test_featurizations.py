"""categorical_encode, flatten, perceptual_hash, end to end on drawn images."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import RefineryError
from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.run import run_with
from refinery_beam.plugins.image_classification.ops.dhash import dhash
from refinery_beam.plugins.image_classification.ops.phash import phash
from refinery_beam.testing.engine import replayed
from refinery_beam.testing.images import draw
from support.recipes import SMALL, more, quarantine, write_recipe

EIGHT: dict[str, Any] = {
    "output": {"shard_records": 5},
    "transformations": ["{name: resize, op: resize, params: {size: 8, method: nearest}, splits: [train, test]}"],
}


def written(folder: Path, images: Path, fields: dict[str, Any], step: dict[str, Any], **parts: Any) -> Path:
    """A recipe over small images, with a featurization and the fields it needs."""
    made = {"name": "made", "splits": ["train", "test"], **step}
    fields = {"image": {"shape": [8, 8, 3]}, **fields}
    return write_recipe(images, folder, base=SMALL, featurizations=[made], fields=fields, **{**EIGHT, **parts})


def run(tmp_path: Path, images: Path, fields: dict[str, Any], step: dict[str, Any], **settings: Any) -> RunResult:
    return run_with(written(tmp_path, images, fields, step), Settings(cache_root=str(tmp_path / "cache"), **settings))


def rows(result: RunResult, split: str = "") -> list[dict[str, Any]]:
    return [row for name in result.counts if not split or name == split for row in rb.open_instance(result.path).split(name)]


def encode(fit: str | None = "train", **params: Any) -> dict[str, Any]:
    step = {"inputs": ["label"], "output_field": "label_id", "op": "categorical_encode", "params": params}
    return {**step, "fit_source": fit} if fit else step


FLAT = {"flat": "{dtype: uint8, shape: [192]}"}
FLATTEN = {"op": "flatten", "inputs": ["image"], "output_field": "flat"}


def test_labels_become_numbers(class_folders: Path, tmp_path: Path) -> None:
    result = run(tmp_path, class_folders, {"label_id": "{dtype: int32}"}, encode(output_dtype="int32"))
    assert {(r["label"], r["label_id"]) for r in rows(result)} == {("circle", 0), ("square", 1), ("triangle", 2)}
    shard = next((Path(result.path) / "dataset" / "train").iterdir())
    assert str(pq.read_schema(shard).field("label_id").type) == "int32"
    fitted = json.loads((Path(result.path) / "fitted_statistics" / "made.json").read_text())
    assert fitted == {
        "op": "categorical_encode",
        "version": 2,
        "fit_source": "train",
        "pinned": False,
        "records": 27,
        "ordering": "alphabetical",
        "vocabulary": ["circle", "square", "triangle"],
        "counts": [9, 9, 9],
    }
    assert result.manifest.raw["op_versions"] == {"categorical_encode": 2, "resize": 1, "splits:exact": 2}
    assert verify(result.path, deep=True).ok


def test_first_seen_is_the_order_of_smallest_keys(class_folders: Path, tmp_path: Path) -> None:
    result = run(tmp_path, class_folders, {"label_id": "{dtype: int64}"}, encode(ordering="first_seen"))
    train = rows(result, "train")
    smallest = {label: min(record_key(r["record_id"]) for r in train if r["label"] == label) for label in ("circle", "square", "triangle")}
    assert rb.open_instance(result.path).statistics("made")["vocabulary"] == sorted(smallest, key=smallest.__getitem__)


@pytest.mark.parametrize(
    "how",
    [
        *(pytest.param(how, marks=pytest.mark.slow) for how in ({"mode": "processes", "workers": 2}, {"workers": 2})),
        {"runner_factory": replayed(1)},
    ],
)
def test_one_digest_however_it_runs(class_folders: Path, tmp_path: Path, how: dict[str, Any]) -> None:
    digests = set()
    for k, settings in enumerate(({"workers": 1}, how)):
        folder = tmp_path / str(k)
        folder.mkdir()
        digests.add(
            run(folder, class_folders, {"label_id": "{dtype: int64}"}, encode(ordering="first_seen"), **settings).manifest.files_digest
        )
    assert len(digests) == 1


def partitioned(tmp_path: Path, train: Path, test: Path, step: dict[str, Any], **on_error: Any) -> RunResult:
    folders = {"train": train, "test": test}
    sources = [{"name": name, "type": "image_folder", "path": str(path), "partition": name} for name, path in folders.items()]
    recipe = written(tmp_path, train, {"label_id": "{dtype: int64}"}, step, splits={}, input={"sources": sources, **on_error})
    return run_with(recipe, Settings(cache_root=str(tmp_path / "cache")))


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """train/ has circles and squares, test/ a ring as well."""
    for split, labels in (("train", ("circle", "square")), ("test", ("circle", "ring"))):
        for label in labels:
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for k in range(3):
                draw(label, k + 10 * (split == "test")).save(folder / f"{k}.png")
    return tmp_path / "train", tmp_path / "test"


@pytest.mark.parametrize(("oov", "number"), [("ignore", -1), ("index", 2)])
def test_a_class_that_train_lacks(two_folders: tuple[Path, Path], tmp_path: Path, oov: str, number: int) -> None:
    result = partitioned(tmp_path, *two_folders, encode(oov=oov))
    assert {(r["label"], r["label_id"]) for r in rows(result)} == {("circle", 0), ("square", 1), ("ring", number)}


def test_a_class_that_train_lacks_is_an_error_by_default(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(RefineryError, match="out_of_vocabulary: 'ring' is not in the vocabulary of 2 values"):
        partitioned(tmp_path, *two_folders, encode())
    result = partitioned(tmp_path, *two_folders, encode(), **quarantine(0.5))
    assert result.manifest.raw["ledger"] == {"out_of_vocabulary": 3}
    assert Counter(r["label"] for r in rows(result)) == {"circle": 6, "square": 3}


def test_a_stated_vocabulary(class_folders: Path, tmp_path: Path) -> None:
    step = encode(fit=None, vocabulary=["triangle", "circle", "square"], output_dtype="uint8")
    result = run(tmp_path, class_folders, {"label_id": "{dtype: uint8}"}, step)
    assert {(r["label"], r["label_id"]) for r in rows(result)} == {("triangle", 0), ("circle", 1), ("square", 2)}
    assert rb.open_instance(result.path).statistics("made")["pinned"] is True


REFUSED = {
    "nothing-to-fit-on": (encode(fit=None), "fit-source"),
    "fit-on-test": (encode(fit="test"), "fit-source"),
    "image": (more(encode(), inputs=["image"]), "op-type"),
    "twice": (encode(fit=None, vocabulary=["a", "a"]), None),
    "unsigned": (encode(output_dtype="uint8", oov="ignore"), None),
    "ordering": (encode(ordering="by_size"), None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, class_folders: Path, tmp_path: Path) -> None:
    op, code = REFUSED[name]
    with pytest.raises(RefineryError) as caught:
        run(tmp_path, class_folders, {"label_id": "{dtype: int64}"}, op)
    assert caught.value.exit_code == 1
    assert code is None or code in {e.code for e in caught.value.errors()}
    assert all("recipe.yaml:" in e.at for e in caught.value.errors())


def test_a_fitted_field_comes_too_late_for_splits(class_folders: Path, tmp_path: Path) -> None:
    splits = {"ratios": {"train": 0.75, "test": 0.25}, "stratify_by": "label_id"}
    file = written(tmp_path, class_folders, {"label_id": "{dtype: int64}"}, encode(), splits=splits)
    with pytest.raises(RefineryError, match="does not exist yet when splits are made"):
        prepare(file, Settings(cache_root=str(tmp_path / "cache")))


def test_no_pixels_and_no_pickles_cross(class_folders: Path, tmp_path: Path) -> None:
    import apache_beam as beam

    from refinery_beam.job.job import Job
    from refinery_beam.pipeline.translate import translate
    from refinery_beam.testing.engine.lint import offences

    file = written(tmp_path, class_folders, {"label_id": "{dtype: int64}"}, encode())
    plan = prepare(file, Settings(cache_root=str(tmp_path / "cache"))).plan
    pipeline = beam.Pipeline(runner="BundleBasedDirectRunner")
    job = Job(plan=plan, instance="/i", work="/w", threads=1, records=36, shard_records=7, grouped=False)
    translate(pipeline, job)
    assert offences(pipeline) == []


def test_flatten(class_folders: Path, tmp_path: Path) -> None:
    result = run(tmp_path, class_folders, FLAT, FLATTEN)
    for row in rows(result):
        assert row["flat"] == row["image"].reshape(-1).tolist()
    assert verify(result.path, deep=True).ok


def test_flatten_without_the_image(class_folders: Path, tmp_path: Path) -> None:
    result = run(tmp_path, class_folders, {**FLAT, "image": None}, FLATTEN)
    assert {len(r["flat"]) for r in rows(result)} == {192} and "image" not in rows(result)[0]


def test_perceptual_hash(class_folders: Path, tmp_path: Path) -> None:
    def hashing(kind: str, dtype: str) -> dict[str, Any]:
        params = {"kind": kind, "output_dtype": dtype}
        return {"inputs": ["image"], "output_field": "hash", "op": "perceptual_hash", "params": params}

    texts = run(tmp_path, class_folders, {"hash": "{dtype: str}"}, hashing("phash", "str"))
    for row in rows(texts):
        assert row["hash"] == f"{phash(row['image']):016x}"
    numbers = run(tmp_path, class_folders, {"hash": "{dtype: int64}"}, hashing("dhash", "int64"))
    for row in rows(numbers):
        assert row["hash"] % (1 << 64) == dhash(row["image"])
    assert any(row["hash"] < 0 for row in rows(numbers))
