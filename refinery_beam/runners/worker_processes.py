"""The worker processes of the local engine: how they are started, noticed when they die, and ended.

Beam's own handler of them waits without a limit: for a worker that died before it had connected, and at the end of a job for workers that
never got to know that it is over. So the job of a run starts its workers here:

* they are in a session of their own, so that Ctrl-C at a terminal reaches the driver alone;
* each holds the reading end of a pipe of the driver, and ends with it (`worker_main`);
* when one dies, everything the engine waits for is answered with an error, and so is whatever it asks for later;
* before the engine is closed the others are ended, after a failure at once, else when they have had time to end by themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from google.protobuf import json_format, text_format

from refinery_beam.crashes.endings import name_of_end
from refinery_beam.processes import child_environment

SECONDS_TO_END = 5.0
"""How long workers may take to end by themselves after a job that went well; they need milliseconds."""


class WorkerProcesses:
    """The workers of one job. `died` is called once, with how the first of them ended, while the others still run."""

    def __init__(self, died: Callable[[str], None]) -> None:
        self._died = died
        # Reentrant: a signal may come while the main thread starts a worker, and its handler ends them.
        self._lock = threading.RLock()
        self._workers: list[_Worker] = []
        self._over = False
        # Both ends are closed in other programs that this process starts; a worker is given the reading end.
        self._reader, self._writer = os.pipe()

    def start(self, worker: _Worker, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start the process of a worker, and wait for its end in a thread."""
        with self._lock:
            command = [sys.executable, "-m", "refinery_beam.runners.worker_main", str(self._reader), str(os.getpid())]
            process = subprocess.Popen(command, env=environment, pass_fds=[self._reader], start_new_session=True)
            self._workers.append(worker)
            if self._over:
                # Another worker has died already. Nobody else will say so of this one, and the engine would wait for it.
                process.kill()
                worker.fail("the job was ended")
        threading.Thread(target=self._wait_for, args=(process,), name="waits for a worker", daemon=True).start()
        return process

    def end(self) -> None:
        """End every worker now; those that start later end as soon as they run. Whatever the engine waits for fails."""
        with self._lock:
            self._over = True
            workers = list(self._workers)
            if self._writer >= 0:
                os.close(self._writer)
                self._writer = -1
        for worker in workers:
            worker.kill()
            worker.fail("the job was ended")

    def close(self) -> None:
        """End every worker, and let go of the pipe."""
        self.end()
        with suppress(OSError):
            os.close(self._reader)

    def is_over(self) -> bool:
        """Whether workers are expected to end."""
        return self._over

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            first, self._over = not self._over, True
            workers = list(self._workers)
        if not first:
            return
        how = name_of_end(code)
        self._died(how)
        for worker in workers:
            worker.fail(f"a worker process died ({how})")

    def expect_end(self) -> None:
        """From now on workers may end: the job is done."""
        self._over = True


class _Connection(worker_handlers.ControlConnection):
    """The engine's line to one worker, on which everything is answered once the worker is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._words = ""

    def push(self, req: Any) -> Any:
        future = super().push(req)
        if self._words and future is not None:
            self._answer(future)
        return future

    def fail(self, words: str) -> None:
        """Answer all that waits, and all that will be asked."""
        self._words = words
        for future in list(self._futures_by_id.values()):
            self._answer(future)

    def _answer(self, future: Any) -> None:
        future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=future.instruction_id, error=self._words))

    def _read(self) -> None:
        # The other end of a line that breaks is a process that is gone, which `_wait_for` reports.
        with suppress(Exception):
            super()._read()


class _Worker(worker_handlers.GrpcWorkerHandler):
    """The engine's handle on one worker process."""

    def __init__(self, workers: WorkerProcesses, payload: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None
        self.control_conn = _Connection()
        grpc_server.control_handler._connections_by_worker_id[self.worker_id] = self.control_conn

    def start_worker(self) -> None:
        """Start the process. It says by itself that it is there."""

        def descriptor(url: str) -> str:
            return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url)))

        environment = {
            **child_environment(),
            "CONTROL_API_SERVICE_DESCRIPTOR": descriptor(self.control_address),
            "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }
        self._process = self._workers.start(self, environment)

    def close(self) -> None:
        """End the worker and the lines to it, in a limited time."""
        if self._workers.is_over():
            self.kill()
        self._workers.expect_end()
        limit = threading.Timer(SECONDS_TO_END, self.kill)
        limit.daemon = True
        limit.start()
        try:
            super().close()
        finally:
            limit.cancel()

    def stop_worker(self) -> None:
        """Wait until the process has ended."""
        if self._process is None:
            return
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def fail(self, words: str) -> None:
        """Answer whatever the engine asks of this worker with an error."""
        self.control_conn.fail(words)


_JOBS: dict[int, WorkerProcesses] = {}
"""The workers of the job that a thread is running: engines start workers on the thread that runs the pipeline."""

_BEAMS_OWN = worker_handlers.WorkerHandler._registered_environments[python_urns.SUBPROCESS_SDK][0]


def _handler(payload: bytes, state: Any, provision_info: Any, grpc_server: Any) -> Any:
    """The handler of a worker process: ours in a thread that runs a job of ours, else Beam's."""
    workers = _JOBS.get(threading.get_ident())
    if workers is None:
        return _BEAMS_OWN(payload, state, provision_info, grpc_server)
    return _Worker(workers, payload, state, provision_info, grpc_server)


worker_handlers.WorkerHandler._registered_environments[python_urns.SUBPROCESS_SDK] = (_handler, bytes)


@contextmanager
def worker_processes(died: Callable[[str], None]) -> Iterator[WorkerProcesses]:
    """While the body runs, worker processes that the engine starts on this thread are ours. None is left behind it."""
    workers, thread = WorkerProcesses(died), threading.get_ident()
    _JOBS[thread] = workers
    try:
        yield workers
    finally:
        del _JOBS[thread]
        workers.close()
