"""Checks an instance against its manifest.

The plain check trusts nothing but the manifest's text, and that only if its own digest holds and it does not contradict itself: it hashes
every file, names every unlisted file, counts rows by the Parquet footers, and adds up again what the manifest says of its files. The deep
check also reads every row and computes the row digests anew, so it does not depend on the Parquet writer, and it finds the mistakes of a
writer as well as those of a disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache.files import hash_files
from refinery_beam.cache.findings import Finding
from refinery_beam.cache.listed import is_rendered, sample_manifest, sink_entries
from refinery_beam.cache.manifest import (
    CONTRACT,
    MANIFEST_NAME,
    RECIPE_NAME,
    FileEntry,
    Manifest,
    ManifestDamage,
    parse_manifest,
    problems_of,
)
from refinery_beam.cache.stores.local import store_error, store_of
from refinery_beam.cache.sums import wrong_sums
from refinery_beam.errors import RefineryError, StoreError

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.plugins.modules import PathCode

__all__ = ["Finding", "NotRepaired", "VerifyReport", "broken_files", "verify"]


class NotRepaired(NamedTuple):
    """A file that a repair left as it is, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """The result of a verification. ``notes`` name checks that were impossible, which is no fault of the instance. After a repair,
    ``repaired`` are the paths of files that were made again, ``not_repaired`` those that were not, and the findings what is left.
    """

    instance: str
    deep: bool
    findings: tuple[Finding, ...] = ()
    files_checked: int = 0
    bytes_checked: int = 0
    records_checked: int = 0
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    not_repaired: tuple[NotRepaired, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """The machine-readable form (contract 1)."""
        return {
            "contract": CONTRACT,
            "ok": self.ok,
            "instance": self.instance,
            "deep": self.deep,
            "findings": [finding._asdict() for finding in self.findings],
            "files_checked": self.files_checked,
            "bytes_checked": self.bytes_checked,
            "records_checked": self.records_checked,
            "notes": list(self.notes),
            "repaired": list(self.repaired),
            "not_repaired": [one._asdict() for one in self.not_repaired],
        }


@dataclass
class _Tally:
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    records: int = 0

    def add(self, code: str, path: str, message: str) -> None:
        self.findings.append(Finding(code, path, message))


def verify(
    instance: str,
    *,
    deep: bool = False,
    threads: int = 4,
    recipe_digest: Callable[[str], str] | None = None,
    code: tuple[PathCode, ...] = (),
) -> VerifyReport:
    """Check an instance directory and report every fault, not only the first.

    With ``deep`` the plugin that the manifest names reads the content; it is installed or one of the plugin paths in ``code`` (PluginError
    without it). A manifest of format 1 does not list recipe.yaml: ``recipe_digest`` gives the digest of a recipe's meaning (this room knows
    no recipes), and without it the check of the file is that it exists.

    Codes of findings: ``manifest-missing``, ``manifest-damaged``, ``misplaced``, ``missing``, ``wrong-size``, ``wrong-digest``,
    ``unlisted``, ``odd-file``, ``unreadable``, ``counts``, ``sums``, ``recipe-changed``, and with ``deep`` also ``schema``, ``order``,
    ``duplicate-id``, ``value``, ``rows-digest`` (if all of these are right, the logical digest follows from the manifest).

    StoreError when there is no such directory (``instance-missing``), when a newer release wrote it, or when it cannot be read at all.
    """
    location = locations.absolute(instance)
    if not locations.is_folder(location):
        raise StoreError(
            f"there is no instance at {location}",
            code="instance-missing",
            at=location,
            rule="an instance is a directory with a manifest",
            remedy="`refinery-beam status RECIPE` names the place of a recipe's instance",
        )
    tally = _Tally()
    manifest = _read_manifest(location, tally)
    if manifest is not None:
        _check_location(manifest, tally)
        try:
            sound = _check_files(manifest, tally, threads=threads)
            if manifest.format == 1:
                _check_recipe(manifest, tally, recipe_digest)
        except OSError as error:
            raise store_error(error, "verify", location) from error
        plugin = _plugin_of(manifest, code) if deep else None
        _check_counts(manifest, sound, tally, plugin)
        if sound >= {entry.path for entry in manifest.files}:
            tally.findings += wrong_sums(manifest)
        sample = sample_manifest(manifest)
        if sample is not None:
            _check_counts(sample, sound, tally, plugin)
    return VerifyReport(
        instance=location,
        deep=deep,
        findings=tuple(tally.findings),
        files_checked=tally.files,
        bytes_checked=tally.bytes,
        records_checked=tally.records,
        notes=tuple(tally.notes),
    )


def broken_files(manifest: Manifest, *, threads: int = 4) -> list[FileEntry]:
    """The listed files, annexes and files of sinks that are not plain files with the size and digest that are listed; all of them, where
    `verify` stops at what is no file at all. A sink whose table is broken says nothing of its files.
    """
    listed = [*manifest.files, *manifest.annexes, *_sink_files(manifest, _Tally())]
    sizes = store_of(manifest.location).sizes(manifest.location) if locations.is_url(manifest.location) else None
    size_of = sizes.get if sizes is not None else lambda path: locations.size(locations.join(manifest.location, path))
    whole = [entry for entry in listed if size_of(entry.path) == entry.bytes]
    digests = hash_files(manifest.location, [entry.path for entry in whole], threads=threads)
    sound = {entry.path for entry in whole if digests[entry.path] == entry.sha256}
    return [entry for entry in listed if entry.path not in sound]


def _plugin_of(manifest: Manifest, code: tuple[PathCode, ...]) -> Plugin:
    # A cache look-up imports this room, and must not pay for plugins.
    from refinery_beam.plugins.discovery import find_plugin

    return find_plugin(str(manifest.raw.get("plugin", {}).get("name", "")), paths=code)


def _read_manifest(location: str, tally: _Tally) -> Manifest | None:
    try:
        text = store_of(location).read(locations.join(location, MANIFEST_NAME))
    except StoreError as error:
        if error.code != "odd-file":
            raise
        tally.add("odd-file", MANIFEST_NAME, error.message)
        return None
    if text is None:
        tally.add("manifest-missing", MANIFEST_NAME, "there is no manifest, so nothing here is proved")
        return None
    try:
        return parse_manifest(text, location=location)
    except ManifestDamage as damage:
        problems = problems_of(text) or [str(damage)]
        for problem in problems:
            tally.add("manifest-damaged", MANIFEST_NAME, problem)
        return None


def _check_location(manifest: Manifest, tally: _Tally) -> None:
    parts = manifest.location.split(os.sep)
    expected = ["instances", manifest.recipe_hash[:16], manifest.input_hash[:16], str(manifest.seed)]
    # A copy at another location is legal; under `instances` the names must fit the manifest.
    if len(parts) >= 4 and parts[-4] == "instances" and parts[-4:] != expected:
        tally.add("misplaced", MANIFEST_NAME, f"belongs at {'/'.join(expected)}, lies at {'/'.join(parts[-4:])}")


def _check_files(manifest: Manifest, tally: _Tally, *, threads: int) -> set[str]:
    """Sizes and digests of all listed files; gives the paths whose size and digest are right."""
    try:
        present = store_of(manifest.location).sizes(manifest.location)
    except StoreError as error:
        if error.code != "odd-file":
            raise
        tally.add("odd-file", os.path.relpath(error.at, manifest.location), error.message)
        return set()
    listed = {entry.path: entry for entry in (*manifest.files, *manifest.annexes, *_sink_files(manifest, tally))}
    known = {MANIFEST_NAME, *listed, *([RECIPE_NAME] if manifest.format == 1 else [])}
    for path in sorted(path for path in present.keys() - known if not is_rendered(path)):
        tally.add("unlisted", path, "is not in the manifest")
    readable = []
    for path, entry in sorted(listed.items()):
        tally.files += 1
        if path not in present:
            tally.add("missing", path, "is in the manifest and not on disk")
        elif present[path] != entry.bytes:
            tally.add("wrong-size", path, f"has {present[path]} bytes, the manifest says {entry.bytes}")
        else:
            readable.append(path)
    digests = hash_files(manifest.location, readable, threads=threads)
    sound = set()
    for path in readable:
        tally.bytes += listed[path].bytes
        if digests[path] == listed[path].sha256:
            sound.add(path)
        else:
            tally.add("wrong-digest", path, f"has sha256 {digests[path]}, the manifest says {listed[path].sha256}")
    return sound


def _sink_files(manifest: Manifest, tally: _Tally) -> list[FileEntry]:
    """The files that sink tables list. A table that cannot be read is a finding, and so is every file of its sink."""
    found: list[FileEntry] = []
    for entry in manifest.files:
        try:
            found += sink_entries(manifest.location, [entry])
        except (OSError, ValueError, KeyError, TypeError) as error:
            tally.add("unreadable", entry.path, f"is not a readable list of files: {error}")
    return found


def _check_recipe(manifest: Manifest, tally: _Tally, digest_of: Callable[[str], str] | None) -> None:
    location = locations.join(manifest.location, RECIPE_NAME)
    wanted = manifest.raw.get("recipe_digest")
    if wanted is None:
        return
    if locations.size(location) is None:
        tally.add("missing", RECIPE_NAME, "every instance keeps its recipe")
    elif digest_of is not None:
        try:
            got = _with_local_copy(location, digest_of)
        except RefineryError as error:
            got = error.message
        if got != wanted:
            tally.add("recipe-changed", RECIPE_NAME, f"does not mean what the manifest says: {got}")


def _with_local_copy(location: str, read: Callable[[str], str]) -> str:
    """Call `read` with the path of a file, and give its result."""
    if not locations.is_url(location):
        return read(location)
    import tempfile

    with tempfile.TemporaryDirectory(prefix="refinery-beam-") as folder:
        copy = os.path.join(folder, RECIPE_NAME)
        locations.write(copy, locations.read(location))
        return read(copy)


def _check_counts(manifest: Manifest, sound: set[str], tally: _Tally, plugin: Plugin | None) -> None:
    """Check the row counts in the footers against the manifest, and the rows themselves if a `plugin` can read them. Shards with wrong
    bytes have findings already.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shards = [entry for split in manifest.splits for entry in manifest.shards(split) if entry.path in sound]
    file_of_key: dict[bytes, str] = {}
    for entry in shards:
        try:
            with locations.opened(locations.join(manifest.location, entry.path)) as source, pq.ParquetFile(source) as file:
                rows = file.metadata.num_rows
                if rows != entry.records:
                    tally.add("counts", entry.path, f"holds {rows} records, the manifest says {entry.records}")
                if plugin is not None:
                    _deep(manifest, plugin, entry, file, tally, file_of_key)
                tally.records += rows
        except (pa.ArrowException, OSError) as error:
            tally.add("unreadable", entry.path, f"is not a readable Parquet file: {error}")


def _deep(manifest: Manifest, plugin: Plugin, entry: FileEntry, file: Any, tally: _Tally, file_of_key: dict[bytes, str]) -> None:
    from refinery_beam.cache.deep import check_rows

    findings, notes = check_rows(manifest, plugin, entry, file, file_of_key)
    tally.findings += findings
    tally.notes += [note for note in notes if note not in tally.notes]
