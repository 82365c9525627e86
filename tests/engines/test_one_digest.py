"""One recipe, one digest, on every engine that this machine has. `make test-engines` builds what they need and prints the table."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.launch.run import RunResult, run_with
from refinery_beam.launch.settings import Settings
from support.clusters import FLAGS, ROOT, flags, flink_cluster
from support.engine_runs import manifest_of_a_hostile_run, same, settings

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def expected(recipe: Path) -> RunResult:
    result = rb.run(recipe, cache_root=recipe.parent / "reference", workers=1, mode="threads")
    assert result.counts == {"train": 66, "val": 6, "test": 18}
    assert result.manifest.raw["ledger"] == {"duplicate": 9, "filtered": 20, "truncated": 1}
    assert result.manifest.raw["generated"] == {"balance": 3, "flip": 66, "foggy": 18}
    assert [step["name"] for step in result.manifest.raw["replay"]["steps"]] == ["resize", "normalize", "bytes"], (
        "fitted before it is stored"
    )
    return result


def test_direct(expected: RunResult, reported: list[tuple[str, str, float, int]]) -> None:
    reported.append(("direct, one thread", expected.manifest.raw["files_digest"], expected.seconds, sum(expected.counts.values())))


@pytest.mark.parametrize("name", ["processes", "hostile bundles", "prism", "flink", "spark"])
def test_one_digest(
    name: str,
    recipe: Path,
    tmp_path: Path,
    expected: RunResult,
    reported: list[tuple[str, str, float, int]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    result = run_with(recipe, settings(name, cache_root=str(tmp_path / "cache"), beam_options=flags(name)))
    assert capfd.readouterr() == ("", ""), "nothing of an engine's own words reaches the user"
    same(result, expected, reported, name + (", LOOPBACK" if name in FLAGS else ""))


def test_fifty_ways_to_cut_and_repeat(
    recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    """Random cuts of bundles, their order, the order of grouped values, and replays: fifty seeds, one digest."""
    begun = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(manifest_of_a_hostile_run, range(50), repeat(recipe), repeat(tmp_path), chunksize=5))
    assert set(made) == {(Path(expected.path) / "manifest.json").read_bytes()}
    digest = expected.manifest.raw["files_digest"]
    reported.append(("hostile bundles, 50 seeds", digest, time.monotonic() - begun, sum(expected.counts.values())))


def test_after_a_crash(recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]) -> None:
    """A run that was killed leaves nothing that the next one could trip over."""
    cache = tmp_path / "cache"
    process = slow_run(recipe, tmp_path, cache, "direct")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # The run itself is a child of the command line's process, and takes a moment to die with it.
    while subprocess.run(["pgrep", "-f", str(cache)], stdout=subprocess.DEVNULL, check=False).returncode == 0:
        time.sleep(0.1)
    assert not list(cache.glob("instances/*/*/*"))
    result = run_with(recipe, Settings(cache_root=str(cache), workers=2))
    same(result, expected, reported, "direct, after a crash")


def slow_run(recipe: Path, tmp_path: Path, cache: Path, name: str, *options: str, seconds: float = 0.5) -> subprocess.Popen[str]:
    """A run that takes so long an image, begun and in the middle of its first look at pixels."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import time\n"
        "import PIL.Image as I\n"
        "plain = I.open\n"
        "def slow(*a, **k):\n"
        f"    time.sleep({seconds})\n"
        "    return plain(*a, **k)\n"
        "I.open = slow\n"
    )
    command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", str(cache), "--runner", name, "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}"}
    process = subprocess.Popen([*command, "--", *options], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(cache.glob("staging/*/*/progress/*-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    assert process.poll() is None, process.communicate()[1]
    return process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A standalone Flink with two task managers."""
    with flink_cluster(tmp_path_factory.mktemp("cluster"), 2) as location:
        yield location


def test_a_flink_cluster_with_processes(
    cluster: str, recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    options = (*flags("flink"), f"--flink_master={cluster}", "--environment_type=PROCESS")
    result = run_with(recipe, settings("flink", cache_root=str(tmp_path / "cache"), beam_options=options))
    same(result, expected, reported, "flink, 2 task managers, PROCESS")


def test_a_flink_cluster_by_uber_jar(
    recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    """Without a job server: the job travels inside the jar, which the cluster runs."""
    (tmp_path / "plain").mkdir()
    with flink_cluster(tmp_path / "plain", 2, beam_next_to=False) as location:
        options = (*flags("flink"), f"--flink_master={location}", "--environment_type=PROCESS", "--flink_submit_uber_jar")
        result = run_with(recipe, settings("flink", cache_root=str(tmp_path / "cache"), beam_options=options))
    same(result, expected, reported, "flink, uber jar, PROCESS")


def test_ctrl_c_cancels_the_job_of_a_cluster(cluster: str, recipe: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = slow_run(recipe, tmp_path, cache, "flink", *flags("flink"), f"--flink_master={cluster}", "--environment_type=PROCESS")
    assert "RUNNING" in states(cluster)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    deadline = time.monotonic() + 30
    while set(states(cluster)) & {"RUNNING", "CANCELLING"} and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not set(states(cluster)) & {"RUNNING", "CANCELLING", "CREATED", "RESTARTING"}
    assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))


def test_a_run_on_a_cluster_goes_on(
    cluster: str, recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    """The driver is killed, and its job is left to the cluster: the next run takes over what is finished, and disturbs nobody."""
    cache, options = tmp_path / "cache", (*flags("flink"), f"--flink_master={cluster}", "--environment_type=PROCESS")
    process = slow_run(recipe, tmp_path, cache, "flink", *options, seconds=0.1)
    deadline = time.monotonic() + 200
    while len(list(cache.glob("resume/*/dataset-*/part.json"))) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list(cache.glob("instances/*/*/*"))
    result = run_with(recipe, settings("flink", cache_root=str(cache), workers=1, beam_options=options))
    assert result.reused.shards >= 3
    same(result, expected, reported, "flink, after a run was killed")


def states(cluster: str) -> list[str]:
    """The states of a cluster's jobs, by its own word."""
    with urllib.request.urlopen(f"http://{cluster}/jobs", timeout=10) as answer:
        return [job["status"] for job in json.load(answer)["jobs"]]


def test_a_flink_cluster_with_a_worker_pool(
    recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    """One task manager, one pool beside it."""
    script = str(ROOT / "launchers/flink/worker-pool.sh")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (tmp_path / "one").mkdir()
    with flink_cluster(tmp_path / "one", 1) as location:
        environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
        subprocess.run([script, "start", str(tmp_path / "pool"), str(port)], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            pool = ("--environment_type=EXTERNAL", f"--environment_config=localhost:{port}")
            options = (*flags("flink"), f"--flink_master={location}", *pool)
            result = run_with(recipe, settings("flink", cache_root=str(tmp_path / "cache"), workers=1, beam_options=options))
        finally:
            subprocess.run([script, "stop", str(tmp_path / "pool")], check=True)
    same(result, expected, reported, "flink, 1 task manager, EXTERNAL")


def test_a_task_manager_dies(recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]) -> None:
    """Killed in the middle of a run: no instance, exit 4; the next run on what is left of the cluster is clean."""
    folder, cache = tmp_path / "dying", tmp_path / "cache"
    folder.mkdir()
    with flink_cluster(folder, 2) as location:
        options = (*flags("flink"), f"--flink_master={location}", "--environment_type=PROCESS")
        process = slow_run(recipe, tmp_path, cache, "flink", *options)
        os.kill(int((folder / "taskmanager-1.pid").read_text()), signal.SIGKILL)
        _, err = process.communicate(timeout=240)
        assert process.returncode == 4, err
        assert "error: " in err and "Traceback" not in err
        assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))
        result = run_with(recipe, settings("flink", cache_root=str(cache), workers=1, beam_options=options))
    same(result, expected, reported, "flink, after a task manager died")


@pytest.mark.parametrize("name", ["prism", "flink", "spark"])
def test_an_error_of_a_record_comes_out_as_itself(name: str, recipe: Path, tmp_path: Path) -> None:
    strict = recipe.with_name("strict.yaml")
    strict.write_text(recipe.read_text().replace("on_error: quarantine\n  max_bad_fraction: 0.2", "on_error: fail"))
    with pytest.raises(rb.errors.RefineryError) as caught:
        run_with(strict, settings(name, cache_root=str(tmp_path / "cache"), beam_options=flags(name)))
    first = caught.value.errors()[0]
    assert (first.code, Path(first.at).name) == ("truncated", "broken.jpg")
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))


@pytest.mark.parametrize("name", ["prism", "flink", "spark"])
def test_ctrl_c_cancels_and_leaves_nothing(name: str, recipe: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = slow_run(recipe, tmp_path, cache, name, *flags(name))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "nothing was promoted" in err
    assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))
