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
        encoding=more.pop("encoding", None),
        delimiter=more.pop("delimiter", None),
        order=more.pop("order", None),
        single_label=more.pop("single_label", False),
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
    assert error.code == "label-several"
    assert error.message == (
        r"label table 't.csv': id 'x' stands in lines 2, 5, 7, with different labels ('two\nlines', '2', '3'): several labels?"
    )
    error = error_of(table(tmp_path, "id,label\nx,2\ny,1\nx,2\n"))
    assert (error.code, error.message) == ("label-duplicate", "label table 't.csv': id 'x' stands in lines 2, 4")


def test_by_row_order(tmp_path: Path) -> None:
    assert labels(table(tmp_path, "label\n3\n1\n2\n"), join="by_row_order") == ["3", "1", "2"]
    error = error_of(table(tmp_path, "label\n3\n1\n"), join="by_row_order")
    assert error.message == "label table 't.csv' has 2 rows for 3 files"


NUMBERED = [f"{n}.png" for n in (1, 10, 11, 2)]


def test_an_order_of_rows_that_matters_is_declared(tmp_path: Path) -> None:
    path = table(tmp_path, "label\n1\n2\n10\n11\n")
    error = error_of(path, NUMBERED, join="by_row_order")
    assert error.code == "row-order"
    assert error.message == (
        "label table 't.csv': row 2 is for '2.png' by the order of numbers, and for '10.png' by the order of characters"
    )
    assert labels(path, NUMBERED, join="by_row_order", order="natural") == ["1", "10", "11", "2"]
    assert labels(path, NUMBERED, join="by_row_order", order="lexical") == ["1", "2", "10", "11"]
    padded = [f"{n:02d}.png" for n in (1, 2, 10, 11)]
    assert labels(path, padded, join="by_row_order") == ["1", "2", "10", "11"]


def test_a_table_that_names_files_contradicts_an_order(tmp_path: Path) -> None:
    natural = table(tmp_path, "name,label\n1.png,1\n2.png,2\n10.png,10\n11.png,11\n", "n.csv")
    for order in (None, "lexical"):
        error = error_of(natural, NUMBERED, join="by_row_order", order=order)
        assert error.code == "row-order" and error.remedy == "write join: by_id with id_field: name"
        assert "row 2 is for '10.png' by lexical order, but its column 'name' names '2.png'" in error.message
    joined, _ = join_labels(spec(natural, join="by_row_order", order="natural"), NUMBERED, source="s")
    assert joined.labels == ["1", "10", "11", "2"]
    assert joined.notes == ["source 's': column 'name' names the files, and agrees with the natural order of rows"]
    lexical = table(tmp_path, "name,label\n1.png,1\n10.png,10\n11.png,11\n2.png,2\n", "l.csv")
    assert labels(lexical, NUMBERED, join="by_row_order") == ["1", "10", "11", "2"]
    # Also where both orders are one.
    error = error_of(table(tmp_path, "label,file\n1,b\n2,a\n", "f.csv"), ["a.png", "b.png"], join="by_row_order")
    assert error.code == "row-order"


def test_a_count_that_is_one_short_may_lack_its_header(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, "cat\ndog\ncat\n"), join="by_row_order", label_field="cat")
    assert error.code == "label-count" and "label_from.header; it is read as 'cat'" in error.remedy


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
    assert "iconv -f latin-1" in error.remedy
    assert "encoding: latin-1" in error.remedy
    assert "encoding: cp1252" in error_of(table(tmp_path, "id,label\nx,\u201cq\u201d\n".encode("cp1252"))).remedy
    path = table(tmp_path, "id,label\nx,1\ny,caf\u00e9\n".encode("latin-1"))
    assert labels(path, encoding="latin-1") == ["1", "caf\u00e9", None]
    assert error_of(path, encoding="utf-16").code == "label-encoding"
    assert labels(table(tmp_path, "id,label\nx,1\n".encode("utf-16"))) == ["1", None, None]


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("t.csv", "id,lable\nx,1\n", "label-column-missing", "has no column 'label'; it has 'id', 'lable'"),
        ("t.csv", "id,label,label\nx,1,2\n", "label-column", "two columns called 'label'"),
        ("t.csv", "id,label\nx\n", "label-row", "t.csv:2: 1 values where there are 2 columns"),
        ("t.csv", "id,label\nx,1,2\n", "label-row", "t.csv:2: 3 values where there are 2 columns"),
        ("t.csv", 'id,label\nx,1\ny,"open\n', "label-row", "t.csv:3: unexpected end of data"),
        ("t.csv", "", "label-table-empty", "is empty"),
        ("t.csv", "\n\n", "label-table-empty", "is empty"),
        ("t.csv", "id,label\n", "label-table-empty", "has no rows"),
        ("t.jsonl", "", "label-table-empty", "has no rows"),
        ("t.jsonl", '{"id": 1, "label": 2}\n{"id": \n', "label-row", "t.jsonl:2: Expecting value"),
        ("t.jsonl", "[1]\n", "label-row", "t.jsonl:1: not an object"),
        ("t.jsonl", '{"id": "x", "label": 1.5}\n', "label-value", "t.jsonl:1: label holds 1.5"),
        ("t.jsonl", '{"id": "x"}\n', "label-column-missing", "has no column 'label'"),
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


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["scab", "rust", "scab rust"], "several labels, with a blank between them? (1 row hold a blank)"),
        (["a|b", "b|c", "c"], "'a|b' in column 'label': several labels, with '|' between them? (2 rows hold '|')"),
        (["a;b", "a;b", "b"], "'a;b' in column 'label': several labels"),
        (["['a', 'b']", "['a']", "[]"], "several labels"),
    ],
)
def test_several_labels_in_a_cell(tmp_path: Path, values: list[str], shown: str) -> None:
    path = table(tmp_path, "id\tlabel\n" + "".join(f"{i}\t{v}\n" for i, v in zip("xyz", values, strict=True)))
    error = error_of(path)
    assert error.code == "label-several" and shown in error.message
    assert labels(path, single_label=True) == values


