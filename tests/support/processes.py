"""The processes of a run, wherever they are in the tree and whatever session they are in."""

from __future__ import annotations

import re
import time
from pathlib import Path


def alive(folder: Path) -> list[int]:
    """Living processes that have a folder in their environment, as those that `deadly.start` starts have, and theirs in turn."""
    found = []
    named = re.compile(re.escape(bytes(folder)) + rb"(?![\w.-])")  # and not one whose name begins alike
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if words[0] not in ("Z", "X") and named.search((entry / "environ").read_bytes()):
                found.append(int(entry.name))
        except (OSError, IndexError):
            continue
    return sorted(found)


def command_of(pid: int) -> str:
    """The command line of a process; '' when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def workers(folder: Path) -> list[int]:
    """The worker processes of a run."""
    return [pid for pid in alive(folder) if "refinery_beam.runners.worker_main" in command_of(pid)]


def left_over(folder: Path, *, seconds: float = 60) -> list[str]:
    """The processes that are still there after some time; [] as soon as there is none."""
    deadline = time.monotonic() + seconds
    while found := alive(folder):
        if time.monotonic() > deadline:
            return [command_of(pid) for pid in found]
        time.sleep(0.05)
    return []
