"""Pipes, sockets and devices where a cache root has plain files: no verb waits for one, and a run builds what is damaged."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.errors import RefineryError
from support.recipes import write_recipe


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} seconds: it waits for something")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def plug(path: Path) -> None:
    path.unlink()
    short = Path(os.path.relpath(path))  # the name of a socket may have a hundred bytes
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):
        made.bind(str(short))
    if not path.exists():
        os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.fixture
def recipe(class_folders: Path, tmp_path: Path) -> Path:
    picture = "{name: grid, op: sample_grid, params: {n: 4}, stage: post_pipeline, mode: reporting}"
    return write_recipe(class_folders, tmp_path, pictures=[picture])


@pytest.mark.parametrize("odd", [pipe, *(pytest.param(odd, marks=pytest.mark.slow) for odd in (plug, device))])
def test_the_manifest(recipe: Path, tmp_path: Path, odd: Callable[[Path], None]) -> None:
    root = tmp_path / "cache"
    built = rb.run(recipe, cache_root=root, mode="threads", workers=1)
    odd(Path(built.path) / "manifest.json")
    with within(60):
        assert rb.status(recipe, cache_root=root).status == "damaged"
        assert [f.path for f in rb.verify(recipe, cache_root=root).findings] == ["manifest.json"]
        with pytest.raises(RefineryError):
            rb.open_instance(built.path)
        again = rb.run(recipe, cache_root=root, mode="threads", workers=1)
    assert (again.status, again.manifest) == ("built", built.manifest)


@pytest.mark.slow
def test_every_file_of_a_cache_root(recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    built = rb.run(recipe, cache_root=root, mode="threads", workers=1)
    rb.tag(built.path, name="v1", cache_root=root)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        whole = path.read_bytes() if path.exists() else b""
        if not path.exists():
            continue
        pipe(path)
        with within(120):
            for verb in (rb.status, rb.verify, rb.open_instance):
                with suppress(RefineryError):
                    verb(recipe, cache_root=root)  # type: ignore[operator]
            with suppress(RefineryError):
                rb.ls(cache_root=root)
            with suppress(RefineryError):
                rb.clean(cache_root=root)
            result = rb.run(recipe, cache_root=root, mode="threads", workers=1)
        assert result.manifest == built.manifest
        if locations.is_odd(str(path)):
            path.unlink()
            path.write_bytes(whole)
