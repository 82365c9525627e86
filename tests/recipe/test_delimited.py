"""How text tables are read: one answer for `validate`, for the index and for `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from refinery_beam.index import LabelSpec, read_table
from refinery_beam.recipe.delimited import BrokenRow, read_head, read_rows, table_columns, table_form
from refinery_beam.scaffold import first_rows


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.csv", "id,label\nx,cat\n", ["id", "label"]),
        ("a.csv", "\ufeffid;label\r\nx;cat\r\n", ["id", "label"]),
        ("a.tsv", "id\tlabel\nx\tcat\n", ["id", "label"]),
        ("a.txt", "id|x;label\n1;cat\n", ["id|x", "label"]),
        ("a.csv", "\n\nid,label\nx,cat\n", ["id", "label"]),
        ("a.csv", 'id,"the\nlabel"\nx,cat\n', ["id", "the\nlabel"]),
        ("a.jsonl", '\n{"id": "x", "label": "cat"}\n', ["id", "label"]),
    ],
)
def test_all_three_see_the_same_columns(name: str, text: str, columns: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert table_columns(str(path)) == columns
    assert list(first_rows(str(path))[0]) == columns
    label = columns[-1]
    table = read_table(LabelSpec(path=str(path), join="by_row_order", label_field=label))
    assert (table.columns, table.labels) == (tuple(columns), ["cat"])


def test_the_columns_that_are_asked_for_decide() -> None:
    assert read_head("name;a,b;c,d;e\n").separator == ";"
    assert read_head("file,kind;of;cat\n", names=["file"]).separator == ","
    assert read_head("1,2;3\n", columns=2, path="a.csv").separator == ","
    assert read_head("a,b\tc,d\n", path="a.tsv", names=["c,d"]).separator == "\t"
    assert read_head("").cells == []


def test_forms_go_by_the_name() -> None:
    forms = [table_form(f"x.{suffix}") for suffix in ("csv", "TSV", "ndjson", "PQ", "json")]
    assert forms == ["delimited", "delimited", "json lines", "parquet", "delimited"]


def test_a_broken_row_names_its_first_line() -> None:
    text = 'a,b\n"x\ny",1\n"z"q,2\n'
    assert [line for line, _ in read_rows(text, ",", strict=False)][:2] == [1, 2]
    with pytest.raises(BrokenRow) as caught:
        list(read_rows(text, ","))
    assert caught.value.line == 4
