"""The local folder that goes with a cache root.

A local root is its own home. A root on a store has a home on each machine that uses it, ``~/.cache/refinery-beam/roots/...`` (or below
``$XDG_CACHE_HOME``): the journal of the runs started here, the hints about files of this machine, and files before their
upload. Readers need none of it, and all of it may be deleted between runs.
"""

from __future__ import annotations

import hashlib
import os
import re

from refinery_beam import locations

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def home(root: str) -> str:
    """The absolute local folder of a cache root. Creates nothing.

    >>> home("/c")
    '/c'
    >>> os.path.basename(home("gs://bucket/caches/"))
    'gs-bucket-caches-fd6591532a2b'
    """
    location = locations.absolute(root)
    if not locations.is_url(location):
        return location
    above = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # The words are for people; the digest makes the name unique.
    name = f"{_ODD.sub('-', location).strip('-')[:80]}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    return os.path.join(os.path.abspath(above), "refinery-beam", "roots", name)
