"""The three Google services a Dataflow submission talks to, over HTTP on 127.0.0.1: the token service, Cloud Storage and Dataflow.

It answers exactly the calls that Beam's client makes and keeps what it was sent. Any other call is answered with 501 and remembered in
`unknown`, so that a test fails loudly when Beam begins to make it. What the job does is a script of states, or a process that executes the
staged pipeline; see `Script`.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

JOB_ID = "2026-01-02_03_04_05-678901234567890"
TOKEN = "ya29.a-token-that-no-file-may-hold"


IMPORTANCE = ("DEBUG", "DETAILED", "BASIC", "WARNING", "ERROR")
# The numbers of the service's enumerations, which its clients may send instead of the words.
NUMBERS = {"importance": {1: "DEBUG", 2: "DETAILED", 3: "WARNING", 4: "ERROR", 5: "BASIC"}, "state": {3: "DONE", 5: "CANCELLED"}}


def word(kind: str, given: int | str) -> str:
    """The word of an enumeration, however it was sent."""
    return NUMBERS[kind][int(given)] if str(given).isdigit() else str(given).rpartition("_")[2]


@dataclass
class Script:
    """What a job does. Each question for its state takes the next of `states`; the last one stays."""

    states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "RUNNING", "DONE"])
    messages: list[tuple[str, str]] = field(default_factory=list)
    """(importance, text), told from the first question on."""
    counters: dict[str, int] = field(default_factory=dict)
    cancels: bool = True
    """Whether the job ends when it is asked to."""
    refuse: str = ""
    """Refuse the job with these words."""
    execute: Callable[[str], subprocess.Popen[str]] | None = None
    """Starts a process that executes the staged pipeline at an address. The job's state then follows the process."""


