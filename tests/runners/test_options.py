"""What is refused before anything is read or submitted, and how Beam options are read."""

from __future__ import annotations

import pytest

from refinery_beam.cli.app import call
from refinery_beam.errors import RefineryError
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.options import check_locations, read_options


def refused(runner: str, *flags: str) -> list[tuple[str, str]]:
    with pytest.raises(RefineryError) as caught:
        read_options(runner, flags)
    assert caught.value.exit_code == 2
    return [(e.code, e.message) for e in caught.value.errors()]


def test_options_are_normalised() -> None:
    options = read_options("flink", ["--parallelism", "2", "--flink-job-server-jar=/a-b.jar", "--flink_submit_uber_jar"])
    assert options.flags == ("--parallelism=2", "--flink_job_server_jar=/a-b.jar", "--flink_submit_uber_jar")
    assert (options.value("parallelism"), options.value("nothing", "x"), options.given("flink_submit_uber_jar")) == ("2", "x", True)
    assert read_options("direct") == EngineOptions(runner="direct")


@pytest.mark.parametrize(
    ("runner", "flags", "master", "environment", "here"),
    [
        ("prism", [], "", "LOOPBACK", True),
        ("flink", [], "", "LOOPBACK", True),
        ("flink", ["--flink_master=[local]"], "", "LOOPBACK", True),
        ("flink", ["--flink_master=localhost:8081", "--environment_type=PROCESS"], "localhost", "PROCESS", True),
        ("flink", ["--flink_master=http://jm.example:8081", "--environment_type=PROCESS"], "jm.example", "PROCESS", False),
        ("flink", ["--flink_master=jm.example:8081", "--environment_type=LOOPBACK"], "jm.example", "LOOPBACK", True),
        ("spark", ["--spark_master_url=local[2]"], "", "LOOPBACK", True),
        ("spark", ["--spark_master_url=spark://m.example:7077", "--environment_type=PROCESS"], "m.example", "PROCESS", False),
        ("spark", ["--spark_master_url=yarn", "--environment_type=PROCESS"], "yarn", "PROCESS", False),
        ("prism", ["--job_endpoint=localhost:8073", "--environment_type=LOOPBACK"], "localhost", "LOOPBACK", True),
    ],
)
def test_where_an_engine_is(runner: str, flags: list[str], master: str, environment: str, here: bool) -> None:
    options = read_options(runner, flags)
    assert (options.master, options.environment, options.here) == (master, environment, here)


def test_unknown_runners() -> None:
    assert refused("samza") == [("unknown-runner", "there is no runner 'samza'")]
    for name, word in {"dask": "only the last output", "ray": "no runner for Ray"}.items():
        ((code, message),) = refused(name)
        assert code == "unknown-runner" and word in message


@pytest.mark.parametrize(
    ("runner", "flags", "code"),
    [
        ("direct", ["--parallelism=2"], "beam-option"),
        ("prism", ["--runner=FlinkRunner"], "beam-option"),
        ("prism", ["--save-main-session"], "beam-option"),
        ("spark", ["recipe.yaml"], "beam-option"),
        ("spark", ["--parallelism=2", "recipe.yaml"], "beam-option"),
        ("flink", ["--environment_type=MAGIC"], "worker-environment"),
        ("flink", ["--flink_master=jm:8081"], "worker-environment"),
        ("flink", ["--flink_master=jm:8081", "--environment_type=EXTERNAL"], "worker-environment"),
    ],
)
def test_refused_options(runner: str, flags: list[str], code: str) -> None:
    assert [c for c, _ in refused(runner, *flags)] == [code]


def test_local_folders_are_refused_for_workers_elsewhere() -> None:
    away = read_options("flink", ["--flink_master=jm.example:8081", "--environment_type=PROCESS"])
    with pytest.raises(RefineryError) as caught:
        check_locations(away, cache_root="cache", sources=["/data", "gs://bucket/images"])
    assert [(e.code, e.value) for e in caught.value.errors()] == [("local-place", "cache"), ("local-place", "/data")]
    check_locations(away, cache_root="gs://bucket/cache", sources=["s3://b/i"])
    check_locations(read_options("flink"), cache_root="cache", sources=["/data"])
    check_locations(away, cache_root="cache", sources=["/data"], shared_files=True)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["status", "recipe.yaml", "--", "--parallelism=2"]) == 2
    assert "only run, rerun, materialize, check and doctor take Beam options" in capsys.readouterr().err
    assert call(["run", "recipe.yaml", "--runner", "dask"]) == 2
    assert "only the last output" in capsys.readouterr().err
    assert call(["run", "recipe.yaml", "--", "--parallelism=2"]) == 2
    assert "the local engine takes no Beam options" in capsys.readouterr().err
