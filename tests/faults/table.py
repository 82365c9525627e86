"""The table of faults: every fault at every point of a run, on disks and on real store servers; prints what came of it.

    python tests/faults/table.py                     everything (`make test-faults`; hours)
    python tests/faults/table.py --seconds 300       as many as fit, some of every row, others with another --seed
    python tests/faults/table.py --only SIGKILL --stores local

A case is one run of the command line that something happens to, and then a run of the same recipe that nothing happens to. It counts

broken      an instance that is there and is not whole, another digest than that of a clean run, or an attempt that stays behind
hang        more than ten seconds between the fault and the end of the run
left        a process of the run that is there ten seconds after its end
wrong code  another exit code than the documentation promises
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.cache import home
from refinery_beam.cache.attempts.staging import YOUNG
from support import store_servers
from support.fault_points import HOOK, POINTS, Point
from support.processes import left_over

HANG_SECONDS = 10.0
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}], on_error: {on_error}, max_bad_fraction: 0.5}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.75, test: 0.25}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 16, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
Output:
  record_schema: {{image: {{dtype: float32, shape: [16, 16, 3]}}, label: {{dtype: str}}}}
  shard_records: 3
Sinks:
  - {{name: arrays, stage: post_pipeline, field: image, format: npy_per_record, path_template: "{{split}}/{{record_id}}.npy"}}
"""


@dataclass
class Outcome:
    """What one case came to; '' and 0 where all is well."""

    broken: str = ""
    hang: float = 0.0
    left: str = ""
    code: str = ""
    struck: bool = True
    reused: int = 0

    @property
    def faults(self) -> list[str]:
        hang = f"hung for {self.hang:.0f} s" if self.hang else ""
        return [f"{word}: {said}" for word, said in vars(self).items() if word in ("broken", "left", "code") and said] + (
            [hang] if hang else []
        )


@dataclass(frozen=True)
class Case:
    """A row of the table is a `group`; `name` says which case of it this is."""

    group: str
    name: str
    store: str
    run: Callable[[Bench, Case], Outcome] = field(compare=False)


