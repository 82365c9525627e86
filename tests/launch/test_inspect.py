"""`inspect`: an overview, records by conditions over fields and facts, one record with its strip, a view, the ledger."""

from __future__ import annotations

import io
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cli.app import call
from refinery_beam.errors import UsageError
from refinery_beam.inspection import columns
from support import own_folder

RECIPE = (
    own_folder.RECIPE
    + """\
  - {name: normalize, op: normalize, fit_source: train, splits: [train, test]}
Augmentations:
  - {name: flip, op: horizontal_flip, params: {p: 0.5}, splits: [train]}
Visualizations:
  - {name: examples, op: sample_grid, params: {n: 2}, stage: post_pipeline, mode: exploration}
"""
)
pytestmark = pytest.mark.usefixtures("in_folder")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = own_folder.drawn(tmp_path_factory.mktemp("inspect"), RECIPE, size=(20, 24), formats=("png",))
    Image.new("RGB", (9, 30), (250, 10, 10)).save(root / "my-images/circle/narrow.png")
    rb.run(root / "recipe.yaml", cache_root=root / "cache", workers=1)
    return root


def test_overview(folder: Path) -> None:
    result = rb.inspect("recipe.yaml")
    facts = dict(result.facts)
    assert (result.kind, facts["records"], facts["ledger"]) == ("overview", 21, "1 not_an_image")
    assert facts["fields"] == "image uint8[16, 16, 3], label str" and facts["statistics"] == "normalize" and facts["views"] == "examples"
    assert facts["format"] == "png (21)" and facts["width"] == "9 to 20" and facts["clipped_dark"] == "0.00 to 0.00"
    assert "camera" not in facts, "no record has one"
    assert "aspect" in facts["columns for --where"] and "width" in facts["columns for --where"].split(", ")
    (table,) = result.tables
    assert table.columns == ("label", "train", "test") and table.rows[0] == ("all", *rb.open_instance("recipe.yaml").counts.values())
    assert {row[0]: sum(row[1:]) for row in table.rows[1:]} == {"circle": 11, "square": 10}
    by_path = rb.inspect(rb.open_instance("recipe.yaml").path)
    assert by_path.to_dict() == result.to_dict()
    assert "<td>circle</td>" in result._repr_html_()


def test_records_by_condition() -> None:
    result = rb.inspect("recipe.yaml", where="width < 10 and format = 'png'")
    assert (result.kind, result.matched, dict(result.facts)["of"]) == ("records", 1, 21)
    (record,) = result.records
    assert record["record_id"] == "photos/circle/narrow.png" and (record["width"], record["height"]) == (9, 30)
    assert rb.inspect("recipe.yaml", where="height > width").matched == 21
    assert rb.inspect("recipe.yaml", label="square", limit=3).matched == 10
    assert len(rb.inspect("recipe.yaml", label="square", limit=3).records) == 3
    assert len(rb.inspect("recipe.yaml", split="train", limit=0).records) == rb.open_instance("recipe.yaml").counts["train"]
    both = [rb.inspect("recipe.yaml", split=split, where="label = 'circle'").matched for split in ("train", "test")]
    assert sum(both) == 11 and all(both)


def test_facts_are_compared_and_shown_in_their_units() -> None:
    """Facts are whole numbers of a unit, as 1/100; conditions and values are in decimals, and nothing is rounded."""
    everything = rb.inspect("recipe.yaml", where="sharpness >= 0 and aspect > 0", limit=0)
    assert everything.matched == 21 and {"sharpness", "aspect"} <= set(everything.records[0])
    (flat,) = rb.inspect("recipe.yaml", where="sharpness < 10").records
    assert (flat["record_id"], flat["sharpness"]) == ("photos/circle/narrow.png", Decimal("0.00")), "one colour has no edges"
    (record,) = rb.inspect("recipe.yaml", where="aspect = 0.3 and bytes_per_pixel > 0.1 and pixels = 270").records
    assert (record["record_id"], str(record["aspect"]), record["pixels"]) == ("photos/circle/narrow.png", "0.300", 270)
    means = sorted(row["mean"] for row in rb.inspect("recipe.yaml", where="mean > 0", limit=0).records)
    middle = means[10]
    assert rb.inspect("recipe.yaml", where=f"mean <= {middle}").matched == sum(mean <= middle for mean in means)
    assert rb.inspect("recipe.yaml", where=f"mean = {middle}").matched == means.count(middle)


