"""The environment in which a child process finds this package, whatever its working directory; whether a process is alive; and how
often a process of our own looks for garbage.
"""

from __future__ import annotations

import gc
import os

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder that holds the package `refinery_beam`."""


OBJECTS = 100_000
"""New objects after which a process of our own looks for garbage that refers to itself. By default Python looks after 700 or 2,000, and now
and then through everything there is: with an index in memory that took a twentieth of a run.
"""


def collect_rarely() -> None:
    """Let this process look for garbage less often. Not for a process of a calling program."""
    if 0 < gc.get_threshold()[0] < OBJECTS:  # 0 is never, as somebody wished
        gc.set_threshold(OBJECTS)


def child_environment() -> dict[str, str]:
    """The environment of this process, in which a child finds this package first."""
    path = os.pathsep.join(p for p in (PACKAGE_ROOT, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path}


def is_alive(pid: int) -> bool:
    """Whether a process of this machine still runs. A zombie does not: it has ended, and only waits for its parent to ask how."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it belongs to somebody else
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return not os.path.isdir("/proc/self")  # the process ended in the meantime; without /proc the signal's answer decides
    except (OSError, IndexError):
        return False  # the process ended while its file was read
