"""`run` and `plan`: look in the cache, and build what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from refinery_beam import locations
from refinery_beam.cache import Manifest, RunJournal
from refinery_beam.errors import UsageError
from refinery_beam.launch.prepare import Prepared, prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.runners.dataflow.options import require_extra
from refinery_beam.runners.options import check_locations, read_options

CONTRACT = 1


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run gave. `path` is the absolute instance directory or its URL; `seconds` is wall time and the only field that differs
    between equal runs. `pictures` are the files of the recipe's reporting pictures by name.

    ``rb.open_instance(result.path)`` reads it.
    """

    status: Literal["built", "hit"]
    path: str
    manifest: Manifest
    seconds: float
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Records by split, in the recipe's order."""
        return {name: self.manifest.counts[name] for name in self.manifest.splits}

    def to_dict(self) -> dict[str, Any]:
        """The object `run --json` prints (contract 1)."""
        raw = self.manifest.raw
        return {
            "contract": CONTRACT,
            "status": self.status,
            "instance": self.path,
            "recipe_hash": raw["recipe_hash"],
            "input_hash": raw["input_hash"],
            "seed": raw["seed"],
            "logical_digest": raw["logical_digest"],
            "files_digest": raw["files_digest"],
            "counts": self.counts,
            "ledger": dict(raw["ledger"]),
            "pictures": dict(self.pictures),
            "seconds": round(self.seconds, 3),
        }


def run(
    recipe: str | Path,
    *,
    cache_root: str | Path = "cache",
    overlays: tuple[str, ...] | list[str] = (),
    seed: int | None = None,
    workers: int | None = None,
    mode: str = "auto",
    runner: str = "direct",
    beam_options: tuple[str, ...] | list[str] = (),
    shared_files: bool = False,
    digest: str = "auto",
    progress: bool = False,
    plugin_paths: tuple[str, ...] | list[str] = (),
    storage_options: tuple[str, ...] | list[str] = (),
) -> RunResult:
    """Make the instance of a recipe, or find it.

    The same recipe over the same files with the same seed gives the same bytes, whatever `workers`, `mode` and `runner`.
    `cache_root` may be on an object store (``gs://bucket/prefix``); `storage_options` are words like ``s3.endpoint_url=http://...``.
    Raises RefineryError.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> result = rb.run("recipe.yaml", cache_root="cache")               # doctest: +SKIP
    >>> result.status, result.counts                                     # doctest: +SKIP
    ('built', {'train': 2800, 'val': 600, 'test': 600})
    """
    return run_with(
        recipe,
        Settings(
            cache_root=str(cache_root),
            overlays=tuple(overlays),
            seed=seed,
            workers=workers,
            mode=mode,
            runner=runner,
            beam_options=tuple(beam_options),
            shared_files=shared_files,
            digest=digest,
            progress=progress,
            plugin_paths=tuple(plugin_paths),
            storage_options=tuple(storage_options),
        ),
    )


def run_with(recipe: str | Path, settings: Settings) -> RunResult:
    """`run` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        return _run_with(recipe, settings)


def _run_with(recipe: str | Path, settings: Settings) -> RunResult:
    begun = monotonic()
    check_settings(settings)
    prepared = prepare(recipe, settings)
    notes = listing_notes(prepared)
    journal = RunJournal(settings.cache_root)
    journal.start(**_journal_facts(prepared))
    try:
        found = prepared.lookup()
        if found.manifest is not None:
            result = RunResult(status="hit", path=prepared.location, manifest=found.manifest, seconds=monotonic() - begun, notes=notes)
        else:
            if found.damage:
                settings.tell(f"rebuilding: {found.damage}")
            # The door behind a miss: a hit pays for nothing that is imported there.
            from refinery_beam.launch.build.build import build

            status, manifest = build(prepared)
            result = RunResult(status=status, path=prepared.location, manifest=manifest, seconds=monotonic() - begun, notes=notes)
        if prepared.recipe.model.Visualizations:
            # A door: few recipes have pictures.
            from refinery_beam.launch.pictures import draw_pictures

            drawn = draw_pictures(prepared, result.manifest)
            result = replace(result, pictures=drawn.pictures, notes=(*result.notes, *drawn.notes), seconds=monotonic() - begun)
    except BaseException as error:
        journal.end(status="failed", exit_code=getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 4))
        raise
    journal.end(status=result.status, exit_code=0)
    return result


def plan_recipe(
    recipe: str | Path,
    *,
    cache_root: str | Path = "cache",
    overlays: tuple[str, ...] = (),
    seed: int | None = None,
    plugin_paths: tuple[str, ...] = (),
    digest: str = "auto",
) -> Prepared:
    """What `run` would do, without doing it: the key, whether it is a hit, and the plan. Reads files, writes only hints."""
    names = tuple(plugin_paths)
    return prepare(recipe, Settings(cache_root=str(cache_root), overlays=tuple(overlays), seed=seed, plugin_paths=names, digest=digest))


def check_settings(settings: Settings) -> None:
    """Refuse impossible execution settings before any work. Raises UsageError, or EnvironmentFault for a runner that is not installed."""
    engine = read_options(settings.runner, settings.beam_options)
    check_locations(engine, cache_root=settings.cache_root, sources=(), shared_files=settings.shared_files)
    if engine.runner == "dataflow":
        require_extra()
    if settings.mode not in ("auto", "threads", "processes"):
        raise UsageError(
            f"the mode {settings.mode!r} does not exist",
            code="unknown-mode",
            value=settings.mode,
            rule="--mode is auto, threads or processes",
            remedy="leave --mode out",
        )
    check_digest(settings.digest)
    if settings.workers is not None and settings.workers < 1:
        raise UsageError(
            f"--workers {settings.workers} is not a number of workers",
            code="workers-range",
            value=settings.workers,
            rule="--workers is at least 1",
            remedy="leave --workers out to use every core",
        )


def check_digest(kind: str) -> None:
    """Refuse a kind of digest that does not exist. Raises UsageError."""
    if kind not in ("auto", "sha256"):
        raise UsageError(
            f"the digest {kind!r} does not exist",
            code="unknown-digest",
            value=kind,
            rule="--digest is auto or sha256",
            remedy="leave --digest out: the checksums of stores are taken where every file has one",
        )


def listing_notes(prepared: Prepared) -> tuple[str, ...]:
    """Print and journal the notes of listing; they are never stored: a stray file must not change a byte of an instance."""
    index = prepared.index
    skipped = [
        f"source {name!r}: skipped " + ", ".join(f"{count:,} {word}" for word, count in sorted(words.items()))
        for name, words in index.skipped.items()
        if words
    ]
    return (*skipped, *index.notes, *index.run_notes)


def _journal_facts(prepared: Prepared) -> Mapping[str, Any]:
    key = prepared.key
    return {
        "recipe": prepared.recipe.path,
        "recipe_hash": key.recipe_hash,
        "input_hash": key.input_hash,
        "seed": key.seed,
        "runner": prepared.settings.runner,
        "workers": prepared.settings.workers,
        "mode": prepared.settings.mode,
        "overlays": list(prepared.settings.overlays),
        "records_in": prepared.index.records_in,
        "hashed": prepared.index.hashed,
        "digest": prepared.index.kind,
        "notes": list(listing_notes(prepared)),
    }
