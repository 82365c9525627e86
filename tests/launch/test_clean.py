"""`clean` on real cache roots: what goes, what stays, and that nothing is lost that somebody needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cache.address import InstanceKey
from refinery_beam.cache.attempts.staging import Staging
from refinery_beam.cache.instances import short_key
from refinery_beam.cache.used import last_used
from refinery_beam.cli.app import call
from refinery_beam.errors import UsageError
from support.recipes import RESIZE, write_recipe

HOUR = 3600.0


def named(class_folders: Path, folder: Path, name: str, **more: Any) -> Path:
    """A recipe called `name`."""
    path = write_recipe(class_folders, folder, **more)
    return path.rename(folder / f"{name}.yaml")


def used_ago(root: Path, instance: rb.Instance, seconds: float) -> None:
    """Let the last use of an instance have been some time ago."""
    moment = time.time() - seconds
    for path in (Path(instance.path) / "manifest.json", root / "used" / "-".join(instance.path.split("/")[-3:])):
        if path.exists():
            os.utime(path, (moment, moment))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def three_built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A cache root with two instances of the recipe `cats` and one of `dogs`, and their folders below it."""
    folder = tmp_path_factory.mktemp("three")
    recipes = [named(class_folders, folder, "cats", seed=1), named(class_folders, folder, "cats2", seed=2)]
    recipes.append(named(class_folders, folder, "dogs", seed=3))
    first = rb.run(recipes[0], cache_root=folder / "cache")
    shutil.move(recipes[1], recipes[0])
    found = [first, *(rb.run(recipe, cache_root=folder / "cache") for recipe in (recipes[0], recipes[2]))]
    return folder / "cache", [os.path.relpath(one.path, folder / "cache") for one in found]


@pytest.fixture
def three(three_built: tuple[Path, list[str]], root: Path) -> list[rb.Instance]:
    """Two instances of `cats`, one of `dogs`; used three, two and one and a half hours ago."""
    shutil.copytree(three_built[0], root)
    found = [rb.open_instance(root / path, cache_root=root) for path in three_built[1]]
    for hours, one in zip((3, 2, 1.5), found, strict=True):
        used_ago(root, one, hours * HOUR)
    return found


def there(*found: rb.Instance) -> list[bool]:
    return [os.path.exists(f"{one.path}/manifest.json") for one in found]


def test_nothing_goes_before_somebody_says_yes(three: list[rb.Instance], root: Path) -> None:
    before = sorted(root.rglob("*"))
    result = rb.clean(cache_root=root, everything=True)
    assert (result.done, len(result.removed), result.bytes > 0) == (False, 3, True)
    assert sorted(root.rglob("*")) == before
    assert rb.clean(cache_root=root, yes=True).removed == (), "without a question only what dead runs left"


def test_by_recipe_age_number_and_size(three: list[rb.Instance], root: Path) -> None:
    old = three[0]
    assert [i.recipe for i in rb.clean(cache_root=root, recipe="cats").removed] == ["cats", "cats"]
    assert [i.location for i in rb.clean(cache_root=root, older_than="150m").removed] == [old.path]
    assert [i.location for i in rb.clean(cache_root=root, keep=1).removed] == [old.path]
    assert [i.location for i in rb.clean(cache_root=root, keep=1, recipe="dogs").removed] == []
    sizes = {i.location: i.bytes for i in rb.clean(cache_root=root, everything=True).removed}
    budget = sum(sizes.values()) - 1
    result = rb.clean(cache_root=root, max_size=str(budget), yes=True)
    assert ([i.location for i in result.removed], result.over) == ([old.path], 0)
    assert there(*three) == [False, True, True]
    assert not os.path.exists(os.path.dirname(old.path)) or os.listdir(os.path.dirname(old.path))
    with pytest.raises(UsageError) as caught:
        rb.clean(cache_root=root, recipe="catz")
    assert (caught.value.code, "cats" in caught.value.remedy) == ("unknown-recipe-name", True)
    for wrong in ({"older_than": "soon"}, {"max_size": "big"}, {"keep": -1}, {"grace": "-1h"}):
        with pytest.raises(UsageError) as caught:
            rb.clean(cache_root=root, **wrong)
        assert caught.value.code == "clean-option"


def test_what_stays(three: list[rb.Instance], class_folders: Path, tmp_path: Path, root: Path) -> None:
    old, new, dog = three
    rb.tag(old.path, name="v1", cache_root=root)
    rb.open_instance(new.path, cache_root=root)
    staging = Staging.open(str(root), InstanceKey(dog.manifest.recipe_hash, dog.manifest.input_hash, dog.manifest.seed))
    try:
        result = rb.clean(cache_root=root, everything=True, orphans=True, yes=True)
    finally:
        staging.close()
    assert there(*three) == [True, True, True]
    reasons = {one.item.location: one.reason for one in result.kept}
    assert reasons[old.path] == "it has the tag v1"
    assert reasons[new.path] == "it was used within the last 1h"
    assert reasons[dog.path] == "a run of it is at work"
    rb.untag("v1", cache_root=root)
    assert len(rb.clean(cache_root=root, everything=True, grace="0", yes=True).removed) == 3
    assert last_used(str(root)) == {}


