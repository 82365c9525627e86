"""An instance as a value: what it is, and the way to its rows and statistics. Opening one reads the manifest and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from refinery_beam.cache import Manifest
from refinery_beam.cache.listed import sample_manifest
from refinery_beam.cache.verify import VerifyReport, verify
from refinery_beam.errors import UsageError, did_you_mean
from refinery_beam.locations import StrPath
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.labels import classes_of
from refinery_beam.reading.readers import CACHE_BYTES, SplitReader
from refinery_beam.reading.recorded import Recorded, open_recorded, read_listed
from refinery_beam.reading.replay import Replay
from refinery_beam.reading.shard_cache import ShardCache

_STATISTICS = "fitted_statistics/"
_REPORT = "report/report.md"

Status = Literal["built", "hit", "opened"]


class Report(str):
    """The text of an instance's report, in Markdown; notebooks show it as such."""

    def _repr_markdown_(self) -> str:
        return str(self)


class Instance:
    """A complete instance, read-only: a mapping of split names to rows. Made by `run` and `open_instance`; can be pickled and shared.

    ::

        data = rb.run("recipe.yaml")
        len(data["train"]), data["train"][0]["image"]
        for split in data:
            for row in data[split]: ...
    """

    status: Status = "opened"
    """How this call came to it: a run ``built`` it, or found it (a ``hit``); ``opened`` without a run."""

    def __init__(self, manifest: Manifest, *, code: tuple[PathCode, ...] = ()) -> None:
        self.recorded = Recorded(manifest, code=code)

    # -- what it is ---------------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """What the instance says of itself."""
        return self.recorded.manifest

    @property
    def path(self) -> str:
        """The absolute directory, or the URL."""
        return self.manifest.location

    def __fspath__(self) -> str:
        """Its path or URL: where a verb or a library takes the path of an instance, it takes the instance."""
        return self.path

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the recipe's order."""
        return self.manifest.splits

    @property
    def counts(self) -> dict[str, int]:
        """Rows by split, in the recipe's order."""
        return dict(self.manifest.counts)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of all splits, each once, as text in the order of code points; empty where no record has a label. The position of a
        label is its id.
        """
        return classes_of(self.manifest)

    @property
    def schema(self) -> dict[str, dict[str, Any]]:
        """The output schema in the recipe's order: {field: {dtype, shape}}, as stored (before the deferred tail)."""
        schema = self.manifest.schema
        order = self.manifest.raw.get("output", {}).get("fields") or list(schema)
        return {name: schema[name] for name in order if name in schema}

    @property
    def report(self) -> Report:
        """The text of ``report/report.md``, proved by the manifest's digest. StoreError ``damaged``."""
        return Report(read_listed(self.manifest, _REPORT).decode())

    # -- rows ---------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, split: str) -> SplitReader:
        """The rows of one split. UsageError ``unknown-split``."""
        return self.split(split)

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        """How many splits there are."""
        return len(self.splits)

    def __contains__(self, split: object) -> bool:
        return split in self.splits

    def keys(self) -> tuple[str, ...]:
        """The names of the splits."""
        return self.splits

    def values(self) -> tuple[SplitReader, ...]:
        """The rows of each split."""
        return tuple(self[split] for split in self.splits)

    def items(self) -> tuple[tuple[str, SplitReader], ...]:
        """Each split's name with its rows."""
        return tuple((split, self[split]) for split in self.splits)

    def split(
        self,
        name: str,
        *,
        raw: bool = False,
        columns: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
        epoch: int | None = None,
        label_ids: bool = False,
        shard_cache: ShardCache | None = None,
    ) -> SplitReader:
        """The rows of one split. ``raw`` leaves out the deferred tail; ``columns`` limits the fields; ``label_ids`` adds the number of each
        row's label; ``shard_cache`` says where shards of a remote instance are kept; see `SplitReader`.

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
        reader = SplitReader(
            self.recorded,
            name,
            raw=raw,
            columns=columns,
            cache_bytes=cache_bytes,
            label_ids=label_ids,
            shard_cache=shard_cache,
        )
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

    def to_hf(self, *, raw: bool = False, streaming: bool = False, cache_dir: str | None = None) -> Any:
        """All splits in Hugging Face `datasets`, as a DatasetDict or IterableDatasetDict; see `SplitReader.to_hf`."""
        # A door: only here is the library needed.
        from refinery_beam.reading.hugging_face import the_library

        datasets = the_library()
        made = {name: self.split(name, raw=raw).to_hf(streaming=streaming, cache_dir=cache_dir) for name in self.splits}
        return (datasets.IterableDatasetDict if streaming else datasets.DatasetDict)(made)

    # -- what was fitted, and the chain -------------------------------------------------------------------------------------------

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
                remedy=did_you_mean(name, self.statistics_names),
            )
        return self.recorded.statistics(f"{_STATISTICS}{name}.json")

    def tail(self, split: str) -> list[dict[str, Any]]:
        """The deferred tail of a split as plain data, for programs that apply it themselves, as on a GPU: for each op its ``name``, ``op``,
        ``params`` and ``statistics`` (``mean`` and ``std`` by channel of `normalize`; None where the op has none). UsageError
        ``unknown-split``.
        """
        self.split(split)
        entries = [entry for entry in self.manifest.raw.get("deferred", []) if split in entry.get("splits", [split])]
        return [
            {
                **{word: entry[word] for word in ("name", "op", "params")},
                "statistics": self.recorded.statistics(entry["statistics"]) if entry.get("statistics") else None,
            }
            for entry in entries
        ]

    @cached_property
    def replay(self) -> Replay:
        """The recipe's chain, for files that are not in the dataset: ``data.replay("photo.jpg")``. See `Replay`, which also takes the name
        of a split where splits have different chains (UsageError ``split-needed``).
        """
        return Replay(self.recorded)

    def verify(self, *, deep: bool = False) -> VerifyReport:
        """Hash every file again and compare; with ``deep`` read every row too. The report is false where something does not hold."""
        # A door: this imports the room of recipes, which no reader of rows needs.
        from refinery_beam.recipe.digest import digest_of_recipe

        code = self.recorded.code
        return verify(self.path, deep=deep, recipe_digest=lambda path: digest_of_recipe(path, code=code), code=code)

    # -- how it looks -------------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        splits = ", ".join(f"{split}: {count:,} rows" for split, count in self.counts.items())
        return f"<{type(self).__name__} {splits}; {', '.join(self.schema)}; {self.status}, {self.path}>"

    def _repr_html_(self) -> str:
        # A door: only notebooks ask for it.
        from refinery_beam.reading.notebook import html_of

        return html_of(self.manifest, {split: self.split(split, raw=True) for split in self.splits}, status=self.status)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "replay"}


def open_instance(path: StrPath, *, plugin_paths: Sequence[str] | None = None) -> Instance:
    """Open a finished instance by its directory or URL, or by its manifest.json. (``refinery_beam.open_instance`` also takes a recipe.)

    ``plugin_paths`` name the files of third-party plugins that are not installed, as ``--plugin-path`` did for the run; left out, they are
    those of REFINERY_BEAM_PLUGIN_PATH.

    Checks that every listed file is there with its size. StoreError: ``instance-missing``, ``damaged``, ``manifest-contract``.
    """
    recorded = open_recorded(path, plugin_paths=plugin_paths)
    return Instance(recorded.manifest, code=recorded.code)
