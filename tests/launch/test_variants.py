"""Generation and augmentation from recipe to rows: what is stored, what adds up, and one digest whatever the engine does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam.errors import RefineryError
from refinery_beam.identity import Stream, record_key
from refinery_beam.launch import RunResult
from refinery_beam.plugins.image_classification.codecs.decode import DecodeLimits, DecodePolicy, decode
from refinery_beam.plugins.image_classification.ops.corruptions import corrupt
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.reading.recorded import Recorded
from refinery_beam.testing.engine import hostile, replayed
from support.recipes import NORMALIZE, RESIZE, SPLITS, Run, more, quarantine, read, write_recipe

BALANCE = "{name: balance, op: duplicate_minority_class, seed: 5, output_schema: matches_input}"
TAG_FIELDS = ["corruption", "severity", "seed"]
CORRUPT = {
    "name": "corrupt",
    "op": "imagecorruptions_apply",
    "seed": {"from": "master"},
    "output_schema": "matches_input",
    "params": {"corruption_types": ["gaussian_noise", "fog"], "severities": [1, 4], "tag_fields": TAG_FIELDS},
}
UNTAGGED = more(CORRUPT, params={"tag_fields": None})
TAGS = read("{corruption: {dtype: str}, severity: {dtype: int64}, seed: {dtype: uint64}, source_record_id: {dtype: str}}")
CROP = "{name: crop, op: random_crop, params: {size: 28}, materialization: aggressive, expansion: 2}"
JITTER = "{name: jitter, op: color_jitter, params: {brightness: 0.3, hue: 0.1}, materialization: aggressive, expansion: 2, seed: 9}"
PADDED_CROP = more(CROP, params={"size": 32, "padding": 4})
FLIP = "{name: flip, op: horizontal_flip, params: {p: 0.5}}"
ERASE = "{name: erase, op: random_erasing, seed: 4}"
FLOATS = {"image": {"dtype": "float32"}}

EVERYTHING: dict[str, Any] = {
    "fields": {**TAGS, "image": {"shape": [28, 28, 3]}},
    "transformations": [RESIZE, "{name: crop2, op: center_crop, params: {size: 28}, splits: [val, test]}", NORMALIZE],
    "generation": [BALANCE, CORRUPT],
    "augmentations": [CROP, JITTER],
}
"""All of it at once; train is cropped by its augmentation, the other splits by a transformation."""


@pytest.fixture
def images(class_folders: Path, copy_of: Callable[[Path], Path]) -> Path:
    """5 circles, 9 squares, 12 triangles."""
    root = copy_of(class_folders)
    for name, keep in (("circle", 5), ("square", 9)):
        for file in sorted((root / name).iterdir())[keep:]:
            file.unlink()
    return root


@pytest.fixture
def few(images: Path) -> Path:
    """4 circles, 4 squares, 5 triangles: each becomes twenty rows where everything is made of it."""
    for name, keep in (("circle", 4), ("square", 4), ("triangle", 5)):
        for file in sorted((images / name).iterdir())[keep:]:
            file.unlink()
    return images


def rows(result: RunResult, split: str = "train", **words: Any) -> dict[str, dict[str, Any]]:
    return {row["record_id"]: row for row in rb.open_instance(result.path).split(split, **words)}


def clean(images: Path, row: dict[str, Any]) -> Any:
    return decode((images / row["path"]).read_bytes(), policy=DecodePolicy(), limits=DecodeLimits())


def resize(pixels: Any) -> Any:
    from refinery_beam.plugins.base import ArrayType
    from refinery_beam.plugins.image_classification.ops.geometry import Resize

    return as_array(Resize().apply(pixels, Resize().spec.params(size=32), None, ArrayType("uint8", (32, 32, 3))))


def test_duplicates_balance_the_classes(images: Path, tmp_path: Path, run: Run) -> None:
    plain = rows(run(write_recipe(images, tmp_path, name="plain.yaml")))
    result = run(write_recipe(images, tmp_path, generation=[BALANCE]))
    found = rows(result)
    before = Counter(row["label"] for row in plain.values())
    assert Counter(row["label"] for row in found.values()) == dict.fromkeys(before, max(before.values()))
    assert set(plain) <= set(found)
    extra = {name: row for name, row in found.items() if name not in plain}
    copies = Counter(name.partition("#")[0] for name in extra)
    for label, count in before.items():
        each = [copies[name] for name, row in plain.items() if row["label"] == label]
        assert max(each) - min(each) <= 1 and sum(each) == max(before.values()) - count
    for name, row in extra.items():
        parent, _, number = name.partition("#balance:")
        assert 1 <= int(number) <= copies[parent]
        assert (row["image"] == plain[parent]["image"]).all() or row["image"].dtype == np.float32
        assert row["path"] == plain[parent]["path"]
    raw = result.manifest.raw
    assert raw["generated"] == {"balance": len(extra)} and raw["replaced"] == {}
    assert raw["records_in"] + len(extra) == sum(raw["counts"].values())
    assert raw["op_versions"]["duplicate_minority_class"] == 1
    assert f"{len(extra)} made of them, 0 replaced" in (Path(result.path) / "report" / "report.md").read_text()


def test_corrupted_pixels_are_stored(images: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(images, tmp_path, generation=[CORRUPT], fields=TAGS))
    found = rows(result, raw=True)
    assert len(found) == 5 * sum("#" not in name for name in found)
    seed = result.manifest.raw["generation"][0]["seed"]
    for name, row in found.items():
        parent, _, made = name.partition("#corrupt:")
        if not made:
            assert [row[f] for f in ("corruption", "severity", "seed", "source_record_id")] == [None] * 4
            assert (row["image"] == resize(clean(images, row))).all()
            continue
        kind, _, severity = made.partition(":")
        assert [row[f] for f in ("corruption", "severity", "seed", "source_record_id")] == [kind, int(severity), seed, parent]
        stream = Stream(seed=seed, op="corrupt", key=record_key(parent), replica=made)
        assert (row["image"] == resize(corrupt(clean(images, row), kind, int(severity), stream))).all()
        assert (row["image"] != found[parent]["image"]).any()
    assert {row["corruption"] for row in rows(result, "val").values()} == {None}


def test_replaced_and_preserved(images: Path, tmp_path: Path, run: Run) -> None:
    params = {"severities": [2], "preserve_original": True, "tag_fields": {"kind": "corruption"}}
    corrupt = more(CORRUPT, params=params, replace_input_records=True, splits=["train", "test"])
    result = run(write_recipe(images, tmp_path, generation=[corrupt], fields={"kind": {"dtype": "str"}}))
    found = rows(result)
    assert Counter(row["kind"] for row in found.values()) == dict.fromkeys(["none", "gaussian_noise", "fog"], len(found) // 3)
    assert {name.split("#corrupt:")[1] for name in found} == {"none:0", "gaussian_noise:2", "fog:2"}
    raw = result.manifest.raw
    assert raw["generated"]["corrupt"] == 3 * raw["replaced"]["corrupt"] == raw["counts"]["train"] + raw["counts"]["test"]
    assert [w["code"] for w in raw["warnings"]] == ["generation-split"]


def test_aggressive_rows_replay_from_what_was_drawn(few: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(few, tmp_path, **EVERYTHING))
    plain = run(write_recipe(few, tmp_path, name="plain.yaml"))
    found, base = rows(result, raw=True), rows(plain, raw=True)
    replayed = 0
    for name, row in found.items():
        stem, _, made = name.partition("#crop:")
        assert made.replace("#jitter", "") in {"0:0", "0:1", "1:0", "1:1"} and row["source_record_id"] == name.rpartition("#")[0]
        drawn = json.loads(row["augmentation"])
        assert [step["name"] for step in drawn] == ["crop", "jitter"] and set(drawn[0]["sampled"]) == {"top", "left"}
        if stem in base:
            assert (Recorded(result.manifest).augment_again(base[stem]["image"], row["augmentation"]) == row["image"]).all()
            replayed += 1
    assert replayed == 4 * len(base)
    assert {row["augmentation"] for row in rows(result, "test").values()} == {None}
    assert "augmentation" not in plain.manifest.raw["output"]["schema"]
    assert result.manifest.raw["output"]["fields"][-1] == "augmentation"
    # The second op sees the id the first one gave, and draws by it.
    assert len({row["augmentation"] for row in found.values()}) > len(found) // 2


@pytest.mark.slow
def test_statistics_are_those_without_augmentation(images: Path, tmp_path: Path, run: Run) -> None:
    def statistics(result: RunResult) -> bytes:
        return (Path(result.path) / "fitted_statistics" / "normalize.json").read_bytes()

    same_size = [PADDED_CROP, JITTER]
    plain = run(write_recipe(images, tmp_path, name="plain.yaml"))
    riding = run(write_recipe(images, tmp_path, name="riding.yaml", augmentations=same_size))
    assert statistics(riding) == statistics(plain)
    # With generation: of all train records, made ones included, each once.
    made = run(write_recipe(images, tmp_path, name="made.yaml", generation=[BALANCE]))
    both = run(write_recipe(images, tmp_path, name="both.yaml", generation=[BALANCE], augmentations=same_size))
    assert statistics(made) == statistics(both) != statistics(plain)


@pytest.mark.slow
def test_a_pass_of_its_own_sees_generated_records(images: Path, tmp_path: Path, run: Run) -> None:
    """Eager normalize: children are decoded, corrupted and observed before they are written."""
    one = run(write_recipe(images, tmp_path, name="late.yaml", generation=[UNTAGGED]))
    two = run(write_recipe(images, tmp_path, name="early.yaml", generation=[UNTAGGED], fields=FLOATS))
    names = [(Path(r.path) / "fitted_statistics" / "normalize.json").read_bytes() for r in (one, two)]
    assert names[0] == names[1]
    assert all((row["image"] == rows(one)[name]["image"]).all() for name, row in rows(two).items())


@pytest.mark.slow
def test_op_seeds_are_honoured(images: Path, tmp_path: Path, run: Run) -> None:
    drawn = []
    for i, seed in enumerate([1, 1, 2, {"from": "master"}, None]):
        result = run(write_recipe(images, tmp_path, name=f"{i}.yaml", augmentations=[PADDED_CROP, {**read(JITTER), "seed": seed}]))
        drawn.append([row["augmentation"] for row in rows(result).values()])
    assert drawn[0] == drawn[1] and len({json.dumps(d) for d in drawn}) == 4


def test_a_bad_parent_puts_each_child_in_the_ledger(few: Path, tmp_path: Path, run: Run) -> None:
    (few / "circle" / "circle_000.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    all_train = {**SPLITS, "ratios": {"train": 1.0, "val": 0, "test": 0}}
    result = run(write_recipe(few, tmp_path, **EVERYTHING, input=quarantine(0.2), splits=all_train))
    raw = result.manifest.raw
    lost = sum(raw["ledger"].values())
    assert lost >= 20 and lost % 20 == 0
    made, gone = sum(raw["generated"].values()), sum(raw["replaced"].values())
    assert raw["records_in"] + made - gone == sum(raw["counts"].values()) + lost
    assert not [name for name in rows(result) if name.startswith("photos/circle/circle_000.png")]


SETTINGS: dict[str, dict[str, Any]] = {
    "two threads": {"workers": 2, "mode": "threads"},
    "four threads": {"workers": 4, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "every bundle twice": {"workers": 1, "mode": "threads", "runner_factory": replayed(1)},
    "hostile bundles 1": {"workers": 1, "mode": "threads", "runner_factory": hostile(1)},
    "hostile bundles 2": {"workers": 1, "mode": "threads", "runner_factory": hostile(2)},
}


@pytest.fixture(scope="module")
def expected(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    from refinery_beam.launch.run import run as launch

    folder = tmp_path_factory.mktemp("reference")
    return launch(write_recipe(class_folders, folder, **EVERYTHING), cache_root=folder / "cache", workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, expected: RunResult) -> None:
    result = run(write_recipe(class_folders, tmp_path, **EVERYTHING), **SETTINGS[name])
    assert result.status == "built"
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(expected.path) / "manifest.json").read_bytes()


def test_nothing_large_or_pickled_crosses_a_stage(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import apache_beam as beam

    import refinery_beam.runners.local as local
    from refinery_beam.launch import Settings
    from refinery_beam.launch.run import run_with
    from refinery_beam.testing.engine.lint import offences

    found = []

    class Stop(Exception):
        pass

    def spy(build: Any, *args: Any, **words: Any) -> None:
        pipeline = beam.Pipeline()
        build(pipeline)
        found.append(offences(pipeline))
        raise Stop

    monkeypatch.setattr(local, "run_local", spy)
    with pytest.raises((Stop, RefineryError)):
        run_with(write_recipe(class_folders, tmp_path, **EVERYTHING), Settings(cache_root=str(tmp_path / "cache")))
    assert found == [[]]


def test_lazy_is_a_policy_of_the_reader(images: Path, tmp_path: Path, run: Run) -> None:
    plain = run(write_recipe(images, tmp_path, name="plain.yaml"))
    result = run(write_recipe(images, tmp_path, augmentations=[FLIP, ERASE]))
    assert result.manifest.raw["logical_digest"] == plain.manifest.raw["logical_digest"]
    assert [(a["name"], a["materialization"]) for a in result.manifest.raw["augmentations"]] == [("flip", "lazy"), ("erase", "lazy")]
    assert result.manifest.raw["op_versions"]["horizontal_flip"] == 1
    instance = rb.open_instance(result.path)
    still, first, second = instance.split("train"), instance.split("train", epoch=0), instance.split("train").epoch(1)
    same = [(a["image"] == b["image"]).all() for a, b in zip(still, rb.open_instance(plain.path).split("train"), strict=True)]
    assert all(same)
    assert any((a["image"] != b["image"]).any() for a, b in zip(still, first, strict=True))
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, second, strict=True))
    # In any order, again and again, the same; the tail comes after.
    assert all((first[i]["image"] == first[i]["image"]).all() for i in reversed(range(len(first))))
    assert first[0]["image"].dtype == np.float32 and first[0]["image"].flags.writeable
    raw = instance.split("train", raw=True).epoch(0)
    assert raw[0]["image"].dtype == np.uint8
    for split in ("val", "test"):
        assert all((a["image"] == b["image"]).all() for a, b in zip(instance.split(split), instance.split(split, epoch=3), strict=True))
    batch = next(first.columns("label", "image").batches(4))
    assert (batch["image"][0] == first[0]["image"]).all()
    with pytest.raises(RefineryError, match="no epoch -1"):
        instance.split("train", epoch=-1)


def test_what_is_drawn_in_an_epoch(images: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(images, tmp_path, augmentations=[FLIP]))
    reader = rb.open_instance(result.path).split("train", raw=True)
    for row, found in zip(reader, reader.epoch(5), strict=True):
        stream = Stream(seed=0, op="flip", key=record_key(row["record_id"]), replica=5, domain="epoch")
        want = row["image"][:, ::-1] if stream.uniform() < 0.5 else row["image"]
        assert (found["image"] == want).all()


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"augmentations": [more(FLIP, params={"p": 7})]}, "bad-value"),
        ({"augmentations": [more(FLIP, splits=["val"])]}, "augmentation-split"),
        ({"augmentations": [CROP], "fields": FLOATS}, "dtype-before-augmentation"),
        ({"augmentations": [FLIP, ERASE], "fields": FLOATS}, "op-type"),
        ({"augmentations": [more(CROP, params={"size": 33})]}, "op-type"),
        ({"augmentations": [CROP]}, "schema-reachable"),
        ({"augmentations": [more(FLIP, expansion=2)]}, "bad-value"),
        ({"generation": [CORRUPT]}, "generation-schema"),
        ({"generation": [more(CORRUPT, params={"tag_fields": {"path": "corruption"}})]}, "generation-schema"),
        ({"generation": [CORRUPT], "fields": {**TAGS, "severity": {"dtype": "str"}}}, "generation-schema"),
        ({"generation": [more(CORRUPT, params={"corruption_types": ["frog"]})]}, "bad-value"),
        ({"augmentations": [FLIP], "fields": {"image": None}}, "output-options"),
        ({"generation": [UNTAGGED], "input": {"decode": {"mode": "RGBA"}}, "fields": {"image": {"shape": [32, 32, 4]}}}, "op-type"),
    ],
)
def test_refused(parts: dict[str, Any], code: str, images: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(RefineryError) as caught:
        run(write_recipe(images, tmp_path, **parts))
    errors = caught.value.errors()
    assert code in [error.code for error in errors]
    assert all(error.remedy for error in errors if error.code == code)
    assert not (tmp_path / "cache" / "instances").exists()