class Bench:
    """Pictures, a clean digest, and a cache root for each case."""

    def __init__(self, folder: Path, servers: Mapping[str, store_servers.Server]) -> None:
        self.folder, self.servers = folder, servers
        self.photos = folder / "photos"
        subprocess.run(
            [sys.executable, "-m", "refinery_beam.testing.images", "folders", str(self.photos)], check=True, stdout=subprocess.DEVNULL
        )
        for file in sorted(self.photos.rglob("*.*")):
            if file.is_file() and int(file.stem.rpartition("_")[2]) >= 5:
                file.unlink()
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(HOOK)
        self.buckets = {name: server.make_bucket("faults") for name, server in servers.items()}
        self._number = 0
        self._lock = threading.Lock()
        self._running = threading.Lock()
        self.digest = self.again(self.new("clean"), str(folder / "clean-root")).manifest.files_digest

    def new(self, name: str, *, own_photos: bool = False, on_error: str = "fail") -> Path:
        """A recipe in a folder of its own."""
        with self._lock:
            self._number += 1
            folder = self.folder / f"case-{self._number}"
        folder.mkdir()
        photos = Path(shutil.copytree(self.photos, folder / "photos")) if own_photos else self.photos
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE.format(path=photos, on_error=on_error))
        return recipe

    def root(self, recipe: Path, store: str) -> str:
        return str(recipe.parent / "cache") if store == "local" else f"{self.buckets[store]}/{recipe.parent.name}"

    def start(self, recipe: Path, root: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        python = f"{self.folder / 'hook'}{os.pathsep}{Path.cwd()}"
        variables = {**os.environ, "PYTHONPATH": python, "CASE": str(recipe.parent), **environment}
        command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", root, *more]
        out = open(recipe.parent / "stdout", "w")  # noqa: SIM115 - of the process
        err = open(recipe.parent / "stderr", "w")  # noqa: SIM115
        with out, err:
            return subprocess.Popen(command, stdout=out, stderr=err, text=True, env=variables, start_new_session=True)

    def again(self, recipe: Path, root: str) -> rb.RunResult:
        with self._running:
            return rb.run(recipe, cache_root=root, mode="threads", workers=2)

    def judge(self, recipe: Path, root: str, outcome: Outcome, *, digest: str | None = None) -> Outcome:
        """Look at what is there, run again, and look once more. A process of the struck run that is not gone keeps its attempt."""
        left = left_over(recipe.parent, seconds=HANG_SECONDS)
        try:
            before = rb.status(recipe, cache_root=root)
            if before.status == "damaged":
                outcome.broken = f"after the fault: {before.damage}"
            elif before.status == "hit" and not rb.verify(before.path, cache_root=root, deep=True).ok:
                outcome.broken = "after the fault: an instance that does not verify"
            result = self.again(recipe, root)
            outcome.reused = result.reused.shards
            if digest is not None and result.manifest.files_digest != digest:
                outcome.broken = outcome.broken or "another digest than that of a clean run"
            if not rb.verify(result.path, cache_root=root, deep=True).ok:
                outcome.broken = outcome.broken or "the run after it gave an instance that does not verify"
            # A folder that was not yet an attempt may be that of a run which begins just now: it stays for a minute.
            names = locations.names(locations.join(home(root), "staging"))
            staying = [name for name in names if name.count("-") >= 3 and not name.startswith(YOUNG)]
            staying += locations.names(locations.join(root, "staging")) if locations.is_url(root) else []
            if staying or locations.names(locations.join(root, "resume")):
                outcome.broken = outcome.broken or f"left behind: {staying or 'resume'}"
        except Exception as error:
            outcome.broken = outcome.broken or f"the run after it: {type(error).__name__}: {error}"
        left += left_over(recipe.parent, seconds=HANG_SECONDS)
        outcome.left = ", ".join(left)
        return outcome


def struck(point: Point, signal_name: str, who: str, mode: str) -> Callable[[Bench, Case], Outcome]:
    """A signal at a point."""

    def run(bench: Bench, case: Case) -> Outcome:
        recipe = bench.new(case.name)
        root, at = bench.root(recipe, case.store), recipe.parent / "struck"
        fault = {
            "FAULT_MODULE": point.module,
            "FAULT_FUNCTION": point.function,
            "FAULT_WHEN": point.when,
            "FAULT_NTH": str(point.nth),
            "FAULT_STRUCK": str(at),
            "FAULT_WHO": who,
            "FAULT_SIGNAL": signal_name,
        }
        process = bench.start(recipe, root, "--mode", mode, "--workers", "2", **fault)
        code = process.wait(timeout=150)
        ended = time.time()
        outcome = Outcome(struck=at.exists())
        if not outcome.struck:
            outcome.code = "" if code == 0 else f"{code}, and nothing was struck"
            return bench.judge(recipe, root, outcome, digest=bench.digest)
        seconds = ended - float(at.read_text())
        outcome.hang = seconds if seconds > HANG_SECONDS else 0.0
        number = int(getattr(signal, signal_name))
        there = rb.status(recipe, cache_root=root).status == "hit"
        allowed = allowed_codes(signal_name, number, who, there=there, late=point.late)
        if code not in allowed:
            outcome.code = f"{code}, not one of {sorted(allowed)}; stderr: {(recipe.parent / 'stderr').read_text()[-300:]}"
        if "Traceback" in (recipe.parent / "stderr").read_text():
            outcome.code = outcome.code or "a traceback on stderr"
        return bench.judge(recipe, root, outcome, digest=bench.digest)

    return run


def allowed_codes(signal_name: str, number: int, who: str, *, there: bool, late: bool) -> set[int]:
    """A signal that ends the driver is its exit code; Ctrl-C is 130, or 0 where the instance was there already; a worker that ends is 4."""
    if signal_name == "SIGINT":
        # One thread or process in the background of a terminal is no store that Ctrl-C reaches; its end is that of a worker.
        return {130, *({0} if there or late else set()), *({4} if who == "here" else set())}
    if who != "here":
        return {-number}
    return {-number, 4, *({0} if there and late else set())}


def full_disk(kilobytes: int) -> Callable[[Bench, Case], Outcome]:
    """A cache root on a disk of so many kilobytes, which then has room."""

    def run(bench: Bench, case: Case) -> Outcome:
        recipe = bench.new(case.name)
        root = recipe.parent / "cache"
        root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(root)], check=True)
        try:
            begun = time.time()
            code = bench.start(recipe, str(root), "--json").wait(timeout=150)
            outcome = Outcome(hang=0.0 if time.time() - begun < 60 else time.time() - begun)
            said = json.loads((recipe.parent / "stdout").read_text() or "{}")
            codes = [error["code"] for error in said.get("errors", ())]
            if code not in (0, 3) or (code == 3 and codes != ["no-space"]):
                outcome.code = f"{code} {codes}"
            subprocess.run(["mount", "-o", "remount,size=64m", str(root)], check=True)
            return bench.judge(recipe, str(root), outcome, digest=bench.digest)
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)

    return run


