"""What decoding finds out about one record besides its content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refinery_beam.plugins.measures import Sketch


@dataclass
class Observed:
    """The facts of a file's header, and the sketch of its content. Filled as far as decoding came, also for a record that is lost."""

    facts: dict[str, Any] = field(default_factory=dict)
    sketch: Sketch | None = None
