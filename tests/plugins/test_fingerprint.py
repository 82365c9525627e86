"""The codec fingerprint: what codecs do, quickly, without NumPy."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, features

from refinery_beam.plugins.image_classification import fingerprint
from refinery_beam.plugins.image_classification.codecs.calibration import CALIBRATION
from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint, codec_parts
from refinery_beam.plugins.image_classification.kind import ImageKind
from refinery_beam.plugins.image_classification.policy import FORMATS, DecodeLimits, DecodePolicy


@pytest.fixture
def fresh() -> Iterator[None]:
    fingerprint._parts.cache_clear()
    yield
    fingerprint._parts.cache_clear()


def test_it_covers_every_codec_and_filter() -> None:
    parts = codec_parts()
    wanted = {
        f"decode-{name}" for name in ("jpeg_420", "jpeg_444", "jpeg_progressive", "jpeg_cmyk", "jpeg_draft", "png", "gif", "tiff_lzw")
    }
    wanted |= {f"resize-{name}" for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")}
    wanted |= {
        "decode-webp_lossy",
        "decode-webp_lossless",
        "convert-luma",
        "convert-cmyk",
        "convert-alpha",
        "encode-png",
        "encode-jpeg",
        "encode-webp",
    }
    assert wanted <= set(parts)
    present = {name: part for name, part in parts.items() if part != "absent"}
    assert len(set(present.values())) == len(present)
    assert all(len(part) == 16 for part in present.values())
    if features.check("webp"):
        assert present == parts


def test_calibration_files_are_small_and_of_their_kind() -> None:
    kinds = {"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "tiff": "TIFF", "webp": "WEBP", "avif": "AVIF", "jpeg2000": "JPEG2000"}
    for name, text in CALIBRATION.items():
        data = base64.b64decode(text)
        assert len(data) < 2048
        assert Image.open(io.BytesIO(data)).format == kinds[name.split("_")[0]]
    assert "progression" in Image.open(io.BytesIO(base64.b64decode(CALIBRATION["jpeg_progressive"]))).info
    assert Image.open(io.BytesIO(base64.b64decode(CALIBRATION["jpeg_cmyk"]))).mode == "CMYK"


def test_another_resize_is_noticed_and_named(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before, parts = codec_fingerprint(), codec_parts()
    fingerprint._parts.cache_clear()
    real = Image.Image.resize

    def other(self: Image.Image, size: Any, method: Any = None, box: Any = None) -> Image.Image:
        return real(self, size, Image.Resampling.BOX if method == Image.Resampling.LANCZOS else method, box)

    monkeypatch.setattr(Image.Image, "resize", other)
    assert codec_fingerprint() != before
    assert {name for name in parts if parts[name] != codec_parts()[name]} == {"resize-lanczos"}


def test_only_codecs_that_may_be_used_count() -> None:
    def of(policy: dict[str, Any], formats: tuple[str, ...] = FORMATS) -> str:
        return ImageKind().fingerprint(DecodePolicy.model_validate(policy), DecodeLimits.model_validate({"formats": formats}))

    assert of({}) == codec_fingerprint() == of({"mode": "L", "bits": 12})
    few = ("png", "jpeg", "webp", "bmp", "gif", "tiff")
    assert len({of({}), of({"icc": "ignore"}), of({}, few), of({"icc": "ignore"}, few), of({"damage": "strict"})}) == 5


def test_a_missing_codec_is_absent(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise OSError("decoder webp not available")

    monkeypatch.setitem(Image.OPEN, "WEBP", (missing, Image.OPEN["WEBP"][1]))
    parts = codec_parts()
    assert (parts["decode-webp_lossy"], parts["decode-webp_lossless"]) == ("absent", "absent")
    assert parts["decode-png"] != "absent"


def test_it_needs_no_numpy_and_is_the_same_in_another_process() -> None:
    code = (
        "import sys; from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint; "
        "print(codec_fingerprint(), 'numpy' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert out == [codec_fingerprint(), "False"]
