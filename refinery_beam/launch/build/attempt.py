"""One attempt at an instance: stage, run the Beam job, collect what it wrote, check that nothing is missing, promote."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

from refinery_beam import locations
from refinery_beam.cache import Attempt, Manifest, open_attempt, promote
from refinery_beam.crashes.poison import Poison
from refinery_beam.errors import RefineryError
from refinery_beam.job.index_parts import write_index
from refinery_beam.job.job import Job
from refinery_beam.launch.build.collected.collect import collect
from refinery_beam.launch.build.engine import Engine
from refinery_beam.launch.build.expected import expected_bytes, expected_records, shard_records
from refinery_beam.launch.build.failures import explained
from refinery_beam.launch.build.manifest import manifest_body
from refinery_beam.launch.prepare import Prepared, at_the_rule
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.pipeline.translate import translate
from refinery_beam.planning.splits.refs import make_refs


def attempt(prepared: Prepared, poison: Poison) -> tuple[Literal["built", "hit"], Manifest]:
    """Build the instance without the records of `poison`. Gives 'hit' when another run of the same key was first."""
    settings = prepared.settings
    try:
        with open_attempt(prepared.settings.root, prepared.key) as staging, at_the_rule(prepared.recipe):
            with settings.phase("engine"), settings.meter.memory() if settings.meter is not None else nullcontext():
                work = _run_job(prepared, staging, poison)
            with settings.phase("collect"):
                collected = collect(prepared, staging.output, work)
                body = manifest_body(prepared, staging.instance, collected, facts=locations.join(work, "facts"))
            with settings.phase("promote"):
                return promote(staging, body)
    except OSError as error:
        if not is_full(error):
            raise
        failure: RefineryError = no_space(error, locations.absolute(prepared.settings.root))
    except RefineryError as error:
        failure = error
    entries = prepared.index.entries
    wanted = expected_bytes(prepared.plan, prepared.plugin, entries, source_bytes=prepared.index.facts.bytes)
    raise explained(failure, prepared.plan, entries, wanted=wanted) from failure


def _run_job(prepared: Prepared, staging: Attempt, poison: Poison) -> str:
    """Run the job to its end; gives the location of its rows."""
    settings, plan, index = prepared.settings, prepared.plan, prepared.index
    records = len(index.entries)
    expected = expected_records(plan, prepared.plugin, index.entries)
    engine = Engine.of(settings, staging, records=records, noun=prepared.plugin.kind.noun)
    refs, grouped = make_refs(index, plan, prepared.plugin)
    write_index(locations.join(engine.work, "index"), refs, count=records)
    job = Job(
        plan=plan,
        instance=staging.output,
        work=engine.work,
        threads=engine.threads,
        records=records,
        shard_records=shard_records(plan.output, prepared.plugin, expected, average_bytes=index.facts.bytes // max(1, records)),
        grouped=grouped,
        heartbeat=engine.heartbeat,
        poison=tuple(sorted(poison.items())),
    )
    engine.run(lambda pipeline: translate(pipeline, job))
    return engine.work
