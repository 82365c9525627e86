"""What a run would cost: a few files go through the code of its passes, without Beam, and the rest is arithmetic.

Nothing of it enters an identity or an output. Times are of this machine at this moment.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import accumulate, islice
from time import perf_counter, process_time
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.errors import RefineryError
from refinery_beam.launch.build.engine import local_options
from refinery_beam.launch.build.expected import expected_bytes, expected_rows
from refinery_beam.launch.prepare import Prepared
from refinery_beam.locations.space import free_bytes
from refinery_beam.planning.generated import aggressive
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.refs import undivided_refs
from refinery_beam.plugins.base import ArrayType, BadRecord, FittedFeaturizeOp, GenerateOp, PluginFailed
from refinery_beam.record.extras import FILES as SINK_FILES
from refinery_beam.record.facts import part_location
from refinery_beam.record.lineage import expanded, generated_refs
from refinery_beam.record.shard import write_shard
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker, derive_fields, statistics_name
from refinery_beam.records import Ref, known_fields
from refinery_beam.reporting.page.words import size
from refinery_beam.runners.options import read_options

FILES, MOST, ENOUGH, PATIENCE = 16, 256, 0.1, 1.0
"""How many files are probed: so many, and up to so many until enough seconds are spent on decoding; fewer when patience ends before."""

START_SECONDS, ROW_SECONDS = 4.0, 0.0002
"""What a run takes besides its passes: to start and to end, and for each row that goes through the local engine."""

DRIVER_BYTES, WORKER_BYTES = 300_000_000, 200_000_000
"""The memory of a run without records, and of each worker process."""

REF_BYTES, CUT_REF_BYTES = 600, 1400
"""The memory of the local engine for each row, and where it cuts exact quotas behind a filter; docs/scale.md."""

INPUT_BYTES, PAGE_BYTES = 150, 400_000
"""What an instance has besides its rows: for each file of the sources, and in any case."""

WORTH = 0.8
"""What is cheaper is said where it takes at most this share."""


@dataclass(frozen=True, kw_only=True)
class Cheaper:
    """A change of the recipe that makes a run cheaper, measured on the probed files: the new value of a field, about the seconds of the run
    then, and the bytes of the dataset. It is another recipe, with another key.
    """

    field: str
    value: Any
    seconds: float | None
    disk: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """About what a run would cost. ``files`` were probed for it; ``rows`` will be stored, as far as no filter takes records out.
    ``passes`` decode files, the one that writes among them. ``seconds`` is the time of the run with so many ``workers`` of the ``mode``
    (threads, processes, or the name of another engine). ``seconds`` and ``workers`` are None on an engine that is not local, where
    ``processor_seconds`` are divided among its workers. ``memory`` is that of all processes, or there of one worker. ``disk`` has the bytes
    of the dataset by part: content, fields, facts, sinks, others; ``free`` is what the disk of the cache has left, None on a store.
    """

    files: int
    rows: int
    passes: int
    seconds: float | None
    processor_seconds: float
    workers: int | None
    mode: str
    memory: int
    disk: Mapping[str, int]
    free: int | None
    filtered: bool = False
    cheaper: tuple[Cheaper, ...] = ()

    @property
    def disk_bytes(self) -> int:
        """The bytes of the whole dataset."""
        return sum(self.disk.values())

    @property
    def is_short(self) -> bool:
        """Whether the dataset does not fit on the disk."""
        return self.free is not None and self.disk_bytes > self.free

    def to_dict(self) -> dict[str, Any]:
        """The object that `plan --json` prints under ``cost``."""
        rounded = {"seconds": _tenths(self.seconds), "processor_seconds": _tenths(self.processor_seconds)}
        changes = [{**asdict(one), "seconds": _tenths(one.seconds)} for one in self.cheaper]
        return {**asdict(self), **rounded, "disk": dict(self.disk), "disk_bytes": self.disk_bytes, "cheaper": changes}

    def lines(self) -> list[str]:
        """The cost in words."""
        time, owner = f"about {duration(self.processor_seconds)} of one processor", " of a worker"
        if self.seconds is not None:
            time, owner = f"about {duration(self.seconds)} with {self.workers} {self.mode}", ""
        room = "" if self.free is None else f" ({size(self.free)} are free)"
        basis = f"{self.files} probed file{'s' * (self.files != 1)}: {self.rows:,} rows, {self.passes} pass{'es' * (self.passes != 1)}"
        return [
            f"Cost: {time}, {size(self.memory)} of memory{owner}, {size(self.disk_bytes)} on disk{room}",
            f"  from {basis}" + (", records that filters take out included" if self.filtered else ""),
            *(f"  {_said(one)}" for one in self.cheaper),
        ]

    def short(self, root: str) -> str:
        """That the disk of a cache root is short, and what helps."""
        changes = "".join(f", or write {_said(one)}" for one in self.cheaper if one.disk < WORTH * self.disk_bytes)
        return (
            f"the dataset takes about {size(self.disk_bytes)}, and the disk of {root} has {size(self.free or 0)} left: free some"
            f" (refinery-beam clean), or name a --cache-root on another disk{changes}"
        )


def duration(seconds: float) -> str:
    """Seconds in words, rounded to two digits.

    >>> duration(0.4), duration(8), duration(83.2), duration(1234), duration(40000)
    ('1 second', '8 seconds', '83 seconds', '21 minutes', '11 hours')
    """
    for unit, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= 90 * unit / 60:
            count = seconds / unit
            return f"{count:.1f} {word}" if count < 10 else f"{float(f'{count:.2g}'):,.0f} {word}"
    count = max(1, round(seconds))
    return f"{count} second{'s' * (count != 1)}"


def _said(one: Cheaper) -> str:
    value = str(one.value).lower() if isinstance(one.value, bool) else one.value
    time = "" if one.seconds is None else f"about {duration(one.seconds)}, "
    return f"{one.field}: {value} ({time}{size(one.disk)} on disk; another recipe, with another key)"


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


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


class _Trial(NamedTuple):
    """What a plan takes for one row, in seconds and bytes; and for one record of each fit point with a pass of its own."""

    wall: float
    cpu: float
    fits: Mapping[str, float]
    bytes: Mapping[str, float]


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
        for ref in islice(refs, MOST):
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
        trial = self._trial(plan)
        seconds, disk = self._seconds(plan, trial), self._disk(trial)
        root = locations.absolute(settings.root)
        free = None if locations.is_url(root) else free_bytes(root)
        cheaper = [*self._draft(seconds[0])]
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
            mode=self.local.mode if self.is_local else self.engine,
            memory=self._memory(trial),
            disk=disk,
            free=free,
            filtered=bool(plan.pre_filters or plan.post_filters),
            cheaper=tuple(cheaper),
        )

    def _trial(self, plan: Plan) -> _Trial:
        """Fit and write the probed files, as rows of the splits in the proportions of the dataset."""
        worker, threads = Worker(plan), self.local.threads
        with tempfile.TemporaryDirectory(prefix="refinery-beam-plan-") as scratch:
            fitted, fits = self._fitted(worker)
            with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
                dealt = dict(self._dealt(plan))
                first = {split: refs[:1] for split, refs in dealt.items()}
                times = []
                for turn, some in enumerate((first, first, dealt)):  # to get warm; what shards cost without rows; all
                    folder = f"{scratch}/{turn}"
                    os.makedirs(f"{folder}/facts")
                    wall, cpu = perf_counter(), process_time()
                    written = [
                        write_shard(
                            worker,
                            refs,
                            fitted,
                            split=split,
                            shard=0,
                            shards=1,
                            folder=f"{folder}/dataset",
                            scratch=folder,
                            pool=pool,
                            threads=threads,
                            facts=f"{folder}/facts" if plan.output.facts else "",
                        )
                        for split, refs in some.items()
                    ]
                    times.append((perf_counter() - wall, process_time() - cpu))
            rows = sum(shard.row.records for shard in written)
            if not rows:
                raise BadRecord("truncated", "no probed file gives a row")
            sizes = self._bytes_a_row(plan, [f"{folder}/{shard.row.file}" for shard in written], rows)
            parts = [part_location(f"{folder}/facts", split, 0, 1) for split in dealt] if plan.output.facts else []
            sizes["facts"] = sum(sum(_columns(part).values()) for part in parts) / rows
            sinks = sum(row.bytes for shard in written for tag, row in shard.extras if tag == SINK_FILES)
            more = len(self.refs) - len(first)
            wall, cpu = (max(all - few, all / 4) / more if more else all / rows for few, all in zip(times[1], times[2], strict=True))
            return _Trial(wall, cpu, fits, {**sizes, "sinks": sinks / rows})

    def _dealt(self, plan: Plan) -> Iterator[tuple[str, list[Ref]]]:
        """The refs as rows of the splits, each split as often as it has rows; of what a ref becomes, one row after the other."""
        total, ends = sum(self.rows.values()), list(accumulate(self.rows.values()))
        by_split: dict[str, list[Ref]] = {}
        for k, ref in enumerate(self.refs):
            reached = total * (2 * k + 1) / (2 * len(self.refs))
            split = next(name for name, end in zip(self.rows, ends, strict=True) if reached <= end)
            by_split.setdefault(split, []).append(ref._replace(split=split))
        for split, some in by_split.items():
            made = [self._rows_of(plan, ref) for ref in some]
            yield split, [rows[k % len(rows)] for k, rows in enumerate(made)]

    def _rows_of(self, plan: Plan, ref: Ref) -> list[Ref]:
        """The records that generation and stored augmentation make of one."""
        found = [ref]
        for step in plan.generation:
            if step.kind == "variants" and ref.split in step.splits:
                bound = self.plugin.bind(step, GenerateOp)
                records = tuple(bound.call(bound.op.generated, bound.params))
                found = [made for one in found for made in generated_refs(one, step, records)]
        for varied in aggressive(plan.augmentations):
            if ref.split in varied.splits:
                found = [made for one in found for made in expanded(one, varied)]
        return found

    def _fitted(self, worker: Worker) -> tuple[Fitted, dict[str, float]]:
        """Statistics of the probed files, in place of those of the dataset, and the seconds a record of each fit pass."""
        plan, fitted, seconds = worker.plan, dict[str, Any](), {}
        for point in (point for point in plan.fits if not point.riding):
            merged, begun = worker.partial(point), perf_counter()
            for ref in self.refs:
                try:
                    merged.merge(worker.observe(point, ref._replace(split=point.split), fitted))
                except BadRecord:
                    continue
            seconds[point.name] = (perf_counter() - begun) / len(self.refs)
            fitted.update(worker.derive(point, merged.dumps(), fitted))
        values: dict[str, bytes] = {}
        for field in plan.fitted_fields():
            if field.needs_fit:
                bound = self.plugin.bind(field, FittedFeaturizeOp)
                partial = bound.call(bound.op.partial, bound.params)
                for ref in self.refs:
                    known = known_fields(ref, plan.label_field)
                    bound.call(partial.observe, [known.get(name) for name in field.inputs], ref.key)
                values[statistics_name(field)] = partial.dumps()
        return {**fitted, **derive_fields(worker, values)}, seconds

    def _bytes_a_row(self, plan: Plan, files: Sequence[str], rows: int) -> dict[str, float]:
        """Bytes of a row after compression: of the content, and of the other columns."""
        found = {"content": 0.0, "fields": 0.0}
        packed, whole, field = 0, 0, plan.output.content_field
        for file in files:
            for name, stored in _columns(file).items():
                if name == field:
                    packed += stored
                    whole += _columns(file, packed=False)[name]
                else:
                    found["fields"] += stored / rows
        if field is not None:
            declared = dict(plan.output.fields)[field]
            exact = self.plugin.encoding(plan.output.encoding).estimate(ArrayType(declared.dtype, declared.shape or ()), 0)
            found["content"] = exact * packed / whole if exact and None not in (declared.shape or (None,)) else packed / rows
        return found

    def _decoding_passes(self) -> list[Fraction]:
        """The records of each pass that decodes files to decide about them."""
        every = sum(self.records.values(), Fraction(0))
        found = [every for step in self.plan.pre_filters if step.needs_pixels]
        found += [every] if self.plan.split.near_distance is not None else []
        kept = [
            sum((self.records.get(split, Fraction(0)) for split in s.splits), Fraction(0)) for s in self.plan.post_filters if s.needs_pixels
        ]
        return [*found, *kept]

    def _seconds(self, plan: Plan, trial: _Trial) -> tuple[float | None, float]:
        """The time of a run, None where the engine is not local, and its processor time."""
        points = {point.name: self.records.get(point.split, Fraction(0)) for point in plan.fits}
        others = sum(trial.fits[name] * float(points[name]) for name in trial.fits)
        others += self.decode_seconds * float(sum(self._decoding_passes()))
        rows = float(sum(self.rows.values()))
        if self.local.mode == "processes":
            work = (trial.wall * rows + others) / self.local.workers
        else:
            at_once = min(self.local.workers, max(1.0, trial.cpu / trial.wall))
            work = trial.wall * rows + others / at_once
        processors = START_SECONDS + others + (trial.cpu + ROW_SECONDS) * rows
        return START_SECONDS + work + ROW_SECONDS * rows if self.is_local else None, processors

    def _disk(self, trial: _Trial) -> dict[str, int]:
        rows = sum(self.rows.values())
        return {
            **{name: round(Fraction(each) * rows) for name, each in trial.bytes.items()},
            "others": PAGE_BYTES + INPUT_BYTES * len(self.prepared.index.entries),
        }

    def _memory(self, trial: _Trial) -> int:
        """What runs without records, refs in the local engine, decoded files in work, and rows that wait to be written."""
        plan, workers = self.plan, self.local.workers if self.is_local else 1
        cut = plan.pre_filters and plan.split.mode == "ratios" and plan.split.method != "hash"
        refs = round(sum(self.rows.values())) * (CUT_REF_BYTES if cut else REF_BYTES) if self.is_local else 0
        processes = workers * WORKER_BYTES if self.is_local and self.local.mode == "processes" else 0
        waiting = 4 * plan.output.storage.row_group_bytes + round(8 * trial.bytes["content"])
        return DRIVER_BYTES + processes + refs + workers * (2 * self.decoded_bytes + waiting)

    def _draft(self, seconds: float | None) -> Iterator[Cheaper]:
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

    def _change(self, plan: Plan, field: str, value: Any, *, seconds: float | None = None, disk: int | None = None) -> Iterator[Cheaper]:
        """A change, if it takes much less than so many seconds or so much of the disk."""
        try:
            trial = self._trial(plan)
        except (RefineryError, BadRecord, PluginFailed):
            return
        faster, smaller = self._seconds(plan, trial), self._disk(trial)
        found = Cheaper(field=field, value=value, seconds=faster[0], disk=sum(smaller.values()))
        if (disk is not None and found.disk <= WORTH * disk) or (
            seconds is not None and faster[0] is not None and faster[0] <= WORTH * seconds
        ):
            yield found


def _columns(file: str, *, packed: bool = True) -> dict[str, int]:
    """The bytes of each column of a Parquet file, after compression or before."""
    import pyarrow.parquet as pq

    footer, found = pq.read_metadata(file), dict[str, int]()
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            name = column.path_in_schema.split(".")[0]
            found[name] = found.get(name, 0) + (column.total_compressed_size if packed else column.total_uncompressed_size)
    return found
