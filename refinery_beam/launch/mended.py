"""Puts a file of an instance back to its location, whole and at one moment, whatever is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.cache import FileEntry, LocalStore, Manifest, home
from refinery_beam.cache.attempts.staging import trash_path
from refinery_beam.cache.listed import SINK_TABLE
from refinery_beam.cache.stores.local import store_error, sync_directory, sync_file
from refinery_beam.locations.faults import fault


class Mended(NamedTuple):
    """The paths that were put back, and why others were not."""

    done: tuple[str, ...]
    why: Mapping[str, str]


def put_back(root: str, manifest: Manifest, entry: FileEntry, made: str | bytes) -> None:
    """Put a file, or bytes, at its location in the instance. Readers that have the old file open keep it. Raises StoreError.

    What is there and is no file goes into the trash of the cache root.
    """
    target = locations.join(manifest.location, entry.path)
    if locations.is_url(target):
        try:
            locations.write(target, made if isinstance(made, bytes) else locations.read(made))
        except OSError as error:
            raise fault(error, "put back", target) from error
        return
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".{os.path.basename(target)}.{os.getpid()}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        try:
            if isinstance(made, bytes):
                with open(temporary, "wb") as file:
                    file.write(made)
            else:
                shutil.copyfile(made, temporary)
            sync_file(temporary)
            if os.path.isdir(target) and not os.path.islink(target):
                LocalStore().set_aside(target, trash_path(home(root), os.path.basename(target)))
            os.replace(temporary, target)
            sync_directory(folder)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except OSError as error:
        raise store_error(error, "put back", target) from error


def sink_rows(manifest: Manifest) -> dict[str, str]:
    """The record of every file of the sinks, by the file's path below the instance; without sinks whose table cannot be read."""
    import pyarrow.parquet as pq

    found: dict[str, str] = {}
    for entry in manifest.files:
        if SINK_TABLE.fullmatch(entry.path):
            try:
                with locations.opened(locations.join(manifest.location, entry.path)) as source:
                    rows = pq.read_table(source, columns=["path", "record_id"]).to_pylist()
            except (OSError, ValueError):
                continue
            below = entry.path.rpartition("/")[0]
            found |= {f"{below}/{row['path']}": row["record_id"] for row in rows}
    return found
