"""`ls`, `tag`, `untag`, names in every verb, and cache roots that are only read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.cache.used import last_used
from refinery_beam.cli.app import call
from support.recipes import SMALL, write_recipe


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and a cache that holds its instance."""
    folder = tmp_path_factory.mktemp("team")
    rb.run(write_recipe(class_folders, folder, base=SMALL, name="shapes.yaml"), cache_root=folder / "cache", workers=1)
    return folder


@pytest.fixture
def bench(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "bench")
    monkeypatch.chdir(tmp_path / "bench")
    return tmp_path / "bench"


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert call([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_list(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = rb.ls()
    assert (one.recipe, one.counts, one.own, one.cached.tags) == ("shapes", {"train": 27, "test": 9}, True, ())
    assert one.path == rb.status("shapes.yaml").path
    body = printed(capsys, "ls")
    assert body["instances"][0] == one.to_dict() and body["bytes"] == one.cached.bytes
    assert call(["ls", "--sort", "size"]) == 0
    head, line, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["recipe", "key", "built", "used", "size", "records", "tags"]
    assert line.split()[:2] == ["shapes", one.key] and "train 27  test 9" in line and total.startswith("1 instance, ")
    assert call(["ls", "--cache-root", "none"]) == 0
    assert capsys.readouterr().out == "no instances\n"
    assert printed(capsys, "ls", "--sort", "colour", code=2)["errors"][0]["code"] == "unknown-sort"


def test_orders(bench: Path) -> None:
    (other,) = bench.glob("cache/instances/*/*/*")
    twin = other.with_name("5")
    shutil.copytree(other, twin)  # a seed that the manifest does not have: listed by its location
    os.utime(twin / "manifest.json", (10, 10))
    assert [one.path for one in rb.ls(sort="built")] == [str(other), str(twin)]
    assert [one.path for one in rb.ls(sort="key")] == sorted([str(other), str(twin)])


def test_a_tag_in_every_verb(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rb.tag("shapes.yaml", name="v1").status == "tagged"
    assert rb.tag("shapes.yaml", name="v1").status == "unchanged"
    path = rb.status("shapes.yaml").path
    key = rb.ls()[0].key
    assert rb.ls()[0].cached.tags == ("v1",)
    for name in ("v1", "tag:v1", key, key[:8]):
        assert rb.open_instance(name).path == path
        assert rb.status(name).path == path
        assert rb.verify(name).instance == path
        assert printed(capsys, "status", name)["instance"] == path
    with pytest.raises(rb.RecipeError) as caught:
        rb.draw("v1")
    assert caught.value.code == "no-visualizations"
    assert rb.tag("v1", name="v2").instance == path
    assert printed(capsys, "untag", "v1") == {
        "contract": 1,
        "status": "removed",
        "tag": "v1",
        "instance": "",
        "before": rb.ls()[0].cached.key_name,
    }
    assert rb.ls()[0].cached.tags == ("v2",)
    assert printed(capsys, "untag", "v1", code=2)["errors"][0]["code"] == "tag-missing"
    assert printed(capsys, "status", "tag:v1", code=2)["errors"][0]["remedy"] == "name one of: v2"
    assert printed(capsys, "untag", "v1", "--cache-root", "empty", code=2)["errors"][0]["remedy"].startswith("there is none yet: ")


def test_moving_a_tag_is_asked_for(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = rb.tag("shapes.yaml", name="best")
    second = rb.run("shapes.yaml", seed=5, workers=1).path
    assert printed(capsys, "tag", second, "best", code=2)["errors"][0]["code"] == "tag-exists"
    assert rb.open_instance("best").path == first.instance
    moved = printed(capsys, "tag", second, "best", "--move")
    assert (moved["status"], moved["instance"], moved["before"]) == ("moved", second, rb.ls(sort="key") and first_key(first.instance))
    assert rb.open_instance("best").path == second
    untagged, moved_event = rb.untag("best") and rb.log()[:2]
    assert [(e.values["event"], e.status) for e in (moved_event, untagged)] == [("tag", "moved"), ("untag", "removed")]
    assert rb.log_show(moved_event.run).values["facts"] == {"before": first_key(first.instance), "tag": "best"}
    assert call(["log"]) == 0
    said = capsys.readouterr().out
    assert "untag   removed: best " in said and "tag     moved: best " in said


def first_key(path: str) -> str:
    return "-".join(path.split("/")[-3:])


def test_a_word_that_means_two_things(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rb.tag("shapes.yaml", name="v1")
    shutil.copytree(rb.status("shapes.yaml").path, "v1")
    assert printed(capsys, "status", "v1", code=2)["errors"][0]["code"] == "ambiguous-target"
    assert rb.open_instance("tag:v1").path != rb.open_instance("./v1").path == str(bench / "v1")
    assert printed(capsys, "tag", "./v1", "copy", code=2)["errors"][0]["code"] == "tag-elsewhere"


def test_a_tag_outlives_what_was_deleted_by_hand(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rb.tag("shapes.yaml", name="v1").instance
    shutil.rmtree(path)
    assert printed(capsys, "status", "v1", code=3)["errors"][0]["code"] == "instance-missing"
    with pytest.raises(rb.StoreError):
        rb.tag("shapes.yaml", name="v2")


def test_use_is_noted_by_hits_and_openings(bench: Path) -> None:
    (note,) = (bench / "cache" / "used").iterdir()
    for use in (lambda: rb.run("shapes.yaml"), lambda: rb.open_instance("shapes.yaml"), lambda: rb.open_instance(rb.ls()[0].path)):
        os.utime(note, (1000, 1000))
        use()
        assert last_used("cache")[note.name].timestamp() > 1000
    os.utime(note, (1000, 1000))
    rb.status("shapes.yaml"), rb.ls(), rb.verify("shapes.yaml"), rb.why("shapes.yaml"), rb.plan("shapes.yaml")
    assert last_used("cache")[note.name].timestamp() == 1000


def states(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_a_team_cache_is_found_and_never_written(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in it changes, by anything that a user of it can do; so it need not be writable."""
    team = (bench / "cache").rename(bench / "team")
    path = rb.status("shapes.yaml", cache_root=team).path
    rb.tag("shapes.yaml", name="v1", cache_root=team)
    before = states(team)
    roots: dict[str, Any] = {"cache_root": bench / "own", "cache_root_read": [team]}
    text = ["--cache-root", str(bench / "own"), "--cache-root-read", str(team)]
    result = rb.run("shapes.yaml", **roots)
    assert (result.status, result.path) == ("hit", path)
    assert len(result["train"]) == 27
    assert printed(capsys, "run", "shapes.yaml", *text)["instance"] == path
    assert rb.open_instance("shapes.yaml", **roots).path == rb.open_instance("v1", **roots).path == path
    assert rb.status("shapes.yaml", **roots).path == rb.plan("shapes.yaml", **roots).path == path
    assert rb.verify("v1", deep=True, **roots).ok
    assert [(one.path, one.own) for one in rb.ls(**roots)] == [(path, False)]
    assert rb.why("shapes.yaml", **roots).status == "hit"
    assert rb.why("shapes.yaml", seed=4, **roots).instance == path
    with pytest.raises(rb.UsageError) as caught:
        rb.tag("v1", name="mine", **roots)
    assert caught.value.code == "tag-elsewhere"
    built = rb.run("shapes.yaml", seed=4, workers=1, **roots)
    assert (built.status, built.path.startswith(str(bench / "own"))) == ("built", True)
    assert states(team) == before
    assert rb.run("shapes.yaml", seed=4, **roots).path == built.path


def test_a_team_cache_on_a_store_is_never_written(bench: Path) -> None:
    team = "memory://team-of-a-test"
    path = rb.run("shapes.yaml", cache_root=team, workers=1).path
    rb.tag(path, name="v1", cache_root=team)
    before = locations.walk(team)
    roots: dict[str, Any] = {"cache_root": "own", "cache_root_read": [team]}
    assert rb.run("shapes.yaml", **roots).path == path
    assert rb.open_instance("v1", **roots).counts == {"train": 27, "test": 9}
    assert rb.run("shapes.yaml", seed=8, workers=1, **roots).status == "built"
    assert locations.walk(team) == before


AS_NOBODY = """\
import os, sqlite3, sys  # hints are written, and sqlite3 is imported, only where files are old enough
from refinery_beam.cli.app import call
if os.geteuid() == 0:
    call([*sys.argv[1:], "--cache-root", "own/warm", "--cache-root-read", "team", "-q"])  # imports what nobody may not read
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(call(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_team_cache_without_the_right_to_write(built: Path) -> None:
    """Another user, who may read it and no more: as nobody where root runs this, else as oneself without the right."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        shutil.copytree(built / "cache", top / "team")
        (top / "shapes.yaml").write_bytes((built / "shapes.yaml").read_bytes())
        source = re.search(r"path: (\S+?)[,}]", (built / "shapes.yaml").read_text())
        assert source is not None
        shutil.copytree(source[1], top / "my-images")
        (top / "shapes.yaml").write_text((top / "shapes.yaml").read_text().replace(source[1], "my-images"))
        (top / "own").mkdir()
        (top / "own").chmod(0o777)
        for path in (top / "team", *(top / "team").rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = states(top / "team")
        for words in (["--cache-root", "own/c", "--cache-root-read", "team"], ["--cache-root", "team"]):
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, "run", "shapes.yaml", "--json", *words],
                cwd=top, env={**os.environ, "HOME": str(top / "own")}, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["status"] == "hit", done.stderr
            # A cache that cannot be written is no failure as the own root either: the run says that it is not in its journal.
            assert ("the journal could not be written" in done.stderr) is (words == ["--cache-root", "team"])
        assert states(top / "team") == before
        for path in (top / "team").rglob("*"):
            path.chmod(0o755)


def test_pictures_of_a_team_cache_are_drawn_at_home(class_folders: Path, tmp_path: Path) -> None:
    recipe = write_recipe(class_folders, tmp_path, base=SMALL, name="shapes.yaml")
    rb.run(recipe, cache_root=tmp_path / "team", workers=1)
    picture = "{name: counts, op: class_distribution_histogram, stage: post_pipeline, mode: reporting}"
    recipe.write_text(f"{recipe.read_text()}Visualizations:\n  - {picture}\n")
    before = states(tmp_path / "team")
    for _ in range(2):
        result = rb.run(recipe, cache_root=tmp_path / "own", cache_root_read=[tmp_path / "team"])
        assert result.status == "hit"
        assert {name: path.startswith(str(tmp_path / "own")) and os.path.isfile(path) for name, path in result.pictures.items()} == {
            "counts": True
        }
    assert states(tmp_path / "team") == before


def test_roots_that_are_not_there_are_passed_over(bench: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_BEAM_CACHE_ROOT_READ", f"/no/such/team:{bench / 'cache'}")
    path = rb.run("shapes.yaml", cache_root="own").path
    assert path.startswith(str(bench / "cache"))
    assert capsys.readouterr().err.count("warning: the cache root /no/such/team does not exist; nothing is looked up there") == 1


def test_a_damaged_instance_of_the_team_is_no_hit(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((bench / "cache").glob("instances/*/*/*/dataset/train/*.parquet")).unlink()
    result = rb.run("shapes.yaml", cache_root="own", cache_root_read=["cache"], workers=1)
    assert result.status == "built"
    assert "has a damaged instance of this key" in capsys.readouterr().err


def test_locations_of_options_may_begin_with_a_variable(
    bench: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEAM", str(bench))
    assert rb.run("shapes.yaml", cache_root="${env:TEAM}/cache").status == "hit"
    monkeypatch.setenv("REFINERY_BEAM_CACHE_ROOT_READ", "${env:TEAM}/cache:/no/such")
    assert printed(capsys, "run", "shapes.yaml", "--cache-root", "own", "-q")["instance"].startswith(str(bench / "cache"))
    (bench / "words.py").write_text(
        "from refinery_beam.plugins.base import Extension\nPLUGIN = Extension(name='w', extends='image_classification', version='1')\n"
    )
    assert rb.validate("shapes.yaml", plugin_paths=["${env:TEAM}/words.py"]).valid
    for root, code in (("${env:NOT_SET}/x", "variable-missing"), ("x/${env:TEAM}", "variable-form"), ("${TEAM}/x", "variable-form")):
        assert printed(capsys, "status", "shapes.yaml", "--cache-root", root, code=2)["errors"][0]["code"] == code
