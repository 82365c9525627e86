"""What is refused before anything is read or sent, all of it at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refinery_beam import __version__
from refinery_beam.cli.app import call
from refinery_beam.errors import RefineryError
from refinery_beam.runners.dataflow.options import require_extra
from refinery_beam.runners.options import check_locations, read_options

ROOT = Path(__file__).parents[2]
COMPLETE = ("--project=p", "--region=r", "--temp_location=gs://bucket/tmp", "--sdk_container_image=host/image:1")


def refused(*flags: str) -> list[tuple[str, str]]:
    with pytest.raises(RefineryError) as caught:
        read_options("dataflow", flags)
    assert caught.value.exit_code == 2
    return [(e.code, e.message) for e in caught.value.errors()]


def test_what_a_job_needs() -> None:
    options = read_options("dataflow", COMPLETE)
    assert (options.master, options.environment, options.here) == ("Dataflow", "DOCKER", False)
    assert refused("--project=p", "--sdk-container-image=i") == [("beam-option", "Dataflow needs --region, --temp_location")]
    assert refused() == [
        ("beam-option", "Dataflow needs --project, --region, --temp_location"),
        ("worker-code", "how workers get refinery-beam is not said"),
    ]


@pytest.mark.parametrize("location", ["/tmp/here", "s3://bucket/tmp", "gs://bucket", "gs:///tmp", "gs://Bucket/tmp"])
def test_temporary_files_are_in_cloud_storage(location: str) -> None:
    more = [flag for flag in COMPLETE if "temp_location" not in flag]
    assert refused(*more, f"--temp_location={location}") == [("beam-option", f"--temp_location is no place in Cloud Storage: {location}")]
    assert refused(*COMPLETE, f"--staging_location={location}") == [
        ("beam-option", f"--staging_location is no place in Cloud Storage: {location}")
    ]


@pytest.mark.parametrize(
    "flag",
    [
        "--update",
        "--template_location=gs://b/t",
        "--dry_run",
        "--environment_type=PROCESS",
        "--worker_harness_container_image=i",
        "--experiments=use_gcs,disable_runner_v2",
        "--experiments=no_use_multiple_sdk_containers",
        "--streaming",
        "--no-wait-until-finish",
        "--refinery_driver=x",
    ],
)
def test_what_would_change_the_run(flag: str) -> None:
    assert [code for code, _ in refused(*COMPLETE, flag)] == ["beam-option"]


def test_ways_to_deliver_the_code(tmp_path: Path) -> None:
    locations = COMPLETE[:3]
    ours = tmp_path / f"refinery_beam-{__version__}.tar.gz"
    ours.touch()
    read_options("dataflow", [*locations, f"--setup_file={ROOT / 'setup.py'}"])
    read_options("dataflow", [*locations, f"--setup_file={ROOT / 'pyproject.toml'}"])
    read_options("dataflow", [*locations, f"--extra_package={ours}", "--extra_package=/other-1.0.tar.gz"])
    read_options("dataflow", [*locations, f"--extra_packages=gs://bucket/refinery_beam-{__version__}-py3-none-any.whl"])
    for flag in ("--extra_package=refinery_beam-0.0.1.tar.gz", f"--extra_package={tmp_path}/refinery_beam-{__version__}-py3-none-any.whl"):
        location = flag.partition("=")[2]
        assert refused(*locations, flag) == [("worker-code", f"{location} is not refinery-beam {__version__}")]
    (tmp_path / "setup.py").touch()
    assert refused(*locations, f"--setup_file={tmp_path}/setup.py") == [
        ("worker-code", f"{tmp_path}/setup.py is not refinery-beam {__version__}")
    ]
    assert refused(*locations, "--extra_package=/other-1.0.tar.gz") == [("worker-code", "how workers get refinery-beam is not said")]


def test_places_of_this_machine() -> None:
    options = read_options("dataflow", COMPLETE)
    for shared in (False, True):
        with pytest.raises(RefineryError) as caught:
            check_locations(options, cache_root="cache", sources=["/data", "gs://bucket/images"], shared_files=shared)
        assert [(e.code, e.value) for e in caught.value.errors()] == [("local-place", "cache"), ("local-place", "/data")]
        assert "gs://" in caught.value.remedy
    check_locations(options, cache_root="gs://bucket/cache", sources=["gs://bucket/images"])


def test_the_command_line(class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused before the recipe's images are looked at; nothing is left behind."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("schema_version: 3\n")
    run = ["run", str(recipe), "--runner", "dataflow"]
    assert call([*run, "--", "--project=p"]) == 2
    assert "Dataflow needs --region, --temp_location" in capsys.readouterr().err
    assert call([*run, "--cache-root", str(tmp_path / "cache"), "--", *COMPLETE]) == 2
    assert "the engine is on Dataflow" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["recipe.yaml"]


@pytest.fixture
def no_google(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without Google's libraries: none is imported yet, and none can be found."""
    for name in [n for n in sys.modules if n == "google.cloud" or n.startswith("google.cloud.")]:
        monkeypatch.delitem(sys.modules, name)

    class Nowhere:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name.startswith("google.cloud"):
                raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])
    yield


def test_a_missing_extra(no_google: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(RefineryError) as caught:
        require_extra()
    assert (caught.value.code, caught.value.exit_code) == ("missing-extra", 3)
    assert caught.value.remedy == "pip install 'refinery-beam[dataflow]'"
    assert call(["run", str(tmp_path / "r.yaml"), "--runner", "dataflow", "--cache-root", "gs://b/c", "--", *COMPLETE]) == 3
    assert "pip install 'refinery-beam[dataflow]'" in capsys.readouterr().err


def test_the_extra_is_here() -> None:
    require_extra()
