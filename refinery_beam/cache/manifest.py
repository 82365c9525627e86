"""The manifest: the one file that makes a directory an instance.

It lists every file with its size and sha256, so that it can be checked without trusting the directory; and it is a pure function of the
recipe, the input, the seed and the environment, so that equal builds write equal bytes. No time, host, run id, runner or worker count
may enter it (they live in the journal).

From format 2 on it proves itself: its bytes are the only spelling of its content (`manifest_bytes`), and ``manifest_digest`` is the SHA-256
of everything else in it. Format 1 had neither, listed no annexes, and is still read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from refinery_beam.errors import StoreError
from refinery_beam.rows import files_digest, logical_digest

MANIFEST_NAME = "manifest.json"

RECIPE_NAME = "recipe.yaml"
"""The effective recipe, an annex. A manifest of format 1 does not list it; ``recipe_digest`` covers what it means."""

SELECTION_NAME = "selection.json"
"""What listing left out, an annex."""

ANNEXES = (RECIPE_NAME, SELECTION_NAME)

CONTRACT = 1

FORMAT = 2
"""What this release writes; it reads every format up to this one."""

SEAL = "manifest_digest"

_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "recipe_hash": str,
    "input_hash": str,
    "seed": int,
    "logical_digest": str,
    "files_digest": str,
    "splits": list,
    "counts": dict,
    "files": list,
}


class ManifestDamage(Exception):
    """The files differ from what a manifest promises; the text says how. Callers turn it into a miss, a finding or a StoreError."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an instance. The last five fields are those of a shard; None for every other file."""

    path: str
    bytes: int
    sha256: str
    split: str | None = None
    shard: int | None = None
    shards: int | None = None
    records: int | None = None
    rows_digest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its form in the manifest."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Manifest:
    """A typed view of one manifest. ``raw`` is the whole JSON object (do not change it); ``location`` is the instance's absolute directory.

    Manifests are equal if their contents are: the location does not count.
    """

    raw: dict[str, Any]
    location: str = field(compare=False)

    def __hash__(self) -> int:
        # For dictionaries of one process only; identity is the digest itself, and nothing stores this number.
        return hash(self.files_digest)

    @property
    def recipe_hash(self) -> str:
        """Full hex digest of the recipe."""
        return str(self.raw["recipe_hash"])

    @property
    def input_hash(self) -> str:
        """Full hex digest of the input."""
        return str(self.raw["input_hash"])

    @property
    def seed(self) -> int:
        """The effective master seed."""
        return int(self.raw["seed"])

    def is_of(self, recipe_hash: str, input_hash: str, seed: int) -> bool:
        """Whether it is the manifest of a key."""
        return (self.recipe_hash, self.input_hash, self.seed) == (recipe_hash, input_hash, seed)

    @property
    def logical_digest(self) -> str:
        """Hex digest of the rows, independent of the file format."""
        return str(self.raw["logical_digest"])

    @property
    def files_digest(self) -> str:
        """Hex digest of the files' bytes."""
        return str(self.raw["files_digest"])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the recipe's order."""
        return tuple(self.raw["splits"])

    @cached_property
    def counts(self) -> dict[str, int]:
        """Records by split, in the recipe's order."""
        return {split: int(self.raw["counts"][split]) for split in self.splits}

    @property
    def ledger(self) -> dict[str, int]:
        """Records that did not come out, by reason."""
        return dict(self.raw.get("ledger", {}))

    @property
    def warnings(self) -> tuple[dict[str, Any], ...]:
        """The named warnings of the build: {code, message}."""
        return tuple(self.raw.get("warnings", ()))

    @property
    def schema(self) -> dict[str, dict[str, Any]]:
        """The output schema: {field: {dtype, shape}}."""
        return dict(self.raw.get("output", {}).get("schema", {}))

    @property
    def image_field(self) -> str | None:
        """The field that holds pixels, or None for a metadata-only dataset."""
        name = self.raw.get("output", {}).get("image_field")
        return None if name is None else str(name)

    @property
    def encoding(self) -> str | None:
        """How pixels are stored: tensor, png, jpeg, webp, source; None without pixels."""
        word = self.raw.get("output", {}).get("encoding")
        return None if word is None else str(word)

    @property
    def format(self) -> int:
        """The format of the instance; 1 where the manifest names none."""
        return int(self.raw.get("format", 1))

    @cached_property
    def files(self) -> tuple[FileEntry, ...]:
        """The files that are equal wherever the instance is built, sorted by path."""
        return tuple(FileEntry(**entry) for entry in self.raw["files"])

    @cached_property
    def annexes(self) -> tuple[FileEntry, ...]:
        """The files that may differ where the same data lie elsewhere, sorted by path; no digest of the data covers them."""
        return tuple(FileEntry(**entry) for entry in self.raw.get("annexes", ()))

    def shards(self, split: str) -> tuple[FileEntry, ...]:
        """The shards of a split in shard order."""
        return tuple(sorted((f for f in self.files if f.split == split), key=lambda f: f.shard or 0))

    def file(self, path: str) -> FileEntry | None:
        """The entry of a path below the instance, or None; annexes have one too."""
        return next((f for f in (*self.files, *self.annexes) if f.path == path), None)


