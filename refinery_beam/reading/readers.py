"""One split of an instance as a sequence of rows.

Rows come in the order of the files: shard by shard, and in a shard by record key. ``reader[i]`` and iteration agree on it. Random access
decodes one row group and keeps as many as ``cache_bytes`` allows. A reader can be pickled, forked and shared by threads.
"""

from __future__ import annotations

import copy
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeAlias, overload

from refinery_beam.cache import Manifest
from refinery_beam.errors import UsageError, did_you_mean
from refinery_beam.plugins.base import Cell
from refinery_beam.reading.content import Allocate, Content
from refinery_beam.reading.groups import Group, SplitGroups
from refinery_beam.reading.labels import LABEL_ID, LabelIds, classes_of
from refinery_beam.reading.recorded import Recorded
from refinery_beam.reading.shard_cache import ShardCache
from refinery_beam.reading.stream import EpochStream, Share, order_of
from refinery_beam.record.readahead import WINDOW_BYTES, ordered_map

Row: TypeAlias = dict[str, Any]

CACHE_BYTES = 256 << 20
"""Decoded row groups that a reader keeps for random access: all of a small data set."""


class SplitReader(Sequence[Row]):
    """The rows of one split, as dicts: ``record_id``, then the output schema's fields in the recipe's order.

    Images are NumPy arrays, (h, w, c) or as declared; each row has an array of its own. Stored content goes through the deferred tail of
    the recipe (normalize, ...) unless the reader was opened with ``raw=True``; then it is as stored. Scalars are Python values, lists are
    lists.

    A map-style dataset as PyTorch's DataLoader wants it, with any start method of its workers; torch is not needed here.

    `len`, ``reader[i]`` (negative too; IndexError beyond the end), slices (a list of rows), iteration, `batches`, `columns`. StoreError
    ``damaged`` when a shard cannot be read. ``cache_bytes`` bounds the decoded row groups that random access keeps; it always keeps one.
    ``shard_cache`` says where shards of a remote instance are kept.
    """

    def __init__(
        self,
        recorded: Recorded,
        split: str,
        *,
        raw: bool = False,
        columns: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
        augment: bool = False,
        epoch_number: int = 0,
        label_ids: bool = False,
        shard_cache: ShardCache | None = None,
    ) -> None:
        self._recorded = recorded
        self.manifest = manifest = recorded.manifest
        self.split = split
        self.raw = raw
        self.cache_bytes = cache_bytes
        self.augment = augment
        self.epoch_number = epoch_number
        self.fields = _select(manifest, columns)
        self.content_field = manifest.image_field if manifest.image_field in self.fields else None
        self.label_ids = label_ids
        self.label_field = str(manifest.raw.get("label_field", ""))
        self.adds_label_ids = label_ids and self.label_field in self.fields and LABEL_ID not in self.fields
        self._ids = LabelIds(manifest) if self.adds_label_ids else None
        self.shard_cache = shard_cache
        self._groups = SplitGroups(recorded, split, self.fields, cache_bytes=cache_bytes, shard_cache=self.shard_cache)
        self._serve = Content(recorded, split, raw=raw, epoch=epoch_number if augment else None)

    # -- the sequence -----------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._groups.rows

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        position = operator.index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"row {index} of split {self.split!r}, which has {len(self)}")
        shard, number, row = self._groups.locate(position)
        return self._row(self._groups.get(shard, number), row)

    def __getitems__(self, indices: Sequence[int]) -> list[Row]:
        """Several rows in the order of the indices; PyTorch calls this with the indices of a batch. Rows of one row group are read
        together.
        """
        order = sorted(range(len(indices)), key=lambda k: indices[k] % max(1, len(self)))
        rows: dict[int, Row] = {}
        for k in order:
            rows[k] = self[indices[k]]
        return [rows[k] for k in range(len(indices))]

    def __iter__(self) -> Iterator[Row]:
        return self.rows_of(range(self._groups.shards))

    def rows_of(self, shards: Iterable[int], *, stored: bool = False) -> Iterator[Row]:
        """The rows of some shards, by their numbers; with ``stored`` the content is given as it is stored, not decoded."""
        for group in self._each_group(shards):
            for row in range(group.records):
                yield self._row(group, row, stored=stored)

    def _each_group(self, shards: Iterable[int]) -> Iterator[Group]:
        """Every row group of some shards once, the next ones on their way. A pass does not put groups into the cache of random access."""
        numbers = ((shard, number) for shard in shards for number in range(self._groups.groups_of(shard)))
        threads = usual_threads()
        with ThreadPoolExecutor(threads, thread_name_prefix="refinery-ahead") as pool:
            # As large as the whole window: no more groups than two a thread wait.
            yield from ordered_map(lambda key: self._groups.read(*key), numbers, pool=pool, threads=threads, item_bytes=WINDOW_BYTES)

    def batches(self, size: int, *, drop_last: bool = False, stored: bool = False) -> Iterator[dict[str, Any]]:
        """Consecutive rows as columns: {field: list of `size` values}; images of equal shape are stacked into one array (size, h, w, c).

        The last batch may be shorter; ``drop_last`` skips it then. With ``stored`` the content is given as it is stored, not decoded.
        UsageError when size is below 1.
        """
        if size < 1:
            raise UsageError(f"a batch of {size} rows", code="batch-size", value=size)
        return self._batches(size, drop_last=drop_last, stored=stored)

    def stream(
        self,
        *,
        epoch: int = 0,
        shuffle: bool = True,
        seed: int = 0,
        batch_size: int = 64,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        prefetch: int = 2,
        threads: int | None = None,
    ) -> EpochStream:
        """The batches of one epoch: the same, bit for bit, for every number of ranks and workers, and after a restart in the middle.

        Their order follows from the data, `seed`, `epoch` and `batch_size`, which is the global one: each of `world_size` ranks gets its
        part of every batch. Every row comes once. The last batch may be short; ``drop_last`` leaves it out, else a rank without a row of
        it gets a repeated one, as the column ``padded`` says. The recipe's lazy augmentations are drawn for the epoch, and the deferred
        tail is applied unless the reader is ``raw``.

        `prefetch` batches are made ahead by a thread of its own, and `threads` decode (as many as there are processors, at most 4).
        Memory: about `order.LANES` x `order.STREAMS` x `order.WINDOW_BYTES` (128 MiB) of rows, and the batches ahead.

        >>> for batch in data["train"].stream(epoch=3, batch_size=64):         # doctest: +SKIP
        ...     batch["image"], batch["label"]

        UsageError ``batch-size``, ``epoch-number``, ``rank-range`` where ranks do not fit.
        """
        if not 0 <= rank < world_size or batch_size % world_size:
            raise UsageError(
                f"rank {rank} of {world_size} cannot have its part of batches of {batch_size}",
                code="rank-range",
                value=rank,
            )
        reader = self.epoch(epoch)
        order = order_of(
            reader,
            epoch=epoch,
            shuffle=shuffle,
            seed=seed,
            batch_size=batch_size,
            drop_last=drop_last,
        )
        share = Share(rank=rank, world_size=world_size)
        return EpochStream(reader, order, share, prefetch=prefetch, threads=usual_threads() if threads is None else threads)

    def to_hf(self, *, streaming: bool = False, cache_dir: str | None = None) -> Any:
        """The rows that this reader serves, in Hugging Face `datasets` (extra ``hf``): a Dataset whose Arrow file is written once, into the
        library's cache or `cache_dir`, or an IterableDataset that reads the instance itself (`streaming`).

        A label that is text is a ClassLabel in the order of `classes`; arrays of one shape are an Array2D or Array3D, image files an Image.

        EnvironmentFault ``missing-extra``; UsageError ``hf-shape`` for arrays of varying shape that are no uint8 images.
        """
        # A door: only here is the library needed.
        from refinery_beam.reading.hugging_face import dataset_of, streaming_of

        return streaming_of(self) if streaming else dataset_of(self, cache_dir=cache_dir)

    def columns(self, *names: str | Sequence[str]) -> SplitReader:
        """A reader of fewer fields (``record_id`` stays), named one by one or as a list; other columns are not read from disk. UsageError
        for an unknown name.
        """
        return self._with(columns=[one for name in names for one in ([name] if isinstance(name, str) else name)])

    def epoch(self, number: int) -> SplitReader:
        """The split as it is in one epoch of training: with the recipe's lazy augmentations, drawn anew for every epoch.

        The random numbers follow from the augmentation's seed and name, the record and the epoch's number, whatever the order of reading.
        Augmentations change the stored pixels, before the deferred tail. A split without lazy augmentations is read unchanged. UsageError
        for a number below 0.
        """
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise UsageError(f"there is no epoch {number!r}", code="epoch-number", value=number)
        return self._with(augment=True, epoch_number=number)

    def with_label_ids(self) -> SplitReader:
        """The same rows with ``label_id``, the position of the label among `classes`, and -1 where a row has none. Rows that have a field
        of that name, or no label, stay as they are.
        """
        return self._with(label_ids=True)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of all splits of the instance, in the order of their ids."""
        return classes_of(self.manifest)

    @property
    def label_counts(self) -> dict[str, int]:
        """Rows of this split by label, as text."""
        return dict(self.manifest.raw.get("classes", {}).get(self.split, {}))

    def _with(self, **changes: Any) -> SplitReader:
        """A copy of the reader with some settings changed, and with a cache of its own."""
        settings: dict[str, Any] = {
            "raw": self.raw,
            "columns": [name for name in self.fields if name != "record_id"],
            "cache_bytes": self.cache_bytes,
            "augment": self.augment,
            "epoch_number": self.epoch_number,
            "label_ids": self.label_ids,
            "shard_cache": self.shard_cache,
        }
        made = SplitReader(self._recorded, self.split, **{**settings, **changes})
        made._groups.know(self._groups)
        return made

    def __repr__(self) -> str:
        return f"<split {self.split!r} of {self.manifest.location}: {len(self)} rows of {', '.join(self.fields)}>"

    # -- rows -------------------------------------------------------------------------------------------------------------------

    def _row(self, group: Group, row: int, *, stored: bool = False) -> Row:
        values: Row = {}
        for name, column in group.columns.items():
            value = column[row]
            if name == self.content_field and not stored:
                location = self._groups.location(group.shard)
                value = self._serve.one(value, record_id=group.columns["record_id"][row], location=location)
            elif isinstance(value, list):
                # Cached groups outlive the row, and a caller may change its row.
                value = copy.deepcopy(value)
            values[name] = value
        if self._ids is not None:
            values[LABEL_ID] = self._ids(values[self.label_field])
        return values

    # -- for streams --------------------------------------------------------------------------------------------------------------

    @cached_property
    def group_numbers(self) -> list[tuple[int, int, int]]:
        """(shard, number, rows) of every row group, in the order of the files."""
        return self._groups.sizes()

    @property
    def row_bytes(self) -> int | None:
        """The bytes of a row's stored content, read or not, where it is of one size in every row."""
        return self._serve.row_bytes

    @property
    def remote(self) -> bool:
        """Whether shards lie on a store."""
        return self._groups.remote

    def fetch(self, shard: int) -> None:
        """Have a shard of a store in the local cache of shards."""
        self._groups.fetch(shard)

    def read_group(self, shard: int, number: int) -> Group:
        """A row group, decoded anew. Safe under threads."""
        return self._groups.read(shard, number)

    def batch_of(
        self, slots: Sequence[tuple[Group, int]], *, pool: ThreadPoolExecutor | None = None, allocate: Allocate | None = None
    ) -> dict[str, Any]:
        """Rows as columns; images of one shape are one array, in memory of `allocate` where that is given. The threads of a `pool` share
        the work.
        """
        return self._batch(slots, pool=pool, allocate=allocate)

    @property
    def serves_files(self) -> bool:
        """Whether images are served as they are stored: as files that were made here."""
        return self._serve.as_files

    @property
    def one_shape(self) -> bool:
        """Whether content is served as arrays of one shape."""
        return self._serve.one_shape

    def _batches(self, size: int, *, drop_last: bool, stored: bool) -> Iterator[dict[str, Any]]:
        waiting: list[tuple[Group, int]] = []
        for group in self._each_group(range(self._groups.shards)):
            for row in range(group.records):
                waiting.append((group, row))
                if len(waiting) == size:
                    yield self._batch(waiting, stored=stored)
                    waiting = []
        if waiting and not drop_last:
            yield self._batch(waiting, stored=stored)

    def _batch(
        self,
        slots: Sequence[tuple[Group, int]],
        *,
        pool: ThreadPoolExecutor | None = None,
        allocate: Allocate | None = None,
        stored: bool = False,
    ) -> dict[str, Any]:
        batch: dict[str, Any] = {}
        for name in self.fields:
            values = [group.columns[name][row] for group, row in slots]
            if name != self.content_field or stored:
                batch[name] = copy.deepcopy(values) if any(isinstance(value, list) for value in values) else values
            elif self._serve.in_bulk:
                batch[name] = self._serve.bulk(values, pool=pool, allocate=allocate)
            else:
                ids, shards = batch["record_id"], [self._groups.location(group.shard) for group, _ in slots]
                each = map if pool is None else pool.map
                batch[name] = stacked(list(each(self._serve_one, values, ids, shards)), allocate)
        if self._ids is not None:
            import numpy as np

            batch[LABEL_ID] = np.array([self._ids(label) for label in batch[self.label_field]], np.int64)
        return batch

    def _serve_one(self, cell: Cell, record_id: str, location: str) -> Any:
        return self._serve.one(cell, record_id=record_id, location=location)


