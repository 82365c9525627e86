"""Served pixels equal prepared pixels: the chain of the real plugin, on files of every kind."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.errors import DataError, EnvironmentFault, PluginError, UsageError
from refinery_beam.plugins.base import ArrayType
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint
from refinery_beam.reading import open_instance
from refinery_beam.reading.replay import Replay
from support import handmade

SPLITS = ["train", "val"]
SHAPE = [6, 6, 3]


def step(
    name: str, op: str, params: dict[str, Any], out: str, *, statistics: bool = False, splits: list[str] | None = None
) -> dict[str, Any]:
    return {
        "name": name, "op": op, "version": find_plugin("image_classification").ops[op].spec.version, "params": params,
        "statistics": f"fitted_statistics/{name}.json" if statistics else None, "before": {"dtype": "uint8", "shape": SHAPE},
        "out": {"dtype": out, "shape": SHAPE}, "splits": splits or SPLITS,
    }  # fmt: skip


STEPS = [step("small", "resize", {"size": [6, 6]}, "uint8")]
TAIL = [step("norm", "normalize", {}, "float32", statistics=True)]
STATISTICS = {"norm": {"mean": [120.5, 127.25, 130.0], "std": [70.0, 71.5, 72.25]}}
DECODE = {
    "mode": "RGB",
    "exif": "apply",
    "alpha": "white",
    "draft": False,
    "icc": "convert",
    "max_pixels": 10_000,
    "max_bytes": 20_000,
    "formats": ["png", "jpeg"],
}
CODECS = codec_fingerprint(unused=("decode-avif", "decode-jpeg2000"))
"""Of the formats that are accepted."""
FILES: dict[str, bytes] = {}


def file_of(record_id: str) -> bytes:
    """A PNG or a JPEG of the record's own pixels, some of them turned by EXIF."""
    if record_id not in FILES:
        image = Image.fromarray(handmade.pixels(record_id, (12, 9, 3)))
        out = io.BytesIO()
        if record_id.endswith(("1.png", "2.png")):
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(out, "JPEG", exif=exif, quality=95)
        else:
            image.save(out, "PNG")
        FILES[record_id] = out.getvalue()
    return FILES[record_id]


def prepared(record_id: str) -> np.ndarray[Any, Any]:
    """The eager chain by hand, without any of the reading room."""
    image = Image.open(io.BytesIO(file_of(record_id))).convert("RGB")
    if image.getexif().get(0x0112) == 6:
        image = image.transpose(Image.Transpose.ROTATE_270)
    op: Any = find_plugin("image_classification").ops["resize"]
    params = op.spec.params.model_validate(STEPS[0]["params"])
    return np.asarray(op.apply(image, params, None, ArrayType("uint8", tuple(SHAPE))))


def build(root: Path, **options: Any) -> str:
    extra = {"replay": {"decode": DECODE, "steps": STEPS}, "deferred": TAIL, "codec_fingerprint": CODECS}
    settings: dict[str, Any] = {"shape": SHAPE, "image": prepared, "statistics": STATISTICS, **options}
    return handmade.build(str(root), extra=extra | settings.pop("extra", {}), **settings).location


