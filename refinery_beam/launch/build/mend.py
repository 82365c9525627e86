"""Makes damaged files of an instance again, and no others, as far as that is possible.

Shards and files of sinks are made by a job that decides again which records belong to them, applies the statistics that the instance holds,
and reads, decodes and writes those records alone. What the driver makes of all shards (statistics, tables, the report) needs a whole
attempt, which is compared and thrown away. Nothing is trusted: a file is put back only if it has the size and the digest that the manifest
lists.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import FileEntry, Manifest, Staging, home
from refinery_beam.cache.files import file_sha256
from refinery_beam.cache.manifest import RECIPE_NAME, SELECTION_NAME
from refinery_beam.crashes.poison import Poison
from refinery_beam.errors import StoreError
from refinery_beam.identity import digest, record_key
from refinery_beam.launch.build.attempt import run_job
from refinery_beam.launch.build.collected.collect import collect
from refinery_beam.launch.build.manifest import manifest_body
from refinery_beam.launch.mended import Mended, put_back, sink_rows
from refinery_beam.launch.prepare import Prepared
from refinery_beam.reading.recorded import read_statistics
from refinery_beam.recipe import effective_yaml

OTHER_BYTES = "made again, it has other bytes than the manifest lists: another release of a package or a codec, or another op"


def mend(prepared: Prepared, manifest: Manifest, broken: Sequence[FileEntry], poison: Poison) -> Mended:
    """Put back those of the `broken` files that can be made again from the raw data."""
    # Whatever engine built it: this is the work of a moment, or of this machine.
    settings = replace(prepared.settings, runner="direct", beam_options=(), engine=None)
    prepared = replace(prepared, settings=settings)
    done, why = _annexes(prepared, manifest, broken)
    rest = [entry for entry in broken if entry.path not in done and entry.path not in why]
    shards = _shards_of(manifest, rest)
    statistics = _statistics(prepared, manifest) if shards is not None else None
    if rest:
        with Staging.open(home(settings.root), prepared.key) as staging:
            if shards is not None and statistics is not None:
                _some(prepared, staging, poison, shards, statistics)
            else:
                work = run_job(prepared, staging, poison)
                collected = collect(prepared, staging.output, work)
                manifest_body(prepared, staging.instance, collected, facts=locations.join(work, "facts"))
            for entry in rest:
                made = os.path.join(staging.instance, *entry.path.split("/"))
                if locations.size(made) == entry.bytes and file_sha256(made) == entry.sha256:
                    put_back(settings.root, manifest, entry, made)
                    done.append(entry.path)
                else:
                    why[entry.path] = OTHER_BYTES
    return Mended(tuple(done), why)


def _annexes(prepared: Prepared, manifest: Manifest, broken: Sequence[FileEntry]) -> tuple[list[str], dict[str, str]]:
    done, why = [], {}
    for entry in broken:
        if entry.path == RECIPE_NAME:
            data = effective_yaml(prepared.recipe, prepared.plugin, locations="symbolic").encode()
            reason = "the recipe has the same meaning and other words now"
        elif entry.path == SELECTION_NAME:
            data = prepared.index.selection.as_json()
            reason = "what listing leaves out is not what it was then"
        else:
            continue
        if hashlib.sha256(data).hexdigest() == entry.sha256:
            put_back(prepared.settings.root, manifest, entry, data)
            done.append(entry.path)
        else:
            why[entry.path] = reason
    return done, why


def _shards_of(manifest: Manifest, broken: Sequence[FileEntry]) -> frozenset[tuple[str, int]] | None:
    """The shards whose records the broken files are made of; None where some file is made of all of them."""
    found: set[tuple[str, int]] = set()
    by_split = {entry.split: entry.shards for entry in manifest.files if entry.split is not None}
    rows: Mapping[str, str] = {}
    for entry in broken:
        if entry.split is not None and entry.shard is not None and entry.path.startswith("dataset/"):
            found.add((entry.split, entry.shard))
        elif entry.path.startswith("sinks/") and manifest.file(entry.path) is None:
            rows = rows or sink_rows(manifest)
            if entry.path not in rows:
                return None
            number = int.from_bytes(digest("shard", record_key(rows[entry.path]))[:8], "big")
            found.update((split, number % shards) for split, shards in by_split.items() if shards)
        else:
            return None
    return frozenset(found)


def _statistics(prepared: Prepared, manifest: Manifest) -> dict[str, Any] | None:
    """The statistics that the instance holds, by step; None where a file of them is damaged."""
    try:
        steps = [*prepared.plan.fitted_steps(), *prepared.plan.fitted_fields()]
        return {step.name: read_statistics(manifest, step.statistics or "") for step in steps}
    except StoreError:
        return None


def _some(prepared: Prepared, staging: Staging, poison: Poison, shards: frozenset[tuple[str, int]], statistics: Mapping[str, Any]) -> None:
    # A sample is taken of all records; its files are not among those to be made.
    plan = replace(prepared.plan, sample=None)
    run_job(replace(prepared, plan=plan), staging, poison, only=shards, fitted=dict(statistics), resume="")
