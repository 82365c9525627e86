"""What is wrong with a table, before anyone knows who asked for it."""

from __future__ import annotations

from typing import Any, TypeVar

from refinery_beam.errors import RefineryError

_E = TypeVar("_E", bound=RefineryError)


class TableFault(Exception):
    """A table that cannot be used. ``text`` goes on after the table's name; ``line`` (from 1) or ``cannot`` ("cannot read") stand before,
    and ``apart`` puts a colon between where the text is a sentence of its own.

    >>> TableFault("2 values where there are 3 columns", code="label-row", line=4).message("a.csv")
    'a.csv:4: 2 values where there are 3 columns'
    >>> TableFault("has no rows", code="label-table").message("a.csv")
    "label table 'a.csv' has no rows"
    """

    def __init__(
        self,
        text: str,
        *,
        code: str,
        line: int | None = None,
        cannot: str = "",
        apart: bool = False,
        value: Any = None,
        rule: str | None = None,
        remedy: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.line = line
        self.cannot = cannot
        self.apart = apart
        self.value = value
        self.rule = rule
        self.remedy = remedy
        self.facts = facts

    def message(self, title: str) -> str:
        """The sentence, with the table's name."""
        if self.line is not None:
            return f"{title}:{self.line}: {self.text}"
        named = f"{self.cannot} label table {title!r}".lstrip()
        return f"{named}: {self.text}" if self.cannot or self.apart else f"{named} {self.text}"

    def error(self, kind: type[_E], *, title: str, at: str) -> _E:
        """The error of the tree, at a position of the recipe."""
        value = title if self.value is None else self.value
        return kind(self.message(title), code=self.code, at=at, value=value, rule=self.rule, remedy=self.remedy, **self.facts)
