"""`check`: a row a thing, an exit code that is true, and nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.cli.app import call
from refinery_beam.launch.checkup import engines, machine, store
from refinery_beam.launch.checkup.rows import CheckRow


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without anything that Beam or Google left there."""
    for name in (*(n for n in os.environ if n.startswith("REFINERY_BEAM_")), "XDG_CACHE_HOME", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def row(result: rb.CheckupResult, thing: str) -> CheckRow:
    (found,) = [row for row in result.rows if row.thing == thing]
    return found


def test_a_whole_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = rb.check(cache_root=tmp_path / "cache")
    assert result and result.ok and not result.broken
    assert row(result, "Python").state == "ok" and row(result, "direct").state == "ok" and row(result, "self-test").state == "ok"
    assert row(result, str(tmp_path / "cache")).fact.startswith("not there yet") and not (tmp_path / "cache").exists(), "nothing is made"
    assert {row.kind for row in result.rows} >= {"python", "package", "codecs", "plugin", "engine", "cache", "disk", "extra"}
    assert call(["check", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["contract"], body["status"]) == (1, "ok") and body["rows"][0].keys() == {"kind", "thing", "state", "fact", "remedy"}
    assert call(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["state", "kind", "thing", "found", "remedy"] and out.splitlines()[-1].startswith("ready: ")
    assert err == "next: refinery-beam init my-images\n"
    assert "<td>self-test</td>" in result._repr_html_()


def test_the_fingerprint_is_the_one_that_keys_hold() -> None:
    from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint

    assert row(rb.check(), "fingerprint of image_classification").fact.startswith(codec_fingerprint()[:16])


def test_a_root_that_is_used_stays_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    assert rb.check(cache_root=root).ok
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "thing"),
    [
        (["--cache-root", "file"], "file"),
        (["--cache-root", "file/below"], "file/below"),
        (["--plugin-path", "broken.py"], "broken.py"),
        (["--runner", "prism"], "prism (asked for)"),
        (["--runner", "dataflow", "--cache-root", "gs://bucket/x", "--", "--project=p"], "dataflow (asked for)"),
        (["--runner", "nosuch"], "unknown-runner"),
        (["--mode", "sideways"], "unknown-mode"),
        (["--cache-root", "s3n://nosuch/x"], "s3n://nosuch/x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_needed_and_broken(
    arguments: list[str], thing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(
        "refinery_beam.launch.check.root_rows", store.root_rows if "gs://bucket/x" not in arguments else lambda root: iter(())
    )
    (tmp_path / "file").write_text("")
    (tmp_path / "broken.py").write_text("import nosuch\n")
    assert call(["check", "--json", *arguments]) == 3
    body = json.loads(capsys.readouterr().out)
    assert body["status"] == "broken"
    broken = [row for row in body["rows"] if row["state"] == "broken"]
    things = [row["thing"] for row in broken]
    assert thing in things and (len(things) == 1 or "dataflow" in arguments) and all(row["fact"] for row in broken)
    at = arguments.index("--") if "--" in arguments else len(arguments)
    assert call(["check", *arguments[:at], "-q", *arguments[at:]]) == 3
    out, err = capsys.readouterr()
    assert f"{thing}" in out and "\nbroken: " in out and err == ""


def test_optional_things_change_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "package_version", lambda name: None if name in ("gcsfs", "s3fs") else "999")
    rows = {row.thing: row for row in machine.extra_rows()}
    assert (rows["gcs"].state, rows["gcs"].remedy) == ("absent", "pip install 'refinery-beam[gcs]'")
    assert "lacks gcsfs>=" in rows["gcs"].fact and rows["hf"].state == "ok"


def test_a_package_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "package_version", lambda name: "1.0" if name == "numpy" else "999")
    rows = {row.thing: row for row in machine.package_rows()}
    assert rows["numpy"].state == "broken" and rows["numpy"].fact.startswith("1.0 (needed: >=")
    assert rows["apache-beam"].state == "broken", "too new is no better"


def test_codecs_that_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.plugins.image_classification import fingerprint

    parts = {**fingerprint.codec_parts(), "decode-avif": "absent", "resize-bilinear": "absent"}
    monkeypatch.setattr(fingerprint, "codec_parts", lambda: parts)
    rows = {row.thing: row.state for row in machine.codec_rows(())}
    assert (rows["decode-avif"], rows["resize-bilinear"]) == ("absent", "broken")


def test_a_variable_that_nothing_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_BEAM_WORKER", "3")
    monkeypatch.setenv("REFINERY_BEAM_WORKERS", "2")
    result = rb.check()
    assert result.ok and row(result, "REFINERY_BEAM_WORKERS").fact == "2"
    assert (row(result, "REFINERY_BEAM_WORKER").state, row(result, "REFINERY_BEAM_WORKER").remedy) == (
        "warning",
        "did you mean REFINERY_BEAM_WORKERS?",
    )


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOW_BYTES", 1 << 80)
    assert [(row.thing, row.state) for row in store.room_rows("cache")][:2] == [
        ("the cache's disk", "warning"),
        ("temporary files", "warning"),
    ]
    assert rb.check().ok


def test_what_engines_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "engines"
    (folder / "spark").mkdir(parents=True)
    for name in ("prism-1", "flink-job-server.jar", "spark/spark-job-server.jar"):
        (folder / name).write_text("")
    java = tmp_path / "java/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"17\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("REFINERY_BEAM_ENGINES", str(folder))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    rows = {row.thing: row for row in engines.engine_rows("direct", (), None, "auto")}
    assert [rows[name].state for name in ("direct", "prism", "flink", "spark")] == ["ok"] * 4
    assert 'openjdk version "17"' in rows["flink"].fact and f"{folder}/spark/spark-job-server.jar" in rows["spark"].fact
    java.write_text("#!/bin/sh\necho 'no such machine' >&2; exit 1\n")
    (found,) = [row for row in engines.engine_rows("spark", (), None, "auto") if row.thing.startswith("spark")]
    assert found.state == "broken" and "no such machine" in found.remedy
    asked = ("--flink_master=localhost:1", "--environment_type=PROCESS")
    (found,) = [row for row in engines.engine_rows("flink", asked, None, "auto") if row.thing.startswith("flink")]
    assert found.state == "broken" and "lacks an answer of its master localhost:1" in found.fact


def test_a_store(tmp_path: Path) -> None:
    result = rb.check(cache_root="memory://bucket/cache")
    assert row(result, "memory://bucket/cache").fact == "writable, and refuses to create a file twice"
