"""What a run notes about itself in the journal."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

from refinery_beam import __version__, locations
from refinery_beam.cache import InstanceKey, Manifest, RunJournal
from refinery_beam.cache.instances import key_name_of
from refinery_beam.errors import RefineryError
from refinery_beam.identity import value_digest
from refinery_beam.job.versions import RECORDED, package_version
from refinery_beam.launch.history.git import Revision, find_revision, refuse_unclean
from refinery_beam.launch.history.meter import Meter
from refinery_beam.launch.prepare import Prepared
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.masking import holds_secret, masked_words
from refinery_beam.recipe import location_variables
from refinery_beam.recipe.load import recipe_name

TEXT_BYTES = 1 << 20
"""The longest recipe text that a journal keeps."""


class Record:
    """The journal of one call of `run`: it says what begins, and how it ended, whatever happened in between."""

    def __init__(self, recipe: StrPath, settings: Settings, *, verb: str = "run", text: str | None = None) -> None:
        self.meter = Meter()
        self._settings = settings
        self._recipe = os.fspath(recipe)
        self._journal = RunJournal(settings.root, verb=verb)
        self._known = False
        self._text = text

    @property
    def run(self) -> str:
        """The run's id."""
        return self._journal.run

    @contextmanager
    def ends(self) -> Iterator[None]:
        """Inside, an exception is noted as the end of the run."""
        try:
            yield
        except BaseException as error:
            self._failed(error)
            raise

    def prepared(self, prepared: Prepared) -> None:
        """Note what the run is about. Raises UsageError where ``--git require-clean`` wants something else."""
        self._known = True
        recipe = prepared.recipe
        self._journal.add(**{**self._of_recipe(recipe.path, recipe.text, recipe.name), **_of_prepared(prepared)})
        if self._settings.git == "require-clean":
            warning = refuse_unclean(prepared.recipe.path, self._revision)
            if warning:
                self._settings.warn(warning)

    def building(self) -> None:
        """Note that a miss is going to be built."""
        self._journal.begin()

    def ended(self, status: str, manifest: Manifest) -> None:
        """Note a good end, and warn where the journal could not be written: nothing ends because of that."""
        raw = manifest.raw
        at = key_name_of(manifest.location)
        self._end(
            status=status,
            exit_code=0,
            root=at[0] if at else locations.parent(manifest.location),
            key=InstanceKey(manifest.recipe_hash, manifest.input_hash, manifest.seed).name,
            recipe_hash=manifest.recipe_hash,
            input_hash=manifest.input_hash,
            seed=manifest.seed,
            logical_digest=manifest.logical_digest,
            files_digest=manifest.files_digest,
            counts=manifest.counts,
            records_out=sum(manifest.counts.values()),
            ledger=raw.get("ledger", {}),
            bytes=sum(f.bytes for f in (*manifest.files, *manifest.annexes)),
        )
        for note in dict.fromkeys(self._journal.notes):
            self._settings.warn(note)

    @cached_property
    def _revision(self) -> Revision | None:
        return find_revision(self._recipe, self._settings.plugin_paths) if self._settings.git != "off" else None

    def _failed(self, error: BaseException) -> None:
        first = error.errors()[0] if isinstance(error, RefineryError) else None
        interrupted = isinstance(error, KeyboardInterrupt) or (first is not None and first.exit_code == 130)
        if not self._known and not self._worth_noting():
            return
        if not self._known:
            self._journal.add(**self._of_recipe(self._recipe, self._text if self._text is not None else _read(self._recipe), ""))
        self._end(
            status="interrupted" if interrupted else "failed",
            exit_code=error.exit_code if isinstance(error, RefineryError) else 130 if interrupted else 4,
            error=first.code if first is not None else "interrupted" if interrupted else "internal",
            message=first.message if first is not None else f"{type(error).__name__}: {error}",
            at=first.at if first is not None else "",
        )

    def _worth_noting(self) -> bool:
        """Whether there is a journal to write to: a recipe with a slip of the pen makes no cache root."""
        try:
            return (self._text is not None or os.path.isfile(self._recipe)) and locations.is_folder(locations.absolute(self._settings.root))
        except (OSError, RefineryError):
            return False

    def _end(self, **facts: Any) -> None:
        self._journal.end(**facts, phases=self.meter.seconds(), peak_memory=self.meter.peak_memory())

    def _of_recipe(self, path: str, text: str, name: str) -> dict[str, Any]:
        settings, revision = self._settings, self._revision
        packages = {n: package_version(n) or "" for n in RECORDED}
        environment = {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}", "packages": packages}
        return {
            "recipe": name or recipe_name(path, text),
            "recipe_path": os.path.abspath(path) if not locations.is_url(path) else path,
            "recipe_text": text if len(text) <= TEXT_BYTES else None,
            "overlays": list(settings.overlays),
            "seed_option": settings.seed,
            "digest": settings.digest,
            "plugin_paths": list(settings.plugin_paths),
            "runner": settings.runner,
            "workers": settings.workers,
            "mode": settings.mode,
            "command": masked_words(list(settings.command)) if settings.command else None,
            "package": __version__,
            "package_digest": package_digest(),
            "packages": packages,
            "environment_digest": value_digest("environment", environment),
            "git_commit": revision.commit if revision is not None else None,
            "git_dirty": revision.dirty if revision is not None else None,
        }


@lru_cache(maxsize=1)
def package_digest() -> str:
    """Hex digest of the source files of this package, as they are on this machine: what a version number leaves open.

    >>> len(package_digest())
    64
    """
    top = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    hashed = hashlib.sha256()
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(n for n in names if n.endswith(".py")):
            path = os.path.join(folder, name)
            hashed.update(f"{os.path.relpath(path, top)}\0".encode())
            with open(path, "rb") as file:
                hashed.update(hashlib.sha256(file.read()).digest())
    return hashed.hexdigest()


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(TEXT_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return ""


def _of_prepared(prepared: Prepared) -> dict[str, Any]:
    key, index, recipe = prepared.key, prepared.index, prepared.recipe
    parents = [*prepared.plan.borrowed().values(), *(c.identity() for c in prepared.comparisons.values())]
    return {
        "recipe_hash": key.recipe_hash,
        "input_hash": key.input_hash,
        "seed": key.seed,
        "key": key.name,
        "parents": sorted({InstanceKey(p["recipe_hash"], p["input_hash"], p["seed"]).name for p in parents}),
        "variables": [[*pair] for pair in ({**recipe.variables, **location_variables(recipe)}).items() if not holds_secret(pair[1])],
        "codecs": prepared.fingerprint,
        "records_in": index.records_in,
        "hashed": index.hashed,
        "digest_kind": index.kind,
        "notes": [*index.selection.lines(), *index.notes, *index.run_notes],
    }
