"""What a run would cost: a few files are tried, and the rest is arithmetic.

Nothing of it enters an identity or an output. Times are of this machine at this moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from time import perf_counter
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RefineryError
from refinery_beam.forked.elsewhere import pays
from refinery_beam.launch.build.engine import local_options, processes_of_threads
from refinery_beam.launch.build.expected import expected_bytes, expected_rows
from refinery_beam.launch.cost import WORTH, Cheaper, Cost
from refinery_beam.launch.prepare import Prepared
from refinery_beam.launch.trial import Trial, trial
from refinery_beam.locations.space import free_bytes
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.refs import undivided_refs
from refinery_beam.plugins.base import BadRecord, PluginFailed
from refinery_beam.record.worker import Worker
from refinery_beam.records import Ref
from refinery_beam.runners.options import read_options

FILES, MOST, ENOUGH, PATIENCE = 16, 256, 0.1, 1.0
"""How many files are probed: so many, and up to so many until enough seconds are spent on decoding; fewer when patience ends before."""

START_SECONDS, ROW_SECONDS = 4.0, 0.0002
"""What a run takes besides its passes: to start and to end, and for each row that goes through the local engine."""

DRIVER_BYTES, WORKER_BYTES, FORKED_BYTES = 300_000_000, 200_000_000, 100_000_000
"""The memory of a run without records, of each worker process, and of each process that is forked to prepare records."""

REF_BYTES, WHOLE_REF_BYTES = 500, 1400
"""The memory of the local engine for each row, and where other processes work, which read refs in full; docs/scale.md."""

INPUT_BYTES, PAGE_BYTES = 150, 400_000
"""What an instance has besides its rows: for each file of the sources, and in any case."""


def estimate(prepared: Prepared) -> Cost | None:
    """About what a run of the recipe would cost; None where no file can be probed. Reads a few files of this machine, and writes their rows
    to a temporary folder.
    """
    try:
        return _Probe(prepared).cost()
    except (RefineryError, BadRecord, PluginFailed, OSError):
        return None  # the run names what is wrong


def warn_of_short_disk(prepared: Prepared) -> None:
    """Warn before a run builds what its disk cannot hold. Probes files only if the dataset without compression would not fit."""
    root, index = locations.absolute(prepared.settings.root), prepared.index
    if locations.is_url(root):
        return
    free = free_bytes(root)
    if free is None or expected_bytes(prepared.plan, prepared.plugin, index.entries, source_bytes=index.facts.bytes) <= free:
        return
    cost = estimate(prepared)
    if cost is not None and cost.is_short:
        prepared.settings.warn(cost.short(root))


class _Probe:
    """The probed files of a prepared recipe: local ones, the first by the hash of their record."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.plugin = prepared.plugin
        self.plan = replace(prepared.plan, on_error="quarantine")  # a bad file is left out, as the run would say
        records = len(prepared.index.entries)
        self.local = local_options(prepared.settings, records)
        self.engine = read_options(prepared.settings.runner, prepared.settings.beam_options).runner
        self.is_local = self.engine == "direct"
        self.rows = self._rows(varied=True)
        self.records = self._rows(varied=False)
        self.refs: list[Ref] = []
        self.decoded_bytes, self.decode_seconds = 0, 0.0
        self._decode()

    def _rows(self, *, varied: bool) -> dict[str, Fraction]:
        found = expected_rows(self.plan, self.plugin, self.prepared.index.entries, varied=varied)
        return {split: rows for split, rows in found.items() if rows and split in self.plan.chains}

    def _decode(self) -> None:
        """Decode the files once: those that are bad, or come after so much time, are not probed."""
        worker, sources, spent = Worker(self.plan), self.prepared.index.sources, 0.0
        refs = (r for r in undivided_refs(self.prepared.index, self.plan, self.plugin) if not sources[r.source].remote)
        for ref in islice(refs, MOST if self.rows else 0):
            some = ref._replace(split=next(iter(self.rows)))
            try:
                data = worker.files.read(some)
                for _ in range(1 if self.refs else 2):  # what is imported for the first is not counted
                    begun = perf_counter()
                    if self.plan.decodes:
                        content = worker.kind.plain(worker.files.decode(some, data))
                        self.decoded_bytes = max(self.decoded_bytes, getattr(content, "nbytes", 0))
            except (BadRecord, PluginFailed, RefineryError):
                continue
            spent += perf_counter() - begun
            self.refs.append(some)
            if spent > (ENOUGH if len(self.refs) >= FILES else PATIENCE):
                break
        self.decode_seconds = spent / max(1, len(self.refs))

    def cost(self) -> Cost | None:
        """The cost of the plan, and of what would be cheaper."""
        if not self.refs:
            return None
        plan, settings = self.plan, self.prepared.settings
        tried = trial(plan, self.refs, self.rows, threads=self.local.threads)
        seconds, disk = self._seconds(plan, tried), self._disk(tried)
        root = locations.absolute(settings.root)
        free = None if locations.is_url(root) else free_bytes(root)
        cheaper = [*self._draft(seconds[1])]
        if free is not None and sum(disk.values()) > free:
            cheaper += self._smaller(sum(disk.values()))
        own = [p for p in plan.fits if not p.riding]
        return Cost(
            files=len(self.refs),
            rows=round(sum(self.rows.values())),
            passes=1 + len(own) + len(self._decoding_passes()),
            seconds=seconds[0],
            processor_seconds=seconds[1],
            workers=self.local.workers if self.is_local else None,
            mode=self.engine if not self.is_local else "processes" if self._forks(tried) else self.local.mode,
            memory=self._memory(tried),
            disk=disk,
            free=free,
            filtered=bool(plan.pre_filters or plan.post_filters),
            cheaper=tuple(cheaper),
        )

    def _decoding_passes(self) -> list[Fraction]:
        """The records of each pass that decodes files to decide about them."""
        every = sum(self.records.values(), Fraction(0))
        found = [every for step in self.plan.pre_filters if step.needs_pixels]
        found += [every] if self.plan.split.near_distance is not None else []
        kept = [
            sum((self.records.get(split, Fraction(0)) for split in s.splits), Fraction(0)) for s in self.plan.post_filters if s.needs_pixels
        ]
        return [*found, *kept]

    def _seconds(self, plan: Plan, tried: Trial) -> tuple[float | None, float]:
        """The time of a run, None where the engine is not local, and its processor time."""
        points = {point.name: self.records.get(point.split, Fraction(0)) for point in plan.fits}
        others = sum(tried.fits[name] * float(points[name]) for name in tried.fits)
        others += self.decode_seconds * float(sum(self._decoding_passes()))
        rows = float(sum(self.rows.values()))
        if self._forks(tried):
            work = (tried.cpu * rows + others) / self.local.workers
        elif self.local.mode == "processes":
            work = (tried.wall * rows + others) / self.local.workers
        else:
            at_once = min(self.local.workers, max(1.0, tried.cpu / tried.wall))
            work = tried.wall * rows + others / at_once
        processors = START_SECONDS + others + (tried.cpu + ROW_SECONDS) * rows
        return START_SECONDS + work + ROW_SECONDS * rows if self.is_local else None, processors

    def _forks(self, tried: Trial) -> bool:
        """Whether a run would have its records prepared by forked processes."""
        return processes_of_threads(self.prepared.settings, len(self.prepared.index.entries)) > 1 and pays(
            tried.cpu, tried.bytes["content"]
        )

    def _disk(self, tried: Trial) -> dict[str, int]:
        rows = sum(self.rows.values())
        return {
            **{name: round(Fraction(each) * rows) for name, each in tried.bytes.items()},
            "others": PAGE_BYTES + INPUT_BYTES * len(self.prepared.index.entries),
        }

    def _memory(self, tried: Trial) -> int:
        """What runs without records, refs in the local engine, decoded files in work, and rows that wait to be written."""
        plan, workers = self.plan, self.local.workers if self.is_local else 1
        whole = self.local.mode == "processes"
        refs = round(sum(self.rows.values())) * (WHOLE_REF_BYTES if whole else REF_BYTES) if self.is_local else 0
        each = WORKER_BYTES if whole else FORKED_BYTES if self._forks(tried) else 0
        processes = workers * each if self.is_local else 0
        waiting = 4 * plan.output.storage.row_group_bytes + round(8 * tried.bytes["content"])
        return DRIVER_BYTES + processes + refs + workers * (2 * self.decoded_bytes + waiting)

    def _draft(self, seconds: float) -> Iterator[Cheaper]:
        """Shrinking while decoding, where files are much larger than what the first step makes of them."""
        plan = self.plan
        first = next((chain.steps[0].out.shape for chain in plan.chains.values() if chain.steps), ())
        sides = [n for n in first if n is not None]
        if plan.decode.get("draft") is not False or len(sides) < len(first) or self.decoded_bytes < 4 * math.prod(sides) or not sides:
            return
        yield from self._change(replace(plan, decode={**plan.decode, "draft": True}), "Input.decode.draft", True, seconds=seconds)

    def _smaller(self, disk: int) -> Iterator[Cheaper]:
        """Other encodings and compressions, where the disk is short."""
        out = self.plan.output
        if out.content_field is None or out.encoding == "source":
            return
        packed = replace(out, storage=replace(out.storage, content="zstd:3", fields="zstd:3"))
        yield from self._change(replace(self.plan, output=packed), "Output.compression", "zstd:3", disk=disk)
        for word in ("png", "jpeg"):
            if word in self.plugin.encodings and word != out.encoding and dict(out.fields)[out.content_field].dtype == "uint8":
                yield from self._change(replace(self.plan, output=replace(out, encoding=word)), "Output.encoding", word, disk=disk)

    def _change(self, plan: Plan, field: str, value: Any, *, seconds: float = 0, disk: int = 0) -> Iterator[Cheaper]:
        """A change, if it takes much less than so many seconds of processors, or so much of the disk."""
        try:
            tried = trial(plan, self.refs, self.rows, threads=self.local.threads)
        except (RefineryError, BadRecord, PluginFailed):
            return
        (wall, cpu), size = self._seconds(plan, tried), sum(self._disk(tried).values())
        if cpu <= WORTH * seconds or size <= WORTH * disk:
            yield Cheaper(field=field, value=value, seconds=wall, disk=size)
