"""Records worked on again, each in a process of its own: what a worker was at when it died. No Beam, no threads.

usage: python -m refinery_beam.crashes.retry_alone TRIES SECONDS

`suspects` starts it and hands it a plan and marks on stdin, pickled as Beam hands them to its workers. It forks for every try, which costs
milliseconds, and prints one JSON line a try, ``[mark, ended, decoding]``; see `suspects.Try`. What the work gives is thrown away, and what
it raises too: the only question is whether its process is alive afterwards.
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

from refinery_beam.crashes.markers import Mark
from refinery_beam.record.peek import Peek
from refinery_beam.record.worker import Worker

NO_END = "no end"
"""How a try ended that was stopped after its time."""

DECODED, DONE = b"d", b"e"


def one_try(worker: Worker, mark: Mark, seconds: float) -> tuple[str, bool]:
    """How a process ended that worked on one record ('' if it came through), and whether it had not even decoded the file by then."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work(worker, mark, lambda word: os.write(writer, word))
        os._exit(0)
    os.close(writer)
    said, late = _heard(reader, time.monotonic() + seconds)
    os.close(reader)
    if late:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if DONE in said:
        return "", False
    return NO_END if late else name_of_end(os.waitstatus_to_exitcode(status)), DECODED not in said


def _heard(reader: int, deadline: float) -> tuple[bytes, bool]:
    """What a process said until it ended, and whether it was late. Its end closes the pipe."""
    said = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return said, True
        word = os.read(reader, 16)
        if not word:
            return said, False
        said += word


def _work(worker: Worker, mark: Mark, say: Callable[[bytes], Any]) -> None:
    with suppress(Exception):
        _decode(worker, mark)
        say(DECODED)
        _task(worker, mark)
    say(DONE)


def _decode(worker: Worker, mark: Mark) -> None:
    """The part of the work that is the same for every record made from the file. Looks have no other part."""
    if mark.task.kind == "look":
        steps = [step for step in (*worker.plan.pre_filters, *worker.plan.post_filters) if step.name == mark.task.name]
        Peek(worker, steps[0] if steps else None)(mark.ref)
        return
    data = worker.files.read(mark.ref)
    if mark.task.kind == "fit" or worker.plan.decodes:
        worker.files.decode(mark.ref, data)


def _task(worker: Worker, mark: Mark) -> None:
    if mark.task.kind == "fit":
        point = next(point for point in worker.plan.fits if point.name == mark.task.name)
        worker.observe(point, mark.ref, mark.fitted)
    elif mark.task.kind == "write":
        worker.prepare(mark.ref, mark.fitted)


def name_of_end(code: int) -> str:
    """How a process ended, by its return code, as `subprocess` or a shell tells it.

    >>> name_of_end(-11), name_of_end(139), name_of_end(3)
    ('SIGSEGV', 'SIGSEGV', 'exit code 3')
    """
    try:
        return signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return f"exit code {code}"


def main() -> None:
    """Read the work from stdin, and say how each try ended."""
    tries, seconds = int(sys.argv[1]), float(sys.argv[2])
    # What a codec prints on stdout must not be taken for what we say.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan, marks = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    worker = Worker(plan)
    for number, mark in enumerate(marks):
        for _ in range(tries):
            ended, decoding = one_try(worker, mark, seconds)
            print(json.dumps([number, ended, decoding]), file=out, flush=True)
            if ended == NO_END:
                break  # it would take as long again


if __name__ == "__main__":
    main()