def usual_threads() -> int:
    """How many threads a reader uses where nobody says: one a processor, at most 4."""
    return min(4, os.cpu_count() or 1)


def stacked(values: list[Any], allocate: Allocate | None = None) -> Any:
    """Arrays of one shape and dtype as one array, in memory of `allocate` where that is given; everything else as it is."""
    if len({(getattr(value, "shape", None), getattr(value, "dtype", None)) for value in values}) != 1:
        return values
    import numpy as np

    if not isinstance(values[0], np.ndarray):
        return values
    out = None if allocate is None else allocate((len(values), *values[0].shape), values[0].dtype)
    return np.stack(values, out=out)


def _select(manifest: Manifest, columns: Sequence[str] | None) -> tuple[str, ...]:
    output = manifest.raw.get("output", {})
    # The schema is a JSON object with sorted keys; `fields` keeps the recipe's order.
    known = list(output.get("fields") or manifest.schema)
    if columns is not None:
        for name in columns:
            if name != "record_id" and name not in known:
                raise UsageError(
                    f"the dataset has no field {name!r}",
                    code="unknown-field",
                    at=manifest.location,
                    value=name,
                    rule="fields are those of Output.record_schema, and record_id",
                    remedy=did_you_mean(name, known),
                )
        known = [name for name in known if name in columns]
    return ("record_id", *(name for name in known if name != "record_id"))
