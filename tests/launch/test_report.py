"""report.html: made after every run that lacks it, and again from the instance alone; never at the cost of a hit, of a run or of a byte."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.cli.app import call
from refinery_beam.launch.page.losses import ledger_page
from refinery_beam.records import LedgerRow
from refinery_beam.reporting import facts_of_manifest, report_text
from refinery_beam.reporting.page_key import HEAD_BYTES, key_in
from support.recipes import Run, write_recipe

FORMAT1 = Path(__file__).parents[1] / "data" / "format1"
GRID = "{name: grid, op: sample_grid, params: {n: 3, per_class: true}, stage: post_pipeline, mode: reporting}"
FLIP = "{name: flip, op: horizontal_flip, params: {p: 0.5}, materialization: lazy, splits: [train]}"
PARTS: dict[str, Any] = {
    "input": {"on_error": "quarantine", "max_bad_fraction": 0.5},
    "filters": ["{name: some, op: random_sample, params: {n: 35}}"],
    "augmentations": [FLIP],
    "generation": [
        "{name: foggy, op: imagecorruptions_apply, seed: 5, output_schema: matches_input, splits: [train], "
        "params: {corruption_types: [fog], severities: [2]}}"
    ],
    "contracts": ["{field: label, assertion: {kind: required_field}}"],
    "expectations": ["{assertion: {kind: record_count_in_range, min: 1000}, severity: warning}"],
    "sample": {"selector": {"n": 2}},
    "pictures": [GRID],
}


def make_images(class_folders: Path, folder: Path) -> Path:
    copy = folder / "photos"
    shutil.copytree(class_folders, copy)
    (copy / "circle" / "broken.png").write_bytes(b"no image")
    (copy / "circle" / "notes.txt").write_text("a note")
    return copy


@pytest.fixture(scope="module")
def folder(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, recipe.yaml with a part of everything, and its cache."""
    folder = tmp_path_factory.mktemp("report")
    write_recipe(make_images(class_folders, folder), folder, **PARTS)
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> rb.RunResult:
    """Its instance. Nothing may change it."""
    return rb.run(folder / "recipe.yaml", cache_root=folder / "cache")


@pytest.fixture
def images(class_folders: Path, tmp_path: Path) -> Path:
    return make_images(class_folders, tmp_path)


def text_of(page: str) -> str:
    return " ".join(
        html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)>.*?</\1>", "", Path(page).read_text(), flags=re.S))).split()
    )