@dataclass
class Google:
    """The services and what they were sent."""

    script: Script
    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    """The states somebody asked the job to go to."""
    authorizations: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    cancelled: bool = False
    process: subprocess.Popen[str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """For --dataflow_endpoint. Beam speaks REST, and not gRPC, where it reads `localhost`, and takes a port nowhere else."""
        return f"http://localhost:{self.port}"

    def state(self) -> str:
        with self.lock:
            if self.cancelled and self.script.cancels:
                return "JOB_STATE_CANCELLED"
            if self.process is not None:
                return "JOB_STATE_" + {None: "RUNNING", 0: "DONE"}.get(self.process.poll(), "FAILED")
            states = self.script.states
            return "JOB_STATE_" + (states.pop(0) if len(states) > 1 else states[0])


class _Handler(BaseHTTPRequestHandler):
    google: Google

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, parts.path)
            if method == self.command and found:
                if parts.path != "/token":
                    self.google.authorizations.add(self.headers.get("Authorization", ""))
                answer(self, query, body, *map(unquote, found.groups()))
                return
        self.google.unknown.append(f"{self.command} {self.path}")
        self.reply({"error": {"code": 501, "message": "this stub has no such call"}}, 501)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

    def reply(self, body: Any, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def token(self, query: dict[str, str], body: bytes) -> None:
        self.reply({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    # Cloud Storage: does the bucket exist, does the object exist, put it (resumable uploads only).

    def bucket(self, query: dict[str, str], body: bytes, bucket: str) -> None:
        self.reply({"kind": "storage#bucket", "id": bucket, "name": bucket, "softDeletePolicy": {"retentionDurationSeconds": "0"}})

    def object(self, query: dict[str, str], body: bytes, bucket: str, name: str) -> None:
        data = self.google.objects.get(f"gs://{bucket}/{name}")
        if data is None:
            self.reply({"error": {"code": 404, "message": "no such object"}}, 404)
        else:
            self.reply(self.facts(bucket, name, data))

    def begin_upload(self, query: dict[str, str], body: bytes, bucket: str) -> None:
        name = query.get("name") or json.loads(body)["name"]
        self.google.objects.setdefault(f"gs://{bucket}/{name}", b"")
        self.reply({}, Location=f"{self.google.url}/upload-session/{bucket}/{name}")

    def upload(self, query: dict[str, str], body: bytes, bucket: str, name: str) -> None:
        first, last, total = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers["Content-Range"]).groups()  # type: ignore[union-attr]
        location = f"gs://{bucket}/{name}"
        self.google.objects[location] = self.google.objects[location][: int(first or 0)] + body
        if total == "*":
            self.reply(b"", 308, Range=f"bytes=0-{last}")
        else:
            self.reply(self.facts(bucket, name, self.google.objects[location]))

    @staticmethod
    def facts(bucket: str, name: str, data: bytes) -> dict[str, str]:
        import google_crc32c

        sum32 = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
        return {"kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(data)), "generation": "1", "crc32c": sum32}

    # Dataflow.

    def create_job(self, query: dict[str, str], body: bytes, project: str, region: str) -> None:
        if self.google.script.refuse:
            self.reply({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": self.google.script.refuse}}, 403)
            return
        job = json.loads(body)
        self.google.jobs.append(job)
        if self.google.script.execute is not None:
            self.google.process = self.google.script.execute(job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"])
        self.reply({**job, "id": JOB_ID, "projectId": project, "location": region, "currentState": "JOB_STATE_PENDING"})

    def get_job(self, query: dict[str, str], body: bytes, project: str, region: str, job: str) -> None:
        assert (job, self.google.jobs != []) == (JOB_ID, True)
        self.google.asked.append("state")
        self.reply({"id": JOB_ID, "projectId": project, "location": region, "currentState": self.google.state()})

    def update_job(self, query: dict[str, str], body: bytes, project: str, region: str, job: str) -> None:
        update = json.loads(body)
        state = word("state", update["requestedState"])
        self.google.updates.append(state)
        self.google.cancelled |= state == "CANCELLED"
        if self.google.process is not None:
            self.google.process.kill()
        self.reply({"id": JOB_ID, "projectId": project, "location": region, "currentState": "JOB_STATE_CANCELLING"})

    def messages(self, query: dict[str, str], body: bytes, project: str, region: str, job: str) -> None:
        self.google.asked.append("messages")
        if self.google.process is not None and self.google.process.poll():
            self.google.script.messages = [("ERROR", "Error message from worker: " + self.google.process.communicate()[1])]
        least = IMPORTANCE.index(word("importance", query.get("minimumImportance", "DEBUG")))
        messages = [
            {"id": f"m{i}", "time": f"2026-01-02T03:04:{i:02d}Z", "messageImportance": f"JOB_MESSAGE_{importance}", "messageText": text}
            for i, (importance, text) in enumerate(self.google.script.messages)
            if IMPORTANCE.index(importance) >= least
        ]
        self.reply({"jobMessages": messages})

    def metrics(self, query: dict[str, str], body: bytes, project: str, region: str, job: str) -> None:
        self.google.asked.append("metrics")
        given = [
            {
                "name": {"origin": "user", "name": name, "context": {"namespace": "refinery_beam", "step": "s1", **tentative}},
                "scalar": count,
            }
            for name, count in self.google.script.counters.items()
            for tentative in ({}, {"tentative": "true"})
        ]
        self.reply({"metrics": given})


_JOBS = r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs"
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/token", _Handler.token),
    ("GET", "/storage/v1/b/([^/]+)", _Handler.bucket),
    ("GET", "/storage/v1/b/([^/]+)/o/(.+)", _Handler.object),
    ("POST", "/upload/storage/v1/b/([^/]+)/o", _Handler.begin_upload),
    ("PUT", "/upload-session/([^/]+)/(.+)", _Handler.upload),
    ("POST", _JOBS, _Handler.create_job),
    ("GET", _JOBS + "/([^/]+)", _Handler.get_job),
    ("PUT", _JOBS + "/([^/]+)", _Handler.update_job),
    ("GET", _JOBS + "/([^/]+)/messages", _Handler.messages),
    ("GET", _JOBS + "/([^/]+)/metrics", _Handler.metrics),
]


class _Server(ThreadingHTTPServer):
    google: Google

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was interrupted hangs up; anything else is this stub's fault, and fails the test."""
        if not isinstance(sys.exception(), ConnectionError):
            self.google.unknown.append(repr(sys.exception()))


@contextmanager
def google_services(script: Script | None = None) -> Iterator[Google]:
    """The services, running."""
    google = Google(script or Script())
    handler = type("Handler", (_Handler,), {"google": google, "protocol_version": "HTTP/1.1"})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.google = google
        google.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield google
        finally:
            server.shutdown()
            thread.join()


def service_account(google: Google) -> dict[str, str]:
    """A key file of a service account that exists nowhere, whose tokens come from the stub."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return {
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "k1",
        "private_key": key.private_bytes(serialization.Encoding.PEM, *form).decode(),
        "client_email": "runner@a-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{google.url}/token",
    }
