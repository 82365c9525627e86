"""A disk that is full, wherever that strikes: exit 3, ``no-space``, nothing left. Real file systems of a few kilobytes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.deadly import finish, start

KILOBYTES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)


def can_mount() -> bool:
    """Whether this user may mount a file system of memory."""
    if sys.platform != "linux" or os.geteuid() or shutil.which("mount") is None:
        return False
    folder = "/tmp/refinery-mount-probe"
    os.makedirs(folder, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", folder], check=True)
    return True


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A cache root on a disk of its own, with as many kilobytes as the parameter says."""
    if not can_mount():
        pytest.skip("this user may not mount a file system")
    folder = tmp_path / "cache"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def is_reported_and_gone(photos: Path, *more: str) -> None:
    code, body = finish(start(photos, *more))
    if code == 0:
        return
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"]) == (3, "no-space"), error
    assert f"the disk is {photos.parent / 'cache'}" in error["message"] and "the dataset takes about 0.1 MB" in error["message"]
    assert not list(photos.parent.glob("cache/instances/*/*/*")) and not list(photos.parent.glob("cache/staging/*-*-*-*"))


@pytest.fixture
def photos(class_folders: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_folders, tmp_path / "photos"))


@pytest.mark.slow
@pytest.mark.parametrize("disk", [f"size={size}k" for size in KILOBYTES], indirect=True)
def test_every_size_of_a_disk(photos: Path, disk: Path) -> None:
    is_reported_and_gone(photos, "--mode", "threads", "--workers", "2")


@pytest.mark.slow
@pytest.mark.parametrize("disk", [f"size={size}k" for size in KILOBYTES[::4]], indirect=True)
def test_in_worker_processes(photos: Path, disk: Path) -> None:
    is_reported_and_gone(photos, "--mode", "processes", "--workers", "2")


@pytest.mark.slow
@pytest.mark.parametrize("disk", [f"nr_inodes={number}" for number in (2, 8, 16, 24, 32, 40)], indirect=True)
def test_a_disk_without_inodes(photos: Path, disk: Path) -> None:
    is_reported_and_gone(photos, "--mode", "threads", "--workers", "2")


@pytest.mark.parametrize("limit", [3_000])
def test_a_file_that_may_not_grow(photos: Path, tmp_path: Path, limit: int) -> None:
    """``ulimit -f``, a quota of the shell."""
    process = start(photos, before=("/bin/sh", "-c", f'ulimit -f {limit // 512}; exec "$@"', "sh"))
    code, body = finish(process)
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"]) == (3, "no-space"), error
    assert "File too large" in error["message"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY, "the limit was the child's"
