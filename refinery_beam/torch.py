"""PyTorch: the splits of an instance as datasets and loaders. Importing this module imports torch; nothing else of the package does.

    import refinery_beam.torch as rbt

    loader = rbt.Loader(data["train"], batch_size=64, workers=2, seed=7)
    for epoch in range(90):
        loader.set_epoch(epoch)
        for batch in loader:
            loss = criterion(model(batch["image"]), batch["label_id"])

`Loader` gives the same batches, bit for bit, for every number of workers and ranks, and goes on in the middle of an epoch. `Batches` is the
dataset behind it, for a DataLoader of your own; a `SplitReader` itself is a map-style dataset, and `Rows` is one of tensors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from refinery_beam.reading.blocks import Allocator, Block, Blocks
from refinery_beam.reading.readers import SplitReader
from refinery_beam.reading.stream import EpochStream, Share

Batch = dict[str, Any]
Transform = Callable[[Batch], Batch]


def tensors(columns: Mapping[str, Any], *, channels_first: bool = True) -> Batch:
    """Columns of a row or a batch with tensors in place of arrays and numbers; text and lists stay as they are. No array is copied.

    Images (h, w, c) become (c, h, w) in the memory they have, which torch calls channels last; ``channels_first=False`` leaves them.
    """
    found: Batch = {}
    for name, value in columns.items():
        if isinstance(value, np.ndarray):
            tensor = _shared(value)
            found[name] = tensor.movedim(-1, -3) if channels_first and tensor.ndim >= 3 else tensor
        elif all(type(one) in (int, float, bool) for one in (value if isinstance(value, list) and value else [value])):
            found[name] = torch.tensor(value)
        else:
            found[name] = value
    return found


def _shared(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """The tensor of an array's memory: the very tensor that `shared_memory` made, which another process gets without a copy."""
    base = array.base
    if isinstance(base, torch.Tensor) and base.shape == array.shape and base.data_ptr() == array.ctypes.data:
        return base
    return torch.from_numpy(array)


def _shared_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    empty = torch.empty(0, dtype=dtype)
    storage = empty._typed_storage()._new_shared(math.prod(shape), device="cpu")
    shared: torch.Tensor = empty.new(storage).resize_(*shape)
    return shared


