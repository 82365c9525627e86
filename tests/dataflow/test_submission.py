"""What is sent to Google: the request for a job and the staged pipeline, as they arrive over HTTP."""

from __future__ import annotations

import base64
import bz2
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.job.job import Job
from refinery_beam.pipeline.translate import translate
from refinery_beam.runners.dataflow.run import job_name, run_dataflow
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.testing import images
from support.cloud_jobs import IMAGE, SOURCE, STAGED, cloud_job
from support.google_stub import JOB_ID, TOKEN, Google, Script

PLUGIN = """\
from refinery_beam.plugins.base import Extension, OpSpec, Params
from refinery_beam.plugins.image_classification.pixels import as_array


class Darken:
    spec = OpSpec(name="darken", section="Transformations", version=1, params=Params, summary="Halve.", pixel_altering=True)
    words = "a text that is in the plugin"

    def infer(self, before, params):
        return before

    def apply(self, pixels, params, fitted, out):
        return as_array(pixels) // 2


PLUGIN = Extension(name="mine", version=1, ops=[Darken()])
"""

Options = Callable[..., EngineOptions]


def submit(job: Job, options: EngineOptions, google: Google) -> tuple[dict[str, Any], bytes]:
    """The job request and the staged pipeline."""
    google.script = Script(states=["DONE"])
    run_dataflow(lambda pipeline: translate(pipeline, job), options, work=job.work)
    request = google.jobs[-1]
    return request, google.objects[request["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]]


def unfolded(data: bytes) -> bytes:
    """Everything in a pipeline that could be read: the bytes, and what is packed in them (pickles are compressed and in base64)."""
    return data + b"".join(_packed(data))


def _packed(data: bytes) -> Iterator[bytes]:
    for word in re.findall(rb"[A-Za-z0-9+/]{24,}={0,2}", data):
        # A length before the text may look like a letter of it.
        for shift in range(4):
            raw = base64.b64decode(word[shift : shift + (len(word) - shift) // 4 * 4] or b"", validate=False)
            for unpack in (zlib.decompress, bz2.decompress):
                try:
                    found = unpack(raw)
                except (ValueError, OSError, zlib.error):
                    continue
                yield found
                yield from _packed(found)


def test_the_request(job: Job, options: Options, google: Google) -> None:
    request, _ = submit(job, options("--labels=team=vision", "--labels=stage=test", "--machine_type=n2-standard-8"), google)
    environment = request["environment"]
    (pool,) = environment["workerPools"]
    assert request["name"] == job_name(job.work)
    assert request["labels"] == {"team": "vision", "stage": "test"}
    assert pool["workerHarnessContainerImage"] == IMAGE
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert pool["machineType"] == "n2-standard-8"
    assert pool.get("packages", []) == [], "the container holds the code: nothing else is staged"
    assert {"use_runner_v2", "use_unified_worker", "use_portable_job_submission", "use_multiple_sdk_containers"} <= set(
        environment["experiments"]
    )
    assert environment["version"]["job_type"] == "FNAPI_BATCH"
    assert environment["tempStoragePrefix"].startswith("storage.googleapis.com/a-bucket/tmp/")
    given = environment["sdkPipelineOptions"]["options"]
    assert (given["save_main_session"], given["streaming"]) == (False, False)
    assert given["pipelineUrl"].startswith(f"gs://a-bucket/code/{job_name(job.work)}")
    assert [location.rpartition("/")[2] for location in google.objects] == ["pipeline.pb"]


def test_no_secret_and_nothing_of_this_machine(job: Job, options: Options, google: Google, tmp_path: Path) -> None:
    request, pipeline = submit(job, options(), google)
    assert google.authorizations == {f"Bearer {TOKEN}"}, "every call was made with the token"
    sent = json.dumps(request).encode() + unfolded(pipeline)
    assert SOURCE.encode() in sent and STAGED.encode() in sent, "the check looks where places stand"
    for secret in (TOKEN, "PRIVATE KEY", "service-account-key", "iam.gserviceaccount.com"):
        assert secret.encode() not in sent
    assert str(tmp_path).encode() not in sent and str(tmp_path.parent).encode() not in sent


def test_no_record_is_in_the_graph(job: Job, class_folders: Path, options: Options, google: Google) -> None:
    request, pipeline = submit(job, options(), google)
    sent = json.dumps(request).encode() + unfolded(pipeline)
    names = [path.relative_to(class_folders).as_posix() for path in class_folders.rglob("*") if path.is_file()]
    assert len(names) == 36 and f"{STAGED}/rows/index".encode() in sent
    assert [name for name in names if name.encode() in sent] == []
    assert [name for name in names if Path(name).stem.encode() in sent] == []


def test_the_graph_does_not_grow(tmp_path: Path, options: Options, google: Google) -> None:
    """10 images and 10,000, of two classes."""
    sizes = []
    for count in (10, 10_000):
        folder = tmp_path / str(count)
        for name in ("circle", "square"):
            (folder / name).mkdir(parents=True)
        first = folder / "circle" / "0.png"
        images.draw("circle", 0).save(first)
        for i in range(1, count):
            os.link(first, folder / ("circle", "square")[i % 2] / f"{i}.png")
        request, pipeline = submit(cloud_job(folder, tmp_path / f"job-{count}"), options("--job_name=same"), google)
        sizes.append((len(pipeline), len(json.dumps(request))))
    (few, few_asked), (many, many_asked) = sizes
    # What may differ is how long a number or a time is, and how well it packs.
    assert few > 50_000 and abs(many - few) < 256 and abs(many_asked - few_asked) < 16


def test_plugins_of_a_path_travel(job: Job, class_folders: Path, tmp_path: Path, options: Options, google: Google) -> None:
    """Their text is in the pipeline, with the name of its file for messages; nothing else of this machine, and nothing in the request."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    mine = cloud_job(
        class_folders, tmp_path / "mine", plugin_paths=(str(folder),), more="  - {name: dark, op: darken, splits: [train, test]}\n"
    )
    request, pipeline = submit(mine, options(), google)
    sent = unfolded(pipeline)
    assert b"a text that is in the plugin" in sent
    assert str(tmp_path).encode() not in sent.replace(str(folder).encode(), b"")
    assert str(tmp_path) not in json.dumps(request)


def test_beams_own_checks_pass(options: Options, google: Google) -> None:
    """Beam skips them for a service on this machine, so here they are made as for the real one."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    flags = [flag for flag in options().flags if not flag.startswith("--dataflow_endpoint")]
    validator = PipelineOptionsValidator(PipelineOptions(flags), DataflowRunner())
    assert validator.is_service_runner() and validator.validate() == []


def test_the_id_is_told(job: Job, options: Options, google: Google) -> None:
    from refinery_beam.runners.dataflow.run import Listener

    said: list[str] = []
    google.script = Script(states=["PENDING", "RUNNING", "RUNNING", "DONE"], counters={"write": 7})
    listener = Listener(say=said.append)
    run_dataflow(lambda pipeline: translate(pipeline, job), options(), work=job.work, listener=listener)
    page = f"https://console.cloud.google.com/dataflow/jobs/europe-west4/{JOB_ID}?project=a-project"
    assert said == [f"Dataflow job {JOB_ID} is submitted: {page}"] + [
        f"Dataflow job {JOB_ID} is {state}" for state in ("pending", "running", "done")
    ]
    assert listener.counts == {"write": 7}


@pytest.mark.parametrize("workers", [None, 8])
def test_workers_are_machines(workers: int | None, job: Job, options: Options, google: Google) -> None:
    google.script = Script(states=["DONE"])
    run_dataflow(lambda pipeline: translate(pipeline, job), options(), work=job.work, workers=workers)
    (pool,) = google.jobs[0]["environment"]["workerPools"]
    assert pool["autoscalingSettings"].get("maxNumWorkers") == workers
