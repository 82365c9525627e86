"""Behind a miss: stage, run the Beam job, collect what it wrote, check that nothing is missing, promote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from refinery_beam.cache import Manifest, Staging, promote
from refinery_beam.errors import DataError, ErrorGroup, Interrupted, RefineryError
from refinery_beam.launch.collect import collect
from refinery_beam.launch.deaths import Deadly, learn, left_behind, survived
from refinery_beam.launch.manifest import manifest_body
from refinery_beam.launch.prepare import Prepared
from refinery_beam.plan.nodes import OutputPlan
from refinery_beam.plan.refs import make_refs

if TYPE_CHECKING:
    from refinery_beam.runners.local import LocalOptions

TARGET_SHARDS = 64
MIN_SHARD_BYTES = 16 << 20
MAX_SHARD_BYTES = 256 << 20
PNG_OF_JPEG = 6
"""A PNG of a photograph is about six times its JPEG. Only the size of shards depends on it."""


def build(prepared: Prepared) -> tuple[Literal["built", "hit"], Manifest]:
    """Build the instance of a prepared recipe. Gives 'hit' when another run of the same key was first. Raises RefineryError;
    leaves nothing then.
    """
    if not prepared.index.entries:
        raise DataError(
            "no record is left to prepare",
            code="no-records",
            place=prepared.recipe.place(("Input", "sources")),
            value=0,
            rule="an instance has at least one record",
            remedy="check the ledger reasons above, or the source paths",
        )
    from refinery_beam.runners.death import JobDied

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
    from refinery_beam.runners.watch import can_watch

    settings = prepared.settings
    return settings.watch and settings.runner == "direct" and _local_options(prepared).mode == "threads" and can_watch()


def _local_options(prepared: Prepared) -> LocalOptions:
    from refinery_beam.runners.local import choose

    s = prepared.settings
    return choose(
        len(prepared.index.entries), mode=s.mode, workers=s.workers, bundle_repeat=s.bundle_repeat, hostile=s.hostile, sizes=s.sizes
    )


def _attempt(prepared: Prepared, deadly: Deadly) -> tuple[Literal["built", "hit"], Manifest]:
    with Staging.open(prepared.settings.cache_root, prepared.key) as staging:
        work = staging.rows_dir
        _run_job(prepared, staging.instance, work, deadly)
        collected = collect(prepared, staging.instance, work)
        body = manifest_body(prepared, staging.instance, collected)
        return promote(staging, body)


def _run_job(prepared: Prepared, instance: str, work: str, deadly: Deadly) -> None:
    from refinery_beam.runners.death import JobDied
    from refinery_beam.runners.local import quiet_beam, run_local, stderr_set_aside

    with quiet_beam(enabled=not prepared.settings.debug):
        from refinery_beam.pipeline.cancel import cancel
        from refinery_beam.pipeline.context import WORK_FOLDERS, Job, read_failures
        from refinery_beam.pipeline.marks import read_marks
        from refinery_beam.pipeline.rows_io import write_index
        from refinery_beam.pipeline.translate import translate
    from refinery_beam.runners.options import read_options
    from refinery_beam.runners.portable import beam_workers, run_portable
    from refinery_beam.runners.progress import live

    settings, plan, entries = prepared.settings, prepared.plan, prepared.index.entries
    for name in WORK_FOLDERS:
        os.makedirs(os.path.join(work, name), exist_ok=True)
    refs, grouped = make_refs(entries, plan, prepared.plugin)
    groups = write_index(os.path.join(work, "index", "part-00000.parquet"), refs)
    engine = read_options(settings.runner, settings.beam_options)
    options = _local_options(prepared)
    local = engine.runner == "direct"
    job = Job(
        plan=plan,
        instance=instance,
        work=work,
        threads=options.threads if local else beam_workers(engine, settings.workers),
        records=len(entries),
        shard_records=shard_records(plan.output, [e.size for e in entries]),
        grouped=grouped,
        index=groups,
        heartbeat=settings.progress,
        deadly=tuple(sorted(deadly.items())),
    )
    where = f"the local engine: {options.workers} {options.mode}" if local else f"{engine.runner}, {engine.environment} workers"
    settings.tell(f"running on {where}, {len(entries)} records")
    finished = False
    try:
        aside = (options.mode == "processes" or not local) and not settings.debug
        with (
            stderr_set_aside(os.path.join(work, "stderr.log"), enabled=aside) as stream,
            live(work, len(entries), stream=stream, enabled=settings.progress, plain=settings.say is not None),
        ):
            if local:
                run_local(lambda pipeline: translate(pipeline, job), options, work=work, talk=settings.debug)
            else:
                run_portable(lambda pipeline: translate(pipeline, job), engine, work=work, workers=settings.workers, talk=settings.debug)
        finished = True
    except KeyboardInterrupt as error:
        raise Interrupted(
            "interrupted: nothing was promoted",
            code="interrupted",
            rule="an instance is promoted whole or not at all",
            remedy="run again to start over",
        ) from error
    except Exception as error:
        failures = read_failures(work)
        if failures:
            raise (failures[0] if len(failures) == 1 else ErrorGroup(failures)) from error
        if isinstance(error, RefineryError):
            raise
        raise JobDied(
            f"the engine failed: {_last_line(error)}",
            marks=read_marks(work),
            code="engine-failed",
            value=type(error).__name__,
            rule="the pipeline runs to its end",
            remedy="run again with --debug to see the whole traceback; nothing was promoted",
        ) from error
    finally:
        if not finished:
            cancel(work)


def shard_records(output: OutputPlan, sizes: Sequence[int]) -> int:
    """Records a shard: as the recipe says, else so many that a shard has a sixty-fourth of the data, within 16 and 256 MiB.

    Follows from the data alone, never from workers: the same input gives the same shards everywhere.
    """
    if output.shard_records:
        return output.shard_records
    a_row = max(1, _bytes_a_row(output, sizes))
    target = output.shard_bytes or min(MAX_SHARD_BYTES, max(MIN_SHARD_BYTES, a_row * len(sizes) // TARGET_SHARDS))
    return max(1, target // a_row)


def _bytes_a_row(output: OutputPlan, sizes: Sequence[int]) -> int:
    from refinery_beam.pipeline.columns import row_bytes

    fields = dict(output.fields)
    small = 64 * (len(fields) + 1)
    if output.image_field is None:
        return small
    declared = fields[output.image_field]
    if output.encoding == "tensor":
        return small + row_bytes(declared)
    average = sum(sizes) // max(1, len(sizes))
    return small + average * (PNG_OF_JPEG if output.encoding == "png" else 1)


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
