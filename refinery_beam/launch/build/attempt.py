"""One attempt at an instance: stage, run the Beam job, collect what it wrote, check that nothing is missing, promote."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Attempt, open_attempt, promote, resume_dir
from refinery_beam.crashes.poison import Poison
from refinery_beam.errors import RefineryError
from refinery_beam.job.index_parts import write_index
from refinery_beam.job.job import Job
from refinery_beam.launch.build.built import Built
from refinery_beam.launch.build.collected.collect import collect
from refinery_beam.launch.build.engine import Engine
from refinery_beam.launch.build.environment import environment
from refinery_beam.launch.build.expected import expected_bytes, expected_records, shard_records
from refinery_beam.launch.build.failures import explained
from refinery_beam.launch.build.manifest import manifest_body
from refinery_beam.launch.prepare import Prepared, at_the_rule
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.pipeline.translate import translate
from refinery_beam.planning.splits.refs import make_refs
from refinery_beam.resume.keys import law_of
from refinery_beam.resume.parts import discard, folders_of_other_inputs
from refinery_beam.resume.reused import read_reused

UNTRUSTED = ("nondeterminism", "incomplete-output", "manifest-inconsistent", "unaccounted")
"""Errors after which the finished parts of the key are not kept: one of them may be what is wrong."""


def attempt(prepared: Prepared, poison: Poison) -> Built:
    """Build the instance without the records of `poison`. Finished parts of it are kept until it is there; see `resume`."""
    settings = prepared.settings
    parts = resume_dir(settings.root, prepared.key)
    try:
        with open_attempt(settings.root, prepared.key) as staging, at_the_rule(prepared.recipe):
            with settings.phase("engine"), settings.meter.memory() if settings.meter is not None else nullcontext():
                work = run_job(prepared, staging, poison)
            with settings.phase("collect"):
                collected = collect(prepared, staging.output, work)
                body = manifest_body(prepared, staging.instance, collected, facts=locations.join(work, "facts"))
                reused = read_reused(work)
            with settings.phase("promote"):
                status, manifest = promote(staging, body)
                discard(parts)
            return Built(status, manifest, reused)
    except OSError as error:
        if not is_full(error):
            raise
        failure: RefineryError = no_space(error, locations.absolute(prepared.settings.root))
    except RefineryError as error:
        failure = error
        if any(one.code in UNTRUSTED for one in error.errors()):
            discard(parts)
    entries = prepared.index.entries
    wanted = expected_bytes(prepared.plan, prepared.plugin, entries, source_bytes=prepared.index.facts.bytes)
    raise explained(failure, prepared.plan, entries, wanted=wanted) from failure


def run_job(prepared: Prepared, staging: Attempt, poison: Poison, **more: Any) -> str:
    """Run the job to its end; gives the location of its rows. `more` are fields of the job other than those of a whole build."""
    settings, plan, index = prepared.settings, prepared.plan, prepared.index
    records = len(index.entries)
    expected = expected_records(plan, prepared.plugin, index.entries)
    engine = Engine.of(settings, staging, records=records, noun=prepared.plugin.kind.noun)
    refs, grouped = make_refs(index, plan, prepared.plugin)
    write_index(locations.join(engine.work, "index"), refs, count=records)
    parts = resume_dir(settings.root, prepared.key)
    whole: dict[str, Any] = {
        "plan": plan,
        "instance": staging.output,
        "work": engine.work,
        "threads": engine.threads,
        "records": records,
        "shard_records": shard_records(plan.output, prepared.plugin, expected, average_bytes=index.facts.bytes // max(1, records)),
        "grouped": grouped,
        "heartbeat": engine.heartbeat,
        "poison": tuple(sorted(poison.items())),
        "resume": parts,
        "resume_others": folders_of_other_inputs(parts),
        "resume_law": law_of(prepared.key.recipe_hash, prepared.key.seed, environment(prepared.plugin.kind.codecs())),
    }
    job = Job(**{**whole, **more})
    engine.run(lambda pipeline: translate(pipeline, job))
    return engine.work
