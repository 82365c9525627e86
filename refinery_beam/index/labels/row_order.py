"""A table without ids: row k belongs to the k-th file. In which order, and whether the table itself contradicts it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal

from refinery_beam.errors import display
from refinery_beam.tables import Table, TableFault, find_form, natural_key

_ROWS, _COLUMNS = 200, 64


def naming_column(table: Table, label_field: str, paths: Sequence[str]) -> str:
    """The column whose first values name files, most of them; '' if there is none."""
    names = [name for name in table.columns[:_COLUMNS] if name and name != label_field]
    if not names or not paths:
        return ""
    rows = [row for _, row in islice(table.rows(names), _ROWS)]
    best, most = "", 0
    for name in names:
        values = [str(row[name]) for row in rows if row.get(name) is not None]
        forms = find_form(values, paths)
        # A column of numbers may name files by chance: nearly all have to.
        if forms and forms[0].found > most and forms[0].found * 10 >= len(values) * 9 and len(set(values)) == len(values):
            best, most = name, forms[0].found
    return best


def order_rows(
    ids: Sequence[str], id_field: str, paths: Sequence[str], order: Literal["natural", "lexical"] | None
) -> tuple[list[int], list[str]]:
    """The row of each path, and notes. `paths` are in lexical order: that of their UTF-8 bytes.

    TableFault ``row-order`` if the ids name other files than the order gives, and if it matters which order is meant and nothing says so.
    """
    count = len(paths)
    lexical = list(range(count))
    natural = sorted(lexical, key=lambda k: natural_key(paths[k]))
    row_of = lexical
    if order == "natural":
        row_of = [0] * count
        for row, k in enumerate(natural):
            row_of[k] = row
    confirmed = bool(ids) and _compare(ids, id_field, paths, row_of, order or "lexical")
    if confirmed:
        return row_of, [f"column {id_field!r} names the files, and agrees with the {order or 'lexical'} order of rows"]
    if order is None and natural != lexical:
        k = next(k for k in lexical if natural[k] != k)
        one, other = display(paths[natural[k]]), display(paths[k])
        raise TableFault(
            f"row {k + 1} is for '{one}' by the order of numbers, and for '{other}' by the order of characters",
            apart=True,
            code="row-order",
            value="by_row_order",
            remedy=f"write order: natural if row {k + 1} is for {one}, order: lexical if it is for {other}, or join by_id",
        )
    return row_of, []


def _compare(ids: Sequence[str], id_field: str, paths: Sequence[str], rows: Sequence[int], order: str) -> bool:
    """Whether the ids name files, and each the one that its row is for. TableFault where one names another."""
    forms = find_form(ids, paths)
    if not forms or forms[0].clash is not None:
        return False
    form = forms[0]
    path_of = {form.path_key(path): path for path in paths}
    agreed = 0
    for k, path in enumerate(paths):
        named = path_of.get(form.id_key(ids[rows[k]]))
        if named is not None and named != path:
            raise TableFault(
                f"row {rows[k] + 1} is for '{display(path)}' by {order} order, but its column {id_field!r} names '{display(named)}'",
                apart=True,
                code="row-order",
                value=ids[rows[k]],
                remedy=f"write join: by_id with id_field: {id_field}",
            )
        agreed += named is not None
    return agreed == len(paths)
