"""Behind a miss: stage, run the Beam job, collect what it wrote, check that nothing is missing, promote."""

from __future__ import annotations

from functools import partial
from typing import Literal

from refinery_beam import places
from refinery_beam.cache import Attempt, Manifest, open_attempt, promote
from refinery_beam.errors import DataError
from refinery_beam.launch.collect import collect
from refinery_beam.launch.deaths import Deadly, learn, left_behind, survived
from refinery_beam.launch.engine import Engine, works_in_threads
from refinery_beam.launch.expected import expected_records
from refinery_beam.launch.manifest import manifest_body
from refinery_beam.launch.prepare import Prepared
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.planning.refs import make_refs
from refinery_beam.plugins.base import ArrayType, Plugin

TARGET_SHARDS = 64
MIN_SHARD_BYTES = 16 << 20
MAX_SHARD_BYTES = 256 << 20


def build(prepared: Prepared) -> tuple[Literal["built", "hit"], Manifest]:
    """Build the instance of a prepared recipe. Gives 'hit' when another run of the same key was first. Raises RefineryError;
    leaves nothing then.
    """
    if not len(prepared.index.entries):
        raise DataError(
            "no record is left to prepare",
            code="no-records",
            place=prepared.recipe.place(("Input", "sources")),
            value=0,
            rule="an instance has at least one record",
            remedy="check the ledger reasons above, or the source paths",
        )
    from refinery_beam.crashes.worker_deaths import JobDied

    deadly = left_behind(prepared)
    while True:
        try:
            if _is_watched(prepared):
                return survived(prepared, partial(_attempt, prepared, deadly))
            return _attempt(prepared, deadly)
        except JobDied as error:
            deadly = learn(prepared, error, deadly)


def _is_watched(prepared: Prepared) -> bool:
    """Whether the run goes into a child process. Worker processes need no such thing: the driver outlives them."""
    from refinery_beam.crashes.forked_run import can_watch

    settings = prepared.settings
    return settings.watch and works_in_threads(settings, len(prepared.index.entries)) and can_watch()


def _attempt(prepared: Prepared, deadly: Deadly) -> tuple[Literal["built", "hit"], Manifest]:
    with open_attempt(prepared.settings.cache_root, prepared.key) as staging:
        work = _run_job(prepared, staging, deadly)
        collected = collect(prepared, staging.output, work)
        body = manifest_body(prepared, staging.instance, collected)
        return promote(staging, body)


def _run_job(prepared: Prepared, staging: Attempt, deadly: Deadly) -> str:
    """Run the job to its end; gives the place where it left its rows."""
    from refinery_beam.runners.local import quiet_beam

    settings, plan, index = prepared.settings, prepared.plan, prepared.index
    records = len(index.entries)
    with quiet_beam(enabled=not settings.debug):
        from refinery_beam.job.index_parts import write_index
        from refinery_beam.job.job import Job
        from refinery_beam.pipeline.translate import translate
    expected = expected_records(plan, prepared.plugin, index.entries)
    engine = Engine.of(settings, staging, records=records)
    refs, grouped = make_refs(index, plan, prepared.plugin)
    write_index(places.join(engine.work, "index"), refs, count=records)
    job = Job(
        plan=plan,
        instance=staging.output,
        work=engine.work,
        threads=engine.threads,
        records=records,
        shard_records=shard_records(plan.output, prepared.plugin, expected, average_bytes=index.facts.bytes // max(1, records)),
        grouped=grouped,
        heartbeat=engine.heartbeat,
        deadly=tuple(sorted(deadly.items())),
    )
    engine.run(lambda pipeline: translate(pipeline, job))
    return engine.work


def shard_records(output: OutputPlan, plugin: Plugin, records: int, *, average_bytes: int) -> int:
    """Records a shard: as the recipe says, else so many that a shard has a sixty-fourth of the data, within 16 and 256 MiB.

    `records` is how many rows to expect, `average_bytes` the size of a source file.

    Follows from the data alone, never from workers: the same input gives the same shards everywhere.
    """
    if output.shard_records:
        return output.shard_records
    a_row = max(1, _bytes_a_row(output, plugin, average_bytes))
    target = output.shard_bytes or min(MAX_SHARD_BYTES, max(MIN_SHARD_BYTES, a_row * records // TARGET_SHARDS))
    return max(1, target // a_row)


def _bytes_a_row(output: OutputPlan, plugin: Plugin, source_bytes: int) -> int:
    fields = dict(output.fields)
    small = 64 * (len(fields) + 1)
    if output.content_field is None:
        return small
    declared = fields[output.content_field]
    return small + plugin.encoding(output.encoding).estimate(ArrayType(declared.dtype, declared.shape or ()), source_bytes)
