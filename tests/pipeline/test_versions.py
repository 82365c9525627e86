"""A worker whose versions differ from the driver's refuses to work, and the user hears of it whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from refinery_beam.cli.app import call
from refinery_beam.errors import EnvironmentFault
from refinery_beam.job import versions
from refinery_beam.job.versions import refuse_other_versions, versions_here

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.75, test: 0.25}}}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
"""


def other(**changed: str) -> versions.Versions:
    """The versions of this process, but for some."""
    names = {"beam": "apache-beam", "ours": "refinery-beam", "python": "Python", "pillow": "pillow"}
    return tuple((name, {names[key]: value for key, value in changed.items()}.get(name, version)) for name, version in versions_here())


def test_the_same_versions_work() -> None:
    refuse_other_versions(versions_here())
    assert [name for name, _ in versions_here()] == ["refinery-beam", "Python", "apache-beam", "numpy", "pillow", "pyarrow"]


def test_both_versions_and_the_remedy_are_named() -> None:
    here = dict(versions_here())
    with pytest.raises(EnvironmentFault) as caught:
        refuse_other_versions(other(ours="9.9.9", python="3.99"))
    error = caught.value
    assert (error.code, error.exit_code) == ("worker-differs", 3)
    assert error.message == (
        f"a worker has refinery-beam {here['refinery-beam']}, Python {here['Python']}; this run began with refinery-beam 9.9.9, Python 3.99"
    )
    assert "Dockerfile" in error.remedy and "requirements.lock" in error.remedy


def test_a_driver_that_knows_more() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        refuse_other_versions((*versions_here(), ("libjpeg", "9")))
    assert caught.value.message == "a worker has libjpeg none; this run began with libjpeg 9"


@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_in_a_pipeline(
    mode: str, class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The driver pretends to be another release: the first worker refuses; exit 3, one error, nothing promoted."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders))
    from refinery_beam.launch.build import attempt

    plain = attempt.Job
    monkeypatch.setattr(attempt, "Job", lambda **given: replace(plain(**given), driver=other(pillow="1.0", beam="2.0.0")))
    run = ["run", str(recipe), "--cache-root", str(tmp_path / "cache"), "--workers", "2", "--mode", mode, "--quiet"]
    assert call(run) == 3
    out, err = capfd.readouterr()
    here = dict(versions_here())
    assert out == "" and err.startswith(
        f"error: a worker has apache-beam {here['apache-beam']}, pillow {here['pillow']}; "
        "this run began with apache-beam 2.0.0, pillow 1.0\n"
    )
    assert err.count("error:") == 1 and "Traceback" not in err
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))
