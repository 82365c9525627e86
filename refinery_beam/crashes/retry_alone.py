"""Works on records again, each in its own process, to find those that kill it. No Beam, no threads.

usage: python -m refinery_beam.crashes.retry_alone TRIES SECONDS

`suspects` starts it and sends a plan and markers to its stdin, pickled as Beam sends them to its workers. It forks for every try, which
costs milliseconds, and prints one JSON line a try: ``[number of the marker, ended, decoding]``; see `suspects.Try`. The result of the work
is thrown away, and so are exceptions: the only question is whether the process survives it.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from refinery_beam.crashes.endings import NO_END, name_of_end
from refinery_beam.crashes.markers import Marker
from refinery_beam.record.observed import Observed
from refinery_beam.record.peek import Peek
from refinery_beam.record.worker import Worker

DECODED, DONE = b"d", b"e"


def one_try(worker: Worker, marker: Marker, seconds: float) -> tuple[str, bool]:
    """Works on one record in a child process. Gives how the child ended ('' if it survived), and whether it ended before the file was
    decoded.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work(worker, marker, lambda word: os.write(writer, word))
        os._exit(0)
    os.close(writer)
    said, late = _read_until_it_ends(reader, time.monotonic() + seconds)
    os.close(reader)
    if late:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if DONE in said:
        return "", False
    return NO_END if late else name_of_end(os.waitstatus_to_exitcode(status)), DECODED not in said


def _read_until_it_ends(reader: int, deadline: float) -> tuple[bytes, bool]:
    """What the child wrote until it ended, and whether the deadline came first. The end of the child closes the pipe."""
    said = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return said, True
        word = os.read(reader, 16)
        if not word:
            return said, False
        said += word


def _work(worker: Worker, marker: Marker, say: Callable[[bytes], Any]) -> None:
    with suppress(Exception):
        _decode(worker, marker)
        say(DECODED)
        _do_task(worker, marker)
    say(DONE)


def _decode(worker: Worker, marker: Marker) -> None:
    """The part of the work that is the same for every record made from the file. A peek has no other part."""
    if marker.task.kind == "peek":
        steps = [step for step in (*worker.plan.pre_filters, *worker.plan.post_filters) if step.name == marker.task.name]
        Peek(worker, steps[0] if steps else None)(marker.ref, observed=Observed())
        return
    data = worker.files.read(marker.ref)
    if marker.task.kind == "fit" or worker.plan.decodes:
        worker.files.decode(marker.ref, data)


def _do_task(worker: Worker, marker: Marker) -> None:
    if marker.task.kind == "fit":
        point = next(point for point in worker.plan.fits if point.name == marker.task.name)
        worker.observe(point, marker.ref, marker.fitted)
    elif marker.task.kind == "write":
        worker.prepare(marker.ref, marker.fitted)


def main() -> None:
    """Read plan and markers from stdin, and print how each try ended."""
    tries, seconds = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started the run may have had it ignored: no end would be kept
    # Codecs may print on stdout: what they print must not be mixed with the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan, markers = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    worker = Worker(plan)
    for number, marker in enumerate(markers):
        for _ in range(tries):
            ended, decoding = one_try(worker, marker, seconds)
            print(json.dumps([number, ended, decoding]), file=out, flush=True)
            if ended == NO_END:
                break  # another try would take as long


if __name__ == "__main__":
    main()
