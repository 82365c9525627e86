"""Checks that an encoding, or a loader, keeps the rules: the part of the kit about files and columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from refinery_beam.plugins.base import Encoding, Loader
from refinery_beam.testing.conform_calls import NotConforming
from refinery_beam.testing.conform_values import default_images, plain, print_of, type_of, whole_version


def check_encoding(encoding: Encoding, samples: Sequence[Any] | None = None) -> tuple[str, ...]:
    """Check an encoding with content of one type: it writes the same cells every time, and reads from a column what it wrote.

    `samples` are contents in their plain form, by default drawn images as arrays. The encoding may refuse a type or raise BadRecord; a
    ``from_source`` encoding gets bytes.

    >>> from refinery_beam.plugins.common.encodings import PlainColumn
    >>> "lossy" in check_encoding(PlainColumn("plain", "str", "string"), ["a text", ""])
    True
    """
    if not isinstance(encoding, Encoding):
        raise NotConforming("not-an-op", f"{type(encoding).__name__} is not an Encoding")
    given = list(samples) if samples is not None else [plain(image) for image in default_images()[::2]]
    if encoding.from_source:
        given = [sample if isinstance(sample, bytes) else b"the bytes of a file" for sample in given]
    stored = type_of(given[0])
    if encoding.refuse(stored) is not None:
        raise NotConforming("bad-params", f"{encoding.name} refuses {stored}: give samples that it takes")
    field = encoding.arrow("content", stored)
    cells = []
    for sample in given:
        before = print_of(sample)
        one, two = (encoding.write(sample, quality=90) for _ in range(2))
        if print_of(sample) != before:
            raise NotConforming("argument-changing", f"write() of {encoding.name} changes the content it is given")
        if one != two:
            raise NotConforming("impure", f"write() of {encoding.name} gives another cell the second time")
        if not isinstance(encoding.size(one), int) or encoding.size(one) < 0:
            raise NotConforming("wrong-infer", f"size() of {encoding.name} is {encoding.size(one)!r}, not a number of bytes")
        cells.append(one)
    column = encoding.column(cells, [f"class/{i}.jpg" for i, _ in enumerate(cells)], field)
    if column.type != field.type:
        raise NotConforming("wrong-infer", f"column() of {encoding.name} is {column.type}, arrow() says {field.type}")
    # A column of a file is a slice as often as not.
    back = [encoding.read(cell) for cell in encoding.cells(column.slice(1), field)]
    for sample, found in zip(given[1:], back, strict=True):
        if type_of(plain(found)).dtype != type_of(sample).dtype:
            raise NotConforming("wrong-infer", f"read() of {encoding.name} gives {type_of(plain(found))} for {type_of(sample)}")
        if encoding.lossless and print_of(plain(found)) != print_of(sample):
            raise NotConforming("lossy", f"{encoding.name} says it is lossless, but read() gives other content than write() took")
    return ("not-an-op", "bad-params", "argument-changing", "impure", "wrong-infer", "lossy")


def check_loader(loader: Loader, root: str | os.PathLike[str], *, mode: str = "RGB") -> tuple[str, ...]:
    """Check a loader with a folder of its files: it lists plain paths, the same every time, and decodes a file to the same content every
    time.
    """
    if not isinstance(loader, Loader):
        raise NotConforming("not-an-op", f"{type(loader).__name__} is not a Loader")
    if not whole_version(loader.version):
        raise NotConforming(
            "unversioned", f"the loader of {loader.source_type} has version {loader.version!r}, not a whole number from 1 on"
        )
    first, second = (sorted(loader.files(os.fspath(root))) for _ in range(2))
    if first != second:
        raise NotConforming("impure", "files() gives another list the second time")
    if not first:
        raise NotConforming("wrong-infer", f"files() finds nothing in {os.fspath(root)}")
    for item in first:
        if item.path.startswith("/") or ".." in item.path.split("/") or not os.path.isfile(os.path.join(root, item.path)):
            raise NotConforming("wrong-infer", f"files() names {item.path!r}, which is no file below the folder")
    for item in first:
        with open(os.path.join(root, item.path), "rb") as file:
            data = file.read()
        one, two = (loader.decode(data, mode=mode) for _ in range(2))
        if print_of(one) != print_of(two):
            raise NotConforming("impure", f"decode() gives other pixels the second time for {item.path}")
    for junk in (b"", b"no such file"):
        try:
            loader.decode(junk, mode=mode)
        except (ValueError, OSError):
            continue
        except Exception as error:
            raise NotConforming(
                "wrong-infer", f"decode() of {junk!r} raises {type(error).__name__}, not BadRecord or ValueError"
            ) from error
    return ("not-an-op", "unversioned", "impure", "wrong-infer")
