"""Each engine, and what it would lack on this machine. Nothing is started but `java -version`, and nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

from refinery_beam.errors import RefineryError
from refinery_beam.job.versions import package_version
from refinery_beam.launch.checkup.rows import CheckRow, State
from refinery_beam.runners.dataflow.options import require_extra
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.local import available_cpus, plan_local_workers
from refinery_beam.runners.options import RUNNERS, read_options

JAVA_SECONDS = 20
"""How long `java -version` may take."""

CONNECT_SECONDS = 3
"""How long a master may take to answer."""

BEAM_HOME = os.path.join("~", ".apache_beam", "cache")
"""Where Beam keeps what it downloaded."""


def engine_rows(runner: str, beam_options: tuple[str, ...], workers: int | None, mode: str) -> Iterator[CheckRow]:
    """A row for each engine. The one that was asked for must be whole; the others may lack what they need."""
    for name in RUNNERS:
        asked = name == runner
        try:
            options = read_options(name, beam_options if asked else ())
        except RefineryError as error:
            # Options that only a run can have: Dataflow's project, say.
            options = None
            if asked and name != "dataflow":
                yield from (CheckRow(kind="engine", thing=name, state="broken", fact=e.message, remedy=e.remedy) for e in error.errors())
                continue
        fact, lacks = _found_out(name, options, workers, mode)
        state: State = "ok" if not lacks else "broken" if asked or name == "direct" else "absent"
        yield CheckRow(
            kind="engine",
            thing=f"{name} (asked for)" if asked and runner != "direct" else name,
            state=state,
            fact="; ".join([fact, *(f"lacks {what}" for what, _ in lacks)]).strip("; "),
            remedy="; ".join(remedy for _, remedy in lacks),
        )


Lack = tuple[str, str]


def _found_out(name: str, options: EngineOptions | None, workers: int | None, mode: str) -> tuple[str, list[Lack]]:
    """What there is of an engine, and what it lacks, each with its remedy."""
    if name == "direct":
        if find_spec("apache_beam") is None:
            return "", [("apache-beam", "pip install apache-beam")]
        local = plan_local_workers(1_000_000, mode=mode, workers=workers)
        return f"apache-beam {package_version('apache-beam')}, {available_cpus()} processors, up to {local.workers} {local.mode}", []
    if name == "dataflow":
        return _dataflow()
    if name == "prism":
        return _prism(options)
    return _jvm(name, options)


def _prism(options: EngineOptions | None) -> tuple[str, list[Lack]]:
    given = options.value("prism_location") if options else ""
    built = [path for folder in _engine_folders() for path in _below(folder, "prism-")]
    candidates = [given] if given else [*built, *_beam_cache("prism/bin", "prism"), shutil.which("prism") or ""]
    found = next((path for path in candidates if path and os.path.isfile(path)), None)
    if found:
        hint = "" if given else f"; name it: -- --prism-location={found}"
        return f"{found}{hint}", []
    return "", [("its binary" + (f" at {given}" if given else ""), "make engines builds it, or let Beam download it at the first run")]


def _jvm(name: str, options: EngineOptions | None) -> tuple[str, list[Lack]]:
    java, lacks = _java()
    facts = [java] if java else []
    if java is None:
        lacks.append(("Java", "install a Java 11 or 17, and put it on PATH or set JAVA_HOME"))
    option = f"{name}_job_server_jar"
    given = options.value(option) if options else ""
    jars = [given] if given else [*_jars(name)]
    jar = next((path for path in jars if path and os.path.isfile(path)), None)
    if jar:
        facts.append(jar)
    elif not (options and options.given("job_endpoint")):
        lacks.append(
            (
                f"its job server's jar{f' at {given}' if given else ''}",
                f"make engines builds it (then -- --{option.replace('_', '-')}=FILE), or let Beam download it at the first run",
            )
        )
    master = options.value(f"{name}_master") or options.value("spark_master_url") if options else ""
    if name == "flink" and master and "://" not in master and ":" in master:
        host, _, port = master.rpartition(":")
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
            facts.append(f"the master {master} answers")
        except (OSError, ValueError) as error:
            lacks.append((f"an answer of its master {master}", f"start the cluster, or correct --flink_master ({error})"))
    return ", ".join(facts), lacks


def _dataflow() -> tuple[str, list[Lack]]:
    lacks: list[Lack] = []
    try:
        require_extra()
    except RefineryError as error:
        lacks.append(("Google's client libraries", error.remedy))
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    default = os.path.join(os.path.expanduser("~"), ".config", "gcloud", "application_default_credentials.json")
    file = named or default
    if not os.path.isfile(file):
        lacks.append((f"credentials at {file}", "gcloud auth application-default login, unless this machine is one of Google's"))
    return "the client libraries and credentials are there" if not lacks else "", lacks


def _java() -> tuple[str | None, list[Lack]]:
    """The version of the Java that Beam would start."""
    home = os.environ.get("JAVA_HOME", "")
    path = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not path or not os.path.isfile(path):
        return None, []
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return path, [("a Java that starts", f"mend or replace {path}: {error}")]
    first = (done.stderr or done.stdout).splitlines()
    if done.returncode:
        return path, [("a Java that starts", f"mend or replace {path}: {first[0] if first else 'it says nothing'}")]
    return f"{first[0] if first else 'java'} ({path})", []


def _jars(name: str) -> list[str]:
    version = package_version("apache-beam") or ""
    built = [os.path.join(folder, f"{name}-job-server.jar") for folder in _engine_folders()]
    built += [os.path.join(folder, name, f"{name}-job-server.jar") for folder in _engine_folders()]
    return [*built, *(path for path in _beam_cache("jars", f"beam-runners-{name}") if version in path and path.endswith(".jar"))]


def _engine_folders() -> list[str]:
    """Where `make engines` puts what it builds."""
    named = os.environ.get("REFINERY_BEAM_ENGINES")
    above = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [named] if named else [os.path.join(above, "refinery-beam", "engines")]


def _below(folder: str, beginning: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(beginning))
    except OSError:
        return []


def _beam_cache(folder: str, beginning: str) -> list[str]:
    return _below(os.path.join(os.path.expanduser(BEAM_HOME), *folder.split("/")), beginning)
