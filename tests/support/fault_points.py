"""Places in a run at which a test strikes, and the hook that does it inside the run's own processes."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """A call at which something happens: `when` it begins or has ended, at the `nth` time in all processes of the run together.

    `phase` says where in a run that is, `late` that the instance may be whole by then.
    """

    name: str
    phase: str
    module: str
    function: str
    when: str = "begin"
    nth: int = 1
    late: bool = False


POINTS = (
    Point("listing begins", "prepare", "refinery_beam.index.build", "build_index"),
    Point("key is known", "prepare", "refinery_beam.planning.build", "build_plan", "end", 2),
    Point("an attempt begins", "stage", "refinery_beam.cache.attempts.staging", "Staging.open"),
    Point("an attempt has begun", "stage", "refinery_beam.cache.attempts.staging", "Staging.open", "end"),
    Point("refs are written", "stage", "refinery_beam.job.index_parts", "write_index", "end"),
    Point("the job is built", "engine", "refinery_beam.pipeline.translate", "translate", "end"),
    Point("a statistic is fitted", "fit", "refinery_beam.record.worker", "Worker.observe", "begin", 5),
    Point("a partial statistic is kept", "fit", "refinery_beam.resume.shards", "FitParts.keep", "begin"),
    Point("a record is prepared", "write", "refinery_beam.record.worker", "Worker.prepare", "begin", 6),
    Point("a shard is written", "write", "refinery_beam.record.shard", "write_shard", "end", 2),
    Point("a part is linked", "write", "refinery_beam.resume.parts", "Parts._put", "end", 3),
    Point("a part is kept", "write", "refinery_beam.resume.shards", "ShardParts.keep", "end", 2),
    Point("rows are reported", "write", "refinery_beam.job.row_files", "write_rows", "end", 1),
    Point("results are collected", "collect", "refinery_beam.launch.build.collected.collect", "collect"),
    Point("the manifest is made", "collect", "refinery_beam.launch.build.manifest", "manifest_body", "end"),
    Point("promotion begins", "promote", "refinery_beam.cache.promote", "promote"),
    Point("everything is checked", "promote", "refinery_beam.cache.promote", "_step", "begin", 1),
    Point("files are durable", "promote", "refinery_beam.cache.promote", "_step", "begin", 2),
    Point("the manifest is written", "promote", "refinery_beam.cache.promote", "_step", "begin", 3),
    Point("the instance appears", "promote", "refinery_beam.cache.promote", "_step", "begin", 4, late=True),
    Point("parts are removed", "end", "refinery_beam.launch.build.attempt", "discard", "begin", 1, late=True),
    Point("the attempt is closed", "end", "refinery_beam.cache.attempts.staging", "Staging.close", "begin", 1, late=True),
    Point("the result is printed", "end", "refinery_beam.cli.run", "summary", "begin", 1, late=True),
)

HOOK = r'''
import importlib.abc, importlib.util, os, signal, sys, time

def strike():
    """Once in a run: note the time, and send the signal."""
    try:
        handle = os.open(os.environ["FAULT_STRUCK"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(handle, str(time.time()).encode())
    os.close(handle)
    who, number = os.environ["FAULT_WHO"], getattr(signal, os.environ["FAULT_SIGNAL"])
    if who == "group":
        os.killpg(int(os.environ["FAULT_DRIVER"]), number)
    elif who == "all":
        mark = b"FAULT_STRUCK=" + os.environ["FAULT_STRUCK"].encode()
        mine = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and mark in open(f"/proc/{entry}/environ", "rb").read():
                    mine.append(int(entry))
            except OSError:
                pass
        for pid in sorted(mine, key=lambda pid: pid == os.getpid()):
            try:
                os.kill(pid, number)
            except OSError:
                pass
    else:
        os.kill(int(os.environ["FAULT_DRIVER"]) if who == "driver" else os.getpid(), number)

def counted():
    handle = os.open(os.environ["FAULT_STRUCK"] + ".calls", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        os.write(handle, b".")
        return os.fstat(handle).st_size == int(os.environ["FAULT_NTH"])
    finally:
        os.close(handle)

def wrapped(function, when):
    plain = getattr(function, "__func__", function)
    def call(*a, **k):
        if when == "begin" and counted():
            strike()
        result = plain(*a, **k)
        if when == "end" and counted():
            strike()
        return result
    return classmethod(call) if isinstance(function, classmethod) or hasattr(function, "__self__") else call

class After(importlib.abc.MetaPathFinder):
    """Changes a module once it is imported."""

    def __init__(self, name, change):
        self.name, self.change = name, change

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            self.change(module)
        spec.loader.exec_module = exec_module
        return spec

def strike_there(module):
    owner, _, last = os.environ["FAULT_FUNCTION"].rpartition(".")
    home = getattr(module, owner) if owner else module
    setattr(home, last, wrapped(vars(home)[last], os.environ["FAULT_WHEN"]))

def faulty_store(module):
    how, every = os.environ["FAULT_STORE"].split(":")
    plain, calls = module._filesystem, [0]
    class Faulty:
        def __init__(self, fs):
            self._fs = fs
        def __getattr__(self, name):
            call = getattr(self._fs, name)
            if name not in ("pipe_file", "put_file", "cat_file", "info", "find", "ls", "rm_file"):
                return call
            def faulty(*a, **k):
                calls[0] += 1
                strikes = calls[0] % int(every) == 0
                if strikes and how == "refused":
                    raise ConnectionResetError(104, "Connection reset by peer")
                result = call(*a, **k)
                if strikes and how == "lost":
                    raise ConnectionResetError(104, "Connection reset by peer")
                return result
            return faulty
    module._filesystem = lambda url: Faulty(plain(url))

if "refinery_beam" in " ".join(sys.orig_argv):
    if "FAULT_MODULE" in os.environ:
        os.environ.setdefault("FAULT_DRIVER", str(os.getpid()))
        sys.meta_path.insert(0, After(os.environ["FAULT_MODULE"], strike_there))
    if "FAULT_STORE" in os.environ:
        sys.meta_path.insert(0, After("refinery_beam.locations.objects", faulty_store))
'''
