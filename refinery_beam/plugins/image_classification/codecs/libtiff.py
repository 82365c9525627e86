"""libtiff's own word on what it decodes: its messages, and the bytes of a strip that it did not write.

Pillow gives libtiff buffers of uninitialised memory, and takes them as pixels even where libtiff reports an error or ends a strip early
without one. Two things make up for it, both through ctypes on the libtiff that Pillow itself is linked to:

- An error handler on libtiff. Messages are kept per thread, since libtiff calls its handler on the thread that decodes. Outside `listening`
  the handler that was there before is called, so other users of Pillow in the process notice nothing.
- `unwritten` decodes every strip or tile of a file twice, into buffers of zeros and of ones, and compares. Only fax codecs need it: they
  take a misplaced end-of-page code for the end of a strip and say nothing.

Pillow may be linked to libtiff in a way that hides its functions; `available` is then False.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from PIL import _imaging

FAX = frozenset({"tiff_ccitt", "group3", "group4", "tiff_raw_16"})
"""Pillow's names of the compressions whose decoder may end a strip early and say nothing."""

NEEDS_WORD = FAX | {"tiff_jpeg"}
"""Pillow's names of the compressions whose damage shows in libtiff's messages alone."""

_DIRECTORY = ("TIFFFetch", "TIFFReadDirectory", "TIFFReadCustomDirectory", "TIFFReadEXIF", "TIFFReadGPS", "_TIFFV", "TIFFSetField")
"""How the names of the functions begin that read tags. A tag that the decoder cannot do without makes decoding fail by itself."""

_P, _SIZE, _OFFSET = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_uint64
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, _P)
_Read = ctypes.CFUNCTYPE(_SIZE, _P, _P, _SIZE)
_Seek = ctypes.CFUNCTYPE(_OFFSET, _P, _OFFSET, ctypes.c_int)
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _P)
_Size = ctypes.CFUNCTYPE(_OFFSET, _P)
_Map = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.POINTER(_P), ctypes.POINTER(_OFFSET))
_Unmap = ctypes.CFUNCTYPE(None, _P, _P, _OFFSET)

_thread = threading.local()


class _Library:
    """The functions of libtiff that are used here. Raises AttributeError or OSError where Pillow does not show them."""

    def __init__(self) -> None:
        # A symbol is looked up in the library and in what it is linked to, so this finds the libtiff that Pillow calls.
        lib = ctypes.CDLL(_imaging.__file__)
        self.client_open = _function(
            lib, "TIFFClientOpen", _P, ctypes.c_char_p, ctypes.c_char_p, _P, _Read, _Read, _Seek, _Close, _Size, _Map, _Unmap
        )
        self.close = _function(lib, "TIFFClose", None, _P)
        self.is_tiled = _function(lib, "TIFFIsTiled", ctypes.c_int, _P)
        self.count = [_function(lib, f"TIFFNumberOf{part}s", ctypes.c_uint32, _P) for part in ("Strip", "Tile")]
        self.size = [_function(lib, f"TIFF{part}Size", _SIZE, _P) for part in ("Strip", "Tile")]
        self.row = [_function(lib, f"TIFF{part}Size", _SIZE, _P) for part in ("Scanline", "TileRow")]
        self.read = [_function(lib, f"TIFFReadEncoded{part}", _SIZE, _P, ctypes.c_uint32, _P, _SIZE) for part in ("Strip", "Tile")]
        self._format = _function(ctypes.CDLL(None), "vsnprintf", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, _P)
        self._handler = _Handler(self._heard)
        before = _function(lib, "TIFFSetErrorHandler", _P, _P)(ctypes.cast(self._handler, _P))
        self._before = _Handler(before) if before else None

    def _heard(self, module: bytes | None, text: bytes, values: int) -> None:
        messages: list[tuple[str, str]] | None = getattr(_thread, "messages", None)
        if messages is None:
            if self._before is not None:
                self._before(module, text, values)
            return
        if len(messages) < 64:
            line = ctypes.create_string_buffer(512)
            # A va_list is an address on every platform that is supported, and goes on as it came.
            self._format(line, len(line), text, values)
            messages.append(((module or b"").decode("ascii", "replace"), line.value.decode("ascii", "replace")))