def manifest_bytes(body: Mapping[str, Any]) -> bytes:
    """The exact bytes of a manifest: sorted keys, two spaces, UTF-8, one newline at the end.

    >>> manifest_bytes({"b": 1, "a": "ü"}).decode()
    '{\\n  "a": "ü",\\n  "b": 1\\n}\\n'
    """
    return (json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's content with ``manifest_digest`` over everything else in it.

    >>> sealed({"contract": 1})["manifest_digest"][:12]
    'dfa3c398fd99'
    """
    return {**body, SEAL: hashlib.sha256(manifest_bytes({k: v for k, v in body.items() if k != SEAL})).hexdigest()}


def parse_manifest(text: bytes, *, location: str) -> Manifest:
    """Read a manifest and prove that it agrees with itself.

    `ManifestDamage` for a broken manifest; StoreError ``manifest-contract`` for a manifest that a newer release wrote, which is neither
    broken nor ours to replace.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestDamage(f"{MANIFEST_NAME} in {location} is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ManifestDamage(f"{MANIFEST_NAME} in {location} is not a JSON object")
    unproved = _seal_problem(text, raw)
    if not unproved or SEAL not in raw:
        # A number that the seal does not cover is damage before it is news.
        _refuse_newer(raw, location)
    if raw.get("contract") != CONTRACT:
        raise ManifestDamage(f"{MANIFEST_NAME} in {location} names no contract")
    problems = [unproved] if unproved else self_check(raw)
    if problems:
        raise ManifestDamage(f"{MANIFEST_NAME} in {location}: {problems[0]}")
    return Manifest(raw, location)


def problems_of(text: bytes) -> list[str]:
    """Everything that is wrong with the text of a manifest that `parse_manifest` refuses; empty where it is not even a JSON object."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(raw, dict):
        return []
    unproved = _seal_problem(text, raw)
    return [*([unproved] if unproved else []), *self_check(raw)]


def _seal_problem(text: bytes, raw: dict[str, Any]) -> str:
    """Why the seal of a manifest's text does not hold; '' where it does, or where the format has none."""
    if SEAL not in raw and "format" not in raw:
        return ""
    try:
        if text != manifest_bytes(raw):
            return "its bytes are not those that its content has: it was edited or damaged"
        if raw.get(SEAL) != sealed(raw)[SEAL]:
            return f"{SEAL} is not that of its content: it was edited or damaged"
    except ValueError as error:
        return f"its content has no bytes of its own: {error}"
    if not isinstance(raw.get("format"), int) or raw["format"] < FORMAT:
        return f"format is {raw.get('format')!r}, and a manifest with a {SEAL} has format {FORMAT} or later"
    return ""


def _refuse_newer(raw: Mapping[str, Any], location: str) -> None:
    for word, known in (("contract", CONTRACT), ("format", FORMAT)):
        found = raw.get(word)
        if isinstance(found, int) and found > known:
            raise StoreError(
                f"{location} was written under {word} {found}, this release reads {word} {known}",
                code="manifest-contract",
                at=f"{location}/{MANIFEST_NAME}",
                value=found,
            )


def self_check(raw: Mapping[str, Any]) -> list[str]:
    """The contradictions within a manifest, in words. Reads nothing but the mapping.

    Checked are: required keys and their types, file entries (safe relative paths, each once, sorted), splits and shards without gaps,
    counts that add up, and both digests computed anew.
    """
    found = [f"{name} is missing or of the wrong type" for name, kind in _REQUIRED.items() if not isinstance(raw.get(name), kind)]
    annexes = raw.get("annexes", [])
    if not isinstance(annexes, list) or ("format" in raw and "annexes" not in raw):
        found.append("annexes is missing or of the wrong type")
    if found:
        return found
    files: list[dict[str, Any]] = raw["files"]
    found += [problem for entry in (*files, *annexes) if (problem := _entry_problem(entry))]
    if found:
        return found
    for word, entries in (("files", files), ("annexes", annexes)):
        paths = [entry["path"] for entry in entries]
        if paths != sorted(set(paths)):
            found.append(f"{word} are not sorted by path, or one is listed twice")
    if {entry["path"] for entry in annexes} & {entry["path"] for entry in files}:
        found.append("an annex is listed among the files")
    splits: list[Any] = raw["splits"]
    if len(set(map(str, splits))) != len(splits) or set(map(str, splits)) != set(raw["counts"]):
        found.append("splits and counts do not name the same splits")
        return found
    found += _shard_problems(files, splits, raw["counts"])
    if found:
        return found
    if files_digest(files) != raw["files_digest"]:
        found.append("files_digest is not that of the listed files")
    if logical_digest(files, splits) != raw["logical_digest"]:
        found.append("logical_digest is not that of the listed shards")
    return found


def safe_relative(path: str) -> bool:
    """Whether a path stays below the directory it is joined to, in its only spelling.

    >>> [safe_relative(p) for p in ("a/b.json", "../x", "/x", "a//b", "a/./b", "")]
    [True, False, False, False, False, False]
    """
    return bool(path) and "\\" not in path and "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def _entry_problem(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "an entry of files is not an object"
    path = entry.get("path")
    if not isinstance(path, str) or not safe_relative(path) or path == MANIFEST_NAME:
        return f"{path!r} is not the path of a file of an instance"
    kinds: dict[str, type] = {"bytes": int, "sha256": str}
    if "split" in entry:
        kinds |= {"split": str, "shard": int, "shards": int, "records": int, "rows_digest": str}
    wrong = [name for name, kind in kinds.items() if not isinstance(entry.get(name), kind)]
    unknown = sorted(set(entry) - {"path", *kinds})
    if wrong or unknown:
        return f"the entry of {path} has missing or odd fields: {', '.join(wrong + unknown)}"
    return None


def _shard_problems(files: Iterable[Mapping[str, Any]], splits: Iterable[str], counts: Mapping[str, Any]) -> list[str]:
    by_split: dict[str, list[Mapping[str, Any]]] = {split: [] for split in splits}
    found = []
    for entry in files:
        if "split" not in entry:
            continue
        if entry["split"] not in by_split:
            found.append(f"{entry['path']} belongs to the unknown split {entry['split']!r}")
            continue
        by_split[entry["split"]].append(entry)
    for split, shards in by_split.items():
        numbers = sorted(entry["shard"] for entry in shards)
        if len(set(numbers)) != len(numbers):
            found.append(f"split {split!r} lists a shard twice")
        if any(entry["shard"] not in range(entry["shards"]) for entry in shards) or len({entry["shards"] for entry in shards}) > 1:
            found.append(f"split {split!r} has shards outside of its own number of shards")
        if sum(entry["records"] for entry in shards) != counts[split]:
            found.append(f"split {split!r} counts {counts[split]} records, its shards hold {sum(e['records'] for e in shards)}")
    return found
