"""Every failure a user can meet, as one tree.

Promise: an error names its position (`at`: ``file:line:column`` for recipes, record and file for data), the *value* found, the *rule* it
breaks and the *remedy*. The class decides the exit code, so no caller picks one:

====  =======================================  ==========================
code  meaning                                  class
====  =======================================  ==========================
1     the recipe or the data is at fault       RecipeError, DataError
2     usage                                    UsageError
3     environment, plugin or store             EnvironmentFault, PluginError, StoreError
4     the engine or a worker failed            EngineError
130   interrupted                              Interrupted
====  =======================================  ==========================

>>> error = RecipeError("unknown word 'metod'", code="unknown-field", at="r.yaml:3:5", value="metod",
...                     rule="resize takes size, method, mode, fill", remedy="did you mean 'method'?")
>>> error.exit_code, error.to_dict()["place"]
(1, 'r.yaml:3:5')
>>> RecipeError("'resize' names no splits", code="no-splits", splits=["train", "test"]).remedy
"add 'splits: [train, test]'"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from refinery_beam.masking import mask
from refinery_beam.rules import RULES, Rule, fill
from refinery_beam.visible import display as display
from refinery_beam.visible import shorten, visible

_UNKNOWN = Rule("", "", "")
"""What is said of a code that a plugin made: nothing but what it says itself."""


class RefineryError(Exception):
    """Base of the tree. ``code`` is a stable kebab-case word that other programs may match on.

    ``rule`` and ``remedy`` are those of the code in the catalogue (`refinery_beam.rules`), with ``facts`` filled in, where none are given.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str,
        at: str = "",
        value: Any = None,
        rule: str | None = None,
        remedy: str | None = None,
        **facts: object,
    ) -> None:
        # Before anything is cut to a length, and whatever way the error goes out.
        message, at = mask(message), mask(at)
        value = mask(value) if isinstance(value, str) else value
        super().__init__(message)
        known = RULES.get(code, _UNKNOWN)
        facts["value"] = value
        self.message = message
        self.code = code
        self.at = at
        self.value = value
        self.rule = mask(fill(known.rule, facts) if rule is None else rule)
        self.remedy = mask(fill(known.remedy, facts) if remedy is None else remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers send exceptions to the driver by pickling: keep every field.
        return (_rebuild, (type(self), self.message, self.code, self.at, self.value, self.rule, self.remedy))

    def to_dict(self) -> dict[str, Any]:
        """The machine-readable form printed by ``--json`` (contract 1)."""
        return {
            "code": self.code,
            "message": self.message,
            "place": self.at,
            "value": self.value if isinstance(self.value, str | int | float | bool | None) else str(self.value),
            "rule": self.rule,
            "remedy": self.remedy,
        }

    def errors(self) -> tuple[RefineryError, ...]:
        """The single errors inside: itself, or the members of an `ErrorGroup`."""
        return (self,)

    def render(self) -> str:
        """The words printed for a person: position and message first, then value, rule and remedy on their own lines."""
        lines = [f"{display(shorten(self.at))}: {self.message}" if self.at else self.message]
        value = _said(self.value)
        # Facts in the position or the message are not repeated.
        if value and display(value) not in self.message and value not in self.message and value != self.at:
            lines.append(f"  value:  {display(shorten(value, 200))}")
        if self.rule:
            lines.append(f"  rule:   {self.rule}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(visible(line) for line in lines)


class RecipeError(RefineryError):
    """The recipe text breaks a rule of the language."""


class DataError(RefineryError):
    """A source, a label file or an image is at fault."""


class UsageError(RefineryError):
    """The command line is at fault."""

    exit_code = 2


class EnvironmentFault(RefineryError):
    """This machine lacks something: a package, a codec, memory, permission."""

    exit_code = 3


class PluginError(EnvironmentFault):
    """A plugin is missing or breaks its protocol."""


class StoreError(EnvironmentFault):
    """The cache or an output location cannot be read or written, or holds something it must not."""


class EngineError(RefineryError):
    """The Beam engine or one of its workers failed."""

    exit_code = 4


class Interrupted(RefineryError):
    """The user stopped the run."""

    exit_code = 130


class ErrorGroup(RefineryError):
    """Several errors found in one go, so that a user mends them in one go. Never empty."""

    def __init__(self, members: Iterable[RefineryError]) -> None:
        self.members = tuple(members)
        if not self.members:
            raise ValueError("an ErrorGroup needs at least one error")
        first = self.members[0]
        super().__init__(
            "\n".join(m.message for m in self.members),
            code=first.code,
            at=first.at,
            value=first.value,
            rule=first.rule,
            remedy=first.remedy,
        )
        # In practice all members are of one kind; otherwise the worst decides.
        self.exit_code = max(m.exit_code for m in self.members)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ErrorGroup, (self.members,))

    def errors(self) -> tuple[RefineryError, ...]:
        return tuple(e for m in self.members for e in m.errors())

    def render(self) -> str:
        return "\n".join(e.render() for e in self.errors())


def raise_all(errors: Iterable[RefineryError]) -> None:
    """Raise nothing, the one error, or an `ErrorGroup` of all of them."""
    found = tuple(errors)
    if len(found) == 1:
        raise found[0]
    if found:
        raise ErrorGroup(found)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word a typo most likely meant, or None.

    >>> closest("metod", ["size", "method"])
    'method'
    """
    candidates = sorted(known)
    folded = {c.casefold().replace("-", "_"): c for c in reversed(candidates)}
    hits = difflib.get_close_matches(word.casefold().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[hits[0]] if hits else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy for an unknown word: the closest known one, else the list of all.

    >>> did_you_mean("metod", ["size", "method"])
    "did you mean 'method'?"
    >>> did_you_mean("zzz", ["size", "method"])
    'known: method, size'
    """
    known = sorted(known)
    hit = closest(word, known)
    return f"did you mean {hit!r}?" if hit else "known: " + ", ".join(known)


def _rebuild(cls: type[RefineryError], message: str, code: str, at: str, value: Any, rule: str, remedy: str) -> RefineryError:
    return cls(message, code=code, at=at, value=value, rule=rule, remedy=remedy)


def _said(value: Any) -> str:
    """A value in the recipe's own words: true, not True."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
