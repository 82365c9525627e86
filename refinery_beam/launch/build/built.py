"""How an attempt at an instance ended. Apart from the attempt, which needs Beam: the process that only reads of the end does not."""

from __future__ import annotations

from typing import Literal, NamedTuple

from refinery_beam.cache import Manifest
from refinery_beam.resume.reused import Reused


class Built(NamedTuple):
    """How an attempt ended: ``built``, or ``hit`` when another run of the same key was first; and what it did not make again."""

    status: Literal["built", "hit"]
    manifest: Manifest
    reused: Reused = Reused()
