"""``python -m refinery_beam.crashes.parent_death PARENT COMMAND`` becomes the command, and is killed when the process PARENT dies.

A run stops its job server when it is over. A run that is killed, or that a codec crashes, cannot do that, and the server would stay for
ever. Linux only: other systems do not tell a process that its parent has died.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def killed_with_parent(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` and is killed when this process dies. Start it from the main thread: the kernel treats the end
    of the thread that started it as the end of the process.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-m", "refinery_beam.crashes.parent_death", str(os.getpid()), *command]


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. This stays in force when the process becomes another program by `exec`."""
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
