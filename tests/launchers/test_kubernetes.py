"""The Kubernetes manifests: valid by the schemas of Kubernetes, and of one mind with the rest of the repository. No cluster is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import refinery_beam as rb
from refinery_beam.runners.options import check_locations, read_options

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "launchers/flink/kubernetes"
RELEASES = ("1.30", "1.34")


def objects() -> list[dict[str, Any]]:
    return [o for file in sorted(FOLDER.glob("*.yaml")) for o in yaml.safe_load_all(file.read_text())]


def named(kind: str, name: str = "") -> dict[str, Any]:
    (found,) = [o for o in objects() if o["kind"] == kind and o["metadata"].get("name", "").startswith(name)]
    return found


def containers(item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in item["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize("release", RELEASES)
def test_every_object_is_valid(release: str) -> None:
    assert sorted(o["kind"] for o in objects()) == ["Deployment", "Deployment", "Job", "Namespace", "PersistentVolumeClaim", "Service"]
    for item in objects():
        kubernetes_validate.validate(item, release, strict=True)


def test_a_wrong_word_would_be_found() -> None:
    item = named("Job")
    item["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    with pytest.raises(kubernetes_validate.ValidationError, match="comand"):
        kubernetes_validate.validate(item, RELEASES[-1], strict=True)


def test_versions_are_those_of_this_repository() -> None:
    flink = re.search(r"^flink=(.*)$", (ROOT / "launchers/engines.sh").read_text(), re.M)
    assert flink
    images = {c["image"] for o in objects() if o["kind"] in ("Deployment", "Job") for c in containers(o).values()}
    assert images == {f"flink:{flink[1]}-java17", f"refinery-beam-worker:{rb.__version__}"}


def test_names_meet() -> None:
    """Who talks to whom: the service finds the JobManager, TaskManagers and the job name it, the pool listens where it is asked."""
    service, manager, workers = named("Service"), named("Deployment", "flink-jobmanager"), named("Deployment", "flink-taskmanager")
    assert service["spec"]["selector"] == manager["spec"]["template"]["metadata"]["labels"]
    ports = {p["name"]: p["containerPort"] for p in containers(manager)["jobmanager"]["ports"]}
    assert {p["name"]: p["port"] for p in service["spec"]["ports"]} == ports
    for container in (containers(manager)["jobmanager"], containers(workers)["taskmanager"]):
        properties = dict(line.split(": ") for line in container["env"][0]["value"].splitlines())
        assert properties["jobmanager.rpc.address"] == service["metadata"]["name"]
    args = containers(named("Job"))["run"]["args"]
    pool = containers(workers)["worker-pool"]
    assert f"--environment_config=localhost:{pool['ports'][0]['containerPort']}" in args
    assert f"--service_port={pool['ports'][0]['containerPort']}" in pool["args"]
    assert f"--flink_master={service['metadata']['name']}:{ports['rest']}" in args
    assert f"--parallelism={workers['spec']['replicas']}" in args
    assert "--container_executable=/opt/refinery-beam/worker-boot" in pool["args"]
    docker = (ROOT / "Dockerfile").read_text()
    assert "WORKDIR /opt/refinery-beam" in docker and "> worker-boot && chmod +x worker-boot" in docker


def test_the_options_of_the_job_are_accepted() -> None:
    args = containers(named("Job"))["run"]["args"]
    before, behind = args[: args.index("--")], args[args.index("--") + 1 :]
    options = read_options("flink", behind)
    assert (options.master, options.environment, options.here) == ("flink-jobmanager", "EXTERNAL", False)
    assert before == ["run", "/data/recipe.yaml", "--cache-root=/data/cache", "--runner=flink", "--shared-files"]
    check_locations(options, cache_root="/data/cache", sources=["/data/images"], shared_files="--shared-files" in before)
