"""What goes wrong with stores, and the words for it: code, place, value, rule, remedy, exit code 3, and no secret anywhere."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from refinery_beam import locations
from refinery_beam.cache import home
from refinery_beam.cli.app import call
from refinery_beam.locations import objects
from support.recipes import write_recipe
from support.store_servers import SECRET, Server, free_port, reach, start

pytestmark = pytest.mark.stores


@pytest.fixture
def recipe(class_folders: Path, tmp_path: Path) -> Path:
    return write_recipe(class_folders, tmp_path)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert call([*arguments, "--json"]) == 3
    out, err = capsys.readouterr()
    (error,) = json.loads(out)["errors"]
    assert all(error[name] for name in ("code", "message", "place", "value", "rule", "remedy"))
    assert SECRET not in out + err and "Traceback" not in err
    return dict(error)


def test_a_missing_bucket(
    server: Server, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reach(server, monkeypatch, tmp_path)
    root = f"{server.scheme}://no-such-bucket-here/c"
    error = error_of(["run", str(recipe), "--cache-root", root], capsys)
    assert (error["code"], error["place"]) == ("store-missing", root)


@pytest.fixture(scope="session")
def guarded_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Asks for an identity from the second request on; the first makes a bucket."""
    yield from start("s3", tmp_path_factory.mktemp("guarded"), INITIAL_NO_AUTH_ACTION_COUNT="1")


def test_no_permission_on_s3(
    guarded_s3: Server, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reach(guarded_s3, monkeypatch, tmp_path)
    root = guarded_s3.make_bucket("guarded") + "/c"
    error = error_of(["run", str(recipe), "--cache-root", root], capsys)
    assert error["code"] == "store-permission" and error["place"].startswith(root)


class Forbidding(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage as it answers somebody who may do nothing."""

    def do_GET(self) -> None:
        body = json.dumps({"error": {"code": 403, "message": "caller does not have storage.objects access"}}).encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_no_permission_on_gcs(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reach(Server("gs", f"http://127.0.0.1:{server.server_port}"), monkeypatch, tmp_path)
        error = error_of(["run", str(recipe), "--cache-root", "gs://bucket/c"], capsys)
        server.shutdown()
    assert error["code"] == "store-permission" and error["place"].startswith("gs://bucket/c")


def test_nobody_answers(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reach(Server("s3", f"http://127.0.0.1:{free_port()}"), monkeypatch, tmp_path)
    error = error_of(["status", str(recipe), "--cache-root", "s3://bucket/c"], capsys)
    assert error["code"] == "store-unreachable" and "endpoint_url" in error["remedy"]


@pytest.mark.parametrize(("scheme", "package", "extra"), [("gs", "gcsfs", "gcs"), ("s3", "s3fs", "s3")])
def test_a_missing_extra(
    scheme: str, package: str, extra: str, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = objects.importlib.util.find_spec
    monkeypatch.setattr(objects.importlib.util, "find_spec", lambda name: None if name == package else real(name))
    error = error_of(["run", str(recipe), "--cache-root", f"{scheme}://bucket/c"], capsys)
    assert (error["code"], error["value"], error["remedy"]) == ("store-extra", package, f"pip install 'refinery-beam[{extra}]'")


def test_options_on_the_command_line_reach_workers_and_no_file(
    s3: Server, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reach(s3, monkeypatch, tmp_path)
    monkeypatch.setenv("FSSPEC_S3", "{}")
    import fsspec.config

    fsspec.config.conf.clear()
    bucket = s3.make_bucket("options")
    options = [f"s3.endpoint_url={s3.url}", "s3.key=accesskey", f"s3.secret={SECRET}"]
    arguments = ["run", str(recipe), "--cache-root", f"{bucket}/c", "--mode", "processes", "--workers", "2", "--verbose"]
    assert call(arguments + [word for option in options for word in ("--storage-option", option)]) == 0
    out, err = capsys.readouterr()
    assert SECRET not in out + err and "built" in out
    kept = {e.path: locations.read(locations.join(bucket, e.path)) for e in locations.walk(bucket)}
    for folder in (home(f"{bucket}/c"), str(tmp_path)):
        kept |= {str(p): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    assert len(kept) > 10 and [name for name, data in kept.items() if SECRET.encode() in data] == []
    assert SECRET in os.environ["FSSPEC_S3"], "for the workers this process starts"
