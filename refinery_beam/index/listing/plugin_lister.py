"""Lists a source through a third-party loader. The loader only names files; this module checks, sorts and stats them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from refinery_beam.errors import DataError, PluginError, display
from refinery_beam.identity import nfc
from refinery_beam.index.listing.left_out import SourceSelection
from refinery_beam.index.listing.links import Links
from refinery_beam.index.listing.sources import FileFact, Source, SourceListing, sorted_files

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Loader


def list_by_plugin(source: Source, loader: Loader, *, scratch: str = "") -> SourceListing:
    """The files that a loader selects below a source's root, sorted by the UTF-8 bytes of their NFC path.

    Raises PluginError for a loader that names files outside the root or one twice, or fails; DataError for a root that is no folder and
    for a source without files.
    """
    if source.remote or not os.path.isdir(source.root):
        why = f"is on a store, and the loader of {source.type} lists folders" if source.remote else "is not a folder"
        raise DataError(
            f"source {source.name!r}: '{display(source.root)}' {why}",
            code="source-path",
            at=source.at,
            value=source.root,
            rule="the path of a source that a plugin loads is a folder of this machine",
            remedy="copy the files to a folder" if source.remote else "correct the path",
        )
    try:
        named = list(loader.files(source.root))
    except Exception as error:
        raise _fault(source, f"failed: {type(error).__name__}: {error}") from error
    files = sorted_files(scratch)
    paths: set[str] = set()
    links_out = Links(source)
    for item in named:
        path = item.path
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            raise _fault(source, f"names '{display(path)}', which is no plain path below the source")
        if nfc(path) in paths:
            raise _fault(source, f"names '{display(path)}' twice")
        paths.add(nfc(path))
        try:
            facts = os.stat(os.path.join(source.root, *path.split("/")))
        except OSError as error:
            raise _fault(source, f"names '{display(path)}': {error.strerror}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise _fault(source, f"names '{display(path)}', which is no regular file")
        links_out.leaves(path)
        split = item.partition if item.partition is not None else source.partition or None
        files.add(FileFact(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, item.label, split))
    links_out.refuse()
    if not len(files):
        raise DataError(
            f"source {source.name!r}: its loader found no file in '{display(source.root)}'",
            code="no-images",
            at=source.at,
            value=source.root,
        )
    return SourceListing(source, files, SourceSelection(source.name, len(files), {}))


def _fault(source: Source, problem: str) -> PluginError:
    return PluginError(
        f"source {source.name!r}: the loader of {source.type} {problem}", code="plugin-loader", at=source.at, value=source.type
    )
