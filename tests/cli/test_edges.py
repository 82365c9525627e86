"""Where the system or a careless word is at fault: said in words, with the exit code of what is at fault, never as a bug."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cli.app import call
from refinery_beam.testing import images

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: { sources: [{ name: photos, type: image_folder, path: my-images }] }
Labels: { field: label, source: { kind: direct } }
Output: { record_schema: { image: { dtype: uint8, shape: [16, 16, 3] }, label: { dtype: str } } }
Splits: { ratios: { train: 0.5, test: 0.5 } }
Transformations:
  - { name: resize, op: resize, params: { size: 16, method: bilinear }, splits: [train, test] }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    images.class_folders(tmp_path / "my-images", classes=("circle", "square"), per_class=3)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors(capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = call([*given, "--json"])
    return code, json.loads(capsys.readouterr().out)["errors"]


def edited(folder: Path, old: str, new: str) -> None:
    assert old in RECIPE
    (folder / "recipe.yaml").write_text(RECIPE.replace(old, new))


@pytest.mark.parametrize(
    ("location", "remedy"),
    [
        ("~/data", "~ is not expanded in a recipe; write ${env:HOME}/data"),
        ("$HOME/data", "shell variables are not expanded in a recipe; write ${env:HOME}/data"),
        ("C:\\new\\images", "this is a path of Windows; name the folder as this machine has it, such as /mnt/c/..."),
    ],
)
def test_paths_that_a_shell_would_read(folder: Path, capsys: pytest.CaptureFixture[str], location: str, remedy: str) -> None:
    edited(folder, "path: my-images", f"path: '{location}'")
    code, (error,) = errors(capsys, "validate", "recipe.yaml")
    assert (code, error["code"], error["remedy"]) == (1, "path-missing", remedy)


@pytest.mark.parametrize("location", ['"C:\\images"', '"C:\\new"'])
def test_backslashes_in_double_quotes(folder: Path, capsys: pytest.CaptureFixture[str], location: str) -> None:
    edited(folder, "path: my-images", f"path: {location}")
    code, (error,) = errors(capsys, "validate", "recipe.yaml")
    assert code == 1 and error["remedy"] == "backslashes in double quotes are escapes: use single quotes, or forward slashes"


def test_an_image_that_no_column_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.yaml").write_text(RECIPE.replace("16", "60000"))
    code, (error,) = errors(capsys, "run", "recipe.yaml")
    assert (code, error["code"], error["remedy"]) == (1, "output-options", "resize to a smaller size")
    assert "10,800,000,000 bytes" in error["message"]


def test_constants_that_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = "  - { name: n, op: normalize, params: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }, splits: [train, test] }\n"
    (folder / "recipe.yaml").write_text(RECIPE + step)
    code, (error,) = errors(capsys, "validate", "recipe.yaml")
    assert (code, error["code"]) == (1, "op-type") and "preset: imagenet" in error["remedy"]
    (folder / "recipe.yaml").write_text(RECIPE + step[: step.index("params")] + "params: { preset: imagenet }, splits: [train, test] }\n")
    assert call(["validate", "recipe.yaml", "-q"]) == 0


@pytest.mark.parametrize(("root", "code"), [("", "empty-cache-root"), (" ", "empty-cache-root"), (os.fsdecode(b"caf\xe9"), "bad-name")])
def test_cache_roots_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str], root: str, code: str) -> None:
    found = errors(capsys, "plan", "recipe.yaml", "--cache-root", root)
    assert (found[0], [e["code"] for e in found[1]]) == (2, [code])


def test_a_folder_that_is_gone(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    code, (error,) = errors(capsys, "plan", "../recipe.yaml")
    assert (code, error["code"]) == (3, "system-refused")
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MemoryError(), "no-memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no-memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere"), "system-refused"),
        (OSError(errno.EMFILE, "Too many open files", b"/bytes"), "system-refused"),
    ],
)
def test_what_the_system_refuses_is_no_bug(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: str
) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise raised

    monkeypatch.setattr("refinery_beam.launch.plan.plan_with", refuse)
    found = errors(capsys, "plan", "recipe.yaml")
    assert (found[0], [e["code"] for e in found[1]]) == (3, [code])


def test_a_pipe_that_nobody_writes_to(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe.yaml")
    monkeypatch.setattr("refinery_beam.recipe.load._PIPE_SECONDS", 0.05)
    code, (error,) = errors(capsys, "validate", "pipe.yaml")
    assert code == 1 and "it is a pipe, and nobody wrote to it" in error["message"]
    # One that somebody writes to is a recipe like any other.
    monkeypatch.setattr("refinery_beam.recipe.load._PIPE_SECONDS", 20)
    writer = threading.Thread(target=lambda: Path("pipe.yaml").write_text(RECIPE))
    writer.start()
    assert call(["validate", "pipe.yaml", "-q"]) == 0
    writer.join()


def test_every_bad_file_that_was_read_by_then_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which ones were read by then is chance; what is said of each is not."""
    bad = {
        "a.png": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        "b.png": (b"<!DOCTYPE html>", "a web page"),
        "c.png": (b"no image at all", "no known image format"),
    }
    for name, (data, _) in bad.items():
        (folder / "my-images/circle" / name).write_bytes(data)
    code, found = errors(capsys, "run", "recipe.yaml", "--workers", "2", "--mode", "threads")
    assert code == 1 and {e["code"] for e in found} == {"not_an_image"} and 1 <= len(found) <= 3
    named = [Path(e["place"]).name for e in found]
    assert len(set(named)) == len(named)
    assert all(bad[name][1] in e["message"] for name, e in zip(named, found, strict=True)), found
