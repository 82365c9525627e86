"""Blocks of memory that worker processes fill with batches and the process of a loader reads, used again and again.

Fresh memory is dear: a page that nobody had before costs a fault in the worker that writes it and another in the process that reads it,
together several times what copying a batch costs. So each worker has a few blocks of its own, which both processes map once. A block is
free again when the last array of the process of the loader that lies in it is gone; when a worker finds none free, it takes fresh memory,
which is slower and holds the same bytes.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from contextlib import suppress
from multiprocessing.reduction import DupFd
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.reading.content import Allocate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FREE, FILLED = 0, 1


class Block(NamedTuple):
    """A filled block: its number, and the bytes that are in it."""

    number: int
    nbytes: int


class Blocks:
    """`each` blocks for each of some workers. Made by the process of the loader, and handed to its workers by a fork or by pickling.

    Linux alone has the files in memory that this needs: `make` gives None elsewhere.
    """

    def __init__(self, workers: int, each: int) -> None:
        self.each = each
        # One byte a block says whether it is free. A worker alone fills one, the process of the loader alone frees it.
        self._files = [os.memfd_create("refinery-batches") for _ in range(workers * each + 1)]
        os.ftruncate(self._files[-1], workers * each)
        self.name = self._files[-1]
        """A number that no other blocks of the loader's process have."""
        self._begin()

    @classmethod
    def make(cls, workers: int, each: int) -> Blocks | None:
        """Blocks where the system has them."""
        return cls(workers, each) if hasattr(os, "memfd_create") else None

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._states = mmap.mmap(self._files[-1], len(self._files) - 1)
        self._maps: dict[int, mmap.mmap] = {}
        self._arrays: dict[int, weakref.ref[Array]] = {}
        weakref.finalize(self, _close, self._files, self._pid).atexit = False

    def __getstate__(self) -> dict[str, Any]:
        return {"each": self.each, "name": self.name, "files": [DupFd(file) for file in self._files]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.each, self.name = state["each"], state["name"]
        self._files = [file.detach() for file in state["files"]]
        self._begin()

    # -- in a worker ----------------------------------------------------------------------------------------------------------------

    def allocator(self, worker: int, otherwise: Allocate) -> Allocator:
        """What gives the blocks of one worker, by number from 0, and memory of `otherwise` while none is free."""
        if self._pid != os.getpid():
            # What was mapped before a fork is the other process's business.
            self._begin()
        return Allocator(self, range(worker * self.each, (worker + 1) * self.each), otherwise)

    def mapped(self, number: int, nbytes: int) -> mmap.mmap:
        """A block as memory of at least so many bytes."""
        found = self._maps.get(number)
        if found is None or len(found) < nbytes:
            if os.fstat(self._files[number]).st_size < nbytes:
                os.ftruncate(self._files[number], nbytes)
            found = self._maps[number] = mmap.mmap(self._files[number], nbytes)
        return found

    def is_free(self, number: int) -> bool:
        """Whether a block may be filled."""
        return self._states[number] == FREE

    def fill(self, number: int) -> None:
        """Take a block: its worker fills it."""
        self._states[number] = FILLED

    def free(self, number: int) -> None:
        """Give a block back."""
        self._states[number] = FREE

    # -- in the process of the loader -----------------------------------------------------------------------------------------------

    def opened(self, block: Block) -> Array:
        """The bytes of a filled block, one array for all who ask. The block is free when that array, and all views of it, are gone."""
        import numpy as np

        known = self._arrays.get(block.number)
        found = known() if known is not None else None
        if found is None:
            found = np.frombuffer(self.mapped(block.number, block.nbytes), np.uint8, block.nbytes)
            self._arrays[block.number] = weakref.ref(found)
            weakref.finalize(found, _give_back, weakref.ref(self), block.number, self._pid).atexit = False
        return found

    def reclaim(self) -> None:
        """Free the blocks that were on their way when their workers ended: all but those whose array somebody still has."""
        for number in range(len(self._files) - 1):
            known = self._arrays.get(number)
            if known is None or known() is None:
                self.free(number)


class Allocator:
    """The blocks of one worker. A block whose batch is not sent, for nobody wants it, is free again when its array is gone."""

    def __init__(self, blocks: Blocks, numbers: range, otherwise: Allocate) -> None:
        self._blocks, self._numbers, self._otherwise = blocks, numbers, otherwise
        self._calls = 0
        self._unsent: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Memory for an array, which lies at the beginning of a block where one is free."""
        import numpy as np

        count = math.prod(shape)
        number = next((n for n in self._numbers if self._blocks.is_free(n)), None)
        if number is None or not count:
            return self._otherwise(shape, dtype)
        self._blocks.fill(number)
        found: Array = np.frombuffer(self._blocks.mapped(number, count * dtype.itemsize), dtype, count)
        self._calls += 1
        self._unsent[self._calls] = number
        self._last[int(found.ctypes.data)] = self._calls
        weakref.finalize(found, self._gone, self._calls).atexit = False
        return found.reshape(shape)

    def sent(self, address: int, nbytes: int) -> Block | None:
        """The block whose memory begins at an address, which from now on only the process of the loader frees; None for other memory."""
        number = self._unsent.pop(self._last.get(address, 0), None)
        return None if number is None else Block(number, nbytes)

    def _gone(self, call: int) -> None:
        number = self._unsent.pop(call, None)
        if number is not None:
            self._blocks.free(number)


def _give_back(blocks: weakref.ref[Blocks], number: int, pid: int) -> None:
    """A fork has a copy of the array, and does not speak for this process."""
    found = blocks()
    if found is not None and os.getpid() == pid:
        found.free(number)


def _close(files: list[int], pid: int) -> None:
    if os.getpid() == pid:
        for file in files:
            with suppress(OSError):
                os.close(file)