def test_a_page_is_made_once_for_its_key(images: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(images, tmp_path, input=PARTS["input"], pictures=[GRID])
    first = run(recipe)
    page = Path(first.page)
    assert page == Path(first.path) / "report/report.html" and first.notes[1:] == ()
    made = page.read_bytes()
    assert key_in(made[:HEAD_BYTES]) is not None
    assert verify(first.path).ok, "it is in no manifest, and is no stray file"
    os.utime(page, (1, 1))
    assert (run(recipe).page, page.stat().st_mtime) == (first.page, 1)
    page.unlink()
    assert run(recipe).status == "hit" and page.read_bytes() == made
    page.write_bytes(made[:100])
    run(recipe)
    assert page.read_bytes() == made
    edited = run(write_recipe(images, tmp_path, input=PARTS["input"], pictures=[GRID.replace("n: 3", "n: 2")]))
    assert edited.status == "hit" and page.read_bytes() != made, "it shows the pictures that are there"


def test_it_is_made_from_the_instance_alone(built: rb.RunResult, folder: Path, tmp_path: Path) -> None:
    made = Path(built.page).read_bytes()
    assert rb.report(built.path, output=tmp_path / "same.html").bytes == len(made)
    assert (tmp_path / "same.html").read_bytes() == made, "the journal of the cache knows where the files lie"
    moved = tmp_path / "elsewhere"
    shutil.copytree(built.path, moved)
    (moved / "report/report.html").unlink()
    result = rb.report(moved)
    assert result.page == str(moved / "report/report.html")
    text = text_of(result.page)
    assert "The steps before are not drawn" in text and "as a model sees it" in text and "epoch 3" in text
    assert str(tmp_path) not in Path(result.page).read_text() and str(folder) not in made.decode(), "it says nowhere where it was made"


def test_what_is_on_it(built: rb.RunResult) -> None:
    text = text_of(built.page)
    total = sum(built.counts.values())
    assert f"{total} images of 3 classes in 3 splits, from 37 files; 2 bad records set aside." in text, text[:500]
    assert "decoded uint8[32, 32, 3]" in text or "decoded uint8[" in text
    for words in (
        "Files listed 37", "some random_sample 35", "not_an_image", "its content is no image", "photos/circle/broken.png",
        ".txt", "notes.txt",
        "record_count_in_range", "does not hold", "grid pictures/grid.png", "epoch 0", "resize", "normalize", "PyTorch", "numpy",
        "plugin: image_classification",
    ):  # fmt: skip
        assert words in text, words


def test_a_manifest_says_what_report_md_says(built: rb.RunResult) -> None:
    """One home for the numbers: report.md follows from the files of a finished instance, byte for byte."""
    import pyarrow.parquet as pq

    manifest = rb.open_instance(built.path).manifest
    rows = [LedgerRow(**row) for row in pq.read_table(f"{built.path}/report/ledger.parquet").to_pylist()]
    about = ("op", "version", "fit_source", "pinned", "origin")
    fitted = {name: {k: v for k, v in built.statistics(name).items() if k not in about} for name in built.statistics_names}
    findings = json.loads(Path(built.path, "facts", "findings.json").read_text(encoding="utf-8"))
    assert report_text(facts_of_manifest(manifest.raw, ledger=rows, fitted=fitted, findings=findings)) == built.report
    assert sum(cause[-1] for cause in ledger_page(manifest).causes) == len(rows) == sum(manifest.ledger.values())


@pytest.mark.parametrize("name", ["photos", "png", "table"])
def test_instances_of_format_1_have_a_page_too(name: str, tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copytree(FORMAT1 / name, copy)
    text = text_of(rb.report(copy).page)
    assert "built by an older release" in text and "in 2 splits" in text
    assert verify(str(copy)).ok


def test_a_page_that_cannot_be_made_is_a_note(images: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(images, tmp_path, input=PARTS["input"])
    page = Path(run(recipe).page)
    page.unlink()
    page.mkdir()
    again = run(recipe)
    assert (again.status, again.page, again.to_dict()["report"]) == ("hit", "", None)
    assert [note for note in again.notes if "report/report.html is not made" in note]
    with pytest.raises(rb.StoreError):
        rb.report(again.path)


def test_a_file_that_changed_is_not_drawn(images: Path, tmp_path: Path, run: Run) -> None:
    built = run(write_recipe(images, tmp_path, input=PARTS["input"]))
    for path in images.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b"more")
    assert "the file holds other bytes now" in text_of(rb.report(built.path).page)


def test_a_hit_imports_no_template(built: rb.RunResult, folder: Path) -> None:
    code = f"import sys, refinery_beam as rb\nr = rb.run({str(folder / 'recipe.yaml')!r}, cache_root={str(folder / 'cache')!r})\n"
    code += "print(r.status, r.page != '')\n"
    code += "print([m for m in ('jinja2', 'pyarrow', 'numpy', 'apache_beam') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["hit True", "[]"]


def test_opening_it_in_a_browser(built: rb.RunResult, folder: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    environment = {**os.environ, "BROWSER": f"{browser} %s", "REFINERY_BEAM_CACHE_ROOT": str(folder / "cache")}
    for arguments in (["run", str(folder / "recipe.yaml"), "--open"], ["report", built.path, "--open"]):
        done = subprocess.run(
            [sys.executable, "-m", "refinery_beam", *arguments], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stdout.splitlines()[-1] == f"report    {built.page}"
    assert (tmp_path / "opened").read_text().splitlines() == [Path(built.page).as_uri()] * 2


def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["report", str(tmp_path / "nowhere")]) == 3
    assert call(["draw", str(FORMAT1 / "table")]) == 1
    assert "asks for no pictures" in capsys.readouterr().err


def snippets_of(page: str) -> dict[str, str]:
    """The code of each tab, as one would copy it."""
    found = re.findall(r'data-tab="(.*?)".*?<pre tabindex="0"><code>(.*?)</code></pre>', Path(page).read_text(), re.S)
    return {library: html.unescape(re.sub(r"<[^>]+>", "", code)) for library, code in found}


@pytest.mark.parametrize(
    "library",
    [
        "refinery_beam",
        pytest.param("PyTorch", marks=pytest.mark.torch),
        pytest.param("datasets", marks=pytest.mark.slow),
        "pandas",
        "DuckDB",
        "pyarrow",
    ],
)
def test_what_it_says_to_run_runs(library: str, built: rb.RunResult) -> None:
    code = snippets_of(built.page)[library]
    assert code.startswith('path = "path/to/this/instance"\n')
    names: dict[str, Any] = {}
    exec(code.replace('"path/to/this/instance"', repr(built.path)), names)  # noqa: S102
    if library in ("refinery_beam", "datasets", "pandas"):
        assert names["row" if library != "pandas" else "array"] is not None
    if library == "DuckDB":
        assert sum(row[-1] for row in names["rows"]) == built.counts["train"]
    if library == "pyarrow":
        assert len(names["table"]) == built.counts["train"]
    if library == "PyTorch":
        assert tuple(names["shape"])[1:] == (3, 32, 32)
