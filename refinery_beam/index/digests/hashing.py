"""The input hash: one digest over every file a recipe selects, made while they go by.

The law: for each source the SHA-256 of its files' rows (NFC path, size, digest kind, digest), sorted; over those, and over the digests of
label tables, sorted by source name, one more. Files come sorted by NFC path, which is the order of their rows too: no name holds a NUL, and
NUL stands behind the path. So a row can be hashed as it comes, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from refinery_beam.identity import Hasher, digest


class SourceHash:
    """The hash of one source's files. `add` them in the order of their NFC path bytes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._hasher = Hasher("source", name)
        self._last = b""

    def add(self, path: bytes, size: int, kind: str, digest_hex: str) -> None:
        """One file: NFC path bytes, size, digest kind and digest."""
        if path <= self._last:
            raise ValueError(f"{path!r} after {self._last!r}: files are hashed in the order of their paths")
        self._last = path
        self._hasher.add(b"%b\0%d\0%b\0%b" % (path, size, kind.encode(), digest_hex.encode()))

    def digest(self) -> bytes:
        """The digest of what was added."""
        return self._hasher.digest()


def input_hash(sources: Iterable[SourceHash], tables: Iterable[tuple[str, str]] = ()) -> str:
    """Hex digest over sources and label tables as (source name, sha256 hex). The order they come in does not matter.

    >>> a, b = SourceHash("a"), SourceHash("b")
    >>> a.add(b"1.png", 1, "sha256", "00"); b.add(b"1.png", 1, "sha256", "00")
    >>> input_hash([a, b]) == input_hash([b, a]) != input_hash([a])
    True
    """
    parts = [source.digest() for source in sorted(sources, key=lambda source: source.name)]
    parts += [digest("labels", name, sha) for name, sha in sorted(tables)]
    return digest("input", *parts).hex()
