"""The card: its head for the `datasets` library, its text for people, and that names stay names in both. What it says to run, runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from refinery_beam.launch import Settings
from refinery_beam.launch.run import run_with
from refinery_beam.recipe.yaml.write import to_yaml
from refinery_beam.reporting.card import CardFacts, Stored, card_head, render_card, split_names
from support.recipes import NORMALIZE, SMALL, write_recipe

FACTS = CardFacts(
    sources=["photos"],
    noun="images",
    splits={"train": Stored(3, 1234), "test": Stored(1, 99)},
    classes=2,
    fields=[("record_id", "str", "`string`"), ("image", "uint8[2, 2, 3]", "`tensor: fixed_size_binary[12]`"), ("label", "str", "`string`")],
    features=[
        {"name": "record_id", "dtype": "string"},
        {"name": "image", "dtype": "binary"},
        {"name": "label", "dtype": {"class_label": {"names": {"0": "cat", "1": "no"}}}},
    ],
    content="image",
    pixels=("uint8", [2, 2, 3]),
    label="label",
    recipe_hash="a" * 64,
    input_hash="b" * 64,
    seed=0,
    logical_digest="c" * 64,
)


def card(facts: CardFacts) -> str:
    return render_card(facts, head=to_yaml(card_head(facts)))


def head_of(text: str) -> Any:
    """The head as the library finds it: between the first two lines of dashes."""
    lines = text.splitlines()
    assert lines[0] == "---"
    return yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))


def test_the_head_names_every_view() -> None:
    facts = replace(FACTS, sample={"train": Stored(1, 50)}, sinks={"shown": 3})
    assert head_of(card(facts)) == {
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [
                    {"split": "train", "path": "dataset/train/*.parquet"},
                    {"split": "test", "path": "dataset/test/*.parquet"},
                ],
            },
            {"config_name": "sample", "data_files": [{"split": "train", "path": "sample/train/*.parquet"}]},
            {"config_name": "sink-shown", "data_files": [{"split": "files", "path": "sinks/shown/files.parquet"}]},
        ],
        "dataset_info": [
            {
                "config_name": "default",
                "features": FACTS.features,
                "splits": [
                    {"name": "train", "num_bytes": 1234, "num_examples": 3},
                    {"name": "test", "num_bytes": 99, "num_examples": 1},
                ],
            },
            {"config_name": "sample", "features": FACTS.features, "splits": [{"name": "train", "num_bytes": 50, "num_examples": 1}]},
        ],
    }


def test_a_split_without_records_is_no_view() -> None:
    facts = replace(FACTS, splits={"train": Stored(3, 9), "test": Stored(0, 9)}, sample={"train": Stored(0, 9)})
    head = head_of(card(facts))
    assert [[f["split"] for f in config["data_files"]] for config in head["configs"]] == [["train"]]
    assert "leaves out what is empty: `test`." in card(facts)


def test_a_card_reads_as_text() -> None:
    assert card(replace(FACTS, deferred=[("normalize", "fitted_statistics/normalize.json"), ("flip", "")])).partition("\n---\n\n")[2] == (
        """\
# photos

4 images of 2 classes in 2 splits, prepared by refinery-beam. [recipe.yaml](recipe.yaml) makes them again; \
[report/report.md](report/report.md) says what was done, and what was left out and why.

## Splits

| split | records | bytes | folder |
|---|---|---|---|
| train | 3 | 1,234 | `dataset/train` |
| test | 1 | 99 | `dataset/test` |

## Fields

| field | type | stored as |
|---|---|---|
| `record_id` | str | `string` |
| `image` | uint8\\[2, 2, 3\\] | `tensor: fixed_size_binary[12]` |
| `label` | str | `string` |

Refinery-beam applies `normalize` ([its statistics](fitted_statistics/normalize.json)), `flip` when it reads; other libraries read what is \
stored, which is not yet changed by it.

## How to open it

`path` is this folder.

refinery-beam; a split is a map-style dataset for PyTorch's `DataLoader`:

```python
import refinery_beam

data = refinery_beam.open_instance(path)
row = data["train"][0]  # as it is stored: data.split("train", raw=True)
```

Hugging Face `datasets`; a label is a number, and its name is in the features:

```python
import numpy
from datasets import load_dataset

data = load_dataset(path)
row = data["train"][0]
array = numpy.frombuffer(row["image"], "uint8").reshape(2, 2, 3)
```

pandas:

```python
import numpy
import pandas

frame = pandas.read_parquet(f"{path}/dataset/train")
array = numpy.frombuffer(frame["image"][0], "uint8").reshape(2, 2, 3)
```

DuckDB:

```python
import duckdb

rows = duckdb.sql(f'select "label", count(*) from "{path}/dataset/train/*.parquet" group by all order by all').fetchall()
```

PyArrow:

```python
import pyarrow.dataset

table = pyarrow.dataset.dataset(f"{path}/dataset/train").to_table()
```

## Identity

The same recipe, input and seed give the same rows on every machine. `refinery-beam verify` checks every byte of this folder against \
manifest.json.

|  |  |
|---|---|
| Recipe | `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` |
| Input | `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` |
| Seed | 0 |
| Rows | `cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc` |
"""
    )


ODD = ["---", "null", "10", "a: b", "été", "a\u2028b", "a\nb", "\x85", "'", '"', "# c", "y" * 200]


def test_odd_names_come_through_the_head() -> None:
    names = {str(number): name for number, name in enumerate(ODD)}
    facts = replace(FACTS, features=[{"name": "---", "dtype": {"class_label": {"names": names}}}])
    assert head_of(card(facts))["dataset_info"][0]["features"] == facts.features


@pytest.mark.parametrize(
    ("splits", "names"),
    [
        (["train", "v1.0", "été"], ["train", "v1.0", "été"]),
        (["a-b", "a_b"], ["a_b_2", "a_b"]),
        (["a_b", "a-b", "a--b"], ["a_b", "a_b_2", "a_b_3"]),
        (["a..b", "a."], ["a_b", "a_"]),
        (["all"], ["all_"]),
    ],
)
def test_names_of_splits(splits: list[str], names: list[str]) -> None:
    assert list(split_names(splits).values()) == names


def snippets(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"transformations": [*SMALL["Transformations"], NORMALIZE.replace("train, val", "train")]}, id="tensor"),
        pytest.param({"output": {"encoding": "png"}}, id="png", marks=pytest.mark.slow),
        pytest.param({"transformations": None, "fields": {"image": None}}, id="none"),
    ],
)
def test_what_it_says_to_run_runs(parts: dict[str, Any], class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = run_with(write_recipe(class_folders, tmp_path, base=SMALL, **parts), Settings(cache_root=str(tmp_path / "cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    found = []
    for snippet in snippets(Path(built.path, "README.md").read_text(encoding="utf-8")):
        names: dict[str, Any] = {"path": built.path}
        exec(snippet, names)  # noqa: S102
        found.append(names)
    first = built.split("train", raw=True)[0]
    ours, theirs, pandas, duckdb, arrow = found
    assert ours["row"]["record_id"] == theirs["row"]["record_id"] == pandas["frame"]["record_id"][0] == first["record_id"]
    assert arrow["table"]["record_id"].to_pylist() == [row["record_id"] for row in built["train"]]
    assert duckdb["rows"] == [("circle", 9), ("square", 9), ("triangle", 9)]
    for names in (theirs, pandas):
        if "array" in names:
            assert (names["array"] == first["image"]).all()
        if "image" in names:
            assert names["image"].size == (16, 16)


def test_two_folders_give_one_card(class_folders: Path, tmp_path: Path) -> None:
    cards = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "photos").symlink_to(class_folders)
        built = run_with(write_recipe("photos", folder, name=f"{name}.yaml", base=SMALL), Settings(cache_root=str(folder / "cache")))
        cards.append(Path(built.path, "README.md").read_bytes())
        assert "README.md" in {entry.path for entry in built.manifest.files}
    assert cards[0] == cards[1]