@pytest.mark.parametrize("encoding", ["tensor", "png", "jpeg", "webp"])
def test_served_equals_prepared(tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.plugins.image_classification.codecs.encode import encode

    monkeypatch.setattr(handmade, "encode", lambda array, kind: encode(array, kind, quality=95))
    location = build(tmp_path, encoding=encoding)
    instance, replay = open_instance(location), Replay.from_instance(location)
    assert replay.warnings == ()
    for split in SPLITS:
        for row, raw in zip(instance.split(split), instance.split(split, raw=True), strict=True):
            data = file_of(row["record_id"])
            served = replay(data)
            assert (served.dtype, served.shape) == (np.float32, (6, 6, 3))
            assert served.tobytes() == row["image"].tobytes()
            assert replay(data, raw=True).tobytes() == raw["image"].tobytes()
            if encoding not in ("jpeg", "webp"):
                assert raw["image"].tobytes() == prepared(row["record_id"]).tobytes()


def test_untouched_files_are_decoded_by_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoding `source`: no step before storing; the reader decodes, turns and converts as a run would."""

    def image(record_id: str) -> np.ndarray[Any, Any]:
        return np.frombuffer(file_of(record_id), np.uint8)

    monkeypatch.setattr(handmade, "encode", lambda array, kind: array.tobytes())
    schema = {"image": {"dtype": "uint8", "shape": [None, None, 3]}, "label": {"dtype": "str", "shape": None}}
    schema |= {"score": {"dtype": "float32", "shape": None}, "tags": {"dtype": "int64", "shape": [None]}}
    extra = {"replay": {"decode": DECODE, "steps": []}, "output": {"schema": schema, "image_field": "image", "encoding": "source"}}
    location = build(tmp_path, encoding="source", image=image, extra=extra)
    replay, shapes = Replay.from_instance(location), set()
    for row in open_instance(location).split("train"):
        assert replay(file_of(row["record_id"])).tobytes() == row["image"].tobytes()
        shapes.add(row["image"].shape)
    assert shapes == {(12, 9, 3), (9, 12, 3)}
    batch = next(open_instance(location).split("train").batches(14))
    assert isinstance(batch["image"], list)


def test_a_path_will_do(tmp_path: Path) -> None:
    replay = Replay.from_instance(build(tmp_path / "c"))
    path = tmp_path / "a photo.png"
    path.write_bytes(file_of("s/x/9.png"))
    expected = replay(file_of("s/x/9.png")).tobytes()
    assert replay(path).tobytes() == replay(str(path)).tobytes() == expected
    assert replay(bytearray(file_of("s/x/9.png"))).tobytes() == expected


def test_bad_images_are_refused_with_the_words_of_a_run(tmp_path: Path) -> None:
    replay = Replay.from_instance(build(tmp_path / "c"))
    good = file_of("s/x/9.png")
    big = io.BytesIO()
    Image.new("RGB", (101, 100)).save(big, "PNG")
    gif = io.BytesIO()
    Image.new("RGB", (4, 4)).save(gif, "GIF")
    for data, code in [
        (good[:-30], "truncated"), (b"hello there", "not_an_image"), (b"", "empty_file"), (big.getvalue(), "too_many_pixels"),
        (b"\0" * 20_001, "too_large_file"), (gif.getvalue(), "unsupported_format"),
    ]:  # fmt: skip
        with pytest.raises(DataError) as caught:
            replay(data)
        assert (caught.value.code, caught.value.exit_code, caught.value.at) == (code, 1, "<bytes>")
    large = tmp_path / "large.png"
    large.write_bytes(b"\0" * 20_001)
    for path, code in [(large, "too_large_file"), (tmp_path / "none.png", "unreadable"), (tmp_path, "unreadable")]:
        with pytest.raises(DataError) as caught:
            replay(path)
        assert (caught.value.code, caught.value.at) == (code, str(path))


def test_what_does_not_become_the_declared_type_is_refused(tmp_path: Path) -> None:
    location = build(tmp_path, extra={"replay": {"decode": DECODE, "steps": []}})
    with pytest.raises(DataError, match=r"the image is uint8\[12, 9, 3\], Output declares uint8\[6, 6, 3\]") as caught:
        Replay.from_instance(location)(file_of("s/x/9.png"))
    assert caught.value.code == "schema:image"


def test_other_codecs_are_refused_or_told(tmp_path: Path) -> None:
    location = build(tmp_path, extra={"codec_fingerprint": "0" * 64})
    with pytest.raises(EnvironmentFault) as caught:
        Replay.from_instance(location)
    assert caught.value.code == "codec-fingerprint"
    replay = Replay.from_instance(location, strict=False)
    assert len(replay.warnings) == 1
    assert "000000000000" in replay.warnings[0]
    assert replay(file_of("s/x/9.png")).shape == (6, 6, 3)


def test_other_op_versions_are_refused_or_told(tmp_path: Path) -> None:
    steps = [STEPS[0] | {"version": 99}]
    location = build(tmp_path, extra={"replay": {"decode": DECODE, "steps": steps}})
    with pytest.raises(PluginError) as caught:
        Replay.from_instance(location)
    assert caught.value.code == "op-version"
    assert "version 99" in Replay.from_instance(location, strict=False).warnings[0]


def test_splits_with_different_chains_must_be_named(tmp_path: Path) -> None:
    location = build(tmp_path, extra={"deferred": [TAIL[0] | {"splits": ["train"]}]})
    with pytest.raises(UsageError) as caught:
        Replay.from_instance(location)
    assert caught.value.code == "split-needed"
    data = file_of("s/x/9.png")
    assert Replay.from_instance(location, split="train")(data).dtype == np.float32
    assert Replay.from_instance(location, split="val")(data).dtype == np.uint8
    with pytest.raises(UsageError, match="there is no split"):
        Replay.from_instance(location, split="tset")


def test_no_images_no_replay(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Replay.from_instance(handmade.build(str(tmp_path), encoding=None).location)
    assert caught.value.code == "no-images"


def test_serving_imports_no_beam_and_no_parquet(tmp_path: Path) -> None:
    location = build(tmp_path / "c")
    path = tmp_path / "x.png"
    path.write_bytes(file_of("s/x/9.png"))
    code = (
        "import hashlib, sys\nfrom refinery_beam.reading.replay import Replay\n"
        f"print(hashlib.sha256(Replay.from_instance({location!r})({str(path)!r}).tobytes()).hexdigest())\n"
        "assert not {'apache_beam', 'pyarrow'} & set(sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert said == hashlib.sha256(Replay.from_instance(location)(path).tobytes()).hexdigest()