def shared_memory(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array in memory that a worker shares with the process of its loader."""
    found: np.ndarray[Any, Any] = _shared_tensor(shape, torch.from_numpy(np.empty(0, dtype)).dtype).numpy()
    return found


def collate(rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Rows of `Rows` as one batch: tensors of one shape are stacked, everything else becomes a list. For ``DataLoader(collate_fn=...)``."""
    found: Batch = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        same = all(isinstance(value, torch.Tensor) for value in values) and len({value.shape for value in values}) == 1
        found[name] = _stacked(values) if same else values
    return found


def _stacked(values: list[torch.Tensor]) -> torch.Tensor:
    """Tensors of one shape as one; in a worker it lies where the process of the loader finds it."""
    if get_worker_info() is None:
        return torch.stack(values)
    whole = _shared_tensor((len(values), *values[0].shape), values[0].dtype)
    return torch.stack(values, out=whole)


def class_weights(split: SplitReader) -> torch.Tensor:
    """Weights that make every class of a split count the same, float32, in the order of ``data.classes``: rows / (classes * rows of the
    class), as scikit-learn balances; 0 for a class without rows.
    """
    counts = [split.label_counts.get(name, 0) for name in split.classes]
    present = sum(1 for count in counts if count)
    return torch.tensor([sum(counts) / (present * count) if count else 0.0 for count in counts], dtype=torch.float32)


class Rows(Dataset[Batch]):
    """A split as a map-style dataset of tensors, with ``label_id``. For random access and torch's samplers; `Batches` is faster.

    ``transform`` is called with every row.
    """

    def __init__(self, split: SplitReader, *, channels_first: bool = True, transform: Transform | None = None) -> None:
        self.split = split.with_label_ids()
        self.channels_first, self.transform = channels_first, transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Batch:
        return self._made(self.split[index])

    def __getitems__(self, indices: Sequence[int]) -> list[Batch]:
        """The rows of a batch, read together."""
        return [self._made(row) for row in self.split.__getitems__(indices)]

    def _made(self, row: Mapping[str, Any]) -> Batch:
        made = tensors(row, channels_first=self.channels_first)
        return made if self.transform is None else self.transform(made)


class Batches(IterableDataset[Batch]):
    """Whole batches of a split, in the order of `SplitReader.stream`, for ``DataLoader(batches, batch_size=None, num_workers=N)``.

    Each worker makes its own batches, and the loader gives them in the order of the epoch, whatever N is. ``rank`` and ``world_size`` are
    those of torch.distributed where it is initialized. ``transform`` is called with every batch of tensors, in the worker.

    With torchdata's StatefulDataLoader an epoch goes on where its state stood, on the same number of workers; `Loader` has a state that
    goes on with any number.
    """

    def __init__(
        self,
        split: SplitReader,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        channels_first: bool = True,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        joined = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.split = split.with_label_ids()
        self.options: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": shuffle,
            "seed": seed,
            "drop_last": drop_last,
            "rank": rank if rank is not None else torch.distributed.get_rank() if joined else 0,
            "world_size": world_size if world_size is not None else torch.distributed.get_world_size() if joined else 1,
        }
        self.channels_first, self.transform = channels_first, transform
        self.epoch = epoch
        self.blocks: Blocks | None = None
        """Where a worker of `Loader` puts its batches."""
        self._from: dict[str, Any] | None = None
        self._reading: EpochStream | None = None
        self.stream()  # what does not fit is an error here, not in a worker

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next iteration, from its beginning. A loader with persistent workers must be made anew for it."""
        self.epoch, self._from, self._reading = epoch, None, None

    def stream(self) -> EpochStream:
        """The stream of this epoch, from where it stands."""
        stream = self.split.stream(epoch=self.epoch, **self.options)
        if self._from is not None:
            stream.load_state_dict(self._from)
        return stream

    def __len__(self) -> int:
        return len(self.stream())

    def __iter__(self) -> Iterator[Batch]:
        stream, info = self.stream(), get_worker_info()
        allocator: Allocator | None = None
        if info is not None:
            share = Share(**{name: self.options[name] for name in ("rank", "world_size")}, worker=info.id, workers=info.num_workers)
            # The loader makes batches ahead, and the workers share the processors.
            if self.blocks is not None:
                allocator = self.blocks.allocator(info.id, shared_memory)
            stream = stream.shared(share, allocate=allocator or shared_memory)
        self._reading = stream
        for batch in stream:
            made = tensors(batch, channels_first=self.channels_first)
            made = made if self.transform is None else self.transform(made)
            yield made if allocator is None or self.blocks is None else _Sent(made, allocator, self.blocks.name)  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Where this copy stands; in a worker, that of the worker."""
        return (self._reading or self.stream()).state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration goes on where the state stood."""
        self._from, self._reading = dict(state), None
        self.epoch = int(state["epoch"])


_BLOCKS: WeakValueDictionary[int, Blocks] = WeakValueDictionary()
"""The blocks of the loaders of this process, by name."""

_SMALL = 64 << 10
"""Tensors of at most so many bytes are cheaper to send than to share."""

_NOT_IN_NUMPY = (torch.bfloat16,)


class _InBlock(NamedTuple):
    """A tensor that lies in a block."""

    block: Block
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


class _Sent:
    """A batch on its way from a worker, without the bytes that lie in blocks. No mapping, so a DataLoader hands it on as it is."""

    def __init__(self, batch: Batch, allocator: Allocator, blocks: int) -> None:
        self._blocks = blocks
        found: dict[int, Block | None] = {}
        self._values = {name: self._packed(value, allocator, found) for name, value in batch.items()}

    @staticmethod
    def _packed(value: Any, allocator: Allocator, found: dict[int, Block | None]) -> Any:
        if type(value) is not torch.Tensor or value.device.type != "cpu" or value.layout != torch.strided or value.requires_grad:
            return value
        storage = value.untyped_storage()
        address = storage.data_ptr()
        if address not in found:
            found[address] = allocator.sent(address, storage.nbytes())
        block = found[address]
        if block is not None:
            return _InBlock(block, value.dtype, tuple(value.shape), value.stride(), value.storage_offset())
        small = storage.nbytes() <= _SMALL and value.is_contiguous() and value.dtype not in _NOT_IN_NUMPY
        return value.numpy() if small else value

    def batch(self) -> Batch:
        """The batch, whose blocks are free when its tensors are gone."""
        blocks = _BLOCKS[self._blocks]
        return {name: self._unpacked(value, blocks) for name, value in self._values.items()}

    @staticmethod
    def _unpacked(value: Any, blocks: Blocks) -> Any:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value)
        if not isinstance(value, _InBlock):
            return value
        whole = torch.from_numpy(blocks.opened(value.block)).view(value.dtype)
        return whole.as_strided(value.shape, value.stride, value.offset)

    def pin_memory(self, device: Any = None) -> Batch:
        """What a DataLoader that pins memory asks of what it does not know."""
        return {name: value.pin_memory() if isinstance(value, torch.Tensor) else value for name, value in self.batch().items()}


class Loader:
    """Batches of tensors, epoch by epoch: a DataLoader over `Batches` that counts. ``workers`` processes make them ahead; 0 leaves it to
    threads of this one. `options` are those of `Batches`, `more` those of DataLoader (``pin_memory``, ``prefetch_factor``, ...).

    Workers write images where this process reads them, and fill the memory of a batch again when all its tensors are gone: ``workers`` x
    (``prefetch_factor`` + 3) batches at most. Batches that are kept cost memory of their own, and nothing else.
    """

    def __init__(
        self, split: SplitReader, *, batch_size: int, workers: int = 0, more: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.batches = Batches(split, batch_size=batch_size, **options)
        self.workers, self._more = workers, dict(more or {})
        self._blocks: Blocks | None = None
        self._state: dict[str, Any] = self.batches.state_dict()

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next iteration, from its beginning."""
        self.batches.set_epoch(epoch)
        self._state = self.batches.state_dict()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        # An iteration that was given up counts for nothing: the next one begins where it did.
        step = self.batches.stream().start
        batches, blocks = copy.copy(self.batches), self._take_blocks()
        batches.blocks = blocks
        made = iter(DataLoader(batches, batch_size=None, num_workers=self.workers, **self._more))
        try:
            while (batch := next(made, None)) is not None:
                step += 1
                self._state = {**self._state, "step": step}
                yield batch.batch() if isinstance(batch, _Sent) else batch
        finally:
            # The workers end with their iterator.
            del made
            if blocks is not None:
                blocks.reclaim()
                self._blocks = blocks
        self.set_epoch(self.batches.epoch)

    def _take_blocks(self) -> Blocks | None:
        """Those of the last epoch, where no other iteration has them."""
        blocks, self._blocks = self._blocks, None
        if blocks is None and self.workers:
            blocks = Blocks.make(self.workers, int(self._more.get("prefetch_factor") or 2) + 3)
            if blocks is not None:
                _BLOCKS[blocks.name] = blocks
        return blocks

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands after the last batch that was given, as plain data."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a state stood, with any number of workers and ranks."""
        self.batches.load_state_dict(state)
        self._state = self.batches.state_dict()
