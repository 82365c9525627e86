"""A manifest proves itself: no flipped bit and no edit of it passes."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cache import Manifest, lookup_at, verify
from refinery_beam.cache.manifest import FORMAT, ManifestDamage, manifest_bytes, parse_manifest, sealed
from refinery_beam.errors import StoreError
from support import handmade

MORE: dict[str, Any] = {
    "records_in": 17,
    "label_field": "label",
    "classes": {"train": {"cat": 7, "dog": 7}, "val": {"cat": 1, "dog": 2}},
    "generated": {},
    "replaced": {},
    "deferred": [{"name": "normalize", "op": "normalize", "version": 2, "params": {"mean": [0.5]}, "splits": ["train", "val"]}],
    "replay": {"decode": {"mode": "RGB"}, "steps": [{"name": "resize", "op": "resize", "version": 2, "params": {"size": 8}}]},
}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    built = handmade.build(str(tmp_path), extra=MORE)
    assert verify(built.location, deep=True).findings == ()
    return built


def test_every_flipped_bit_is_found(manifest: Manifest) -> None:
    path = Path(manifest.location, "manifest.json")
    good = path.read_bytes()
    bits = random.Random(1).sample(range(8 * len(good)), 500)
    for bit in bits:
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ManifestDamage):
            parse_manifest(bytes(flipped), location="here")
    for bit in bits[::50]:
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        assert {finding.code for finding in verify(manifest.location).findings} == {"manifest-damaged"}
        assert lookup_at(manifest.location).damage is not None


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ledger": lambda raw: raw["ledger"].update(duplicate=3),
    "records_in": lambda raw: raw.update(records_in=20),
    "generated": lambda raw: raw["generated"].update(fog=2),
    "classes": lambda raw: raw["classes"]["train"].update(cat=8, dog=6),
    "a class renamed": lambda raw: raw["classes"]["val"].update(cow=raw["classes"]["val"].pop("dog")),
    "deferred": lambda raw: raw["deferred"][0]["params"].update(mean=[0.4]),
    "deferred gone": lambda raw: raw["deferred"].clear(),
    "replay.steps": lambda raw: raw["replay"]["steps"][0]["params"].update(size=9),
    "decode policy": lambda raw: raw["replay"]["decode"].update(mode="L"),
    "output": lambda raw: raw["output"].update(quality=96),
    "annexes": lambda raw: raw["annexes"][0].update(sha256="0" * 64),
    "warnings": lambda raw: raw["warnings"].append({"code": "x", "message": "y"}),
    "format 1": lambda raw: raw.update(format=1),
    "no seal": lambda raw: raw.pop("manifest_digest"),
    "no format": lambda raw: raw.pop("format"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_every_edit_is_found(manifest: Manifest, edit: Callable[[dict[str, Any]], Any]) -> None:
    raw = json.loads(json.dumps(manifest.raw))
    edit(raw)
    Path(manifest.location, "manifest.json").write_bytes(manifest_bytes(raw))
    findings = verify(manifest.location).findings
    assert {finding.code for finding in findings} == {"manifest-damaged"}
    assert "edited or damaged" in findings[0].message or "format" in findings[0].message


def test_other_spellings_of_the_same_content_are_refused(manifest: Manifest) -> None:
    text = manifest_bytes(manifest.raw).decode()
    spellings = [
        json.dumps(manifest.raw),
        text + "\n",
        text.replace('"seed": 42', '"seed":  42'),
        text.replace('"seed": 42', '"seed": 42, "seed": 42'),
        re.sub(r'"mean": \[\s*0\.5', '"mean": [5e-1', text),
        text.replace("normalize", "norm\\u0061lize"),
    ]
    for spelling in spellings:
        assert spelling != text
        with pytest.raises(ManifestDamage, match="its bytes are not those that its content has"):
            parse_manifest(spelling.encode(), location="here")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("ledger", "the ledger has nothing, the manifest says 3 'duplicate'"),
        ("records_in", "20 records went in"),
        ("generated", "2 were generated"),
        ("classes", "split 'train' holds 7 'cat', 7 'dog', the manifest says 8 'cat', 6 'dog'"),
        ("a class renamed", "split 'val' holds 1 'cat', 2 'dog', the manifest says 1 'cat', 2 'cow'"),
    ],
)
def test_sums_hold_against_a_manifest_that_was_sealed_again(tmp_path: Path, edit: str, words: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from refinery_beam.cache import Staging, promote

    raw: dict[str, Any] = json.loads(json.dumps(MORE)) | {"ledger": {}}
    EDITS[edit](raw)
    with Staging.open(str(tmp_path), handmade.KEY) as staging:
        pq.write_table(pa.table({"reason": pa.array([], pa.string())}), Path(staging.instance, "report", "ledger.parquet"))
        pq.write_table(pa.table({"record_id": [str(n) for n in range(17)]}), Path(staging.instance, "input.parquet"))
        promoted = promote(staging, handmade.fill(staging, extra=raw), durable=False)[1]
    findings = verify(promoted.location).findings
    assert {finding.code for finding in findings} == {"sums"}
    assert any(words in finding.message for finding in findings)


def test_a_later_format_is_news_and_no_damage(manifest: Manifest) -> None:
    with pytest.raises(StoreError) as caught:
        parse_manifest(manifest_bytes(sealed(manifest.raw | {"format": FORMAT + 1})), location="/there")
    assert (caught.value.code, caught.value.value) == ("manifest-contract", FORMAT + 1)


def test_annexes_are_proved_and_outside_of_the_digest_of_the_files(tmp_path: Path) -> None:
    first = handmade.build(str(tmp_path / "one"))
    assert [entry.path for entry in first.annexes] == ["recipe.yaml"]
    assert "recipe.yaml" not in [entry.path for entry in first.files]
    Path(first.location, "recipe.yaml").write_text("schema_version: 4\n")
    assert [(f.code, f.path) for f in verify(first.location).findings] == [("wrong-digest", "recipe.yaml")]
    Path(first.location, "recipe.yaml").unlink()
    assert [(f.code, f.path) for f in verify(first.location).findings] == [("missing", "recipe.yaml")]
    assert "lacks recipe.yaml" in str(lookup_at(first.location).damage)


def test_rendered_files_are_nobody_elses(manifest: Manifest) -> None:
    pictures = Path(manifest.location, "report", "pictures")
    pictures.mkdir()
    (pictures / "grid.png").write_bytes(b"x")
    Path(manifest.location, "report", "report.html").write_text("<p>")
    assert verify(manifest.location).ok
