"""What a page was made of, in its first bytes: whether it has to be made again is known without rendering it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from refinery_beam.identity import value_digest

PAGE_VERSION = 1
"""Raised when the same facts give another page: pages of an older version are then made again."""

HEAD_BYTES = 512
"""The key lies within the first bytes of a page."""

_KEY = re.compile(rb'<meta name="refinery-beam-page" content="([0-9a-f]{64})">')


def page_key(manifest: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """The key of the page of an instance: of this version, of that manifest, with the `pictures` of those keys on it."""
    words = ("manifest_digest", "recipe_hash", "input_hash", "seed", "logical_digest", "files_digest")
    named = {word: manifest.get(word) for word in words}
    return value_digest("page", {"version": PAGE_VERSION, "manifest": named, "pictures": dict(pictures)})


def key_in(head: bytes) -> str | None:
    """The key in the first bytes of a page; None for every other file.

    >>> key_in(b"<!DOCTYPE html>") is None
    True
    """
    found = _KEY.search(head)
    return found[1].decode() if found else None
