"""Files that the manifest lists through another file (those of sinks), files that it does not list, and the sample as a dataset."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.manifest import FileEntry, Manifest

SINK_TABLE = re.compile(r"sinks/[^/]+/files\.parquet")


def is_sink_file(path: str) -> bool:
    """Whether a path of an instance is a sink's file, which its sink's table lists and the manifest does not.

    >>> is_sink_file("sinks/png/a.png"), is_sink_file("sinks/png/files.parquet"), is_sink_file("report/report.md")
    (True, False, False)
    """
    return path.startswith("sinks/") and not SINK_TABLE.fullmatch(path)


def is_rendered(path: str) -> bool:
    """Whether a path of an instance is made from its other files, at any time again: such files are listed nowhere.

    >>> is_rendered("report/pictures/examples.png"), is_rendered("report/report.md")
    (True, False)
    """
    return path == "report/report.html" or path.startswith("report/pictures/")


def sink_entries(folder: str, files: Iterable[FileEntry]) -> list[FileEntry]:
    """Every file that the sink tables among `files` list, with paths below the instance. Nothing is imported when there is no table.

    Raises OSError or a pyarrow error (a ValueError or OSError) for a table that cannot be read.
    """
    found: list[FileEntry] = []
    for entry in files:
        if SINK_TABLE.fullmatch(entry.path):
            import pyarrow.parquet as pq

            below = posixpath.dirname(entry.path)
            with locations.opened(locations.join(folder, entry.path)) as source:
                rows = pq.read_table(source, columns=["path", "bytes", "sha256"]).to_pylist()
            found += [FileEntry(path=f"{below}/{row['path']}", bytes=row["bytes"], sha256=row["sha256"]) for row in rows]
    return found


def sample_manifest(manifest: Manifest) -> Manifest | None:
    """The manifest as if the sample were the dataset: its splits, counts and shards; None when the recipe takes no sample."""
    sample = manifest.raw.get("sample")
    if not sample:
        return None
    shards = {entry["path"]: entry for entry in sample["shards"]}
    files: list[dict[str, Any]] = []
    for raw in manifest.raw["files"]:
        if "split" not in raw:
            files.append({**raw, **shards.get(raw["path"], {})})
    splits = [split for split in manifest.splits if split in sample["counts"]]
    return Manifest({**manifest.raw, "splits": splits, "counts": dict(sample["counts"]), "files": files}, manifest.location)
