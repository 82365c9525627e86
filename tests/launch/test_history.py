"""What is known of runs afterwards: the journal that they write, `log`, `rerun`, and the revision they were run from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cache.journal import RunJournal
from refinery_beam.cli.app import call
from refinery_beam.launch.history.git import Revision, find_revision
from support.recipes import SMALL, write_recipe


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, a recipe with an overlay, and a cache of two runs."""
    folder = tmp_path_factory.mktemp("history")
    shutil.copytree(class_folders, folder / "my-images")
    write_recipe(
        "my-images", folder, base=SMALL, name="shapes.yaml", overlays={"half": {"Splits": {"ratios": {"train": 0.5, "test": 0.5}}}}
    )
    rb.run(folder / "shapes.yaml", cache_root=folder / "cache", workers=1)
    rb.run(folder / "shapes.yaml", cache_root=folder / "cache", overlays=["half"], seed=4, workers=1)
    return folder


@pytest.fixture
def bench(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "bench")
    monkeypatch.chdir(tmp_path / "bench")
    # What the runs noted is where they ran.
    return tmp_path / "bench"


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert call([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_a_run_notes(bench: Path, built: Path) -> None:
    table = rb.journal()
    second, first = table.to_pylist()
    assert [row["status"] for row in (first, second)] == ["built", "built"]
    assert (first["recipe"], first["recipe_path"]) == ("shapes", str(built / "shapes.yaml"))
    assert first["recipe_text"] == (built / "shapes.yaml").read_text()
    assert (second["overlays"], second["seed_option"], second["seed"]) == ('["half"]', 4, 4)
    assert json.loads(first["counts"]) == {"train": 27, "test": 9} and first["records_in"] == first["records_out"] == 36
    assert set(json.loads(first["phases"])) == {"prepare", "lookup", "start", "engine", "collect", "promote"}
    assert 0 < sum(json.loads(first["phases"]).values()) <= first["seconds"]
    assert first["peak_memory"] > 50_000_000
    assert first["logical_digest"] == rb.open_instance("shapes.yaml").manifest.logical_digest
    assert len(first["package_digest"]) == len(first["environment_digest"]) == 64
    assert first["command"] is None
    frame = table.to_pandas()
    assert list(frame["run"]) == [second["run"], first["run"]] and str(frame["started"].dtype).endswith("UTC]")


def test_hits_and_failures_too(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["run", "shapes.yaml", "-q", "--storage-option", "s3.secret=hush-hush"]) == 0
    (bench / "bad.yaml").write_text((bench / "shapes.yaml").read_text() + "Oops: 1\n")
    assert call(["run", "bad.yaml", "-q"]) == 1
    shutil.rmtree(bench / "my-images" / "circle")
    (bench / "my-images" / "circle").mkdir()
    (bench / "my-images" / "circle" / "a.png").write_bytes(b"no picture")
    assert call(["run", "shapes.yaml", "-q", "--workers", "1"]) == 1
    capsys.readouterr()
    found = rb.log()
    assert [(e.status, e.values.get("error")) for e in found[:3]] == [
        ("failed", "not_an_image"),
        ("failed", "unknown-field"),
        ("hit", None),
    ]
    shown = rb.log_show(found[2].run).values
    assert shown["command"] == ["run", "shapes.yaml", "-q", "--storage-option", "s3.secret=***"]
    assert "exit_code" in shown and rb.log_show(found[1].run).recipe_text == (bench / "bad.yaml").read_text()
    assert len(list((bench / "cache" / "journal").rglob("*.parquet"))) == 2 * 2 + 1 + 1 + 2
    body = printed(capsys, "log", "--failed")
    assert [run["status"] for run in body["runs"]] == ["failed", "failed"]
    assert body["runs"][1]["message"] == "unknown key 'Oops' in a recipe"


def test_a_recipe_with_a_slip_makes_no_cache_root(bench: Path) -> None:
    (bench / "bad.yaml").write_text("schema_version: 3\n")
    with pytest.raises(rb.RefineryError):
        rb.run("bad.yaml", cache_root="fresh")
    assert not (bench / "fresh").exists()


def test_an_interrupted_run(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch.build import build

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run_without_poison", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rb.run("shapes.yaml", seed=77)
    (entry, *_) = rb.log()
    assert (entry.status, rb.log_show(entry.run).values["exit_code"]) == ("interrupted", 130)


def test_filters_of_the_log(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "from refinery_beam.cache.journal import RunJournal; import os; RunJournal('cache').begin(recipe='lost'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    RunJournal("cache").begin(recipe="going-on")
    assert [(e.values["recipe"], e.status) for e in rb.log(running=True)] == [("going-on", "running")]
    assert [(e.values["recipe"], e.status) for e in rb.log(failed=True)] == [("lost", "died")]
    assert len(rb.log(recipe="shapes")) == len(rb.log(recipe="shapes.yaml")) == 2 and len(rb.log(recipe="none")) == 0
    assert len(rb.log(limit=1)) == 1 and len(rb.log(limit=0)) == 4
    assert len(rb.log(since="2h")) == 4 and len(rb.log(since="2999-01-01")) == 0
    assert printed(capsys, "log", "--since", "yesterday", code=2)["errors"][0]["code"] == "log-since"
    assert printed(capsys, "log", "--limit", "-1", code=2)["errors"][0]["code"] == "log-limit"
    assert call(["log"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["run", "when", "recipe", "status", "records", "seconds", "key"] and len(out) == 5
    assert call(["--cache-root", "none", "log"]) == 0 and capsys.readouterr().out == "no runs\n"


def test_one_run_in_full(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = rb.log()[0].run
    assert call(["log", "show", run[:6]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"run                 {run}" in lines and any(line.startswith("peak_memory") and line.endswith("MB") for line in lines)
    assert call(["log", "show", run, "--recipe"]) == 0
    assert capsys.readouterr().out == (bench / "shapes.yaml").read_text()
    assert printed(capsys, "log", "--cache-root", str(bench / "cache"), "show", run)["run"] == run
    for word, code in (("ffff", "unknown-run"), ("nothing", "unknown-run")):
        assert printed(capsys, "log", "show", word, code=2)["errors"][0]["code"] == code


def test_without_a_journal_everything_is_valid(bench: Path) -> None:
    shutil.rmtree(bench / "cache" / "journal")
    assert rb.run("shapes.yaml").status == "hit"
    assert rb.verify("shapes.yaml", deep=True).ok and rb.why("shapes.yaml").status == "hit"


def test_a_journal_that_cannot_be_written_is_a_warning(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(bench / "cache" / "journal")
    (bench / "cache" / "journal").write_text("in the way")
    assert rb.run("shapes.yaml").status == "hit"
    assert rb.run("shapes.yaml", seed=9, workers=1).status == "built"
    assert capsys.readouterr().err.count("warning: the journal could not be written: ") == 2


# -- rerun--------


def test_the_same_again(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the id of a run, which knows the text, the overlay and the seed, though the recipe has changed since."""
    second, first = rb.log()
    again = rb.rerun(second.run, workers=1)
    assert (again.status, again.same_rows, again.same_files, again.drift) == ("hit", True, True, ())
    assert again.result.manifest.seed == 4 and again.result.counts == {"train": 18, "test": 18}
    body = printed(capsys, "rerun", first.run, "--cache-root", "fresh", "--cache-root-read", "cache")
    assert (body["status"], body["same_rows"], body["of"]) == ("hit", True, first.run)
    assert rb.log()[0].values["verb"] == "rerun"


def test_an_instance_is_built_again_elsewhere(bench: Path) -> None:
    rb.tag("shapes.yaml", name="v1")
    path = rb.open_instance("v1").path
    again = rb.rerun(path, cache_root="fresh", workers=1)
    assert (again.status, again.same_rows, again.same_files) == ("built", True, True)
    assert again.result.path.startswith(str(bench / "fresh"))
    assert rb.rerun("v1").status == "hit"
    shutil.rmtree(bench / "cache" / "journal")
    os.environ["REFINERY_BEAM_SOURCE_PHOTOS"] = str(bench / "my-images")
    try:
        assert rb.rerun(path, cache_root="third", workers=1).same_files is True
    finally:
        del os.environ["REFINERY_BEAM_SOURCE_PHOTOS"]


def test_drift_is_named_and_refused(bench: Path, built: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    victim = sorted((bench / "my-images" / "circle").iterdir())[0]
    recipe = (bench / "shapes.yaml").read_text()
    (bench / "local.yaml").write_text(recipe)
    run = rb.run("local.yaml", cache_root="own", workers=1) and rb.log(cache_root="own")[0].run
    victim.unlink()
    from refinery_beam.launch.history import rerun

    monkeypatch.setattr(
        rerun, "package_version", lambda name: "0.1" if name == "pillow" else rb.log_show(run, cache_root="own").values["packages"][name]
    )
    body = printed(capsys, "rerun", run, "--cache-root", "own", code=3)
    assert {e["code"] for e in body["errors"]} == {"rerun-drift"}
    assert body["errors"][0]["message"] == f"photos/circle/{victim.name} is there no more"
    assert body["errors"][1]["message"].startswith("pillow is 0.1 here, and was ")
    assert body["errors"][0]["remedy"] == "put back what changed, or allow it with --allow inputs"
    assert rb.log(cache_root="own")[0].values["error"] == "rerun-drift"
    with pytest.raises(rb.DataError):
        rb.rerun(run, cache_root="own", allow=["packages"])
    again = rb.rerun(run, cache_root="own", allow=["packages", "inputs"], workers=1)
    assert (again.status, again.same_rows, {d.kind for d in again.drift}) == ("built", False, {"inputs", "packages"})
    assert printed(capsys, "rerun", run, "--allow", "weather", code=2)["errors"][0]["code"] == "unknown-drift"
    assert printed(capsys, "rerun", "nothing-of-this-name", code=2)["errors"][0]["code"] == "unknown-run"


# -- git

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@needs_git
def test_the_revision_of_a_folder(tmp_path: Path) -> None:
    recipe, plugin = tmp_path / "work" / "r.yaml", tmp_path / "work" / "ops.py"
    recipe.parent.mkdir()
    assert find_revision(str(recipe)) is None
    git(tmp_path, "init")
    recipe.write_text("a")
    plugin.write_text("b")
    assert find_revision(str(recipe)) == Revision("", True)
    git(tmp_path, "add", "work/r.yaml")
    git(tmp_path, "commit", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert find_revision(str(recipe)) == Revision(commit, False)
    assert find_revision(str(recipe), [str(plugin)]) == Revision(commit, True)
    (tmp_path / "work" / "picture.png").write_text("beside the recipe, and no part of it")
    (tmp_path / "other.txt").write_text("elsewhere")
    git(tmp_path, "add", "other.txt")
    assert find_revision(str(recipe)) == Revision(commit, False)
    recipe.write_text("c")
    assert find_revision(str(recipe)) == Revision(commit, True)


@needs_git
def test_a_repository_runs_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init")
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(trap))
    (tmp_path / "r.yaml").write_text("a")
    assert find_revision(str(tmp_path / "r.yaml")) is not None
    assert not (tmp_path / "sprung").exists()


@needs_git
def test_policies(bench: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(capsys, "run", "shapes.yaml", "--git", "require-clean", code=2)["errors"][0]["code"] == "git-not-clean"
    git(bench, "init")
    git(bench, "add", "shapes.yaml")
    git(bench, "commit", "-m", "x")
    assert rb.run("shapes.yaml", git="require-clean").status == "hit"
    assert rb.log_show(rb.log()[0].run).values["git_dirty"] is False
    (bench / "shapes.yaml").write_text((bench / "shapes.yaml").read_text() + "# more\n")
    assert "git-not-clean" in {e["code"] for e in printed(capsys, "run", "shapes.yaml", "--git", "require-clean", code=2)["errors"]}
    assert rb.run("shapes.yaml").status == "hit"
    shown = rb.log_show(rb.log()[0].run).values
    assert (shown["git_dirty"], shown["git_commit"]) == (True, git(bench, "rev-parse", "HEAD"))
    assert rb.run("shapes.yaml", git="off").status == "hit"
    assert "git_commit" not in rb.log_show(rb.log()[0].run).values
    assert printed(capsys, "run", "shapes.yaml", "--git", "sometimes", code=2)["errors"][0]["code"] == "unknown-git-policy"
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert rb.run("shapes.yaml", git="require-clean").status == "hit"
    assert "git is not installed here" in capsys.readouterr().err
