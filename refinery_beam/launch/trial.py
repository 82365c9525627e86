"""A plan tried on a few refs: fitted and written by the code of the passes, without Beam."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from fractions import Fraction
from itertools import accumulate
from time import perf_counter, process_time
from typing import Any, NamedTuple

from refinery_beam.planning.generated import aggressive
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import ArrayType, BadRecord, FittedFeaturizeOp, GenerateOp
from refinery_beam.record.extras import FILES
from refinery_beam.record.facts import part_location
from refinery_beam.record.lineage import expanded, generated_refs
from refinery_beam.record.prepared import Crew
from refinery_beam.record.shard import write_shard
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker, derive_fields, statistics_name
from refinery_beam.records import Ref, known_fields


class Trial(NamedTuple):
    """What a plan takes for one row, in seconds and bytes; and for one record of each fit point with a pass of its own."""

    wall: float
    cpu: float
    fits: Mapping[str, float]
    bytes: Mapping[str, float]


def trial(plan: Plan, refs: Sequence[Ref], rows_of: Mapping[str, Fraction], *, threads: int) -> Trial:
    """Fit and write some refs in a temporary folder, as rows of the splits in the proportions of `rows_of`. Raises BadRecord where none
    gives a row.
    """
    worker = Worker(plan)
    with tempfile.TemporaryDirectory(prefix="refinery-beam-plan-") as scratch:
        fitted, fits = _fitted(worker, refs)
        with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
            dealt = dict(_dealt(worker, refs, rows_of))
            first = {split: some[:1] for split, some in dealt.items()}
            times = []
            for turn, given in enumerate((first, first, dealt)):  # to get warm; what shards cost without rows; all
                folder = f"{scratch}/{turn}"
                os.makedirs(f"{folder}/facts")
                wall, cpu = perf_counter(), process_time()
                written = [
                    write_shard(
                        worker,
                        some,
                        fitted,
                        split=split,
                        shard=0,
                        shards=1,
                        folder=f"{folder}/dataset",
                        scratch=folder,
                        crew=Crew(pool=pool, threads=threads),
                        facts=f"{folder}/facts" if plan.output.facts else "",
                    )
                    for split, some in given.items()
                ]
                times.append((perf_counter() - wall, process_time() - cpu))
        rows = sum(shard.row.records for shard in written)
        if not rows:
            raise BadRecord("truncated", "no probed file gives a row")
        sizes = _bytes_a_row(worker, [f"{folder}/{shard.row.file}" for shard in written], rows)
        parts = [part_location(f"{folder}/facts", split, 0, 1) for split in dealt] if plan.output.facts else []
        sizes["facts"] = sum(sum(_columns(part).values()) for part in parts) / rows
        sinks = sum(row.bytes for shard in written for tag, row in shard.extras if tag == FILES)
        more = len(refs) - len(first)
        wall, cpu = (max(all - few, all / 4) / more if more else all / rows for few, all in zip(times[1], times[2], strict=True))
        return Trial(wall, cpu, fits, {**sizes, "sinks": sinks / rows})


def _dealt(worker: Worker, refs: Sequence[Ref], rows_of: Mapping[str, Fraction]) -> Iterator[tuple[str, list[Ref]]]:
    """The refs as rows of the splits, each split as often as it has rows; of what a ref becomes, one row after the other."""
    total, ends = sum(rows_of.values()), list(accumulate(rows_of.values()))
    by_split: dict[str, list[Ref]] = {}
    for k, ref in enumerate(refs):
        reached = total * (2 * k + 1) / (2 * len(refs))
        split = next(name for name, end in zip(rows_of, ends, strict=True) if reached <= end)
        by_split.setdefault(split, []).append(ref._replace(split=split))
    for split, some in by_split.items():
        made = [_made_of(worker, ref) for ref in some]
        yield split, [rows[k % len(rows)] for k, rows in enumerate(made)]


def _made_of(worker: Worker, ref: Ref) -> list[Ref]:
    """The records that generation and stored augmentation make of one."""
    found = [ref]
    for step in worker.plan.generation:
        if step.kind == "variants" and ref.split in step.splits:
            bound = worker.plugin.bind(step, GenerateOp)
            records = tuple(bound.call(bound.op.generated, bound.params))
            found = [made for one in found for made in generated_refs(one, step, records)]
    for varied in aggressive(worker.plan.augmentations):
        if ref.split in varied.splits:
            found = [made for one in found for made in expanded(one, varied)]
    return found


def _fitted(worker: Worker, refs: Sequence[Ref]) -> tuple[Fitted, dict[str, float]]:
    """Statistics of the probed files, in place of those of the dataset, and the seconds a record of each fit pass."""
    plan, fitted, seconds = worker.plan, dict[str, Any](), {}
    for point in (point for point in plan.fits if not point.riding):
        merged, begun = worker.partial(point), perf_counter()
        for ref in refs:
            try:
                merged.merge(worker.observe(point, ref._replace(split=point.split), fitted))
            except BadRecord:
                continue
        seconds[point.name] = (perf_counter() - begun) / len(refs)
        fitted.update(worker.derive(point, merged.dumps(), fitted))
    values: dict[str, bytes] = {}
    for field in plan.fitted_fields():
        if field.needs_fit:
            bound = worker.plugin.bind(field, FittedFeaturizeOp)
            partial = bound.call(bound.op.partial, bound.params)
            for ref in refs:
                known = known_fields(ref, plan.label_field)
                bound.call(partial.observe, [known.get(name) for name in field.inputs], ref.key)
            values[statistics_name(field)] = partial.dumps()
    return {**fitted, **derive_fields(worker, values)}, seconds


def _bytes_a_row(worker: Worker, files: Sequence[str], rows: int) -> dict[str, float]:
    """Bytes of a row after compression: of the content, and of the other columns."""
    found = {"content": 0.0, "fields": 0.0}
    output = worker.plan.output
    packed, whole, field = 0, 0, output.content_field
    for file in files:
        for name, stored in _columns(file).items():
            if name == field:
                packed += stored
                whole += _columns(file, packed=False)[name]
            else:
                found["fields"] += stored / rows
    if field is not None:
        declared = dict(output.fields)[field]
        exact = worker.plugin.encoding(output.encoding).estimate(ArrayType(declared.dtype, declared.shape or ()), 0)
        found["content"] = exact * packed / whole if exact and None not in (declared.shape or (None,)) else packed / rows
    return found


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