@pytest.mark.parametrize(
    "values", [["golden retriever", "tabby cat", "pug"], ["New York", "York", "Hull"], ["a|x", "b|y", "c"], ["cat/dog", "cow", "owl"]]
)
def test_names_of_classes_may_hold_blanks(tmp_path: Path, values: list[str]) -> None:
    assert labels(table(tmp_path, "id\tlabel\n" + "".join(f"{i}\t{v}\n" for i, v in zip("xyz", values, strict=True)))) == values


def test_a_one_hot_set_of_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "id,healthy,rust,scab\nx,1,0,0\ny,0,1,0\nz,0,0,1\n")
    error = error_of(path, label_field="rust")
    assert error.code == "label-several"
    assert "'rust' is one of 3 columns of zeros and ones with exactly one 1 a row ('healthy', 'rust', 'scab')" in error.message
    assert labels(path, label_field="rust", single_label=True) == ["0", "1", "0"]
    # Attributes of their own are no set.
    assert labels(table(tmp_path, "id,smiles,male,young\nx,1,0,0\ny,1,1,0\nz,0,0,1\n"), label_field="male") == ["0", "1", "0"]


def test_swapped_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "name,class\nx.png,cat\ny.png,dog\nz.jpg,cat\n")
    error = error_of(path, id_field="class", label_field="name")
    assert error.message == (
        "label table 't.csv': id_field 'class' holds 2 distinct values in 3 rows, and the column of label_field names files: "
        "are the two swapped?"
    )
    assert error.remedy == "exchange id_field and label_field"


def test_a_first_row_that_is_data(tmp_path: Path) -> None:
    error = error_of(table(tmp_path, "x.png,cat\ny.png,dog\nz.jpg,cat\n"), id_field="x.png", label_field="cat")
    assert error.code == "label-column" and "has no header row: its first row is 'x.png', 'cat'" in error.message
    error = error_of(table(tmp_path, "id,label\nx,cat\n"), header=("id", "label"))
    assert error.code == "label-column" and error.remedy == "remove header"


@pytest.mark.parametrize(
    ("ids", "paths", "form"),
    [
        (["images/1.png", "images/2.png"], ["1.png", "2.png"], "paths below 'images/'"),
        (["./1.png", "./2.png"], ["1.png", "2.png"], "relative paths"),
        (["images\\1.png", "images\\2.png"], ["1.png", "2.png"], "paths below 'images/'"),
        (["/old/disk/set/cat/1.png", "/old/disk/set/dog/2.png"], ["cat/1.png", "dog/2.png"], "paths below '/old/disk/set/'"),
        (["cat/1.png", "dog/2.png"], ["all/cat/1.png", "all/dog/2.png"], "paths in 'all/'"),
        (["cat/1", "dog/2"], ["cat/1.png", "dog/2.png"], "relative paths without extension"),
        (["A.PNG", "b.Png"], ["a.png", "B.png"], "file names in another case"),
        (["IMG_1", "img_2"], ["img_1.jpg", "IMG_2.jpg"], "stems in another case"),
        (["1", "20"], ["0001.png", "0020.png"], "stems without their leading zeros"),
        (["1.png", "20.png"], ["0001.png", "0020.png"], "file names without their leading zeros"),
        (["a/1.png", "b/2.png"], ["1.png", "3.png"], "paths below 'a/'"),
    ],
)
def test_what_people_make_of_ids(tmp_path: Path, ids: list[str], paths: list[str], form: str) -> None:
    path = table(tmp_path, "id,label\n" + "".join(f"{i},l{k}\n" for k, i in enumerate(ids)))
    joined, _ = join_labels(spec(path), paths, source="s")
    assert joined.labels == ["l0", "l1" if "3.png" not in paths else None]
    assert joined.notes[0] == f"source 's': label ids are {form}"


def test_nothing_loose_names_a_file_twice(tmp_path: Path) -> None:
    for ids, paths in ((["1", "01"], ["001.png"]), (["A.png", "a.PNG"], ["a.png"]), (["a.png"], ["A.png", "A.PNG"])):
        path = table(tmp_path, "id,label\n" + "".join(f"{i},l\n" for i in ids))
        assert error_of(path, paths).code == "label-ids"


def test_many_columns_and_many_ids_take_no_quadratic_time(tmp_path: Path) -> None:
    wide = [f"c{k}" for k in range(20_000)]
    path = table(tmp_path, "id,label," + ",".join(wide) + "\n" + "x,cat," + ",".join("0" * 20_000) + "\n")
    assert labels(path, ["x.png"]) == ["cat"]
    keys = ", ".join(f'"{name}": 0' for name in wide)
    assert labels(table(tmp_path, '{"id": "x", "label": "cat", ' + keys + "}\n", "w.jsonl"), ["x.png"]) == ["cat"]
    names = [f"{k:06d}" for k in range(20_000)]
    path = table(tmp_path, "id,label\n" + "".join(f"folder{k % 999}/{n}.png,cat\n" for k, n in enumerate(names)))
    assert labels(path, [f"{n}.png" for n in names]).count("cat") == 21  # those of one folder


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