def test_the_same_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields and facts stay aligned wherever batches end."""
    whole = rb.inspect("recipe.yaml", where="width > 0 and record_id contains 'circle'", limit=0).records
    derived = rb.inspect("recipe.yaml", where="aspect > 0.4 and sharpness > 0", limit=0).records
    monkeypatch.setattr(columns, "BATCH_ROWS", 4)
    assert rb.inspect("recipe.yaml", where="aspect > 0.4 and sharpness > 0", limit=0).records == derived and derived
    assert rb.inspect("recipe.yaml", where="width > 0 and record_id contains 'circle'", limit=0).records == whole
    assert {row["record_id"] for row in whole if row["width"] == 9} == {"photos/circle/narrow.png"}
    test = rb.inspect("recipe.yaml", split="test", where="width > 0", limit=0).records
    assert {row["split"] for row in test} == {"test"}


def test_one_record(tmp_path: Path) -> None:
    result = rb.inspect("recipe.yaml", record="photos/circle/narrow.png", out=tmp_path / "strip.png")
    facts = dict(result.facts)
    assert (facts["record"], facts["label"], facts["width"], facts["height"]) == ("photos/circle/narrow.png", "circle", 9, 30)
    assert facts["file"].endswith("my-images/circle/narrow.png") and len(facts["digest"]) == 64
    pictures = [row["picture"] for row in result.records]
    assert pictures[:4] == ["decoded", "after resize", "stored", "for a model (normalize)"]
    assert pictures[4:] == (["epoch 0", "epoch 1", "epoch 2", "epoch 3"] if facts["split"] == "train" else [])
    assert result.records[0]["shape"] == "30 x 9 x 3" and result.records[3]["dtype"] == "float32"
    strip = Image.open(tmp_path / "strip.png")
    assert result.picture is not None and Image.open(io.BytesIO(result.picture)).size == strip.size and strip.width > 500
    assert result.path == str(tmp_path / "strip.png")
    # The end of an id is enough.
    assert dict(rb.inspect("recipe.yaml", record="narrow.png").facts)["record"] == "photos/circle/narrow.png"


def test_a_record_whose_file_is_another_or_gone(folder: Path) -> None:
    path = folder / "my-images/circle/narrow.png"
    instance = rb.open_instance("recipe.yaml").path
    data = path.read_bytes()
    try:
        path.write_bytes(data + b"x")
        result = rb.inspect(instance, record="narrow.png")
        assert [row["picture"] for row in result.records[:2]] == ["thumbnail", "stored"]
        assert result.records[0]["shape"] == "30 x 9 x 3" and "is not the one that was prepared" in result.notes[0]
        path.unlink()
        assert "its file is not here any more" in rb.inspect(instance, record="narrow.png").notes[0]
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("photos/circle/narow.png", "did you mean 'photos/circle/narrow.png'?"),
        ("zzz", "inspect without --record lists ids"),
    ],
)
def test_a_record_that_is_not_there(record: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        rb.inspect("recipe.yaml", record=record)
    assert caught.value.code == "unknown-record" and says in caught.value.remedy


def test_a_record_of_the_ledger() -> None:
    result = rb.inspect("recipe.yaml", record="photos/circle/words.png")
    facts = dict(result.facts)
    assert (facts["reason"], facts["in the ledger"], facts["bytes"]) == ("not_an_image", "it did not come out", 10)
    assert facts["detail"].startswith("its first bytes are of no known image format") and facts["file"].endswith("words.png")
    assert result.picture is None and "its first bytes are of no known image format" in result.notes[0]


def test_pictures_of_what_is_listed(tmp_path: Path, folder: Path) -> None:
    """Records that match are drawn as they are stored; those of the ledger as their thumbnails, the raw data gone."""
    result = rb.inspect("recipe.yaml", label="square", out=tmp_path / "squares.png")
    assert result.path == str(tmp_path / "squares.png") and Image.open(tmp_path / "squares.png").size[1] > 2 * 112
    assert rb.inspect("recipe.yaml", where="width > 1000", out=tmp_path / "none.png").path is None
    recipe = tmp_path / "few.yaml"
    shutil.copytree(folder / "my-images/circle", tmp_path / "my-images/class")
    crop = "  - {name: crop, op: center_crop, params: {size: 15}, splits: [train, test]}"
    recipe.write_text(RECIPE.replace("Transformations:", f"Transformations:\n{crop}"))
    rb.run(recipe, cache_root=tmp_path / "cache", workers=1)
    shutil.rmtree(tmp_path / "my-images")
    instance = str(next((tmp_path / "cache").glob("instances/*/*/*")))
    result = rb.inspect(instance, ledger=True, out=tmp_path / "lost.png")
    assert result.matched == 2 and Image.open(tmp_path / "lost.png").size[1] > 112
    assert result.notes == ("1 of the listed records have no thumbnail: no picture, or one beyond the bound",)
    one = rb.inspect(instance, record="photos/class/narrow.png")
    assert [row["picture"] for row in one.records] == ["thumbnail"] and dict(one.facts)["op"] == "crop"


def test_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    result = rb.inspect("recipe.yaml", ledger=True)
    assert result.facts == (("not_an_image", 1),) and result.records[0]["record_id"] == "photos/circle/words.png"
    assert call(["inspect", "recipe.yaml", "--ledger"]) == 0
    assert "its first bytes are of no known image format" in capsys.readouterr().out


def test_a_view(tmp_path: Path) -> None:
    result = rb.inspect("recipe.yaml", view="examples", out=tmp_path / "view.png")
    assert result.kind == "view" and Image.open(tmp_path / "view.png").size[0] > 100
    with pytest.raises(UsageError) as caught:
        rb.inspect("recipe.yaml", view="exmples")
    assert "did you mean 'examples'?" in caught.value.remedy


@pytest.mark.parametrize(
    "arguments",
    [
        ["--record", "x", "--ledger"],
        ["--view", "examples", "--where", "width < 3"],
        ["--record", "x", "--split", "train"],
        ["--out", "x.png"],
        ["--limit", "-1"],
        ["--split", "nosuch"],
        ["--where", "widht < 3"],
        ["--where", "width <"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["inspect", "recipe.yaml", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "  remedy: " in err


def test_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["inspect", "recipe.yaml", "--where", "width = 9"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[:3] == ["split", "record_id", "label"] and out.splitlines()[-1] == "1 of 21 records"
    assert err == "next: refinery-beam inspect recipe.yaml --record photos/circle/narrow.png --out strip.png\n"
    assert call(["inspect", "recipe.yaml", "--limit", "1", "--label", "circle"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "11 of 21 records; the first 1 are listed"
    assert call(["inspect", "recipe.yaml", "--json", "--where", "width = 9"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["contract"], body["kind"], body["tables"][0]["total"]) == (1, "records", 1)
    assert body["tables"][0]["rows"][0]["width"] == 9


def test_an_instance_without_facts(tmp_path: Path, folder: Path) -> None:
    recipe = tmp_path / "off.yaml"
    recipe.write_text(RECIPE.replace("my-images", str(folder / "my-images")).replace("Output: {", "Output: {facts: off, "))
    rb.run(recipe, cache_root=tmp_path / "cache", workers=1)
    result = rb.inspect(recipe, cache_root=tmp_path / "cache", where="label = 'circle'")
    assert result.matched == 11
    with pytest.raises(UsageError) as caught:
        rb.inspect(recipe, cache_root=tmp_path / "cache", where="width < 3")
    assert "keeps no facts" in caught.value.rule