def changed_files(what: str, on_error: str) -> Callable[[Bench, Case], Outcome]:
    """Files that change, go or come while records are written."""

    def run(bench: Bench, case: Case) -> Outcome:
        recipe = bench.new(case.name, own_photos=True, on_error=on_error)
        root = bench.root(recipe, case.store)
        at = recipe.parent / "struck"
        # The first record that is prepared waits here until the files are as they are to be.
        fault = {"FAULT_MODULE": "refinery_beam.pipeline.translate", "FAULT_FUNCTION": "translate", "FAULT_WHEN": "end", "FAULT_NTH": "1"}
        process = bench.start(recipe, root, "--json", FAULT_STRUCK=str(at), FAULT_WHO="here", FAULT_SIGNAL="SIGSTOP", **fault)
        deadline = time.time() + 60
        while not at.exists() and time.time() < deadline:
            time.sleep(0.02)
        victims = sorted(p for p in (recipe.parent / "photos").rglob("*.*") if p.is_file())[:3]
        whole = {path: path.read_bytes() for path in victims}
        for path, data in whole.items():
            if what == "removed":
                path.unlink()
            elif what == "changed":
                path.write_bytes(data[:-9] + bytes(9))
            else:
                (path.parent / f"new_{path.name}").write_bytes(data)
        _go_on(recipe.parent)
        code = process.wait(timeout=150)
        outcome = Outcome()
        codes = sorted({error["code"] for error in json.loads((recipe.parent / "stdout").read_text() or "{}").get("errors", ())})
        wanted = {"removed": (3, ["source-unreadable"]), "changed": (1, ["changed-during-run"]), "added": (0, [])}[what]
        if (code, codes) != wanted:
            outcome.code = f"{code} {codes}, not {wanted}"
        for path, data in whole.items():
            path.write_bytes(data)
            (path.parent / f"new_{path.name}").unlink(missing_ok=True)
        return bench.judge(recipe, root, outcome, digest=bench.digest if on_error == "fail" else None)

    return run


def _go_on(folder: Path) -> None:
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and f"CASE={folder}".encode() + b"\0" in Path(f"/proc/{entry}/environ").read_bytes():
                os.kill(int(entry), signal.SIGCONT)
        except OSError:
            continue


def faulty_store(how: str, every: int) -> Callable[[Bench, Case], Outcome]:
    """A store that refuses every so-many-th request, or does it and loses the answer."""

    def run(bench: Bench, case: Case) -> Outcome:
        recipe = bench.new(case.name)
        root = bench.root(recipe, case.store)
        code = bench.start(recipe, root, "--mode", "threads", "--workers", "2", FAULT_STORE=f"{how}:{every}").wait(timeout=300)
        outcome = Outcome()
        if code not in (0, 3):
            outcome.code = f"{code}; stderr: {(recipe.parent / 'stderr').read_text()[-300:]}"
        return bench.judge(recipe, root, outcome, digest=bench.digest)

    return run


def writers(count: int) -> Callable[[Bench, Case], Outcome]:
    """Several runs of one recipe at once."""

    def run(bench: Bench, case: Case) -> Outcome:
        recipe = bench.new(case.name)
        root = bench.root(recipe, case.store)
        runs = [bench.start(recipe, root, "--mode", "threads", "--workers", "1") for _ in range(count)]
        codes = [process.wait(timeout=400) for process in runs]
        return bench.judge(recipe, root, Outcome(code="" if set(codes) == {0} else str(codes)), digest=bench.digest)

    return run


SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM", "SIGHUP")
WHO = {
    "driver": "the driver",
    "here": "the process at work: driver, child or worker",
    "group": "the process group, as a terminal does",
    "all": "every process of the run",
}
ONE_VICTIM = ("driver", "here")
"""Victims that are one process, whatever the others do."""


def every_case(stores: list[str], *, can_mount: bool) -> Iterator[Case]:
    """All cases, in a fixed order.

    Every signal strikes every victim at every point once. How the workers run is dealt out among these so that it meets every pair of
    point, signal and victim: the three numbers are added, and odd sums are processes. Groups and whole runs are no matter of a store, so
    there every signal strikes at every point once, at one of the two other victims in turn, on S3 at the one and on GCS at the other.
    """
    for which, store in enumerate(stores):
        for i, signal_name in enumerate(SIGNALS):
            for k, who in enumerate(WHO if store == "local" else ONE_VICTIM):
                for n, point in enumerate(POINTS):
                    if store != "local" and (i + k + n + which) % 2:
                        continue
                    mode = "processes" if store == "local" and (i + k + n) % 2 else "threads"
                    name = f"{store} {mode} {signal_name} {who}: {point.name}"
                    yield Case(f"{signal_name} at {who}, {store}", name, store, struck(point, signal_name, who, mode))
        if store == "local" and can_mount:
            for kilobytes in (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512):
                yield Case("a full disk, local", f"a disk of {kilobytes} kB", store, full_disk(kilobytes))
        if store == "local":
            for on_error in ("fail", "quarantine"):
                for what in ("changed", "removed", "added"):
                    yield Case(f"files that are {what}, {store}", f"{what} under {on_error}", store, changed_files(what, on_error))
        else:
            for how in ("refused", "lost"):
                for every in (2, 3, 5, 7, 11, 17):
                    said = "refuses requests" if how == "refused" else "loses answers"
                    yield Case(f"a store that {said}, {store}", f"{store}: {how}, every {every}", store, faulty_store(how, every))
        yield Case(f"8 writers, {store}", f"{store}: 8 writers", store, writers(8))


