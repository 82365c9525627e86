"""The one reader of tables: every dialect is read right or refused in words, for checks, the join and `init` alike."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.tables import TableFault, contents, delimited, open_table


def read(path: Path, **more: Any) -> tuple[list[str], list[list[Any]], list[str]]:
    """Columns, rows and notes."""
    found = open_table(str(path), **more)
    names = [name for name in found.columns if name]
    rows = [[row[name] for name in names] for _, row in found.rows(names)]
    return names, rows, found.notes


def put(tmp_path: Path, data: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def pack(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


WANTED = (["id", "label"], [["x", "cat"], ["y", "dog"]])


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (b"id,label\nx,cat\ny,dog\n", []),
        (b"\xef\xbb\xbfid;label\r\nx;cat\r\ny;dog", []),
        (b"id\tlabel\rx\tcat\ry\tdog\r", []),
        (b"id|label\nx|cat\ny|dog\n", []),
        ("id,label\nx,cat\ny,dog\n".encode("utf-16"), []),
        (b"sep=;\nid;label\nx;cat\ny;dog\n", []),
        (b"id,label,,\nx,cat,,\ny,dog,,\n", []),
        (b"id,label\nx,cat,\ny,dog,,\n", ["empty cells beyond the last column in 2 rows skipped"]),
        (b"\n\nid,label\n\nx,cat\n,\n\ny,dog\n,\n\n", ["5 blank rows skipped"]),
        (b"id, label\nx, cat\ny, dog\n", ["the blank behind each delimiter is no part of the values"]),
        (b"# by me\n# and you\nid,label\nx,cat\ny,dog\n", ["2 lines of remarks at the top skipped"]),
        (b'"id","label"\n"x","cat"\ny,"dog"\n', []),
        (pack(b"id,label\nx,cat\ny,dog\n"), []),
        (pack(b"id,label\nx,cat\n") + pack(b"y,dog\n"), []),
    ],
)
def test_dialects(tmp_path: Path, data: bytes, notes: list[str]) -> None:
    path = put(tmp_path, data)
    assert read(path, names=["id", "label"]) == (*WANTED, notes)
    assert read(path) == (*WANTED, notes)
    assert open_table(str(path), head=True).columns == open_table(str(path)).columns


def test_a_delimiter_that_only_the_names_tell(tmp_path: Path) -> None:
    assert read(put(tmp_path, "id label\nx cat\ny dog\n"), names=["id", "label"])[:2] == WANTED
    assert read(put(tmp_path, "name;a,b;c,d\nx;1;2\n"))[0] == ["name", "a,b", "c,d"]
    assert read(put(tmp_path, "file,kind;of;cat\nx,y\n"), names=["file"])[0] == ["file", "kind;of;cat"]
    assert read(put(tmp_path, "x cat\ny dog\n"), header=["id", "label"])[:2] == WANTED
    assert read(put(tmp_path, "x~cat\ny~dog\n"), header=["id", "label"], delimiter="~")[:2] == WANTED
    # One column: no delimiter is needed.
    assert read(put(tmp_path, "granny smith\npear\n"), header=["label"])[1] == [["granny smith"], ["pear"]]


def test_a_declared_encoding(tmp_path: Path) -> None:
    path = put(tmp_path, "id,label\nx,caf\u00e9\n".encode("cp1252"))
    assert read(path, encoding="latin-1")[1] == [["x", "caf\u00e9"]]
    for word in ("utf-16-le", "utf-16-be"):
        assert read(put(tmp_path, "id,label\nx,cat\ny,dog\n".encode(word)), encoding=word)[:2] == WANTED


def fault(path: Path, **more: Any) -> tuple[str, str]:
    with pytest.raises(TableFault) as caught:
        read(path, **more)
    return caught.value.code, caught.value.message("t")


@pytest.mark.parametrize(
    ("data", "name", "code", "words"),
    [
        (b"PK\x03\x04 [Content_Types].xml xl/worksheets", "t.csv", "label-table", "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0 old", "t.csv", "label-table", "is an Excel 97 workbook"),
        (b"PK\x03\x04 labels.csv", "t.zip", "label-table", "is a ZIP archive"),
        (bz2.compress(b"id,label\n"), "t.csv.bz2", "label-table", "is packed with bzip2"),
        (b"<!DOCTYPE html>\n<html>", "t.csv", "label-table", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "t.csv", "label-table", "is a Git LFS pointer"),
        (pack(b"id,label\n")[:-6], "t.csv.gz", "label-table", "is gzip that does not unpack"),
        (b"id,label\nx,c\0t\n", "t.csv", "label-row", "t:2: zero bytes"),
        ("id,label\nx,cat\n".encode("utf-16-le"), "t.csv", "label-row", "UTF-16 text without a byte order mark?"),
        (b"id,label\nx,caf\xe9\n", "t.csv", "label-encoding", "is not UTF-8: byte 0xe9 in line 2"),
        (b"id,label\nx\n", "t.csv", "label-row", "t:2: 1 values where there are 2 columns"),
        (b'id,label\nx,cat\n"y,dog\n', "t.csv", "label-row", "t:3: unexpected end of data"),
        (b"", "t.csv", "label-table-empty", "is empty"),
        (b"\xef\xbb\xbf", "t.csv", "label-table-empty", "is empty"),
        (b"  \n", "t.csv", "label-table-empty", "is empty"),
        (b"[" * 100_000, "t.jsonl", "label-row", "t:1: nested too deeply"),
        (b'{"id": ' + b"9" * 5000 + b"}", "t.jsonl", "label-row", "t:1: a number with thousands of digits"),
        (b'{"id": 1, "id": 2}', "t.jsonl", "label-row", "t:1: key 'id' stands twice"),
        (b'[{"id": 1}]', "t.jsonl", "label-row", "t:1: not an object"),
        (b"PAR1garbage", "t.parquet", "label-table", "is not a readable Parquet file"),
        (b"", "t.parquet", "label-table", "is not a readable Parquet file"),
        (b"id,label\nx,cat\n", "t.parquet", "label-table", "is not a readable Parquet file"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, data: bytes, name: str, code: str, words: str) -> None:
    path = put(tmp_path, data, name)
    found = fault(path)
    assert found[0] == code and words in found[1]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert fault(tmp_path / "pipe.csv") == ("label-table", "label table 't' is a pipe")
    assert fault(tmp_path) == ("label-table", "label table 't' is a folder")
    assert fault(Path("/dev/zero")) == ("label-table", "label table 't' is no regular file")
    assert fault(tmp_path / "none.csv") == ("label-table", "cannot read label table 't': no such file or directory")


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 200_000
    assert read(put(tmp_path, f"id,label,note\nx,cat,{long}\n"))[1] == [["x", "cat", long]]
    monkeypatch.setattr(contents, "LIMIT", 1000)
    path = put(tmp_path, "id,label\n" + "x,cat\n" * 200)
    assert fault(path) == ("label-table", "label table 't' has 1,209 bytes")
    assert "holds more than 1,000 bytes, unpacked" in fault(put(tmp_path, pack(path.read_bytes())))[1]
    assert open_table(str(path.with_name("t.csv")), head=True).columns == ("id", "label")


def test_a_cell_over_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = csv.field_size_limit()
    monkeypatch.setattr(delimited, "CELL_LIMIT", before)
    code, words = fault(put(tmp_path, f"id,label\nx,cat\ny,{'d' * (before + 1)}\n"))
    assert code == "label-row" and words.startswith("t:3: a value has more than")


def test_long_heads(tmp_path: Path) -> None:
    row = json.dumps({"id": "x", "label": "cat", "note": "n" * (2 << 20)})
    assert open_table(str(put(tmp_path, row + "\n", "t.jsonl")), head=True).columns == ("id", "label", "note")
    rows = "".join(json.dumps({"id": str(k), "label": "cat", "pad": "p" * 100}) + "\n" for k in range(20_000))
    table = open_table(str(put(tmp_path, rows + '{"late": 1}\n', "t.jsonl")), head=True)
    assert table.open and table.columns == ("id", "label", "pad")
    table.column("late")  # may be there
    wide = put(tmp_path, "id,label," + ",".join(f"column{k}" for k in range(200_000)) + "\n")
    assert len(open_table(str(wide), head=True).columns) == 200_002


def test_a_packed_parquet_file_that_is_longer_than_a_head(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [os.urandom(16).hex() for _ in range(100_000)], "label": ["cat"] * 100_000}), tmp_path / "t.parquet")
    path = put(tmp_path, pack((tmp_path / "t.parquet").read_bytes()), "t.parquet.gz")
    assert path.stat().st_size > contents.HEAD
    assert open_table(str(path), head=True).columns == ("id", "label")
    assert len(read(path)[1]) == 100_000


def test_xlsx_as_programs_write_it(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", "<row/>" * 500)
    code, words = fault(put(tmp_path, made.getvalue(), "labels.xlsx"))
    assert code == "label-table" and "Excel workbook" in words


# -- a writer of odd dialects --------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=8)
IDS = st.lists(st.from_regex(r"[a-z0-9_]{1,8}\.png", fullmatch=True), min_size=1, max_size=6, unique=True)


@st.composite
def odd_tables(draw: st.DrawFn) -> tuple[bytes, str, list[list[str]], dict[str, Any]]:
    """A table as some program may write it: bytes, file name, rows of (id, label, extra), and what a recipe has to declare."""
    ids = draw(IDS)
    rows = [[one, draw(st.from_regex(r"[A-Za-z\u00e0-\u00fc]{1,6}", fullmatch=True)), draw(TEXT)] for one in ids]
    delimiter = draw(st.sampled_from(",;\t|~"))
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = draw(st.booleans())
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    if ending == "\r" and any("\n" in text for _, _, text in rows):
        # The csv module quotes the line endings that it writes itself, and no other one: a line feed would end the line.
        quoting = csv.QUOTE_ALL
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    if draw(st.booleans()):
        made.write(ending * draw(st.integers(1, 3)))
    width = 3 + (draw(st.integers(0, 2)) if header else 0)
    if header:
        writer.writerow(["id", "label", "extra", *[""] * (width - 3)])
    for row in rows:
        writer.writerow([*row, *[""] * (width - 3)])
        if draw(st.integers(0, 5)) == 0:
            made.write(draw(st.sampled_from([ending, delimiter * 2 + ending])))
    text = made.getvalue()
    encoding, declared = draw(st.sampled_from([("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-16-le", "utf-16-le")]))
    data = text.encode(encoding)
    name = "t.csv"
    if draw(st.booleans()):
        data, name = pack(data), "t.csv.gz"
    declares: dict[str, Any] = {"encoding": declared}
    if not header or delimiter == "~":
        declares["delimiter"] = delimiter
    if not header:
        declares["header"] = ("id", "label", "extra")
    return data, name, rows, declares


@settings(max_examples=150, deadline=None)
@given(table=odd_tables())
def test_any_table_of_the_odd_writer_is_read_right(
    table: tuple[bytes, str, list[list[str]], dict[str, Any]], tmp_path_factory: Any
) -> None:
    data, name, rows, declares = table
    path = tmp_path_factory.getbasetemp() / f"odd-{name}"
    path.write_bytes(data)
    found = open_table(str(path), names=["id", "label"], **declares)
    # Bare carriage returns and newlines in quotes come through as they are.
    assert [[row["id"], row["label"], row["extra"]] for _, row in found.rows(["id", "label", "extra"])] == rows


@settings(max_examples=300, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="id,label;\t|\"\n\r '#=\0x[]{}:", max_size=200).map(str.encode),
        st.tuples(st.sampled_from([b"PAR1", b"\x1f\x8b\x08", b"PK\x03\x04", b"\xff\xfe", b"sep=", b"#"]), st.binary(max_size=100)).map(
            b"".join
        ),
    ),
    name=st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.csv.gz", "t.txt"]),
    header=st.sampled_from([None, ("id", "label")]),
)
def test_any_bytes_are_read_or_refused(data: bytes, name: str, header: Any, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{name}"
    path.write_bytes(data)
    for head in (False, True):
        try:
            read(path, header=header, head=head, names=["id", "label"])
        except TableFault as found:
            assert found.code.startswith("label-") and found.message("t")
