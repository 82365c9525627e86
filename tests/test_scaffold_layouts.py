"""`init` on layouts as people have them: written as a person would, or what cannot be known is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cli.app import call
from refinery_beam.errors import DataError
from refinery_beam.launch.run import run_with
from refinery_beam.testing.images import draw
from support.scaffolds import scaffold, settings

NAMES = [f"{k:03d}.png" for k in range(12)]
LABELS = ["cat", "dog", "owl"]
DX = ["nv", "mel", "bkl", "bcc", "akiec"]


def rows(template: str = "{name},{label}", names: list[str] = NAMES) -> list[str]:
    return [template.format(name=name, stem=name[:-4], k=k, label=LABELS[k % 3], parity=k % 2) for k, name in enumerate(names)]


def made(folder: Path, *pictures: str, **tables: list[str]) -> Path:
    """A folder with pictures (``classes:cat,dog:4`` below a folder, or names) and tables by their stem."""
    count = 0
    for entry in pictures:
        root, _, what = entry.partition(":")
        names = (
            [f"{c}/{c}{i}.png" for c in what[1:].partition(":")[0].split(",") for i in range(int(what.rpartition(":")[2]))]
            if what.startswith("*")
            else what.split(",")
        )
        for name in names:
            path = folder / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draw("circle" if count % 2 else "square", count).save(path)
            count += 1
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


FLAT = "images:" + ",".join(NAMES)
HAM = [f"ISIC_{k:04d}" for k in range(20)]
PARTS = ["HAM_part_1:" + ",".join(f"{h}.png" for h in HAM[:10]), "HAM_part_2:" + ",".join(f"{h}.png" for h in HAM[10:])]
TYPES = ["histo", "follow_up", "consensus"]
METADATA = [f"HAM_{k // 2},{h},{DX[k % 5]},{TYPES[k % 3]},{40 + k},{'mf'[k % 2]}" for k, h in enumerate(HAM)]
ONE_HOT = [f"{n[:-4]},{int(k % 4 == 0)},{int(k % 4 == 1)},{int(k % 4 == 2)},{int(k % 4 == 3)}" for k, n in enumerate(NAMES)]
KAGGLE = ["train_images:" + ",".join(NAMES), "test_images:" + ",".join(f"te{k}.png" for k in range(6))]

# name: (pictures, tables, layout, records by split or by label)
WRITTEN: dict[str, tuple[list[str], dict[str, list[str]], str, dict[str, int]]] = {
    "class folders": ([":*cat,dog:8"], {}, "class-folders", {"cat": 8, "dog": 8}),
    "numbers as classes": ([":*1,2,10:6"], {}, "class-folders", {"1": 6, "2": 6, "10": 6}),
    "train, valid and test": (
        ["train:*cat,dog:8", "valid:*cat,dog:4", "test:*cat,dog:3"],
        {},
        "train-test",
        {"train": 16, "val": 8, "test": 6},
    ),
    "train and val": (["train:*cat,dog:8", "val:*cat,dog:4"], {}, "train-test", {"train": 16, "val": 8}),
    "Training and Testing": (["Training:*cat,dog:8", "Testing:*cat,dog:4"], {}, "train-test", {"train": 14, "val": 2, "test": 8}),
    "a test folder without labels": (["train:*cat,dog:8", f"test:{','.join(NAMES)}"], {}, "unlabeled-test", {"test": 12, "val": 2}),
    "a train folder alone": (["train:*cat,dog:8"], {}, "class-folders", {"cat": 8}),
    "a competition": (
        KAGGLE,
        {
            "train": ["id_code,diagnosis", *rows("{stem},{k}")[:0], *[f"{n[:-4]},{k % 3}" for k, n in enumerate(NAMES)]],
            "test": ["id_code", *[f"te{k}" for k in range(6)]],
            "sample_submission": ["id_code,diagnosis", *[f"te{k},0" for k in range(6)]],
        },
        "unlabeled-test",
        {"test": 6, "0": 4, "1": 4, "2": 4},
    ),
    "two tables of two folders": (
        ["train:" + ",".join(NAMES), "test:t1.png,t2.png,t3.png,t4.png"],
        {"train": ["name,label", *rows()], "test": ["name,label", "t1.png,cat", "t2.png,dog", "t3.png,owl", "t4.png,cat"]},
        "flat-with-table",
        {"test": 4},
    ),
    "a table in the folder": ([FLAT.replace("images:", ":")], {"t": ["name,label", *rows()]}, "flat-with-table", {"cat": 4, "owl": 4}),
    "ids with the folder": ([FLAT], {"t": ["path,label", *rows("images/{name},{label}")]}, "flat-with-table", {"cat": 4}),
    "ids with a dot": ([FLAT], {"t": ["path,label", *rows("./{name},{label}")]}, "flat-with-table", {"cat": 4}),
    "ids with backslashes": ([FLAT], {"t": ["path,label", *rows("images\\{name},{label}")]}, "flat-with-table", {"cat": 4}),
    "absolute ids": ([FLAT], {"t": ["path,label", *rows("/old/disk/images/{name},{label}")]}, "flat-with-table", {"cat": 4}),
    "two parts and dx": (PARTS, {"metadata": ["lesion_id,image_id,dx,dx_type,age,sex", *METADATA]}, "flat-with-table", {"nv": 4}),
    "a column of splits": (
        [FLAT],
        {"data": ["filename,split,class_name", *[f"{n},{'train' if k < 8 else 'test'},{LABELS[k % 3]}" for k, n in enumerate(NAMES)]]},
        "flat-with-table",
        {"train": 8, "test": 4, "owl": 4},
    ),
    "labels, their numbers, and data set": (
        [FLAT],
        {
            "s": [
                "class id,filepaths,labels,data set",
                *[f"{k % 3},{n},{LABELS[k % 3]},{['train', 'valid'][k % 2]}" for k, n in enumerate(NAMES)],
            ]
        },
        "flat-with-table",
        {"cat": 4, "train": 6, "val": 6},
    ),
    "classes beside an index": (
        [":*cat,dog,owl:6"],
        {"index": ["filepath,label", *[f"{c}/{c}{i}.png,{c}" for c in LABELS for i in range(6)]]},
        "class-folders",
        {"cat": 6, "owl": 6},
    ),
    "images and masks": ([FLAT, FLAT.replace("images", "masks")], {"t": ["name,label", *rows()]}, "flat-with-table", {"cat": 4}),
    "a folder in each class": (
        [f"{c}/images:" + ",".join(f"{c}{i}.png" for i in range(6)) for c in LABELS],
        {},
        "nested-folders",
        {"owl": 6},
    ),
    "splits in each class": (
        [f"{c}/{s}:" + ",".join(f"{c}{s}{i}.png" for i in range(4)) for c in LABELS for s in ("train", "test")],
        {},
        "nested-folders",
        {"train": 12, "test": 12, "owl": 8},
    ),
    "classes, loose and nested pictures": ([":*cat,dog:6", ":loose.png", "cat/deep:x.png"], {}, "class-folders", {"cat": 6, "dog": 6}),
}

# name: (pictures, tables, options, what the question says)
ASKED: dict[str, tuple[list[str], dict[str, list[str]], str]] = {
    "flat split folders": (["train:a.png,b.png", "test:c.png"], {}, "train, test are splits, no labels"),
    "flat, without a table": ([":a.png,b.png"], {}, "no table says what they are"),
    "one-hot columns": ([FLAT], {"train": ["image_id,healthy,multi,rust,scab", *ONE_HOT]}, "one label spread over columns"),
    "two label columns": (
        [FLAT],
        {"t": ["name,colour,shape", *rows("{name},{parity},{label}")]},
        "(1) --label-column colour (2 values: 0, 1); (2) --label-column shape (3 values: cat, dog, owl)",
    ),
    "rows that are missing": ([FLAT], {"t": ["name,label", *rows()[:9]]}, "t.csv names 9 of the 12 pictures in images/"),
    "folders against a table": (
        [":*red,blue:6"],
        {"t": ["path,label", *[f"{c}/{c}{i}.png,{LABELS[i % 3]}" for c in ("red", "blue") for i in range(6)]]},
        "say different labels",
    ),
    "two levels of folders": (
        ["cats:*siam,manx:3", "dogs:*pug,lab:3"],
        {},
        'layout "{label}/*/{file}": 2 labels (cats, dogs); (2) type: image_tree with layout "*/{label}/{file}": 4 labels',
    ),
    "one folder too high": (["dataset:*cat,dog:4"], {}, "it holds one folder, dataset/, which looks like the set itself"),
    "two trains": (["train:*cat,dog:4", "training:*cat,dog:4"], {}, "may each be the split train"),
    "tables over one folder": (
        [FLAT],
        {"train": ["name,label", *rows()[:8]], "test": ["name,label", *rows()[8:]]},
        "of several tables make one",
    ),
    "several labels": (
        [FLAT],
        {"t": ["image,labels", *[f"{n},{['scab', 'rust', 'scab rust', 'well'][k % 4]}" for k, n in enumerate(NAMES)]]},
        "several labels, with a blank between them?",
    ),
    "only a submission form": ([FLAT], {"sample_submission": ["name,label", *rows()]}, "a form for a submission"),
    "a train folder beside others": (
        ["train:*cat,dog:4", "extra:*cat,dog:4"],
        {},
        "train/ has the name of a split, and extra beside it have not",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_layout_is_written_as_a_person_would(name: str, tmp_path: Path) -> None:
    """`plan` says the records by split and label that a run gives; see `launch/test_splits.py`."""
    pictures, tables, layout, wanted = WRITTEN[name]
    folder, recipe = made(tmp_path / "data", *pictures, **tables), tmp_path / "recipe.yaml"
    result = scaffold(str(folder), str(recipe))
    assert result.layout == layout and result.remarks
    assert all(f"# {remark.verdict}" in recipe.read_text() for remark in result.remarks)
    planned = rb.plan(recipe, cache_root=tmp_path / "cache")
    assert planned.counts and planned.classes
    labels = {label: sum(c.get(label, 0) for c in planned.classes.values()) for label in wanted}
    assert {word: planned.counts.get(word, labels[word]) for word in wanted} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_a_layout_is_built_as_planned(name: str, tmp_path: Path) -> None:
    pictures, tables, *_ = WRITTEN[name]
    scaffold(str(made(tmp_path / "data", *pictures, **tables)), str(tmp_path / "recipe.yaml"))
    planned = rb.plan(tmp_path / "recipe.yaml", cache_root=tmp_path / "cache")
    built = run_with(tmp_path / "recipe.yaml", settings(tmp_path))
    assert (dict(built.counts), built.manifest.raw["classes"]) == (planned.counts, planned.classes)


@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_be_known_is_asked(name: str, tmp_path: Path) -> None:
    pictures, tables, words = ASKED[name]
    folder, recipe = made(tmp_path / "data", *pictures, **tables), tmp_path / "recipe.yaml"
    with pytest.raises(DataError) as caught:
        scaffold(str(folder), str(recipe))
    assert (caught.value.code, caught.value.exit_code) == ("init-layout", 1)
    assert words in f"{caught.value.message} {caught.value.remedy}"
    assert list(tmp_path.iterdir()) == [folder]


def test_the_answer_to_a_question(tmp_path: Path) -> None:
    pictures, tables, _ = ASKED["two label columns"]
    folder, recipe = made(tmp_path / "data", *pictures, **tables), tmp_path / "recipe.yaml"
    assert call(["init", str(folder), "--label-column", "shape", "-o", str(recipe), "-q"]) == 0
    assert "label_field: shape" in recipe.read_text()
    assert call(["init", str(folder), "--label-column", "shapes", "-o", str(tmp_path / "r.yaml"), "-q"]) == 1


def test_a_table_of_another_encoding_is_declared(tmp_path: Path) -> None:
    folder = made(tmp_path / "data", FLAT)
    lines = ["name,label", *(f"{n},{'caf' if k % 2 else 'th'}é" for k, n in enumerate(NAMES))]
    (folder / "t.csv").write_bytes("\n".join(lines).encode("latin-1"))
    scaffold(str(folder), str(tmp_path / "r.yaml"))
    assert "encoding: latin-1 # it is not UTF-8" in (tmp_path / "r.yaml").read_text()


def test_what_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import errno
    import os

    folder = made(tmp_path / "data", ":*cat,dog:2")
    assert call(["init", str(tmp_path / "none"), "-q"]) == 1
    assert capsys.readouterr().err.count(str(tmp_path / "none")) == 1
    # Names that are no text.
    (folder / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes((folder / "cat/cat0.png").read_bytes())
    assert call(["init", str(folder), "-o", str(tmp_path / "r.yaml"), "-q"]) == 1
    (folder / "cat" / os.fsdecode(b"caf\xe9.png")).unlink()
    for number, code in ((errno.EACCES, 3), (errno.EROFS, 3), (errno.ENOSPC, 3)):

        def refused(location: str, data: bytes, number: int = number) -> None:
            raise OSError(number, os.strerror(number), location)

        monkeypatch.setattr("refinery_beam.scaffold.write.locations.write", refused)
        assert call(["init", str(folder), "-o", str(tmp_path / "r.yaml"), "-q"]) == code
    scan = os.scandir

    def unreadable(path: Any) -> Any:
        if str(path).endswith("dog"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", unreadable)
    assert call(["init", str(folder), "-o", str(tmp_path / "r.yaml"), "-q"]) == 1


def test_depth_that_the_default_loses_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(4):
            Image.fromarray(np.full((20, 20), 100 * n + 7, np.uint16)).save(tmp_path / "data" / label / f"{n}.png")
    result = scaffold(str(tmp_path / "data"), str(tmp_path / "recipe.yaml"))
    assert [code for code, _ in result.warnings] == ["low-bits"]
    assert "Input.decode.bits" in result.warnings[0][1]
    assert call(["init", str(tmp_path / "data"), "-o", str(tmp_path / "again.yaml"), "-q", "--force"]) == 0
    assert "[low-bits]" in capsys.readouterr().err