def _function(lib: Any, name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(lib, name)
    found.restype, found.argtypes = result, arguments
    return found


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _loaded() -> _Library | None:
    try:
        return _Library()
    except (AttributeError, OSError, TypeError):
        return None


def _library() -> _Library | None:
    with _loading:
        return _loaded()


def available() -> bool:
    """Whether libtiff's word can be had in this process."""
    return _library() is not None


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect libtiff's errors about pixels while this thread decodes: ``Function: text``. Nothing of them reaches the terminal.

    The list is filled when the block ends. Errors about tags are left out.
    """
    _library()
    found: list[str] = []
    before = getattr(_thread, "messages", None)
    messages: list[tuple[str, str]] = []
    _thread.messages = messages
    try:
        yield found
    finally:
        _thread.messages = before
        found += [f"{module}: {text}" for module, text in messages if not module.startswith(_DIRECTORY)]


def unwritten(data: bytes, *, width: int) -> str:
    """Where a fax codec leaves pixels of the first page of a TIFF file unwritten, in words; '' if it writes them all. `width` is that of a
    row in pixels of one bit: of the image, or of a tile.

    Call it inside `listening`.
    """
    lib = _library()
    assert lib is not None, "see available()"
    file = _Memory(data)
    tiff = lib.client_open(b"memory", b"r", None, *file.functions)
    if not tiff:
        return "its directory cannot be read"
    try:
        tiled = int(bool(lib.is_tiled(tiff)))
        name, size, row = ("strip", "tile")[tiled], lib.size[tiled](tiff), lib.row[tiled](tiff)
        if size <= 0 or row <= 0:
            return f"its {name}s have no size"
        zeros, ones = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
        for number in range(lib.count[tiled](tiff)):
            ctypes.memset(zeros, 0, size)
            ctypes.memset(ones, 255, size)
            got = [lib.read[tiled](tiff, number, buffer, -1) for buffer in (zeros, ones)]
            if min(got) < 0:
                return f"{name} {number} does not decode"
            if _differ(ctypes.string_at(zeros, got[0]), ctypes.string_at(ones, got[0]), row, width):
                return f"{name} {number} ends before its last row"
    finally:
        lib.close(tiff)
    return ""


def _differ(one: bytes, other: bytes, row: int, width: int) -> bool:
    """Whether rows of `width` one-bit pixels differ. The bits that fill up a row's last byte belong to no pixel."""
    if one == other:
        return False
    spare = row * 8 - width
    if not 0 < spare < 8:
        return True
    mask = (b"\xff" * (row - 1) + bytes([0xFF << spare & 0xFF])) * (len(one) // row)
    return bool((int.from_bytes(one) ^ int.from_bytes(other)) & int.from_bytes(mask))


class _Memory:
    """Bytes as libtiff's file: the functions that it reads them with."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._address = ctypes.cast(ctypes.c_char_p(data), _P).value
        refuse = _Read(lambda _file, _buffer, _size: 0)
        self.functions = (
            _Read(self._read),
            refuse,
            _Seek(self._seek),
            _Close(lambda _file: 0),
            _Size(lambda _file: len(data)),
            _Map(self._map),
            _Unmap(lambda _file, _base, _size: None),
        )

    def _read(self, _file: int, buffer: int, size: int) -> int:
        part = self._data[self._at : self._at + size]
        ctypes.memmove(buffer, part, len(part))
        self._at += len(part)
        return len(part)

    def _seek(self, _file: int, offset: int, whence: int) -> int:
        base = (0, self._at, len(self._data))[whence]
        # libtiff passes steps back as unsigned numbers.
        self._at = (base + offset) & 0xFFFF_FFFF_FFFF_FFFF
        return self._at

    def _map(self, _file: int, base: Any, size: Any) -> int:
        base[0], size[0] = self._address, len(self._data)
        return 1
