"""The launchers of engines hand on what they are given, with what they know of the engine before it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LAUNCHERS = Path(__file__).parents[2] / "launchers"


def started(folder: Path, engine: str, *words: str, **variables: str) -> list[str]:
    """The words that a launcher starts `refinery-beam` with, by a stand-in that prints them."""
    command = folder / "refinery-beam"
    command.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    command.chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "REFINERY_BEAM_ENGINES": str(folder / "engines"), **variables}
    done = subprocess.run(
        [LAUNCHERS / engine / "run.sh", *words], env=environment, cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_words_are_handed_on(engine: str, tmp_path: Path) -> None:
    run = ["run", "my recipe.yaml", "/c", "--runner", engine]
    run.insert(2, "--cache-root")
    assert started(tmp_path, engine, "my recipe.yaml", "/c") == [*run, "--"]
    assert started(tmp_path, engine, "my recipe.yaml", "/c", "--workers", "2", "--", "--a=b c") == [*run, "--workers", "2", "--", "--a=b c"]


def test_what_is_known_of_the_engine_stands_first(tmp_path: Path) -> None:
    (tmp_path / "engines" / "spark").mkdir(parents=True)
    jars = {"flink": tmp_path / "engines" / "flink-job-server.jar", "spark": tmp_path / "engines" / "spark" / "spark-job-server.jar"}
    for jar in jars.values():
        jar.touch()
    flink = started(tmp_path, "flink", "r.yaml", "/c", "--", "--parallelism=3", FLINK_MASTER="localhost:8081")
    assert flink[flink.index("--") + 1 :] == [
        f"--flink_job_server_jar={jars['flink']}",
        "--flink_version=1.19",
        "--flink_master=localhost:8081",
        "--environment_type=PROCESS",
        "--parallelism=3",
    ]
    spark = started(tmp_path, "spark", "r.yaml", "/c")
    assert spark[spark.index("--") + 1 :] == [f"--spark_job_server_jar={jars['spark']}"]


def test_without_a_cache_root(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        started(tmp_path, "flink", "r.yaml")
    assert "usage: run.sh RECIPE CACHE_ROOT" in caught.value.stderr
