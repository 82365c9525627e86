"""The kind of digest for a recipe's files: SHA-256 of the bytes, or the MD5 that stores list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from refinery_beam import locations
from refinery_beam.index.listing.sources import SourceListing

SHA256 = "sha256"
MD5 = "md5"


def digest_kind(listings: Sequence[SourceListing], *, asked: str = "auto") -> str:
    """The one kind of digest that all files of a recipe get: ``md5`` if each is on a store whose listing has its MD5, else ``sha256``.

    One kind for all, so that identical files are found across sources. `asked` is 'auto' or 'sha256'. For S3 the first file of
    each source is read: an ETag of 32 hex digits is an MD5 unless the bucket encrypts with keys of its own, which no listing tells.
    """
    if asked == SHA256:
        return SHA256
    whole = all(listing.checksums == len(listing.files) for listing in listings)
    return MD5 if whole and all(not listing.tagged or _tags_are_md5(listing) for listing in listings) else SHA256


def _tags_are_md5(listing: SourceListing) -> bool:
    first = next(iter(listing.files))
    location = locations.join(listing.source.root, first.path)
    try:
        data = locations.read(location)
    except OSError as error:
        raise locations.fault(error, "read", location) from error
    return hashlib.md5(data, usedforsecurity=False).digest() == first.md5
