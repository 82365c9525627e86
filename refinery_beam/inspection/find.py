"""Finding records: those that a condition holds for, and one by its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refinery_beam.cache import Manifest
from refinery_beam.errors import UsageError, closest
from refinery_beam.inspection.columns import FACTS, Known, each_table, known_columns, shown_value
from refinery_beam.inspection.ledger import lost_row
from refinery_beam.inspection.where import Column, Condition, parse_condition
from refinery_beam.visible import display

_POSITION = " position"
"""A column of ours, which no field is called."""

NEAR_NAMES = 2_000
"""Ids that are kept to find the closest one to what was asked for."""


class Matches(NamedTuple):
    """The first records that match, as dicts of `columns` with values as people read them, and where they lie; and how many do."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    found: tuple[Found, ...]
    matched: int
    of: int


class Found(NamedTuple):
    """A stored row: its split, and its position there."""

    split: str
    position: int
    record_id: str


def matching(
    manifest: Manifest, *, splits: Sequence[str], label: str | None, where: str | None, limit: int, shown: Sequence[str]
) -> Matches:
    """The records of the splits with the label that the condition holds for, in stored order; `shown` are more columns to give."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = known_columns(manifest)
    condition = parse_condition(where, known.columns, without=_without(manifest)) if where is not None else None
    label_field = str(manifest.raw.get("label_field", ""))
    columns = list(dict.fromkeys(["split", "record_id", label_field, *(condition.columns if condition else ()), *shown]))
    columns = [name for name in columns if name in known.columns]
    if label is not None and label_field not in known.columns:
        raise UsageError(
            "the records of this instance have no label", code="where-column", at="--label", value=label, columns=sorted(known.columns)
        )
    rows: list[dict[str, Any]] = []
    found: list[Found] = []
    matched = of = 0
    for split, start, table in each_table(manifest, columns, known=known, splits=splits):
        of += table.num_rows
        table = table.append_column(_POSITION, pa.array(range(start, start + table.num_rows), pa.int64()))
        if label is not None:
            # As text: a label that is a number is asked for by its digits.
            table = table.filter(pc.equal(_as_text(table.column(label_field)), label))
        if condition is not None:
            table = table.filter(condition.mask(table))
        matched += table.num_rows
        if len(rows) < limit and table.num_rows:
            for row in table.slice(0, limit - len(rows)).select([*columns, _POSITION]).to_pylist():
                found.append(Found(split, row[_POSITION], row["record_id"]))
                rows.append({name: shown_value(row[name], known.columns[name].scale) for name in columns})
    return Matches(tuple(columns), tuple(rows), tuple(found), matched, of)


def find_record(manifest: Manifest, record_id: str) -> list[Found]:
    """The stored rows of a record: its own, and those that were made of it. The end of an id, from a slash on, is enough where it fits one.
    [] for a record of the ledger. UsageError ``unknown-record``, with the closest id.
    """
    known = Known({"record_id": Column("text"), "split": Column("text")}, frozenset())
    own: list[Found] = []
    ending: list[Found] = []
    names: list[str] = []
    for split, start, table in each_table(manifest, ["record_id"], known=known):
        for k, name in enumerate(table.column("record_id").to_pylist()):
            if name == record_id or name.startswith(f"{record_id}#"):
                own.append(Found(split, start + k, name))
            elif name.endswith(f"/{record_id}"):
                ending.append(Found(split, start + k, name))
            if len(names) < NEAR_NAMES:
                names.append(name)
    if own:
        return own
    if lost_row(manifest, record_id) is not None:
        return []
    if len(ending) == 1:
        return find_record(manifest, ending[0].record_id)
    if ending:
        some = ", ".join(display(found.record_id) for found in ending[:3])
        remedy = f"say which: {some}" + (f" or one of {len(ending) - 3:,} others" if len(ending) > 3 else "")
    else:
        near = closest(record_id, names)
        remedy = f"did you mean '{display(near)}'?" if near else "inspect without --record lists ids; lost records are under --ledger"
    raise UsageError("no stored record has this id", code="unknown-record", at="--record", value=record_id, remedy=remedy)


def _without(manifest: Manifest) -> str:
    """Why there are no facts to ask for, where there are none."""
    return "" if manifest.file(FACTS) is not None else "; this instance keeps no facts about its files (Output.facts: off, or format 1)"


def _as_text(column: Any) -> Any:
    import pyarrow as pa

    return column.cast(pa.string())


__all__ = ["Condition", "Found", "Matches", "find_record", "matching"]
