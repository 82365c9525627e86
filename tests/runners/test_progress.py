"""The progress line: what it says, when it says nothing, and that no result depends on it."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.runners.progress import Count, Passes, live, read_counts

PACKAGE = Path(rb.__file__).parent
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: {dtype}, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
"""


def recipe_over(images: Path, folder: Path, dtype: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(path=images, dtype=dtype))
    return path


def test_counts_are_summed_by_pass(tmp_path: Path) -> None:
    (tmp_path / "progress").mkdir()
    texts = {"write-1-a": "3", "write-2-b": "4", "of.write-1-c": "9", "fit.train-1-1-c": "5", "fit.train-1-1-d": "", "of.peek.x-1-e": "2"}
    for name, text in texts.items():
        (tmp_path / "progress" / name).write_text(text)
    assert read_counts(str(tmp_path)) == {"write": Count(7, 9), "fit.train-1": Count(5, 0), "peek.x": Count(0, 2)}
    assert read_counts(str(tmp_path / "nowhere")) == {}


def test_the_line_follows_the_pass_that_moves() -> None:
    passes = Passes(10, noun="images")
    assert passes.line({}, 0.0) == ""
    assert passes.line({"fit.a": Count(0, 10)}, 0.0) == ""
    assert passes.line({"fit.a": Count(2, 10)}, 1.0) == "fitting a: 2 of 10 images (20%)"
    assert passes.line({"fit.a": Count(6, 10)}, 2.0) == "fitting a: 6 of 10 images (60%), 4.0 images/s, 0:01 left"
    counts = {"fit.a": Count(10, 10), "write": Count(40, 400)}
    assert passes.line(counts, 3.0) == "writing: 40 of 400 images (10%)"
    counts["write"] = Count(100, 400)
    assert passes.line(counts, 4.0) == "writing: 100 of 400 images (25%), 60 images/s, 0:05 left"
    # Nothing has moved for a while: the rate sinks, the estimate grows.
    assert passes.line(counts, 9.0) == "writing: 100 of 400 images (25%), 10 images/s, 0:30 left"


def test_it_is_quiet_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinery_beam.runners.progress.PLAIN_SECONDS", 0.0)
    quiet, plain = io.StringIO(), io.StringIO()
    for out in (quiet, plain):
        with live(str(tmp_path / "nowhere"), 10, stream=out, plain=out is plain):
            while out is plain and not out.getvalue():
                pass
    assert quiet.getvalue() == ""
    assert set(plain.getvalue().splitlines()) == {"starting the engine for 10 records"}


def test_final_counts_come_from_rows(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats that say anything at all change nothing; and nobody asks Beam for its counters, but for the live line of Dataflow."""
    from refinery_beam.pipeline.heartbeat import Heartbeat

    monkeypatch.setattr(Heartbeat, "done", lambda self, count=1: setattr(self, "_count", 10**9))
    result = rb.run(recipe_over(class_folders, tmp_path, "uint8"), cache_root=tmp_path / "cache", progress=True)
    assert result.counts == {"train": 18, "test": 18}
    asked = [
        f"{file.name}: {node.attr}"
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in ("metrics", "query")
    ]
    assert sorted(asked) == ["run.py: metrics", "run.py: query"]


def test_passes_say_how_many_come(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch.build import attempt

    found = {}
    plain = attempt.collect

    def spy(prepared: object, instance: str, work: str) -> object:
        found.update(read_counts(work))
        return plain(prepared, instance, work)  # type: ignore[arg-type]

    monkeypatch.setattr(attempt, "collect", spy)
    eager = recipe_over(class_folders, tmp_path, "float32")
    rb.run(eager, cache_root=tmp_path / "cache", progress=True, workers=1)
    assert found == {"fit.train-1": Count(18, 18), "write": Count(36, 36)}


def test_it_counts_what_the_kind_of_data_is_called(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch.build import engine

    nouns = []
    plain = engine.live

    def spy(*args: Any, noun: str, **more: Any) -> Any:
        nouns.append(noun)
        return plain(*args, noun=noun, **more)

    monkeypatch.setattr(engine, "live", spy)
    rb.run(recipe_over(class_folders, tmp_path, "uint8"), cache_root=tmp_path / "cache", workers=1)
    assert nouns == ["images"]
