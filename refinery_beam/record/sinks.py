"""The files that sinks write for each record: their paths and their bytes.

A path is a template with the record's values in it. Values are escaped, so that a value is always a part of one name: whatever is
not a letter, a digit or one of ``-_.+=,@`` becomes ``%XX`` of its UTF-8 bytes, and so does a dot at either end.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.errors import EngineError
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.sinks import TOKEN, SinkStep
from refinery_beam.plugins.base import BadRecord, Content, Plugin
from refinery_beam.records import Ref, SinkRow

MAX_NAME = 200
"""UTF-8 bytes of one name; common file systems end at 255, and a temporary name is longer."""

MAX_PATH = 600
FILES = "files.parquet"
_PLAIN = frozenset("-_.+=,@")
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))})


class BadPath(ValueError):
    """A record's values make a path that cannot be used; the message says why."""


def sink_path(template: str, values: Mapping[str, Any], split: str) -> str:
    """The path of a record's file below its sink's folder. Raises BadPath.

    >>> sink_path("{split}/{path|stem}.png", {"path": "cat/a b.jpg"}, "train")
    'train/a%20b.png'
    >>> sink_path("{path}", {"path": "../../etc"}, "train")
    '%2E.%2F..%2Fetc'
    """

    def value(match: Any) -> str:
        name, how = match.group(1), match.group(2) or "str"
        found = split if name == "split" else values.get(name)
        if found is None:
            raise BadPath(f"field {name!r} has no value")
        text = str(found)
        if how == "stem":
            text = posixpath.splitext(posixpath.basename(text))[0]
        return escape({"lower": text.lower(), "upper": text.upper()}.get(how, text))

    path = unicodedata.normalize("NFC", TOKEN.sub(value, template))
    names = path.split("/")
    for name in names:
        if name.strip(". ") == "" or "\\" in name or any(ord(c) < 32 for c in name):
            raise BadPath(f"{path!r} has a part that is no file name")
        if name[0] == "." or name[-1] in ". " or name.split(".")[0].casefold() in _RESERVED:
            raise BadPath(f"{path!r} has the part {name!r}, which some system gives a meaning")
        if len(name.encode()) > MAX_NAME:
            raise BadPath(f"{path[:80]!r}... has a part of more than {MAX_NAME} bytes")
    if len(path.encode()) > MAX_PATH:
        raise BadPath(f"{path[:80]!r}... is longer than {MAX_PATH} bytes")
    if names[0].casefold() == FILES:
        raise BadPath(f"{path!r} is the name of the list of files")
    return path


def escape(text: str) -> str:
    """A value as a part of a file name.

    >>> escape("a/b"), escape("été"), escape(".x")
    ('a%2Fb', 'été', '%2Ex')
    """
    text = unicodedata.normalize("NFC", text)
    out = []
    for i, c in enumerate(text):
        edge = c == "." and i in (0, len(text) - 1)
        out.append(c if (c.isalnum() or c in _PLAIN) and not edge else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")))
    return "".join(out)


class RecordFile(NamedTuple):
    """One file of a sink: its path below the sink's folder, and its bytes."""

    sink: str
    path: str
    data: bytes


def record_files(plan: Plan, plugin: Plugin, ref: Ref, known: Mapping[str, Any], content: Content) -> list[RecordFile]:
    """The files that the sinks of a plan write for one record. Raises BadRecord ``sink_path`` for values that make no path."""
    found = []
    for sink in plan.sinks:
        if ref.split in sink.splits:
            value = content if sink.field == plugin.kind.field else known.get(sink.field)
            try:
                path = sink_path(sink.template, known, ref.split)
            except BadPath as error:
                raise BadRecord("sink_path", str(error), stage="Sinks") from error
            found.append(RecordFile(sink.name, path, file_bytes(sink, plugin, value)))
    return found


def file_bytes(sink: SinkStep, plugin: Plugin, value: Any) -> bytes:
    """The file's content: an image file of 8-bit pixels, or a NumPy array cast to float32 (format 1.0)."""
    if sink.format == "png_per_record":
        data: bytes = plugin.encoding("png").write(value, quality=0)
        return data
    import numpy as np

    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(np.asarray(value), dtype="<f4"), version=(1, 0), allow_pickle=False)
    return file.getvalue()


def write_file(root: str, file: RecordFile, record_id: str, *, temporary: str) -> SinkRow:
    """Write one file below `root`, by way of `temporary`. A local `root` is ours and holds no links.

    On a store it is created only if absent: EngineError ``nondeterminism`` if it exists with other bytes.
    """
    location = locations.join(root, file.sink, file.path)
    row = SinkRow(file.sink, file.path, record_id, len(file.data), hashlib.sha256(file.data).hexdigest())
    if locations.is_url(location):
        if not locations.put_if_absent(location, file.data) and locations.read(location) != file.data:
            raise _differs(location, file.path)
        return row
    os.makedirs(os.path.dirname(location), exist_ok=True)
    with open(temporary, "wb") as opened:
        opened.write(file.data)
    os.replace(temporary, location)
    return row


def _differs(location: str, path: str) -> EngineError:
    return EngineError(
        f"two builds of one key differ, or two records have one file: {path} has other bytes on the store",
        code="nondeterminism",
        at=location,
        value=path,
        remedy="give every record a path of its own; if they have, let other runs of this recipe end, then run again",
    )
