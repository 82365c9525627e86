"""The bytes of a table: loaded within a limit, unpacked where they are gzip, and recognised where they are no table."""

from __future__ import annotations

import io
import os
import stat
import zlib
from typing import IO, Literal, NamedTuple, TypeAlias

from refinery_beam import locations
from refinery_beam.tables.faults import TableFault

Form: TypeAlias = Literal["parquet", "json lines", "delimited"]

LIMIT = 4 << 30
"""Bytes of a table, packed and unpacked. A table is read whole, and a hundred million short rows fit."""

HEAD = 1 << 20
"""Bytes that are enough for the columns and the first rows."""

_SUFFIXES: dict[str, Form] = {"parquet": "parquet", "pq": "parquet", "jsonl": "json lines", "ndjson": "json lines"}

_CSV = "save it as CSV UTF-8 from the program that wrote it"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "is an Excel 97 workbook, not text", _CSV),
    (b"BZh", "is packed with bzip2", "unpack it: bunzip2 FILE, or pack it with gzip"),
    (b"\xfd7zXZ", "is packed with xz", "unpack it: unxz FILE, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd", "unpack it: zstd -d FILE, or pack it with gzip"),
    (b"7z\xbc\xaf", "is a 7z archive", "unpack it and name the table inside"),
    (b"Rar!", "is a RAR archive", "unpack it and name the table inside"),
    (b"%PDF", "is a PDF document", "export the table as CSV"),
    (b"SQLite format 3", "is an SQLite database", "export the table: sqlite3 -header -csv FILE 'select * from NAME' > labels.csv"),
    (b"version https://git-lfs", "is a Git LFS pointer: the table itself was not downloaded", "download it: git lfs pull"),
    (b"\x89HDF", "is an HDF5 file", "write the table as CSV or Parquet"),
    (b"\x93NUMPY", "is a NumPy array", "write the table as CSV or Parquet"),
    (b"\x80\x04", "is a Python pickle", "write the table as CSV or Parquet"),
    (b"ARROW1", "is an Arrow file", "write the table as Parquet"),
    (b"\x89PNG", "is a PNG image", "name the table, not an image"),
    (b"\xff\xd8\xff", "is a JPEG image", "name the table, not an image"),
)


class Contents(NamedTuple):
    """The unpacked bytes of a table and its form. ``raw`` are the bytes of the file; ``whole`` is False if only the head was read."""

    raw: bytes
    data: bytes
    form: Form
    whole: bool


def load(location: str, *, head: bool = False) -> Contents:
    """The contents of a table, or its first `HEAD` bytes. Never waits: a pipe or a device is refused, not opened."""
    try:
        raw = _read(location, head)
    except OSError as error:
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        raise TableFault(reason, cannot="cannot read", code="label-table") from None
    name, data = location, raw
    whole = not head or len(raw) < HEAD
    if raw[:2] == b"\x1f\x8b":
        data, ended = _gunzip(raw, HEAD if head else LIMIT)
        if not head and not ended:
            raise TableFault(f"holds more than {LIMIT:,} bytes, unpacked", code="label-table", rule=_limit(), remedy="split it")
        whole = whole and ended
        if head and not whole and data[:4] == b"PAR1":
            return load(location)  # its columns stand at its end
        name = location[: -len(".gz")] if location.lower().endswith(".gz") else location
    form = form_of(name, data)
    if form != "parquet":
        _refuse_others(data)
        if not whole:
            data = _whole_lines(data)
    return Contents(raw, data, form, whole)


def form_of(name: str, data: bytes = b"") -> Form:
    """The form of a table, by its first bytes or its name: all but Parquet and JSON lines is text with delimiters.

    >>> form_of("a/labels.csv"), form_of("labels.PQ"), form_of("labels.csv", b"PAR1")
    ('delimited', 'parquet', 'parquet')
    """
    if data[:4] == b"PAR1":
        return "parquet"
    return _SUFFIXES.get(name.rpartition(".")[2].casefold(), "delimited")


def _read(location: str, head: bool) -> bytes:
    if locations.is_url(location):
        found = locations.size(location)
        if found is not None:
            _check_size(found)
        data = locations.read(location)
        return data[:HEAD] if head and data[:4] != b"PAR1" else data
    # Opened without waiting, so that a pipe that nobody writes to is an answer at once.
    descriptor = os.open(location, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe" if stat.S_ISFIFO(facts.st_mode) else "no regular file"
        raise TableFault(f"is {kind}", code="label-table", rule="a label table is a regular file", remedy="name a file")
    with os.fdopen(descriptor, "rb") as file:
        _check_size(facts.st_size)
        if not head:
            return file.read()
        return _head_of(file, facts.st_size)


def _head_of(file: IO[bytes], size: int) -> bytes:
    begin = file.read(HEAD)
    # The columns of a Parquet file stand at its end.
    return begin + file.read() if begin[:4] == b"PAR1" and size > HEAD else begin


def _check_size(size: int) -> None:
    if size > LIMIT:
        raise TableFault(
            f"has {size:,} bytes", code="label-table", rule=_limit(), remedy="leave out columns that nothing uses, or split it"
        )


def _limit() -> str:
    return f"a label table has at most {LIMIT:,} bytes: it is read whole"


def _gunzip(raw: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpacked bytes up to a limit, and whether that is all."""
    out = io.BytesIO()
    rest = raw
    try:
        while rest:
            unpacker = zlib.decompressobj(wbits=31)
            out.write(unpacker.decompress(rest, limit + 1 - out.tell()))
            if out.tell() > limit:
                return out.getvalue()[:limit], False
            if not unpacker.eof:
                if len(raw) == HEAD:
                    return out.getvalue(), False
                raise zlib.error("the file ends early")
            rest = unpacker.unused_data.lstrip(b"\0")
    except zlib.error as error:
        words = str(error).rpartition(": ")[2]
        raise TableFault(
            f"is gzip that does not unpack: {words}", code="label-table", rule="a packed table is whole", remedy="copy it again"
        ) from None
    return out.getvalue(), True


def _refuse_others(data: bytes) -> None:
    for magic, what, remedy in _OTHERS:
        if data.startswith(magic):
            raise TableFault(what, code="label-table", rule=RULE, remedy=remedy)
    if data[:4] == b"PK\x03\x04":
        if b"xl/" in data[:HEAD] or b"[Content_Types].xml" in data[:4096]:
            raise TableFault("is an Excel workbook (.xlsx), not text", code="label-table", rule=RULE, remedy=_CSV)
        raise TableFault(
            "is a ZIP archive", code="label-table", rule=RULE, remedy="unpack it and name the table inside, or pack it with gzip"
        )
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        what = (
            "is an XML document"
            if start.startswith(b"<?xml")
            else "is a web page, not a table: often what a download gives without a login"
        )
        raise TableFault(what, code="label-table", rule=RULE, remedy="download the table itself again")


RULE = "label tables are CSV (comma, semicolon, tab), JSON lines or Parquet, each also packed with gzip"


def _whole_lines(data: bytes) -> bytes:
    cut = max(data.rfind(b"\n"), data.rfind(b"\r"))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[: len(data) // 2 * 2]
    return data[: cut + 1] if cut >= 0 else data
