"""Records worked on again, one after the other, in this process and nowhere else: what a worker was at when it died. No Beam.

usage: python -m refinery_beam.pipeline.alone

`runners.suspects` starts it, hands it a plan and marks on stdin, pickled as Beam hands them to its workers, and reads on stdout how far it
came: a line ``begun N``, ``decoded N``, ``done N`` for mark number N. What the work gives is thrown away, what it raises too: the only
question is whether this process is alive afterwards.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from refinery_beam.pipeline.marks import Mark
from refinery_beam.pipeline.seer import Seer
from refinery_beam.pipeline.work import Worker
from refinery_beam.plan.nodes import Plan


def work_alone(plan: Plan, marks: Sequence[Mark], say: Callable[[str], None]) -> None:
    """Do again what `marks` say, and say how far it came."""
    worker = Worker(plan)
    for number, mark in enumerate(marks):
        say(f"begun {number}")
        with suppress(Exception):
            _decode(worker, mark)
            say(f"decoded {number}")
            _task(worker, mark)
        say(f"done {number}")


def _decode(worker: Worker, mark: Mark) -> None:
    """The part of the work that is the same for every record made from the file. Looks have no other part."""
    if mark.task.kind == "look":
        steps = [step for step in (*worker.plan.pre_filters, *worker.plan.post_filters) if step.name == mark.task.name]
        Seer(worker, steps[0] if steps else None)(mark.ref)
        return
    data = worker.files.read(mark.ref)
    if mark.task.kind == "fit" or worker.plan.decodes:
        worker.files.decode(data, worker.plan.chains[mark.ref.split], mark.ref.source)


def _task(worker: Worker, mark: Mark) -> None:
    if mark.task.kind == "fit":
        point = next(point for point in worker.plan.fits if point.name == mark.task.name)
        worker.observe(point, mark.ref, mark.fitted)
    elif mark.task.kind == "write":
        worker.prepare(mark.ref, mark.fitted)


def main() -> None:
    """Read the work from stdin and do it."""
    # What a codec prints on stdout must not be taken for what we say.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    plan, marks = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    work_alone(plan, marks, lambda line: print(line, file=out, flush=True))


if __name__ == "__main__":
    main()
