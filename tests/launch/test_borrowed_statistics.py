"""stats_from_instance: found by the sibling's own key, in the consumer's key, copied into the consumer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import RefineryError
from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.prepare import check_recipe, prepare
from refinery_beam.launch.run import run_with
from refinery_beam.planning.explain import explain
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.testing.images import draw
from support.recipes import SMALL, more, position, write_recipe

FIT = {"fit_source": "train"}
PLAIN = more(SMALL["Transformations"][0])


def written(
    folder: Path, name: str, path: Path, *, op: str = "normalize", stats: Any = FIT, ids: Any = FIT, dtype: str = "uint8", **parts: Any
) -> Path:
    """A recipe with two fitted ops, `norm` and `ids`; `stats` and `ids` say where their numbers come from."""
    splits = ["train", "test"]
    norm = {"name": "norm", "op": op, "splits": splits, **stats}
    encoded = {"name": "ids", "op": "categorical_encode", "inputs": ["label"], "output_field": "label_id", "splits": splits, **ids}
    given = {"seed": 0, "transformations": [PLAIN, norm], "featurizations": [encoded], **parts}
    fields = {"image": {"dtype": dtype}, "label_id": {"dtype": "int64"}, **given.pop("fields", {})}
    return write_recipe(path, folder, name=name, base=SMALL, fields=fields, **given)


def borrowed(sibling: str = "base.yaml", op_id: str = "norm", **params: Any) -> dict[str, Any]:
    return {"params": {"stats_from_instance": {"recipe": sibling, "op_id": op_id}, **params}}


def go(tmp_path: Path, recipe: Path, **settings: Any) -> RunResult:
    return run_with(recipe, Settings(cache_root=str(tmp_path / "cache"), **settings))


@pytest.fixture
def other_images(tmp_path: Path) -> Path:
    root = tmp_path / "other"
    for label in ("square", "triangle"):
        (root / label).mkdir(parents=True)
        for k in range(8):
            draw(label, 50 + k).save(root / label / f"{k}.png")
    return root


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("normalize", "uint8"),
        ("mean_subtract", "float32"),
        pytest.param("normalize", "float32", marks=pytest.mark.slow),
        pytest.param("mean_subtract", "uint8", marks=pytest.mark.slow),
    ],
)
def test_statistics_are_imported(class_folders: Path, other_images: Path, tmp_path: Path, op: str, dtype: str) -> None:
    base = go(tmp_path, written(tmp_path, "base.yaml", class_folders, op=op))
    consumer = written(tmp_path, "consumer.yaml", other_images, op=op, dtype=dtype, stats=borrowed(), ids=borrowed(op_id="ids"))
    result = go(tmp_path, consumer)
    there, here = rb.open_instance(base.path), rb.open_instance(result.path)
    mean = np.array(there.statistics("norm")["mean"])
    std = np.array(there.statistics("norm")["std"]) if op == "normalize" else 1.0
    rows = list(here.split("train"))
    raw = go(tmp_path, written(tmp_path, "plain.yaml", other_images, op="cast", stats={"params": {"dtype": "uint8"}}))
    pixels = {r["record_id"]: r["image"] for r in rb.open_instance(raw.path).split("train")}
    for row in rows:
        assert np.array_equal(row["image"], ((pixels[row["record_id"]] - mean) / std).astype(np.float32))
        assert row["label_id"] == {"circle": 0, "square": 1, "triangle": 2}[row["label"]]
    # Copied, with the origin named: the consumer reads without the sibling.
    body = json.loads((Path(result.path) / "fitted_statistics" / "norm.json").read_text())
    assert body["mean"] == there.statistics("norm")["mean"] and body["channels"] == there.statistics("norm")["channels"]
    assert (body["fit_source"], body["pinned"]) == (None, True)
    raw_base = base.manifest.raw
    origin = {"recipe_hash": raw_base["recipe_hash"], "input_hash": raw_base["input_hash"], "seed": 0}
    assert body["origin"] == {**origin, "op_id": "norm"}
    assert here.statistics("ids")["origin"] == {**origin, "op_id": "ids"}
    assert here.statistics("ids")["vocabulary"] == ["circle", "square", "triangle"]
    assert go(tmp_path, consumer).status == "hit"
    assert verify(result.path, deep=True, recipe_digest=digest_of_recipe).ok
    explained = explain(prepare(consumer, Settings(cache_root=str(tmp_path / "cache"))).plan, records=16, sources=[])
    assert f"Import norm: from norm of instance {raw_base['recipe_hash'][:16]}" in explained


@pytest.mark.slow
def test_the_siblings_key_is_in_the_key(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    base = written(tmp_path, "base.yaml", class_folders)
    consumer = written(tmp_path, "consumer.yaml", other_images, stats=borrowed())
    go(tmp_path, base)
    first = go(tmp_path, consumer)
    written(tmp_path, "base.yaml", class_folders, seed=1)
    go(tmp_path, base)
    second = go(tmp_path, consumer)
    assert (first.status, second.status) == ("built", "built")
    assert first.manifest.raw["recipe_hash"] != second.manifest.raw["recipe_hash"]
    # The newest instance does not count: going back to the first sibling is a hit of the first consumer.
    written(tmp_path, "base.yaml", class_folders, seed=0)
    third = go(tmp_path, consumer)
    assert (third.status, third.path) == ("hit", first.path)
    # Where the sibling lies is not what it says.
    (tmp_path / "deep").mkdir()
    base.rename(tmp_path / "deep" / "moved.yaml")
    written(tmp_path, "consumer.yaml", other_images, stats=borrowed("deep/moved.yaml"))
    assert go(tmp_path, consumer).path == first.path
    # A --seed is for the recipe it is given to.
    assert go(tmp_path, consumer, seed=9).manifest.raw["recipe_hash"] == first.manifest.raw["recipe_hash"]


def codes(tmp_path: Path, recipe: Path) -> dict[str, RefineryError]:
    with pytest.raises(RefineryError) as caught:
        go(tmp_path, recipe)
    return {e.code: e for e in caught.value.errors()}


def test_no_instance(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    written(tmp_path, "base.yaml", class_folders)
    consumer = written(tmp_path, "consumer.yaml", other_images, stats=borrowed())
    error = codes(tmp_path, consumer)["stats-no-instance"]
    assert error.exit_code == 1 and f"run {tmp_path / 'base.yaml'}" in error.remedy
    assert error.at == position(consumer, "{recipe: base.yaml")
    # validate needs no instance: it says what can be said of the recipe alone.
    assert check_recipe(consumer, Settings(cache_root=str(tmp_path / "cache")))[3] == []


def test_no_such_op_and_another_op(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    go(tmp_path, written(tmp_path, "base.yaml", class_folders))
    error = codes(tmp_path, written(tmp_path, "a.yaml", other_images, stats=borrowed(op_id="nrom")))["stats-no-op"]
    assert error.remedy == "did you mean 'norm'?"
    error = codes(tmp_path, written(tmp_path, "b.yaml", other_images, op="mean_subtract", stats=borrowed()))["stats-other-op"]
    assert "'norm' of 'base.yaml' is normalize 1, 'norm' is mean_subtract" in error.message


def test_exclusive(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    go(tmp_path, written(tmp_path, "base.yaml", class_folders))
    both = {**borrowed(), **FIT}
    assert "stats-import" in codes(tmp_path, written(tmp_path, "a.yaml", other_images, stats=both))
    stated = borrowed(mean=1, std=2)
    assert "stats-import" in codes(tmp_path, written(tmp_path, "b.yaml", other_images, stats=stated))
    unfitted = borrowed(dtype="uint8")
    assert "stats-import" in codes(tmp_path, written(tmp_path, "c.yaml", other_images, op="cast", stats=unfitted))
    assert "path-missing" in codes(tmp_path, written(tmp_path, "d.yaml", other_images, stats=borrowed("nowhere.yaml")))


def test_cycles(class_folders: Path, tmp_path: Path) -> None:
    own = written(tmp_path, "own.yaml", class_folders, stats=borrowed("own.yaml"))
    assert "stats-cycle" in codes(tmp_path, own)
    one = written(tmp_path, "one.yaml", class_folders, stats=borrowed("two.yaml"))
    written(tmp_path, "two.yaml", class_folders, stats=borrowed("one.yaml"))
    assert "stats-cycle" in codes(tmp_path, one)


def test_channels_must_fit(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    go(tmp_path, written(tmp_path, "base.yaml", class_folders))
    four = {"input": {"decode": {"mode": "RGBA"}}, "fields": {"image": {"dtype": "uint8", "shape": [16, 16, 4]}}}
    consumer = written(tmp_path, "grey.yaml", other_images, stats=borrowed(), **four)
    assert "imports statistics of 3 channels for images of 4" in codes(tmp_path, consumer)["stats-import"].message


def test_recipes_that_need_each_other_in_different_ways(class_folders: Path, tmp_path: Path) -> None:
    """One borrows statistics, the other compares itself: the circle is found from either end."""
    borrows = written(tmp_path, "borrows.yaml", class_folders, stats=borrowed("compares.yaml"))
    other = "{instance: borrows.yaml, split: train}"
    contract = f"{{field: label, assertion: {{kind: distributional, reference: {other}, distance: l_infinity, max: 1}}}}"
    compares = written(tmp_path, "compares.yaml", class_folders, contracts=[contract])
    assert list(codes(tmp_path, borrows)) == ["contract-reference"]
    assert list(codes(tmp_path, compares)) == ["stats-cycle"]


def test_a_damaged_sibling(class_folders: Path, other_images: Path, tmp_path: Path) -> None:
    base = go(tmp_path, written(tmp_path, "base.yaml", class_folders))
    file = Path(base.path) / "fitted_statistics" / "norm.json"
    file.write_text(file.read_text().replace("0", "1", 1))
    assert "damaged" in codes(tmp_path, written(tmp_path, "consumer.yaml", other_images, stats=borrowed()))
