"""One thing that `check` has an answer about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from refinery_beam.errors import RefineryError

State = Literal["ok", "absent", "warning", "broken"]
"""``absent``: something optional is not there. ``broken``: something that every run needs, or that was asked for, does not work."""


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """A thing, its state, what was found, and what to do about it ('' where nothing is to be done)."""

    kind: str
    thing: str
    state: State
    fact: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Its form in JSON."""
        return {"kind": self.kind, "thing": self.thing, "state": self.state, "fact": self.fact, "remedy": self.remedy}


def attempted(kind: str, thing: str, find_out: Callable[[], Iterator[CheckRow]]) -> Iterator[CheckRow]:
    """The rows that `find_out` gives, or one that says why it could not: a check-up goes on whatever it meets."""
    try:
        yield from find_out()
    except RefineryError as error:
        for one in error.errors():
            yield CheckRow(kind=kind, thing=thing, state="broken", fact=one.message, remedy=one.remedy)
    except Exception as error:
        yield CheckRow(
            kind=kind, thing=thing, state="broken", fact=f"{type(error).__name__}: {error}", remedy="run again with --debug and report it"
        )
