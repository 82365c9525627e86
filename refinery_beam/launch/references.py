"""Instances that assertions compare with: found before the key is known, because their key is a part of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from refinery_beam import places
from refinery_beam.cache import Manifest, look_at
from refinery_beam.errors import RecipeError, did_you_mean
from refinery_beam.planning.nodes import Plan
from refinery_beam.recipe import Recipe

if TYPE_CHECKING:
    from refinery_beam.launch.prepare import Settings


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One split of a finished instance. Its identity is the instance's full key; where it lies is not."""

    manifest: Manifest
    split: str
    place: str

    def identity(self) -> dict[str, Any]:
        """What enters the key of the instance that compares itself with it, and its manifest."""
        return {
            "recipe_hash": self.manifest.recipe_hash,
            "input_hash": self.manifest.input_hash,
            "seed": self.manifest.seed,
            "split": self.split,
        }


def find_references(recipe: Recipe, plan: Plan, settings: Settings) -> dict[int, Reference]:
    """The references of a plan's assertions by their position. Raises RecipeError ``contract-reference``."""
    found: dict[int, Reference] = {}
    for i, step in enumerate(plan.contracts):
        if not step.imports:
            continue
        written = getattr(recipe.model, step.section)[step.index].assertion["reference"]
        at = recipe.place((step.section, step.index, "assertion", "reference", "instance"))
        manifest = _manifest(recipe, str(written["instance"]), settings, at)
        split = str(written["split"])
        if split not in manifest.splits:
            raise _refuse(f"has no split {split!r}", written["instance"], at, did_you_mean(split, manifest.splits))
        known = [name for name in ("record_id", *manifest.schema) if step.on_content == (name == manifest.image_field)]
        if step.field not in known:
            raise _refuse(f"has no field {step.field!r} to compare with", written["instance"], at, did_you_mean(step.field or "", known))
        stored = manifest.schema[step.field or ""]["dtype"] if step.on_content else "uint8"
        if stored != "uint8":
            raise _refuse(f"stores {stored} content", written["instance"], at, "compare with an instance that stores uint8")
        found[i] = Reference(manifest=manifest, split=split, place=at)
    return found


def reference_counts(references: Mapping[int, Reference], plan: Plan, plugin_paths: Sequence[str] = ()) -> dict[int, list[tuple[Any, int]]]:
    """The values of each reference's field with how often they occur, sorted by their canonical form. Missing values are passed over. Of
    images, the values that a reader sees.
    """
    import json

    import pyarrow.parquet as pq

    from refinery_beam.cache.files import file_sha256
    from refinery_beam.record.contracts import key_text

    found: dict[int, list[tuple[Any, int]]] = {}
    for i, reference in references.items():
        if plan.contracts[i].on_content:
            found[i] = _content_counts(reference, plugin_paths)
            continue
        field = plan.contracts[i].field or ""
        counts: Counter[str] = Counter()
        for entry in reference.manifest.shards(reference.split):
            path = places.join(reference.manifest.place, entry.path)
            if file_sha256(path) != entry.sha256:
                raise _refuse(f"is damaged: {entry.path} has other bytes", path, reference.place, "run the recipe that made it again")
            with places.opened(path) as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(columns=[field], use_threads=False):
                    counts.update(key_text([value]) for value in batch.column(0).to_pylist() if value is not None)
        found[i] = [(json.loads(key)[0], count) for key, count in sorted(counts.items())]
    return found


def _content_counts(reference: Reference, plugin_paths: Sequence[str]) -> list[tuple[Any, int]]:
    from refinery_beam.reading import open_instance
    from refinery_beam.record.byte_values import level_counts, seen_values, table_of

    manifest, split = reference.manifest, reference.split
    instance = open_instance(manifest.place, plugin_paths=plugin_paths)
    chain, kind = instance.recorded.deferred(split), instance.recorded.kind
    content = manifest.image_field or ""
    levels: Counter[str] = Counter()
    for row in instance.split(split, raw=True, columns=[content]):
        for key, count in level_counts(split, row[content]):
            levels[key] += count
    tables = cache(lambda split, channels: table_of(kind, chain.steps, channels, {}))
    seen = seen_values({key: (count, "") for key, count in levels.items()}, tables)
    return sorted((value, count) for _, value, count in seen)


def _manifest(recipe: Recipe, written: str, settings: Settings, at: str) -> Manifest:
    location = recipe.resolve(written)
    place = location
    if os.path.isfile(location):
        real = os.path.realpath(location)
        if real in settings.referring or real == os.path.realpath(recipe.path):
            raise _refuse("compares itself with this one, directly or by way of others", written, at, "name another")
        from refinery_beam.launch.prepare import prepare

        here = os.path.realpath(recipe.path)
        place = prepare(location, replace(settings, overlays=(), seed=None, referring=(*settings.referring, here))).place
    manifest = look_at(place).manifest if places.is_folder(place) else None
    if manifest is None:
        raise _refuse("has no finished instance", written, at, f"refinery-beam run {written}, or name an instance's directory")
    return manifest


def _refuse(problem: str, value: Any, place: str, remedy: str) -> RecipeError:
    return RecipeError(
        f"the reference {value} {problem}",
        code="contract-reference",
        place=place,
        value=value,
        rule="an assertion is compared with a split of a finished instance: a directory, or the recipe that made it",
        remedy=remedy,
    )
