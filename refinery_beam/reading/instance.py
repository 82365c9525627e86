"""An instance as a value: what it is, and the way to its rows and statistics. Opening one reads the manifest and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest, lookup_at
from refinery_beam.cache.listed import sample_manifest
from refinery_beam.errors import StoreError, UsageError, did_you_mean
from refinery_beam.plugins.discovery import read_plugin_paths
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.readers import CACHE_BYTES, SplitReader
from refinery_beam.reading.recorded import Recorded

_STATISTICS = "fitted_statistics/"


class Instance:
    """A complete instance, read-only. Made by `open_instance`; can be pickled and shared."""

    def __init__(self, manifest: Manifest, *, code: tuple[PathCode, ...] = ()) -> None:
        self.recorded = Recorded(manifest, code=code)

    @property
    def manifest(self) -> Manifest:
        """What the instance says of itself."""
        return self.recorded.manifest

    @property
    def path(self) -> str:
        """The absolute directory, or the URL."""
        return self.manifest.location

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the recipe's order."""
        return self.manifest.splits

    @property
    def counts(self) -> dict[str, int]:
        """Rows by split."""
        return dict(self.manifest.counts)

    @property
    def schema(self) -> dict[str, dict[str, Any]]:
        """The output schema in the recipe's order: {field: {dtype, shape}}, as stored (before the deferred tail)."""
        schema = self.manifest.schema
        order = self.manifest.raw.get("output", {}).get("fields") or list(schema)
        return {name: schema[name] for name in order if name in schema}

    @property
    def statistics_names(self) -> tuple[str, ...]:
        """The names of the fitted statistics, sorted."""
        paths = (f.path for f in self.manifest.files if f.path.startswith(_STATISTICS) and f.path.endswith(".json"))
        return tuple(sorted(path.removeprefix(_STATISTICS).removesuffix(".json") for path in paths))

    def statistics(self, name: str) -> dict[str, Any]:
        """The fitted statistics of one op: integers, and the floats derived from them, proved by the manifest's digest.

        UsageError ``unknown-statistics`` names the closest known one; StoreError ``damaged``.
        """
        if name not in self.statistics_names:
            raise UsageError(
                f"there are no fitted statistics called {name!r}",
                code="unknown-statistics",
                at=self.path,
                value=name,
                rule="statistics bear the name of their op in the recipe",
                remedy=did_you_mean(name, self.statistics_names),
            )
        return self.recorded.statistics(f"{_STATISTICS}{name}.json")

    def split(
        self,
        name: str,
        *,
        raw: bool = False,
        columns: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
        epoch: int | None = None,
    ) -> SplitReader:
        """The rows of one split. ``raw`` leaves out the deferred tail; ``columns`` limits the fields; see `SplitReader`.

        With an ``epoch`` the recipe's lazy augmentations are applied, as `SplitReader.epoch` does.

        UsageError ``unknown-split`` names the closest known split.
        """
        if name not in self.splits:
            raise UsageError(
                f"there is no split {name!r}",
                code="unknown-split",
                at=self.path,
                value=name,
                rule="splits are those of the recipe",
                remedy=did_you_mean(name, self.splits),
            )
        reader = SplitReader(self.recorded, name, raw=raw, columns=columns, cache_bytes=cache_bytes)
        return reader if epoch is None else reader.epoch(epoch)

    def sample(self, name: str, *, raw: bool = False, columns: Sequence[str] | None = None, cache_bytes: int = CACHE_BYTES) -> SplitReader:
        """The rows of the sample of one split (SampleData), as `split` gives those of the whole.

        UsageError ``unknown-split`` when the recipe takes no sample of it.
        """
        manifest = sample_manifest(self.manifest)
        if manifest is None or name not in manifest.splits:
            known = manifest.splits if manifest is not None else ()
            raise UsageError(
                f"there is no sample of {name!r}" if known else "the recipe takes no sample",
                code="unknown-split",
                at=self.path,
                value=name,
                rule="samples are those of SampleData in the recipe",
                remedy=did_you_mean(name, known) if known else "add SampleData to the recipe",
            )
        return SplitReader(Recorded(manifest, code=self.recorded.code), name, raw=raw, columns=columns, cache_bytes=cache_bytes)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {count}" for split, count in self.counts.items())
        return f"<instance {self.path}: {counts}>"


def open_instance(path: str | os.PathLike[str], *, plugin_paths: Sequence[str] = ()) -> Instance:
    """Open a finished instance by its directory or URL, or by its manifest.json. (``refinery_beam.open_instance`` also takes a recipe.)

    ``plugin_paths`` name the files of third-party plugins that are not installed, as ``--plugin-path`` did for the run.

    Checks that every listed file is there with its size. StoreError: ``instance-missing``, ``damaged``, ``manifest-contract``.
    """
    location = locations.absolute(os.fspath(path))
    if locations.basename(location) == "manifest.json":
        location = locations.parent(location)
    found = lookup_at(location)
    if found.manifest is not None:
        return Instance(found.manifest, code=read_plugin_paths(plugin_paths))
    if found.damage is not None:
        raise StoreError(
            f"the instance cannot be trusted: {found.damage}",
            code="damaged",
            at=location,
            value=found.damage,
            rule="an instance is as its manifest says",
            remedy="run the recipe again: damaged instances are rebuilt",
        )
    raise StoreError(
        f"there is no instance at {location}",
        code="instance-missing",
        at=location,
        rule="an instance is a directory with a manifest.json",
        remedy="give the directory that `refinery-beam run` printed, or the recipe and its --cache-root",
    )
