"""Runs on engines of other make that go on where a killed run stopped, and a run that goes on on another engine."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from refinery_beam.testing import images
from support.clusters import flags
from support.counted import Counted
from support.processes import left_over
from support.recipes import write_recipe

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

THREADS = ("--mode", "threads", "--workers", "2")


@pytest.mark.parametrize("name", ["prism", "flink"])
def test_a_killed_run_goes_on(name: str, tmp_path: Path) -> None:
    """Killed at 90% of the files that a clean run decodes; the digests are those of the local engine."""
    engine = ("--runner", name, "--", *flags(name))
    images.class_folders(tmp_path / "photos", per_class=20)
    recipe = write_recipe(tmp_path / "photos", tmp_path, output={"shard_records": 3})
    local = Counted(recipe, str(tmp_path / "local"), tmp_path)
    code, clean, every = local.run(*THREADS)
    assert code == 0, clean
    counted = Counted(recipe, str(tmp_path / "cache"), tmp_path)
    assert counted.run(*engine, die_at=every * 9 // 10)[0] == -signal.SIGKILL
    assert left_over(tmp_path) == []
    kept = len(list(Path(counted.root).glob("resume/*/dataset-*/part.json")))
    assert kept > 0
    code, again, decodes = counted.run(*engine)
    assert (code, again["files_digest"], again["logical_digest"]) == (0, clean["files_digest"], clean["logical_digest"]), again
    reused = again["reused"]
    assert isinstance(reused, dict) and reused["shards"] == kept

    assert decodes < every - reused["records"] + 3 * 8, "each record that was at work is tried alone three times"


def test_a_run_goes_on_on_another_engine(tmp_path: Path) -> None:
    images.class_folders(tmp_path / "photos", per_class=20)
    recipe = write_recipe(tmp_path / "photos", tmp_path, output={"shard_records": 3})
    code, clean, every = Counted(recipe, str(tmp_path / "local"), tmp_path).run(*THREADS)
    assert code == 0, clean
    counted = Counted(recipe, str(tmp_path / "cache"), tmp_path)
    assert counted.run("--runner", "prism", "--", *flags("prism"), die_at=every * 9 // 10)[0] == -signal.SIGKILL
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, clean["files_digest"])
    assert again["reused"]["shards"] > 0  # type: ignore[index]
