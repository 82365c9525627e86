"""One entry of the catalogue, and how its templates become sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """What is said of an error code: its ``meaning`` on the page of errors, the ``rule`` that the user broke, and the ``remedy``.

    ``rule`` and ``remedy`` are templates for `fill`. They hold for every error of the code. Code that raises it for a reason of its own
    gives its own words instead.
    """

    meaning: str
    rule: str
    remedy: str


class Section(NamedTuple):
    """A section of the page: codes of one kind, with the exit code of their errors."""

    title: str
    exit_code: int
    rules: Mapping[str, Rule]


class Reason(NamedTuple):
    """What is said of a ledger reason. ``remedy`` is empty, and ``asked_for`` true, where the recipe asked for the loss."""

    meaning: str
    remedy: str = "mend or remove the file"
    asked_for: bool = False


def fill(template: str, facts: Mapping[str, object]) -> str:
    """The sentence of a template: facts in place of their names, several values with commas between them.

    A fact that is not given leaves its name, in capitals. The page of errors shows templates so.

    >>> fill("add {field!r} to {splits}", {"field": "label", "splits": ["train", "test"]})
    "add 'label' to train, test"
    >>> fill("add {field!r} to {splits}", {})
    "add 'FIELD' to SPLITS"
    """
    return template.format_map(_Facts(facts)) if "{" in template else template


class _Facts(dict[str, object]):
    def __init__(self, facts: Mapping[str, object]) -> None:
        super().__init__({name: _joined(value) for name, value in facts.items()})

    def __missing__(self, name: str) -> str:
        return name.upper()


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value
