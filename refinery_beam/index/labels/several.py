"""Recognises several labels an image, which one label field cannot hold: in one cell, in repeated rows, in a set of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from refinery_beam.errors import display
from refinery_beam.tables import Table, TableFault

_ROWS, _COLUMNS = 1000, 256
_ONE = {"1", "1.0", 1}
_ZERO = {"0", "0.0", 0, ""}

_SEPARATORS = ("|", ";", ",", " ", "+", "&", "/")
_PLAIN = {"|", ";", ","}
"""Separators of lists: names of classes rarely hold them."""


def refuse_one_hot(table: Table, label_field: str) -> None:
    """TableFault ``label-several`` if the label column is one of at least three columns of zeros and ones, with exactly one 1 in each of
    the first thousand rows: a label that is spread over columns."""
    names = [name for name in table.columns[:_COLUMNS] if name]
    if len(names) < 3 or label_field not in names:
        return
    found = one_hot_columns(list(islice((row for _, row in table.rows(names)), _ROWS)), names)
    if label_field in found:
        raise TableFault(
            f"column {label_field!r} is one of {len(found)} columns of zeros and ones with exactly one 1 a row "
            f"({', '.join(repr(display(n)) for n in found[:5])}{', ...' if len(found) > 5 else ''}): one label spread over columns",
            line=1,
            code="label-several",
            value=label_field,
            remedy="make one column of them, such as df[columns].idxmax(axis=1) in pandas, and name it in label_field; "
            "if this column alone is the label, add single_label: true to label_from",
        )


def one_hot_columns(rows: Sequence[dict[str, object]], names: Sequence[str]) -> list[str]:
    """The columns of zeros and ones of which each row has exactly one 1, if there are at least three and each has a 1."""
    if len(rows) < 3:
        return []
    binary = [n for n in names if all(_bit(row.get(n)) is not None for row in rows) and any(_bit(row.get(n)) for row in rows)]
    if len(binary) < 3 or any(sum(bool(_bit(row.get(n))) for n in binary) != 1 for row in rows):
        return []
    return binary


def _bit(value: object) -> bool | None:
    if isinstance(value, str):
        value = value.strip()
    try:
        return True if value in _ONE else False if value in _ZERO else None
    except TypeError:
        return None


def compound_labels(labels: Sequence[str]) -> tuple[str, str] | None:
    """A label that looks like several, and the separator; None if there is none.

    Separators of lists make a compound where most such labels have parts that occur in others too. A blank, '+', '&' or '/' may stand in
    the name of a class, so there all the parts have to be labels of their own.

    >>> compound_labels(["scab", "rust", "scab rust", "healthy"]), compound_labels(["golden retriever", "tabby cat"])
    (('scab rust', ' '), None)
    """
    count = Counter(label for label in labels if label)
    whole = set(count)
    for label in sorted(whole):
        if label[:1] in "[{(" and label[-1:] in ("]", "}", ")") and label[1:-1].strip()[:1] in ("'", '"'):
            return label, ","
    for separator in _SEPARATORS:
        compounds = {label: parts for label in sorted(whole) if len(parts := _parts(label, separator)) > 1}
        if not compounds:
            continue
        if separator in _PLAIN:
            uses = Counter(part for parts in compounds.values() for part in dict.fromkeys(parts))
            shared = [label for label, parts in compounds.items() if any(part in whole or uses[part] > 1 for part in parts)]
            if 2 * len(shared) >= len(compounds):
                return (min(shared), separator) if shared else None
            continue
        made = [label for label, parts in compounds.items() if all(part in whole for part in parts)]
        if made:
            return min(made), separator
    return None


def _parts(label: str, separator: str) -> list[str]:
    if separator not in label:
        return [label]
    return [part for part in (p.strip() for p in label.split(separator)) if part]
