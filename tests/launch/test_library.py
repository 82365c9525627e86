"""The library: a run gives an instance, verbs are functions with typed results, options come from keywords, engines and variables."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.launch.options import Options
from refinery_beam.launch.settings import Settings

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: photos, type: image_folder, path: {images} }}] }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output:
  record_schema:
    image: {{ dtype: uint8, shape: [16, 16, 3] }}
    label: {{ dtype: str }}
Splits: {{ ratios: {{ train: 0.75, test: 0.25 }}, stratify_by: label }}
Transformations:
  - {{ name: resize, op: resize, params: {{ size: 16, method: bilinear }}, splits: [train, test] }}
  - {{ name: normalize, op: normalize, fit_source: train, splits: [train, test] }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Path) -> Path:
    root = tmp_path_factory.mktemp("library")
    (root / "recipe.yaml").write_text(RECIPE.format(images=class_folders))
    rb.run(root / "recipe.yaml", cache_root=root / "cache", workers=1)
    return root


@pytest.fixture
def data(folder: Path) -> rb.RunResult:
    return rb.run(folder / "recipe.yaml", cache_root=folder / "cache")


def test_a_run_is_an_instance(data: rb.RunResult, folder: Path) -> None:
    assert isinstance(data, rb.Instance) and data.status == "hit"
    assert (list(data), data.splits, len(data)) == (["train", "test"], ("train", "test"), 2)
    assert "train" in data and "val" not in data
    assert {split: len(rows) for split, rows in data.items()} == data.counts == {"train": 27, "test": 9}
    assert data.classes == ("circle", "square", "triangle")
    row = data["train"][0]
    assert row["image"].shape == (16, 16, 3) and row["image"].dtype == np.float32 and row["label"] in data.classes
    assert data.report.startswith("# Instance report") and data.report._repr_markdown_() == data.report
    assert data.manifest.raw["logical_digest"] == data.to_dict()["logical_digest"]
    assert rb.open_instance(data.path).status == "opened"


def test_what_worked_before_still_works(data: rb.RunResult, folder: Path) -> None:
    assert rb.open_instance(data.path).split("train")[3]["record_id"] == data["train"][3]["record_id"]
    assert rb.open_instance(folder / "recipe.yaml", cache_root=folder / "cache").path == data.path
    assert rb.open_instance(path_or_recipe=data.path, cache_root=None).path == data.path  # type: ignore[call-arg]
    assert rb.run(recipe=folder / "recipe.yaml", cache_root=folder / "cache").path == data.path  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes one argument, recipe"):
        rb.run()  # type: ignore[call-arg]
    assert rb.Replay.from_instance(data.path).split == "train"
    assert rb.plan_recipe(folder / "recipe.yaml", cache_root=folder / "cache").location == data.path
    assert [data["train"].columns("label").fields, data["train"].columns(["label"]).fields] == [("record_id", "label")] * 2


def test_an_unknown_split_is_named(data: rb.RunResult) -> None:
    with pytest.raises(rb.UsageError) as caught:
        data["trian"]
    assert (caught.value.code, caught.value.remedy) == ("unknown-split", "did you mean 'train'?")


def test_verify_is_the_verb(data: rb.RunResult, folder: Path) -> None:
    assert data.verify(deep=True) and data.verify(deep=True).records_checked == 36
    assert data.verify() == rb.verify(data.path) == rb.verify(folder / "recipe.yaml", cache_root=folder / "cache")
    shard = Path(data.path) / data.manifest.shards("test")[0].path
    before = shard.read_bytes()
    try:
        shard.write_bytes(before[:-9] + b"x" + before[-8:])
        report = data.verify()
        assert not report and [finding.code for finding in report.findings] == ["wrong-digest"]
    finally:
        shard.write_bytes(before)


def test_replay_takes_what_people_have(data: rb.RunResult, class_folders: Path) -> None:
    record = next(row for row in data["train"] if row["record_id"].endswith(".png"))
    file = class_folders / record["record_id"].removeprefix("photos/")
    content = file.read_bytes()
    image = Image.open(file)
    for given in (file, str(file), content, bytearray(content), io.BytesIO(content), file.open("rb"), image, np.asarray(image)):
        assert np.array_equal(data.replay(given), record["image"]), type(given)
    assert image.mode == Image.open(file).mode, "the caller's image is left as it is"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (np.zeros((4, 4, 3), np.float32), "unsupported_mode"),
        (np.zeros((4, 0), np.uint8), "unsupported_mode"),
        (np.zeros((2, 4, 4, 3), np.uint8), "unsupported_mode"),
        (7, "unsupported_mode"),
        (b"no image", "not_an_image"),
        (io.BytesIO(), "empty_file"),
    ],
)
def test_what_replay_cannot_use_is_the_datas_fault(data: rb.RunResult, given: Any, code: str) -> None:
    with pytest.raises(rb.DataError) as caught:
        data.replay(given)
    assert caught.value.code == code


def test_a_text_file_is_no_image(data: rb.RunResult, folder: Path) -> None:
    with (folder / "recipe.yaml").open() as text, pytest.raises(rb.UsageError) as caught:
        data.replay(text)
    assert caught.value.code == "text-file"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16"])
def test_an_image_counts_as_a_lossless_file_of_it(data: rb.RunResult, mode: str) -> None:
    grey = (np.arange(300, dtype=np.uint32) * 7919 % 256).astype(np.uint8).reshape(15, 20)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(data.replay(image), data.replay(file.getvalue()))


def test_an_image_stands_upright(data: rb.RunResult) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    for form in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form, exif=exif)
        assert np.array_equal(data.replay(Image.open(io.BytesIO(file.getvalue()))), data.replay(file.getvalue()))


def test_it_shows_itself_in_a_notebook(data: rb.RunResult) -> None:
    assert repr(data) == f"<RunResult train: 27 rows, test: 9 rows; image, label; hit, {data.path}>"
    page = data._repr_html_()
    assert page.count("<img ") == 8 and page.count('src="data:image/png;base64,') == 8 and "<td>27</td>" in page
    assert "http" not in page and "<script" not in page


def test_a_broken_instance_still_shows_its_counts(data: rb.RunResult, folder: Path) -> None:
    shard = Path(data.path) / data.manifest.shards("test")[0].path
    before = shard.read_bytes()
    try:
        shard.write_bytes(b"PAR1<script>")
        page = data._repr_html_()
        assert "<td>9</td>" in page and page.count("<img ") == 4 and "<script" not in page
    finally:
        shard.write_bytes(before)


def test_results_are_values(data: rb.RunResult, folder: Path) -> None:
    recipe, cache = folder / "recipe.yaml", folder / "cache"
    again = pickle.loads(pickle.dumps(data))  # noqa: S301
    assert (again.path, again.status, again.counts) == (data.path, "hit", data.counts)
    planned = rb.plan(recipe, cache_root=cache)
    assert (planned.status, planned.path, planned.records_in) == ("hit", data.path, 36)
    assert str(planned).startswith("Input: 36 files") and str(planned).endswith(f"hit: {data.path}")
    assert rb.plan(recipe, cache_root=cache, seed=5).status == "miss"
    found = rb.status(recipe, cache_root=cache)
    assert found.status == "hit" and found.to_dict()["counts"] == data.counts
    assert rb.status(data.path).path == data.path
    assert rb.status(recipe, cache_root=folder / "other").status == "miss"
    assert rb.draw(recipe, cache_root=cache).pictures == {}


def test_validate_gives_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    good = rb.validate(folder / "recipe.yaml")
    assert good and good.valid and not good.errors and len(good.checks) > 40
    broken = tmp_path / "broken.yaml"
    broken.write_text((folder / "recipe.yaml").read_text().replace("size: 16", "size: 9"))
    result = rb.validate(broken)
    assert not result and [error.code for error in result.errors] == ["schema-reachable"]
    assert result.errors[0].at.startswith(f"{broken}:")
    broken.write_text("schema_version: [")
    result = rb.validate(broken)
    assert not result and not result.checks and str(result) == "invalid: 1 error; no check was made"
    with pytest.raises(rb.RecipeError):
        rb.run(broken)


def test_init_writes_a_recipe_that_runs(class_folders: Path, tmp_path: Path) -> None:
    made = rb.init(class_folders, output=tmp_path / "mine.yaml")
    assert (made.recipe, made.layout) == (str(tmp_path / "mine.yaml"), "class-folders")
    assert Path(made.schema).read_text() == rb.schema()
    assert rb.validate(made.recipe)
    with pytest.raises(rb.UsageError):
        rb.init(class_folders, output=tmp_path / "mine.yaml", seed=1) if (tmp_path / "mine.yaml").write_text("mine") else None
    assert rb.init(class_folders, output=tmp_path / "mine.yaml", force=True).recipe == made.recipe


def test_variables_hold_for_the_library_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_BEAM_CACHE_ROOT", str(folder / "cache"))
    assert rb.run(folder / "recipe.yaml").status == "hit"
    assert rb.open_instance(folder / "recipe.yaml").path == rb.status(folder / "recipe.yaml").path
    assert rb.plan(folder / "recipe.yaml", cache_root=folder / "other").status == "miss", "what is said wins"
    monkeypatch.setenv("REFINERY_BEAM_WORKERS", "3")
    monkeypatch.setenv("REFINERY_BEAM_RUNNER", "prism")
    monkeypatch.setenv("REFINERY_BEAM_LOG_LEVEL", "debug")
    monkeypatch.setenv("REFINERY_BEAM_PLUGIN_PATH", "a.py:b")
    options = Options()
    assert (options.workers, options.runner, options.log_level, options.plugin_paths) == (3, "prism", "debug", ("a.py", "b"))
    monkeypatch.setenv("REFINERY_BEAM_WORKERS", "many")
    with pytest.raises(rb.UsageError) as caught:
        rb.validate(folder / "recipe.yaml")
    assert (caught.value.code, caught.value.at) == ("workers-range", "REFINERY_BEAM_WORKERS")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"mode": "fast"}, "unknown-mode"),
        ({"digest": "crc"}, "unknown-digest"),
        ({"workers": 0}, "workers-range"),
        ({"log_level": "loud"}, "unknown-log-level"),
        ({"runner": "ray"}, "unknown-runner"),
        ({"engine": rb.Direct(options={"parallelism": 2})}, "beam-option"),
        ({"engine": rb.Flink(master="cluster:8081")}, "worker-environment"),
        ({"engine": rb.Flink(), "runner": "spark"}, "two-engines"),
        ({"engine": rb.Flink(), "beam_options": ["--parallelism=2"]}, "two-engines"),
    ],
)
@pytest.mark.parametrize("verb", [rb.run, rb.plan, rb.validate, rb.status, rb.verify, rb.draw], ids=lambda verb: verb.__name__)
def test_every_verb_refuses_an_impossible_option(verb: Any, options: dict[str, Any], code: str, folder: Path) -> None:
    with pytest.raises(rb.UsageError) as caught:
        verb(folder / "recipe.yaml", cache_root=folder / "cache", **options)
    assert caught.value.code == code


def test_engines_are_values() -> None:
    flink = rb.Flink(
        parallelism=8, master="cluster:8081", environment_type="PROCESS", options={"state": ["a", "b"], "fast": True, "no": False}
    )
    assert flink.beam_options() == (
        "--parallelism=8", "--flink_master=cluster:8081", "--environment_type=PROCESS", "--state=a", "--state=b", "--fast",
    )  # fmt: skip
    assert repr(rb.Spark(master="local[2]")) == "Spark(master='local[2]')"
    settings = Settings.of(Options(engine=flink))
    assert (settings.runner, settings.beam_options) == ("flink", flink.beam_options())
    given = rb.Dataflow(project="p", region="r", temp_location="gs://b/t", max_num_workers=4)
    assert given.beam_options() == ("--project=p", "--region=r", "--temp_location=gs://b/t", "--max_num_workers=4")


def test_one_word_is_one_overlay() -> None:
    assert Options(overlays="small").overlays == ("small",)  # type: ignore[arg-type]


def test_secrets_are_in_no_repr() -> None:
    assert "swordfish" not in repr(Options(storage_options=["s3.secret=swordfish"]))
    assert "swordfish" not in repr(Settings(storage_options=["s3.secret=swordfish"]))


def test_help_names_every_option() -> None:
    signature = inspect.signature(rb.run)
    assert list(signature.parameters)[:3] == ["recipe", "cache_root", "cache_root_read"]
    assert repr(signature.parameters["cache_root"].default) == "'cache'"
    assert "REFINERY_BEAM_CACHE_ROOT" in str(rb.run.__doc__)
    assert {name for name in rb.__all__ if not hasattr(rb, name)} == set()
    assert set(dir(rb)) == set(rb.__all__)


@pytest.mark.slow
def test_an_editor_knows_results_errors_and_options(tmp_path: Path) -> None:
    """What a type checker says of a program that uses the library."""
    program = tmp_path / "program.py"
    program.write_text(
        "import refinery_beam as rb\n"
        'data = rb.run("recipe.yaml", engine=rb.Flink(parallelism=8), cache_root="gs://bucket/cache")\n'
        "reveal_type(data)\n"
        'reveal_type(data["train"])\n'
        'reveal_type(rb.verify("recipe.yaml", deep=True))\n'
        "try:\n"
        '    rb.run("recipe.yaml", seed="7")\n'
        "except rb.RecipeError as error:\n"
        "    reveal_type(error)\n"
        'rb.run("recipe.yaml", wokers=3)\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", str(program)]
    environment = {**os.environ, "MYPYPATH": str(Path(rb.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert [line.split('"')[1] for line in lines if "Revealed type" in line] == [
        "refinery_beam.launch.run.RunResult",
        "refinery_beam.reading.readers.SplitReader",
        "refinery_beam.cache.verify.VerifyReport",
        "refinery_beam.errors.RecipeError",
    ]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 2 and '"seed"' in errors[0] and '"wokers"' in errors[1], done.stdout
