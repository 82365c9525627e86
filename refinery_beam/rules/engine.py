"""Codes of the engine and its workers."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

ENGINE = {
    "cancelled": Rule(
        "the job was stopped; a straggling worker thread says so, a user hardly ever sees it",
        "a stopped job writes nothing more",
        "run again to start over",
    ),
    "engine-failed": Rule(
        "the job failed",
        "the pipeline runs to its end",
        "run again with --debug to see the whole traceback; nothing was promoted",
    ),
    "job-server": Rule(
        "the job server of Prism, Flink or Spark did not start",
        "Prism is a Go binary; Flink and Spark need Java 11 or 17",
        "docs/engines.md says what each engine needs; --debug shows what Beam says",
    ),
    "job-submission": Rule(
        "Dataflow did not take the job",
        "the submitter may write to the staging location and create jobs in the project",
        "gcloud auth application-default login, or correct the options; --debug shows all that Beam says",
    ),
    "engine-state": Rule(
        "the job ended in another state than done",
        "the pipeline runs to its end",
        "run again to start over; nothing was promoted",
    ),
    "worker-died": Rule(
        "a process at work died, for instance for want of memory; the message names the records it held, "
        "none of which ends a process alone",
        "worker processes live until the job is done",
        "memory ran out, most likely, or somebody ended it: try fewer --workers, or run again; nothing was promoted",
    ),
    "poison-record": Rule(
        "a record ends every process that works on it ([bad files](bad-files.md#files-that-end-the-process))",
        "no record ends the process that works on it",
        "take the file out of the source",
    ),
    "unaccounted": Rule(
        "records in and records out differ",
        "every record comes out or is in the ledger, of each step and in each split",
        "nothing was promoted; report this with the recipe",
    ),
    "incomplete-output": Rule(
        "what was written is not what was counted",
        "what is promoted is what was counted and hashed while it was written",
        "run again; if it stays, a worker or the disk loses files",
    ),
    "manifest-inconsistent": Rule(
        "a manifest that contradicts itself",
        "a manifest agrees with itself and with what was written",
        "nothing was promoted; report this with the recipe",
    ),
    "nondeterminism": Rule(
        "two builds of one recipe differ",
        "same recipe, same input bytes, same seed, same environment: the same bytes",
        "run `verify --deep` on the instance in the cache; if it is sound, the difference is a defect to report",
    ),
    "internal": Rule("a bug of ours", "every failure is told as one of these errors", "run again with --debug and report it"),
    "interrupted": Rule("stopped by the user (exit 130)", "an instance is promoted whole or not at all", "run again to start over"),
}
