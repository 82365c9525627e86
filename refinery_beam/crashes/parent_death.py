"""``python -m refinery_beam.crashes.parent_death PARENT COMMAND`` becomes the command, which is killed when the process that started it
dies.

A job server is asked to end when the run is over. A run that is killed, or dies with a codec, asks nobody, and its server would stay for
ever. Linux only: elsewhere nothing tells a process that its parent is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` for as long as this process lives, at most. Start it from the main thread: the kernel takes
    the end of the thread for that of its process.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-m", "refinery_beam.crashes.parent_death", str(os.getpid()), *command]


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. It holds for the program that this process becomes by `exec` as well."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Become the command, unless the parent has died in the meantime."""
    parent, command = int(arguments[0]), list(arguments[1:])
    die_with_parent()
    if os.getppid() != parent:
        return
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
