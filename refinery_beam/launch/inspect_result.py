"""What `inspect` gives."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from refinery_beam.launch.html_table import html_table
from refinery_beam.launch.run import CONTRACT

Kind = Literal["overview", "records", "record", "view", "ledger"]


@dataclass(frozen=True, kw_only=True)
class InspectTable:
    """A table of a result; `total` counts the rows that there are, of which `rows` may be the first."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int


@dataclass(frozen=True, kw_only=True)
class InspectResult:
    """What `inspect` found: `facts` are names with values; `picture` is a PNG file, of a record its strip, and `path` where it lies."""

    kind: Kind
    instance: str
    facts: tuple[tuple[str, Any], ...] = ()
    tables: tuple[InspectTable, ...] = ()
    notes: tuple[str, ...] = ()
    path: str | None = None
    picture: bytes | None = field(default=None, repr=False)

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """The rows of the first table, as dicts."""
        return tuple(dict(zip(table.columns, row, strict=True)) for table in self.tables[:1] for row in table.rows)

    @property
    def matched(self) -> int:
        """How many rows the first table would have without a limit."""
        return self.tables[0].total if self.tables else 0

    def to_dict(self) -> dict[str, Any]:
        """The object `inspect --json` prints (contract 1)."""
        return {
            "contract": CONTRACT,
            "kind": self.kind,
            "instance": self.instance,
            "facts": {name: _plain(value) for name, value in self.facts},
            "tables": [
                {"title": t.title, "total": t.total, "rows": [dict(zip(t.columns, map(_plain, row), strict=True)) for row in t.rows]}
                for t in self.tables
            ],
            "picture": self.path,
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        parts = [html_table((self.kind, ""), self.facts)] if self.facts else []
        parts += [html_table(t.columns, t.rows, f"{t.title}: {len(t.rows):,} of {t.total:,}") for t in self.tables]
        if self.picture is not None:
            parts.append(f'<img alt="{self.kind}" src="data:image/png;base64,{base64.b64encode(self.picture).decode()}">')
        return f"<div>{''.join(parts)}</div>"


def _plain(value: Any) -> Any:
    """A value for JSON, whose numbers are written with as many digits as they need."""
    return float(value) if isinstance(value, Decimal) else value
