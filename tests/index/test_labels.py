from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import DataError
from refinery_beam.index import LabelSpec, derive_label, join_labels, read_table

PATHS = ["a/x.png", "a/y.png", "b/z.jpg"]


def spec(path: Path, join: Any = "by_id", **more: Any) -> LabelSpec:
    return LabelSpec(
        path=str(path),
        join=join,
        label_field=more.pop("label_field", "label"),
        id_field=more.pop("id_field", "id" if join == "by_id" else None),
        header=more.pop("header", None),
        shown=path.name,
        at="r.yaml:7:3",
    )


def table(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def labels(path: Path, paths: list[str] = PATHS, **more: Any) -> list[str | None]:
    return join_labels(spec(path, **more), paths, source="s")[0].labels


def error_of(path: Path, paths: list[str] = PATHS, **more: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        labels(path, paths, **more)
    assert caught.value.at == "r.yaml:7:3" and caught.value.rule and caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("ids", "form"),
    [
        (("a/x.png", "a/y.png", "b/z.jpg"), "relative paths"),
        (("x.png", "y.png", "z.jpg"), "file names"),
        (("x", "y", "z"), "stems"),
    ],
)
def test_id_forms(tmp_path: Path, ids: tuple[str, ...], form: str) -> None:
    path = table(tmp_path, "id,label\n" + "".join(f"{i},{k}\n" for k, i in enumerate(ids)))
    joined, _ = join_labels(spec(path), PATHS, source="s")
    assert joined.labels == ["0", "1", "2"]
    assert joined.notes == [f"source 's': label ids are {form}"]


def test_form_is_decided_once_for_the_table(tmp_path: Path) -> None:
    # 'x.png' is also the stem of x.png.png: most rows decide, the others find nothing.
    path = table(tmp_path, "id,label\nx,1\ny,2\nz.jpg,3\n")
    joined, _ = join_labels(spec(path), PATHS, source="s")
    assert joined.labels == ["1", "2", None]
    assert joined.notes == ["source 's': label ids are stems", "source 's': 1 label row without a file"]


def test_flat_folder_says_file_name(tmp_path: Path) -> None:
    joined, _ = join_labels(spec(table(tmp_path, "id,label\nx.png,1\n")), ["x.png"], source="s")
    assert joined.notes == ["source 's': label ids are file names"]


def test_ids_meet_paths_in_nfc_and_labels_stay_verbatim(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label\ncaf\u00e9,u\u0308ber\n")
    assert labels(path, ["cafe\u0301.png"]) == ["u\u0308ber"]


def test_ambiguous_stem(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label\nx,1\n")
    error = error_of(path, ["a/x.png", "b/x.jpg"])
    assert error.code == "label-ambiguous"
    assert error.message == "label table 't.csv': stem 'x' fits both 'a/x.png' and 'b/x.jpg'"


def test_ambiguous_name_asks_for_paths(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, "id,label\nx.png,1\n"), ["a/x.png", "b/x.png"])
    assert error.remedy == "write the ids as relative paths"


def test_twin_stems_do_not_matter_when_ids_are_names(tmp_path: Path) -> None:
    assert labels(table(tmp_path, "id,label\nx.png,1\nx.jpg,2\n"), ["a/x.png", "b/x.jpg"]) == ["1", "2"]


def test_no_id_fits(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, "id,label\nq,1\n"))
    assert error.code == "label-ids" and "(ids: 'q'; files: 'a/x.png', 'a/y.png', 'b/z.jpg')" in error.message


def test_duplicate_ids_name_their_lines(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, 'id,label\nx,"two\nlines"\n\nx,2\ny,1\nx,3\n'))
    assert error.message == "label table 't.csv': id 'x' stands in lines 2, 5, 7"


def test_by_row_order(tmp_path: Path) -> None:
    assert labels(table(tmp_path, "label\n3\n1\n2\n"), join="by_row_order") == ["3", "1", "2"]
    error = error_of(table(tmp_path, "label\n3\n1\n"), join="by_row_order")
    assert error.message == "label table 't.csv' has 2 rows for 3 files"


