"""One recipe, one digest, on every engine that this machine has. `make test-engines` builds what they need and prints the table."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_places import FLINK, JARS, PRISM

import refinery_beam as rb
from refinery_beam.launch.prepare import Settings
from refinery_beam.launch.run import RunResult, run_with

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def reference(recipe: Path) -> RunResult:
    result = rb.run(recipe, cache_root=recipe.parent / "reference", workers=1, mode="threads")
    assert result.counts == {"train": 134, "val": 27, "test": 28}
    assert result.manifest.raw["ledger"] == {"truncated": 3}
    return result


def settings(name: str, **more: object) -> Settings:
    plain = {"processes": {"workers": 2, "mode": "processes"}, "hostile bundles": {"hostile": 3, "mode": "threads"}}
    return Settings(**{"workers": 2, **plain.get(name, {"runner": name}), **more})  # type: ignore[arg-type]


FLAGS = {
    "prism": (PRISM, f"--prism_location={PRISM}"),
    "flink": (JARS["flink"], f"--flink_job_server_jar={JARS['flink']}"),
    "spark": (JARS["spark"], f"--spark_job_server_jar={JARS['spark']}"),
}


def flags(name: str) -> tuple[str, ...]:
    """The Beam options of an engine; skips the test where the engine is not there."""
    if name not in FLAGS:
        return ()
    place, flag = FLAGS[name]
    if not place.exists():
        pytest.skip(f"{place} is not there: make engines")
    return (flag,)


def same(result: RunResult, reference: RunResult, told: list[tuple[str, str, float, int]], name: str) -> None:
    told.append((name, result.manifest.raw["files_digest"], result.seconds, sum(result.counts.values())))
    assert result.status == "built"
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(reference.path) / "manifest.json").read_bytes()
    assert not list(Path(result.path).parents[3].glob("staging/*-*-*-*"))


def test_direct(reference: RunResult, told: list[tuple[str, str, float, int]]) -> None:
    told.append(("direct, one thread", reference.manifest.raw["files_digest"], reference.seconds, sum(reference.counts.values())))


@pytest.mark.parametrize("name", ["processes", "hostile bundles", "prism", "flink", "spark"])
def test_one_digest(
    name: str,
    recipe: Path,
    tmp_path: Path,
    reference: RunResult,
    told: list[tuple[str, str, float, int]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    result = run_with(recipe, settings(name, cache_root=str(tmp_path / "cache"), beam_options=flags(name)))
    assert capfd.readouterr() == ("", ""), "nothing of an engine's own words reaches the user"
    same(result, reference, told, name + (", LOOPBACK" if name in FLAGS else ""))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A standalone Flink with two task managers; gives host:port."""
    if not FLINK.exists():
        pytest.skip(f"{FLINK} is not there: make engines")
    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = min(free.getsockname()[1], 60000)
    script = str(ROOT / "launchers/flink/local-cluster.sh")
    environment = {**os.environ, "REFINERY_BEAM_ENGINES": str(FLINK.parents[1])}
    with open(folder / "start.log", "w") as log:
        done = subprocess.run(
            [script, "start", str(folder), "2", str(port)], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False
        )
    try:
        assert done.returncode == 0, (folder / "start.log").read_text()
        yield f"localhost:{port}"
    finally:
        subprocess.run([script, "stop", str(folder)], check=True)


def test_a_flink_cluster_with_processes(
    cluster: str, recipe: Path, tmp_path: Path, reference: RunResult, told: list[tuple[str, str, float, int]]
) -> None:
    options = (*flags("flink"), f"--flink_master={cluster}", "--environment_type=PROCESS")
    result = run_with(recipe, settings("flink", cache_root=str(tmp_path / "cache"), beam_options=options))
    same(result, reference, told, "flink, 2 task managers, PROCESS")


@pytest.mark.parametrize("name", ["prism", "flink", "spark"])
def test_an_error_of_a_record_comes_out_as_itself(name: str, recipe: Path, tmp_path: Path) -> None:
    strict = recipe.with_name("strict.yaml")
    strict.write_text(recipe.read_text().replace("on_error: quarantine\n  max_bad_fraction: 0.2", "on_error: fail"))
    with pytest.raises(rb.errors.RefineryError) as caught:
        run_with(strict, settings(name, cache_root=str(tmp_path / "cache"), beam_options=flags(name)))
    first = caught.value.errors()[0]
    assert (first.code, Path(first.place).name) == ("truncated", "broken.jpg")
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))


@pytest.mark.parametrize("name", ["prism", "flink", "spark"])
def test_ctrl_c_cancels_and_leaves_nothing(name: str, recipe: Path, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import time\n"
        "import PIL.Image as I\n"
        "plain = I.open\n"
        "def slow(*a, **k):\n"
        "    time.sleep(0.5)\n"
        "    return plain(*a, **k)\n"
        "I.open = slow\n"
    )
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", str(cache), "--runner", name, "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}"}
    process = subprocess.Popen([*command, "--", *flags(name)], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(cache.glob("staging/*/*/progress/fit-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "nothing was promoted" in err
    assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))
