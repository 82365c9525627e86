"""Whole runs by the command line: sources and cache on a real server of Cloud Storage, the job on a stand-in for Dataflow that executes
what was staged, in a process that knows the staged pipeline and nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam import locations
from support import staged_pipeline
from support.cloud_jobs import IMAGE, RECIPE
from support.google_stub import JOB_ID, Google, Script, google_services, service_account
from support.store_servers import Server, reach, start

pytestmark = pytest.mark.stores

STAGED = Path(staged_pipeline.__file__)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start("gs", tmp_path_factory.mktemp("gs"))


@pytest.fixture
def bucket(gs: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    reach(gs, monkeypatch, tmp_path)
    return gs.make_bucket(request.node.name.replace("_", "-")[:50].strip("-"))


@pytest.fixture
def services(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    """Dataflow and the token service, executing jobs in processes of their own."""
    with google_services(Script(execute=execute())) as google:
        key = tmp_path / "service-account-key.json"
        key.write_text(json.dumps(service_account(google)))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        yield google
        assert google.unknown == []


def execute(*more: str, **environment: str) -> Callable[[str], subprocess.Popen[str]]:
    def begin(address: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(STAGED), address, *more]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=variables, cwd="/")

    return begin


@pytest.fixture
def photos(class_folders: Path, bucket: str) -> str:
    for file in class_folders.rglob("*.*"):
        locations.write(f"{bucket}/photos/{file.relative_to(class_folders).as_posix()}", file.read_bytes())
    return f"{bucket}/photos"


def command(recipe: Path, bucket: str, google: Google) -> list[str]:
    flags = ["--project=a-project", "--region=europe-west4", f"--temp_location={bucket}/tmp", f"--dataflow_endpoint={google.endpoint}"]
    run = ["run", str(recipe), "--cache-root", f"{bucket}/cache", "--runner", "dataflow", "--digest", "sha256", "--json"]
    return [sys.executable, "-m", "refinery_beam", *run, "--", *flags, f"--sdk_container_image={IMAGE}"]


def call(recipe: Path, bucket: str, google: Google) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command(recipe, bucket, google), capture_output=True, text=True, env=environment, timeout=220, check=False)


def write_recipe(folder: Path, source: str) -> Path:
    (folder / "recipe.yaml").write_text(RECIPE.format(path=source))
    return folder / "recipe.yaml"


def test_the_bytes_of_a_local_run_then_a_hit(photos: str, class_folders: Path, bucket: str, services: Google, tmp_path: Path) -> None:
    local = rb.run(write_recipe(tmp_path, str(class_folders)), cache_root=tmp_path / "local")
    recipe = write_recipe(tmp_path, photos)
    done = call(recipe, bucket, services)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["status"], summary["counts"]) == ("built", {"train": 27, "test": 9})
    assert (summary["files_digest"], summary["logical_digest"]) == tuple(local.manifest.raw[n] for n in ("files_digest", "logical_digest"))
    assert len(services.jobs) == 2, "a pass for the digests of the files, and the dataset"
    assert len({job["name"] for job in services.jobs}) == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("writing ", "fitting "))]
    assert lines[-2:] == [f"Dataflow job {JOB_ID} is running", f"Dataflow job {JOB_ID} is done"]
    assert all(line.startswith(f"Dataflow job {JOB_ID} is ") for line in lines), done.stderr
    assert locations.walk(f"{bucket}/cache/staging") == []

    again = call(recipe, bucket, services)
    assert json.loads(again.stdout)["status"] == "hit" and len(services.jobs) == 2


def test_a_bad_record_comes_out_as_itself(photos: str, class_folders: Path, bucket: str, services: Google, tmp_path: Path) -> None:
    """What a worker found reaches the user whole, by way of the store."""
    picture = next(class_folders.rglob("*.jpg")).read_bytes()
    locations.write(f"{photos}/circle/broken.jpg", picture[: len(picture) // 2])
    done = call(write_recipe(tmp_path, photos), bucket, services)
    assert done.returncode == 1, done.stderr
    (error,) = json.loads(done.stdout)["errors"]
    assert error["code"] == "truncated" and error["place"] == f"{photos}/circle/broken.jpg"
    assert "Traceback" not in done.stderr and locations.walk(f"{bucket}/cache/instances") == []


def test_workers_of_another_release(photos: str, bucket: str, services: Google, tmp_path: Path) -> None:
    services.script.execute = execute("9.9.9")
    done = call(write_recipe(tmp_path, photos), bucket, services)
    assert done.returncode == 3, done.stderr
    (error,) = json.loads(done.stdout)["errors"]
    assert error["code"] == "worker-differs"
    assert error["message"] == f"a worker has refinery-beam 9.9.9; this run began with refinery-beam {rb.__version__}"


def test_ctrl_c(photos: str, bucket: str, services: Google, tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(
        "import time\nimport PIL.Image as I\nplain = I.open\n"
        "def slow(*a, **k):\n    time.sleep(1)\n    return plain(*a, **k)\n"
        "I.open = slow\n"
    )
    services.script.execute = execute(PYTHONPATH=f"{tmp_path / 'hook'}{os.pathsep}{ROOT}")
    given = command(write_recipe(tmp_path, photos), bucket, services)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 200
    while len(services.jobs) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    # At the worst of times: the job is there, and its submitter does not know yet.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert services.updates == ["CANCELLED"] and f"cancelling Dataflow job {JOB_ID}" in err and "Traceback" not in err
    assert json.loads(out)["errors"][0]["code"] == "interrupted"
    assert {e.path.partition("/")[0] for e in locations.walk(f"{bucket}/cache")} == {"journal"}
