"""`validate` and `run` read one table alike: what is missing or there twice is found before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.testing.images import draw

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ {more}sources: [{{ name: p, type: image_flat, path: data, label_from: {{ path: {table}, {join} }} }}] }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output: {{ record_schema: {{ label: {{ dtype: str }} }} }}
Splits: {{ ratios: {{ train: 0.5, test: 0.5 }} }}
"""
BY_ID = "join: by_id, id_field: name, label_field: label"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for k in range(1, 13):
        draw("circle", k).save(tmp_path / f"data/{k}.png")
    return tmp_path


def validated(folder: Path, rows: str, *, join: str = BY_ID, table: str = "t.csv", more: str = "") -> rb.ValidateResult:
    (folder / table).write_text(rows)
    (folder / "r.yaml").write_text(RECIPE.format(join=join, table=table, more=more))
    return rb.validate(folder / "r.yaml")


ROWS = "name,label\n" + "".join(f"{k}.png,class{k}\n" for k in range(1, 13))


def test_a_table_that_fits(folder: Path) -> None:
    result = validated(folder, ROWS)
    assert result and str(result).endswith("checks passed") and result.warnings == ()


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        (
            ROWS.replace("7.png,class7\n", ""),
            "label-missing",
            "1 image without a label: 'p/7.png' (the first has no row in",
        ),
        (ROWS.replace("class7", ""), "label-missing", "has an empty label in the label table"),
        (ROWS + "7.png,class7\n", "label-duplicate", "id '7.png' stands in lines 8, 14"),
        (ROWS + "7.png,other\n", "label-several", "with different labels ('class7', 'other'): several labels?"),
        (ROWS.replace("class7", "class1 class2"), "label-several", "t.csv:8: 'class1 class2' in column 'label': several labels"),
    ],
)
def test_validate_finds_missing_and_repeated_ids(folder: Path, rows: str, code: str, message: str) -> None:
    result = validated(folder, rows)
    (error,) = result.errors
    assert error.code == code and message in error.message and error.at.startswith(str(folder / "r.yaml") + ":3:")
    assert [(c.number, c.errors) for c in result.checks if c.status == "fail"] == [(19, (error,))]
    assert "1 error" in str(result)
    with pytest.raises(rb.RefineryError) as caught:
        rb.run(folder / "r.yaml", cache_root=folder / "cache")
    assert (caught.value.code, caught.value.message) == (code, error.message)


def test_under_quarantine_a_missing_label_is_a_warning(folder: Path) -> None:
    result = validated(folder, ROWS.replace("7.png,class7\n", ""), more="on_error: quarantine, max_bad_fraction: 0.5, ")
    assert result.valid and [w.code for w in result.warnings] == ["label-missing"]
    assert [c.number for c in result.checks if c.status == "warn"] == [19]


def test_an_order_of_rows_is_declared_and_part_of_the_recipe(folder: Path) -> None:
    rows, join = "".join(f"class{k}\n" for k in range(1, 13)), "join: by_row_order, label_field: label, header: [label]"
    (error,) = validated(folder, rows, join=join).errors
    assert error.code == "row-order"
    keys = set()
    for order, second in (("natural", "class2"), ("lexical", "class4")):
        assert validated(folder, rows, join=f"{join}, order: {order}")
        result = rb.run(folder / "r.yaml", cache_root=folder / "cache")
        keys.add(result.manifest.raw["recipe_hash"])
        rows_of = {row["record_id"]: row["label"] for split in result for row in result[split]}
        assert rows_of["p/2.png"] == {"class2": "class2", "class4": "class5"}[second]
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (f"{BY_ID}, order: natural", "has an order of rows, but joins by_id"),
        (f"{BY_ID}, encoding: klingon", "names no encoding: 'klingon'"),
        (f"{BY_ID}, encoding: base64", "names no encoding: 'base64'"),
        (f"{BY_ID}, delimiter: ab", "has the delimiter 'ab'"),
    ],
)
def test_what_cannot_be_declared(folder: Path, join: str, message: str) -> None:
    (error,) = validated(folder, ROWS, join=join).errors
    assert message in error.message and error.rule and error.remedy


def test_what_is_left_out_keeps_the_key(folder: Path) -> None:
    validated(folder, ROWS)
    plain = rb.plan(folder / "r.yaml", cache_root=folder / "cache").recipe_hash
    validated(folder, ROWS, join=f"{BY_ID}, single_label: false")
    assert rb.plan(folder / "r.yaml", cache_root=folder / "cache").recipe_hash == plain
    validated(folder, ROWS, join=f"{BY_ID}, encoding: latin-1")
    assert rb.plan(folder / "r.yaml", cache_root=folder / "cache").recipe_hash != plain


def folders(folder: Path, *names: str, dtype: str) -> rb.ValidateResult:
    for name in names:
        (folder / "classes" / name).mkdir(parents=True)
        for k in range(4):
            draw("circle", k).save(folder / f"classes/{name}/{k}.png")
    text = RECIPE.format(join=BY_ID, table="t.csv", more="").replace("dtype: str", f"dtype: {dtype}")
    source = "[{ name: p, type: image_folder, path: classes }]"
    (folder / "r.yaml").write_text(text.replace(text[text.index("[{") : text.index("}] }") + 2], source))
    return rb.validate(folder / "r.yaml")


@pytest.mark.parametrize(
    ("names", "dtype", "message"),
    [
        (("1", "2"), "int64", ""),
        (("1", "2"), "int", ""),
        (("cat", "dog"), "int64", "source 'p': 2 labels not int64: 'cat', 'dog' (the first of 'cat/0.png')"),
        (("1", "300"), "uint8", "source 'p': 1 label not uint8: '300'"),
        (("01", "2"), "int32", "source 'p': 1 label not int32: '01'"),
        (("0", "1"), "bool", "the label 'label' is declared bool, which no label of a folder or a table is"),
        (("0", "1"), "float32", "the label 'label' is declared float32"),
        (("0", "1"), '"list[str]"', "the label 'label' is declared list[str]"),
    ],
)
def test_a_label_dtype_that_folders_cannot_have(folder: Path, names: tuple[str, ...], dtype: str, message: str) -> None:
    result = folders(folder, *names, dtype=dtype)
    assert [e.code for e in result.errors] == (["label-dtype"] if message else [])
    assert not message or message in result.errors[0].message
