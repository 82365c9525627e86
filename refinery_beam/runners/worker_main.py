"""``python -m refinery_beam.runners.worker_main PIPE PARENT``: a worker process of the local engine, which ends with its driver.

The first thing it does is to wait for the end of the pipe, in a thread. Nobody writes to the pipe: it ends when the driver is gone,
however that came about, or when the driver wants its workers to end. So no phase of a worker's life, its imports included, outlives the
driver.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from refinery_beam.crashes.parent_death import die_with_parent
from refinery_beam.runners.quiet import Unfailing


def end_with(pipe: int) -> None:
    """Wait for the end of the pipe in a thread of its own, and end this process then."""

    def wait() -> None:
        while True:
            try:
                if not os.read(pipe, 1):
                    os._exit(1)
            except InterruptedError:
                continue
            except OSError:
                os._exit(1)

    threading.Thread(target=wait, name="waits for the driver", daemon=True).start()


def main(arguments: Sequence[str]) -> None:
    """Be a worker, until the driver ends it."""
    pipe, parent = int(arguments[0]), int(arguments[1])
    end_with(pipe)
    sys.stdout, sys.stderr = Unfailing(sys.stdout), Unfailing(sys.stderr)
    if sys.platform == "linux":
        # Where the interpreter is held for long, the kernel is quicker than the thread that waits.
        die_with_parent()
    if os.getppid() != parent:
        return
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


if __name__ == "__main__":
    main(sys.argv[1:])