def dealt(cases: list[Case], seed: int) -> list[Case]:
    """The cases in an order by chance, one of each row of the table in turn: whatever there is time for holds something of all rows."""
    rows: dict[str, list[Case]] = {}
    for case in random.Random(seed).sample(cases, len(cases)):
        rows.setdefault(case.group, []).append(case)
    return [case for turn in zip_longest(*rows.values()) for case in turn if case is not None]


@contextmanager
def all_servers(stores: list[str], folder: Path) -> Iterator[dict[str, store_servers.Server]]:
    with ExitStack() as stack:
        found = {}
        for store in stores:
            if store != "local":
                found[store] = stack.enter_context(contextmanager(store_servers.start)(store, folder))
                os.environ.update(found[store].environment())
        os.environ["XDG_CACHE_HOME"] = str(folder / "home")
        yield found


def may_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=0, help="a sample: as many cases as fit into so many seconds")
    options.add_argument("--seed", type=int, default=int(time.time()), help="which order, and so which sample")
    options.add_argument("--skip", type=int, default=0, help="leave out so many of that order, which an earlier sample had")
    options.add_argument("--only", default="", help="cases whose name holds this text")
    options.add_argument("--stores", default="local,s3,gs")
    options.add_argument("--jobs", type=int, default=2, help="cases at a time")
    given = options.parse_args()
    stores = given.stores.split(",")
    if "gs" in stores and not store_servers.SERVER.exists():
        stores.remove("gs")
        print("gs: left out, fake-gcs-server is not there (launchers/engines.sh gcs)")
    cases = [case for case in every_case(stores, can_mount=may_mount()) if given.only in case.name]
    every = len(cases)
    cases = dealt(cases, given.seed)[given.skip :]
    print(f"{len(cases)} of {every} cases, in the order of --seed {given.seed}", flush=True)
    begun = time.monotonic()
    for struck_by in ("SIGINT", "SIGTERM", "SIGHUP"):  # whoever starts the table may have had one ignored, and its runs would ignore it too
        signal.signal(signal.Signals[struck_by], signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name, all_servers(stores, Path(name)) as servers:
        bench = Bench(Path(name), servers)

        def carried_out(case: Case) -> tuple[Case, Outcome | None]:
            if given.seconds and time.monotonic() - begun > given.seconds:
                return case, None
            try:
                return case, case.run(bench, case)
            except subprocess.TimeoutExpired:
                return case, Outcome(hang=150.0)
            except Exception as error:
                return case, Outcome(broken=f"the case itself: {type(error).__name__}: {error}")

        with ThreadPoolExecutor(given.jobs) as pool:
            done = []
            for case, outcome in pool.map(carried_out, cases):
                if outcome is not None:
                    done.append((case, outcome))
                    if outcome.faults:
                        print(f"FAULT {case.name}: {'; '.join(outcome.faults)}", flush=True)
    return report(done, of=every, seed=given.seed, seconds=time.monotonic() - begun)


def report(done: list[tuple[Case, Outcome]], *, of: int, seed: int, seconds: float) -> int:
    """Print the table; gives the exit code."""
    groups: dict[str, Counter[str]] = {}
    for case, outcome in done:
        row = groups.setdefault(case.group, Counter())
        row["cases"] += 1
        row["not struck"] += not outcome.struck
        row["broken"] += bool(outcome.broken)
        row["hangs"] += bool(outcome.hang)
        row["left"] += bool(outcome.left)
        row["wrong codes"] += bool(outcome.code)
        row["shards reused"] += outcome.reused
    words = ("cases", "broken", "hangs", "left", "wrong codes", "shards reused", "not struck")
    total: Counter[str] = sum(groups.values(), Counter())
    width = max(map(len, [*groups, "all"]), default=3)
    print(f"{'fault'.ljust(width)}  " + "  ".join(words))
    for name, row in [*sorted(groups.items()), ("all", total)]:
        print(f"{name.ljust(width)}  " + "  ".join(f"{row[word]:>{len(word)},}" for word in words))
    print(f"{len(done)} of {of} cases at {len(POINTS)} points in {seconds / 60:.0f} minutes, in the order of --seed {seed}")
    return 1 if any(total[word] for word in ("broken", "hangs", "left", "wrong codes")) else 0


if __name__ == "__main__":
    sys.exit(main())