def test_header_means_no_header_row(tmp_path: Path) -> None:
    path = table(tmp_path, "x;1\ny;2\nz;3\n")
    assert labels(path, header=("id", "label")) == ["1", "2", "3"]
    assert labels(table(tmp_path, "x\ny\nz\n"), join="by_row_order", header=("label",)) == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,label\r\nx,1\r\ny,2\r\nz,3\r\n"),
        ("t.csv", "\ufeffid,label\nx,1\ny,2\nz,3"),
        ("t.csv", '\ufeff"id","label"\nx,1\ny,"2"\nz,3\n'),
        ("t.csv", "id;note, long;label\nx;a,b;1\ny;;2\nz;;3\n"),
        ("t.txt", "id\tlabel\nx\t1\ny\t2\nz\t3\n"),
        ("t.tsv", "id\tlabel\nx\t1\ny\t2\nz\t3\n"),
        ("t.jsonl", '{"id": "x", "label": "1"}\n\n{"id": "y", "label": 2}\r\n{"label": 3, "id": "z"}'),
    ],
)
def test_table_kinds(tmp_path: Path, name: str, text: str) -> None:
    assert labels(table(tmp_path, text, name)) == ["1", "2", "3"]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["x", "y", "z"], "label": [1, None, 3], "w": [1.5, float("nan"), 2.0]}), path)
    joined, _ = join_labels(spec(path), PATHS, source="s", wanted=frozenset({"w"}))
    assert joined.labels == ["1", "", "3"]
    assert joined.fields == [{"w": 1.5}, {"w": None}, {"w": 2.0}]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    assert error_of(tmp_path / "bad.parquet").code == "label-table"
    assert error_of(path, label_field="lable").remedy.startswith("did you mean 'label'?")


def test_latin_1_is_refused_with_the_line(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, "id,label\nx,1\ny,caf\u00e9\n".encode("latin-1")))
    assert error.message == "label table 't.csv' is not UTF-8: byte 0xe9 in line 3"
    assert "iconv -f latin1" in error.remedy
    assert "iconv -f utf-16" in error_of(table(tmp_path, "id,label\n".encode("utf-16"))).remedy


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("t.csv", "id,lable\nx,1\n", "label-column", "has no column 'label'; it has 'id', 'lable'"),
        ("t.csv", "id,label,label\nx,1,2\n", "label-column", "two columns called 'label'"),
        ("t.csv", "id,label\nx\n", "label-row", "t.csv:2: 1 values where there are 2 columns"),
        ("t.csv", "id,label\nx,1,2\n", "label-row", "t.csv:2: 3 values where there are 2 columns"),
        ("t.csv", 'id,label\nx,1\ny,"open\n', "label-row", "t.csv:3: unexpected end of data"),
        ("t.csv", "", "label-table", "is empty"),
        ("t.csv", "\n\n", "label-table", "is empty"),
        ("t.csv", "id,label\n", "label-table", "has no rows"),
        ("t.jsonl", "", "label-table", "has no rows"),
        ("t.jsonl", '{"id": 1, "label": 2}\n{"id": \n', "label-row", "t.jsonl:2: Expecting value"),
        ("t.jsonl", "[1]\n", "label-row", "t.jsonl:1: not an object"),
        ("t.jsonl", '{"id": "x", "label": 1.5}\n', "label-value", "t.jsonl:1: label holds 1.5"),
        ("t.jsonl", '{"id": "x"}\n', "label-column", "has no column 'label'"),
    ],
)
def test_broken_tables(tmp_path: Path, name: str, text: str, code: str, words: str) -> None:
    error = error_of(table(tmp_path, text, name))
    assert error.code == code and words in error.message


def test_missing_table(tmp_path: Path) -> None:
    assert error_of(tmp_path / "no.csv").message == "cannot read label table 'no.csv': no such file or directory"


def test_header_does_not_go_with_json(tmp_path: Path) -> None:
    path = table(tmp_path, '{"id": "x", "label": "1"}', "t.jsonl")
    assert error_of(path, header=("id", "label")).code == "label-column"


def test_only_wanted_columns_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label,camera,note\nx,1,left,n\ny,2,right,\n")
    assert join_labels(spec(path), PATHS, source="s", wanted=frozenset({"camera", "label"}))[0].fields == [
        {"label": "1", "camera": "left"},
        {"label": "2", "camera": "right"},
        {},
    ]
    assert read_table(spec(path)).fields == []


def test_padded_labels_warn(tmp_path: Path) -> None:
    joined, _ = join_labels(spec(table(tmp_path, "id,label\nx, cat \ny,cat\nz,\n")), PATHS, source="s")
    assert joined.labels == [" cat ", "cat", ""]
    assert joined.warnings == [
        ("padded-label", "source 's': 1 label with white space around, such as ' cat '; labels are taken as they are")
    ]


def test_text_tables_do_not_import_pyarrow(tmp_path: Path) -> None:
    import subprocess

    path = table(tmp_path, "id,label\nx,1\n")
    code = (
        "import sys; from refinery_beam.index import LabelSpec, read_table;"
        f"read_table(LabelSpec(path={str(path)!r}, join='by_id', id_field='id', label_field='label'));"
        "sys.exit(bool({'pyarrow', 'numpy', 'PIL', 'fsspec', 'apache_beam'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_derivations() -> None:
    assert derive_label("a/cafe\u0301/x.png", "parent_directory_name") == "caf\u00e9"
    assert derive_label("x.tar.png", "stem") == "x.tar"
    assert derive_label("x.tar.png", "filename") == "x.tar.png"
    assert derive_label("x.png", "parent_directory_name") is None