def test_what_another_imports(class_folders: Path, tmp_path: Path, root: Path) -> None:
    parent = rb.run(named(class_folders, tmp_path, "first"), cache_root=root)
    borrowed = "params: {stats_from_instance: {recipe: first.yaml, op_id: normalize}}"
    borrowing = f"{{name: normalize, op: normalize, {borrowed}, splits: [train, val, test]}}"
    child = rb.run(named(class_folders, tmp_path, "second", transformations=[RESIZE, borrowing]), cache_root=root)
    for one in (parent, child):
        used_ago(root, one, 9 * HOUR)
    (kept,) = rb.clean(cache_root=root, recipe="first", yes=True).kept
    assert "borrows from it" in kept.reason
    assert there(parent, child) == [True, True]
    assert len(rb.clean(cache_root=root, everything=True, yes=True).removed) == 2


def test_orphans(three: list[rb.Instance], root: Path) -> None:
    key = InstanceKey("ab" * 32, "cd" * 32, 7)
    sibling = root / "staging" / f"{key.name}-notanattempt"
    sibling.mkdir(parents=True)
    dead = root / "staging" / f"{key.name}-00c0ffee"
    (dead / "instance").mkdir(parents=True)
    (dead / "lock").touch()
    parts = root / "resume" / key.name / "dataset-train-00000-x"
    parts.mkdir(parents=True)
    (parts / "part.json").write_text("{}")
    (root / "staging" / "trash" / "x").mkdir(parents=True)
    living = Staging.open(str(root), InstanceKey("ef" * 32, "cd" * 32, 7))
    kept = root / "resume" / living.key.name
    kept.mkdir(parents=True)
    # Beginning a run swept the trash.
    (root / "staging" / "trash" / "x").mkdir(parents=True)
    try:
        result = rb.clean(cache_root=root, yes=True)
        assert {i.kind for i in result.removed if i.kind != "temporary"} == {"attempt", "parts", "trash"}
        assert not dead.exists() and not parts.exists() and not (root / "staging" / "trash" / "x").exists()
        assert os.path.isdir(living.dir) and kept.is_dir() and sibling.is_dir()
        assert there(*three) == [True] * 3
    finally:
        living.close()


def test_temporary_folders_of_killed_runs(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    long_ago = time.time() - 30 * 24 * HOUR
    for name in ("beam-pipeline-tempab", "beam-pipeline-tempfull", "beam-pipeline-tempnew", "refinery-beam-worker-x", "somebody-elses"):
        (folder / name).mkdir()
    (folder / "beam-pipeline-tempfull" / "mine").touch()
    for name in os.listdir(folder):
        if not name.endswith("new"):
            os.utime(folder / name, (long_ago, long_ago))
    root.mkdir()
    rb.clean(cache_root=root, yes=True)
    assert sorted(os.listdir(folder)) == ["beam-pipeline-tempfull", "beam-pipeline-tempnew", "somebody-elses"]


def test_the_command_line(three: list[rb.Instance], root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["clean", "--cache-root", str(root)]
    command = [sys.executable, "-m", "refinery_beam", *arguments]
    dry = subprocess.run([*command, "--recipe", "cats"], capture_output=True, text=True, check=True)
    assert "would go" in dry.stdout and "nothing was changed: --yes removes it" in dry.stdout
    assert call([*arguments, "--keep", "1", "--yes", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["contract"], body["status"], [i["recipe"] for i in body["removed"]]) == (1, "cleaned", ["cats"])
    rb.tag(three[-1].path, name="v1", cache_root=root)
    assert call([*arguments, "--everything"]) == 0
    kept = capsys.readouterr().out
    (one,) = rb.clean(cache_root=root, everything=True).kept
    assert f"kept: instance {one.item.recipe} {short_key(one.item.name)}: it has the tag v1\n" in kept
    assert call([*arguments, "--older-than", "soon"]) == 2
    assert "length of time" in capsys.readouterr().err


@pytest.mark.slow
def test_a_budget_beside_two_builds_and_a_reader(class_folders: Path, tmp_path: Path, root: Path) -> None:
    """Cleans again and again with a budget of nothing, while two recipes are built and an instance is read over and over."""
    held = rb.run(named(class_folders, tmp_path, "held", seed=1), cache_root=root)
    others = [rb.run(named(class_folders, tmp_path, f"old{i}", seed=10 + i), cache_root=root) for i in range(3)]
    for i, one in enumerate(others):
        used_ago(root, one, (10 - i) * HOUR)
    over, errors, epochs, cleaned = threading.Event(), [], [0], [0]
    before = {row["record_id"]: row["image"].tobytes() for row in held["train"]}

    def read() -> None:
        try:
            while not over.is_set():
                data = rb.open_instance(held.path, cache_root=root)
                assert {row["record_id"]: row["image"].tobytes() for row in data["train"]} == before
                epochs[0] += 1
        except BaseException as error:
            errors.append(error)

    def sweep() -> None:
        try:
            while not over.is_set():
                rb.clean(cache_root=root, max_size="0", yes=True)
                cleaned[0] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read), threading.Thread(target=sweep)]
    for thread in threads:
        thread.start()
    recipes = [named(class_folders, tmp_path, f"new{i}", seed=20 + i) for i in range(2)]
    command = [sys.executable, "-m", "refinery_beam", "run", "--cache-root", str(root), "--json"]
    builds = [subprocess.Popen([*command, str(recipe)], stdout=subprocess.PIPE, text=True) for recipe in recipes]
    said = [json.loads(build.communicate(timeout=200)[0]) for build in builds]
    over.set()
    for thread in threads:
        thread.join()
    assert errors == [] and epochs[0] > 1 and cleaned[0] > 1
    assert [one["status"] for one in said] == ["built", "built"]
    assert there(*others) == [False] * 3, "the budget was kept as far as it can be"
    assert there(held) == [True] and all(rb.verify(one["instance"], cache_root=root).ok for one in (*said, {"instance": held.path}))
