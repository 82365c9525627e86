"""Every verb under every treatment of its streams: no traceback, no hang, and the exit code of what was done."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

import refinery_beam as rb
from support.recipes import write_recipe

OK, GONE, LOST = "kept", "closed", "full"
STDOUT = {"kept": "", "closed": ">&-", "gone": "| true", "full": "> /dev/full"}
STDERR = {"kept": "", "closed": "2>&-", "gone": "2> >(true)", "full": "2> /dev/full"}
STDIN = {"kept": "", "closed": "<&-", "null": "< /dev/null"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, class_folders: Path) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    recipe = write_recipe(
        class_folders, folder, pictures=["{name: grid, op: sample_grid, params: {n: 4}, stage: post_pipeline, mode: reporting}"]
    )
    rb.tag(rb.run(recipe, cache_root=folder / "cache").path, name="first", cache_root=folder / "cache")
    (folder / "pictures").symlink_to(class_folders)
    broken = rb.run(write_recipe(class_folders, _made(folder / "b"), seed=3), cache_root=folder / "broken")
    (Path(broken.path) / "report" / "report.md").write_text("not what it was\n")
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


CALLS: dict[str, tuple[str, int]] = {
    "run, a build": ("run recipe.yaml --cache-root other", 0),
    "run, a hit": ("run recipe.yaml --cache-root cache", 0),
    "run --json": ("run recipe.yaml --cache-root cache --json", 0),
    "run, no recipe": ("run none.yaml --cache-root cache", 1),
    "plan": ("plan recipe.yaml --cache-root cache", 0),
    "status": ("status recipe.yaml --cache-root cache", 0),
    "validate": ("validate recipe.yaml", 0),
    "verify": ("verify recipe.yaml --cache-root cache", 0),
    "verify, damaged": ("verify b/recipe.yaml --cache-root broken", 3),
    "verify --json, damaged": ("verify b/recipe.yaml --cache-root broken --json", 3),
    "draw": ("draw recipe.yaml --cache-root cache", 0),
    "schema": ("schema", 0),
    "ls": ("ls --cache-root cache", 0),
    "why": ("why recipe.yaml --cache-root cache", 0),
    "clean": ("clean --cache-root cache", 0),
    "clean, a wrong age": ("clean --cache-root cache --older-than soon", 2),
    "init": ("init pictures -o init.yaml --force", 0),
    "inspect": ("inspect recipe.yaml --cache-root cache", 0),
    "inspect --where": ("inspect recipe.yaml --cache-root cache --where 'width > 1' --limit 0", 0),
    "diff": ("diff recipe.yaml recipe.yaml --cache-root cache", 0),
    "drift": ("drift recipe.yaml recipe.yaml --cache-root cache", 0),
    "report": ("report recipe.yaml --cache-root cache", 0),
    "log": ("log --cache-root cache", 0),
    "log show, no such run": ("log show 0000 --cache-root cache", 2),
    "rerun": ("rerun first --cache-root cache", 0),
    "check": ("check --cache-root cache", 0),
    "completion": ("completion bash", 0),
    "untag, no such tag": ("untag none --cache-root cache", 2),
    "tag": ("tag recipe.yaml v1 --cache-root cache", 0),
    "--help": ("--help", 0),
    "--version": ("--version", 0),
    "usage": ("run --no-such-option", 2),
    "nothing": ("", 2),
}


def call(folder: Path, words: str, out: str, err: str, into: str) -> tuple[int, str, str]:
    """The exit code under some treatment, and what came out where it could."""
    command = f"{sys.executable} -m refinery_beam {words} {STDIN[into]} {STDERR[err]} {STDOUT[out]}"
    shell = ["bash", "-c", f"set -o pipefail; cd {folder}; PYTHONPATH={Path.cwd()} {command}"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def expected(code: int, out: str) -> int:
    return 3 if out == "full" and code == 0 else code


def check(folder: Path, name: str, out: str, err: str, into: str) -> None:
    words, code = CALLS[name]
    if name == "run, a build":
        words = words.replace("other", f"other-{out}-{err}-{into}")
    got, printed, said = call(folder, words, out, err, into)
    where = (name, out, err, into)
    assert "Traceback" not in said and "Exception ignored" not in said, (where, said)
    # A shell that counts the last failure of a pipe never hears of a code 0 before it.
    assert got == expected(code, out), (where, got, printed, said)
    if out == "full" and err == "kept" and code == 0:
        assert "its result could not be printed" in said, where
    if out == "kept" and code == 0:
        assert printed, where


@pytest.mark.parametrize("name", ["run, a hit", "verify --json, damaged"])
def test_a_few_of_them(made: Path, name: str) -> None:
    check(made, name, "full", "kept", "closed")
    check(made, name, "closed", "closed", "closed")


EVERY = ("run, a build", "verify, damaged", "init", "log show, no such run")
"""Calls that end in each of the ways that the others end in; `cli.streams` serves all alike."""


@pytest.mark.slow
@pytest.mark.timeout(900)  # 47 programs, one after the other
def test_every_combination(made: Path) -> None:
    for out, err, into in product(STDOUT, STDERR, STDIN):
        if (out, err, into) != (OK, OK, "null"):
            check(made, "run --json", out, err, into)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_pair(made: Path, name: str) -> None:
    """Each treatment of an output with each of the other, and the treatments of the input in turn: every two of them meet."""
    for number, (out, err) in enumerate(product(STDOUT, STDERR)):
        check(made, name, out, err, [*STDIN][(number + number // len(STDERR)) % len(STDIN)])


def test_results_in_another_encoding(class_folders: Path, copy_of: Callable[[Path], Path], tmp_path: Path) -> None:
    """A terminal that lacks a character gets an escape, and JSON stays JSON."""
    import json

    folder = tmp_path / "é"
    folder.mkdir()
    recipe = write_recipe(class_folders, folder)
    rb.run(recipe, cache_root=folder / "cache")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "refinery_beam", "status", str(recipe), "--cache-root", str(folder / "cache")]
    plain = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (plain.returncode, b"\\xe9" in plain.stdout) == (0, True)
    done = subprocess.run([*command, "--json"], capture_output=True, env=environment, check=False)
    assert json.loads(done.stdout)["instance"].startswith(str(folder))


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    mine, theirs = pty.openpty()
    mode = termios.tcgetattr(theirs)
    mode[3] |= termios.TOSTOP
    termios.tcsetattr(theirs, termios.TCSANOW, mode)
    yield mine, theirs
    for handle in (mine, theirs):
        os.close(handle)


@pytest.mark.slow
def test_a_terminal_that_stops_the_background(class_folders: Path, tmp_path: Path, terminal: tuple[int, int]) -> None:
    """``stty tostop``: the run's child, in a process group of its own, shows its progress all the same."""
    mine, theirs = terminal
    recipe = write_recipe(class_folders, tmp_path)
    command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", str(tmp_path / "cache"), "--log-level", "debug"]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        import fcntl

        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for descriptor in range(3):
            os.dup2(theirs, descriptor)
        os.execv(sys.executable, command)
    deadline, said = time.monotonic() + 60, b""
    ended = (0, 0)
    while ended[0] == 0 and time.monotonic() < deadline:
        if select.select([mine], [], [], 0.2)[0]:
            said += os.read(mine, 65536)
        ended = os.waitpid(pid, os.WNOHANG)
    if ended[0] == 0:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended == (pid, 0), said.decode(errors="replace")
