"""The small functions over locations, locally and on fsspec's store in memory. Real servers: tests/stores."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from refinery_beam import locations
from refinery_beam.errors import StoreError, UsageError
from refinery_beam.locations import faults, objects
from refinery_beam.locations.patience import patient


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}-{os.getpid()}"


def test_a_file_is_written_read_listed_and_removed(folder: str) -> None:
    below = locations.join(folder, "a", "b")
    locations.make_folder(below)
    locations.write(locations.join(below, "two.txt"), b"two")
    locations.write(locations.join(below, "two.txt"), b"zwei")
    locations.write(locations.join(folder, "a", "one.txt"), b"")
    assert locations.read(locations.join(below, "two.txt")) == b"zwei"
    assert locations.size(locations.join(below, "two.txt")) == 4
    assert locations.size(locations.join(folder, "a", "one.txt")) == 0
    assert locations.size(below) is None and locations.size(locations.join(folder, "no")) is None
    assert locations.names(locations.join(folder, "a")) == ["b", "one.txt"]
    assert locations.names(locations.join(folder, "nowhere")) == []
    assert [(e.path, e.size) for e in locations.walk(folder)] == [("a/b/two.txt", 4), ("a/one.txt", 0)]
    assert locations.is_folder(below) and not locations.is_folder(locations.join(folder, "nowhere"))
    locations.remove_all([locations.join(below, "two.txt"), locations.join(folder, "a/one.txt"), locations.join(folder, "never")])
    locations.remove(locations.join(folder, "never"))
    assert locations.walk(folder) == []
    with pytest.raises(FileNotFoundError):
        locations.read(locations.join(below, "two.txt"))


def test_names_that_look_like_patterns_are_names(folder: str) -> None:
    names = ["a*", "ab", "a?", "a[b]", "b"]
    locations.make_folder(folder)
    for name in names:
        locations.write(locations.join(folder, name), name.encode())
    locations.remove_all([locations.join(folder, name) for name in ("a*", "a?", "b")])
    assert [e.path for e in locations.walk(folder)] == ["a[b]", "ab"]
    assert locations.read(locations.join(folder, "a[b]")) == b"a[b]"


def test_one_of_many_writers_wins(folder: str) -> None:
    location, won = locations.join(folder, "race"), []
    if not locations.is_url(folder):
        locations.make_folder(folder)

    def writer(n: int) -> None:
        if locations.put_if_absent(location, bytes([n]) * 10):
            won.append(n)

    # The store in memory looks and then writes: only a real store decides between threads. Here one after the other.
    threads = [threading.Thread(target=writer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
        if locations.is_url(folder):
            thread.join()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert locations.read(location) == bytes(won) * 10


def test_a_finished_file_moves_to_its_place_and_opens_there(folder: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    local = str(tmp_path / "finished")
    pq.write_table(pa.table({"n": [1, 2, 3]}), local)
    with locations.scratch(locations.join(folder, "scratch")) as scratch:
        assert not locations.is_url(scratch) and (locations.is_url(folder) or scratch == os.path.join(folder, "scratch"))
    locations.put_file(local, locations.join(folder, "t.parquet"))
    assert not os.path.exists(local)
    with locations.opened(locations.join(folder, "t.parquet")) as source, pq.ParquetFile(source) as file:
        assert file.read().to_pydict() == {"n": [1, 2, 3]}


def test_what_is_a_url_and_how_names_join() -> None:
    assert locations.absolute("gs://b") == "gs://b"
    assert locations.join("gs://b", "instances", "a/b") == "gs://b/instances/a/b"
    assert locations.parent("gs://b/x/y") == "gs://b/x" and locations.basename("gs://b/x/y") == "y"
    assert locations.absolute("x") == os.path.join(os.getcwd(), "x")
    with pytest.raises(UsageError) as caught:
        locations.absolute("s3://key:hidden@bucket/x")
    assert caught.value.code == "secret-in-url" and "hidden" not in caught.value.render()


def test_options_go_to_fsspec_and_their_values_into_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    monkeypatch.setattr("fsspec.config.conf", dict(conf))
    monkeypatch.setitem(os.environ, "FSSPEC_ZZ", '{"old": 1}')
    monkeypatch.setitem(os.environ, "FSSPEC_ZZ_SECRET", "stale-value")
    locations.use_options(["zz.secret=tell-nobody", "zz.anon=true", 'zz.more={"a": [1]}', "zz.text=12"])
    import json

    assert json.loads(os.environ["FSSPEC_ZZ"]) == {"old": 1, "secret": "tell-nobody", "anon": True, "more": {"a": [1]}, "text": "12"}
    assert "FSSPEC_ZZ_SECRET" not in os.environ
    assert faults._clean(ValueError("no: tell-nobody at http://h/x?sig=abc\nmore")) == "no: *** at http://h/x"
    with pytest.raises(UsageError) as caught:
        locations.use_options(["secret=tell-nobody"])
    assert caught.value.code == "storage-option" and "tell-nobody" not in caught.value.render()


def test_an_unknown_scheme_and_a_missing_package_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError) as caught:
        locations.read("nosuch://a/b")
    assert (caught.value.code, caught.value.value, caught.value.exit_code) == ("store-scheme", "nosuch", 3)
    monkeypatch.setattr(objects.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoreError) as caught:
        locations.size("gs://bucket/x")
    assert (caught.value.code, caught.value.remedy) == ("store-extra", "pip install 'refinery-beam[gcs]'")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "store-missing"),
        (PermissionError("Access Denied"), "store-permission"),
        (OSError("Forbidden: https://h/b?token=x"), "store-permission"),
        (ConnectionError("refused"), "store-unreachable"),
        (RuntimeError("odd"), "store-io"),
    ],
)
def test_every_failure_is_an_oserror_and_then_an_error_with_a_remedy(error: Exception, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def _strip_protocol(self, url: str) -> str:
            return url

        def cat_file(self, path: str) -> bytes:
            raise error

    monkeypatch.setattr(objects, "_filesystem", lambda url: Broken())
    with pytest.raises(OSError) as caught:
        locations.read("s3://bucket/x")
    fault = locations.fault(caught.value, "read", "s3://bucket/x")
    assert fault.code == code and fault.remedy and fault.at == "s3://bucket/x" and "token" not in fault.render()


def test_what_nobody_put_in_words_is_put_in_words() -> None:
    with pytest.raises(StoreError) as caught, locations.put_in_words():
        locations.read("memory://nowhere/at/all")
    assert (caught.value.code, caught.value.at) == ("store-missing", "memory://nowhere/at/all")
    with pytest.raises(FileNotFoundError), locations.put_in_words():
        locations.read("/nowhere/at/all")


def test_local_places_import_nothing_of_stores() -> None:
    code = (
        "import sys; from refinery_beam import locations; locations.names('/'); locations.size('/x'); locations.absolute('x');"
        "print([m for m in ('fsspec', 'numpy', 'pyarrow', 'apache_beam') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(("number", "tries"), [(errno.EIO, 3), (errno.EHOSTUNREACH, 3), (errno.ENOENT, 1), (errno.EACCES, 1)])
def test_what_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch, number: int, tries: int) -> None:
    monkeypatch.setattr("refinery_beam.locations.patience.WAITS", (0.0, 0.0))
    asked = []

    @patient
    def ask(name: str) -> str:
        asked.append(name)
        if len(asked) < 3:
            raise OSError(number, "no")
        return name

    if tries == 3:
        assert ask("a") == "a"
    else:
        with pytest.raises(OSError, match="no"):
            ask("a")
    assert len(asked) == tries


def test_what_is_hidden_is_not_called_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    wanted = closed / "photos" / "cat"
    plain_stat, plain_access = os.stat, os.access

    def stat(path: Any, *rest: Any, **options: Any) -> Any:
        if str(path).startswith(f"{closed}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain_stat(path, *rest, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(closed)) and plain_access(path, mode))
    assert locations.why_absent(str(wanted)) == f"cannot be seen: this user may not look into {closed}"
    assert locations.why_absent(str(tmp_path / "none")) == "does not exist"
