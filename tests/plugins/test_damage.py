"""What a decoder did not write is never stored, and damage that a decoder tells of is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from typing import Any

import pytest
from PIL import Image

from refinery_beam.errors import EnvironmentFault
from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs import libtiff
from refinery_beam.plugins.image_classification.codecs.decode import accept, decode, read_header
from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from refinery_beam.plugins.notes import noting
from support.damaged_files import damaged, drawing, saved, tiff, verdict, whole_files

POLICY, LIMITS = DecodePolicy(), DecodeLimits()
WHOLE = whole_files()
TESTS = os.path.dirname(os.path.dirname(__file__))


def refusal(data: bytes, policy: DecodePolicy = POLICY) -> str:
    with pytest.raises(BadRecord) as caught:
        decode(data, policy=policy, limits=LIMITS)
    return str(caught.value)


def digests(fill: int, count: int) -> list[str]:
    """Verdicts of a new process whose allocator fills new memory with `fill`."""
    done = subprocess.run(
        [sys.executable, "-m", "support.damaged_files", str(count)],
        cwd=TESTS,
        env={**os.environ, "MALLOC_PERTURB_": str(fill), "PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_damaged_files_give_the_same_under_two_memory_fills() -> None:
    one, other = digests(85, 40), digests(170, 40)
    assert len(one) == 40 * len(WHOLE)
    assert one == other


@pytest.mark.slow
def test_a_thousand_damaged_files_a_codec_give_the_same_under_two_memory_fills() -> None:
    one, other = digests(85, 1000), digests(170, 1000)
    assert len(one) == 1000 * len(WHOLE)
    assert one == other


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_as_pillow_reads_them(name: str) -> None:
    with Image.open(io.BytesIO(WHOLE[name])) as image:
        assert decode(WHOLE[name], policy=POLICY, limits=LIMITS).tobytes() == image.convert("RGB").tobytes()


# -- TIFF ---------------------------------------------------------------------------------------------------------------------------


def taller(data: bytes, rows: int) -> bytes:
    """A TIFF of one strip whose tags claim more rows than the strip holds."""
    with Image.open(io.BytesIO(data)) as image:
        tags, size = image.tag_v2, image.size  # type: ignore[attr-defined]
        offset, count = tags[273][0], tags[279][0]
    return tiff(
        {
            256: (4, (size[0],)),
            257: (4, (rows,)),
            258: (3, (1,)),
            259: (3, (tags[259],)),
            262: (3, (tags[262],)),
            273: (4, (8,)),
            277: (3, (1,)),
            278: (4, (rows,)),
            279: (4, (count,)),
        },
        data[offset : offset + count],
    )


def test_a_fax_page_that_ends_early_without_a_word_is_damaged() -> None:
    page = WHOLE["tiff-bits-group4"]
    height = drawing().height
    assert decode(taller(page, height), policy=POLICY, limits=LIMITS).height == height
    assert refusal(taller(page, height + 9)) == "damaged: tiff: strip 0 ends before its last row"
    opened = Image.open(io.BytesIO(taller(page, height + 9)))
    with pytest.raises(BadRecord, match="strip 0 ends before its last row"):
        accept(opened, policy=POLICY, limits=LIMITS)


@pytest.mark.parametrize("name", ["tiff-bits-group3", "tiff-bits-group4", "tiff-bits-tiff_ccitt"])
def test_libtiff_names_the_damage_of_a_fax_page(name: str) -> None:
    said = {verdict(bad, POLICY).partition(" at line")[0] for bad in damaged(WHOLE[name], name, 120)}
    assert any(text.startswith("damaged: tiff: Fax") and text.endswith("Bad code word") for text in said)


@pytest.mark.parametrize("name", ["tiff-bits-group3", "tiff-bits-group4", "tiff-old-jpeg"])
def test_without_libtiffs_word_fax_and_old_jpeg_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libtiff, "_loaded", lambda: None)
    assert refusal(WHOLE[name]).startswith("unsupported_mode: tiff: compression ")
    assert decode(WHOLE["tiff-tiff_lzw"], policy=POLICY, limits=LIMITS).size == drawing().size


def test_strips_that_are_not_listed_are_damage() -> None:
    tags: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (4, (8,)),
        257: (4, (8,)),
        258: (3, (8,)),
        259: (3, (1,)),
        262: (3, (1,)),
        273: (4, (8, 40)),
        277: (3, (1,)),
        278: (4, (4,)),
        279: (4, (32, 32)),
    }
    pixels = bytes(range(1, 65))
    assert decode(tiff(tags, pixels), policy=DecodePolicy(mode="L"), limits=LIMITS).tobytes() == pixels
    tags[273], tags[279] = (4, (8,)), (4, (32,))
    assert refusal(tiff(tags, pixels)) == "damaged: tiff: its strips or tiles hold 32 of 64 pixels"


def test_messages_stay_with_their_thread_and_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    bad = taller(WHOLE["tiff-bits-group3"], 400)
    heard: dict[str, list[str]] = {}

    def work(name: str, data: bytes) -> None:
        for _ in range(20):
            with libtiff.listening() as errors:
                try:
                    Image.open(io.BytesIO(data)).load()
                except OSError:
                    pass
            heard.setdefault(name, []).extend(errors)

    threads = [threading.Thread(target=work, args=(n, d)) for n, d in (("bad", bad), ("good", WHOLE["tiff-tiff_lzw"]), ("bad", bad))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard["good"] == []
    assert capfd.readouterr().err == ""


def test_other_users_of_pillow_see_libtiffs_messages_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    bad = bytearray(WHOLE["tiff-tiff_lzw"])
    with Image.open(io.BytesIO(bytes(bad))) as image:
        offset = image.tag_v2[273][0]  # type: ignore[attr-defined]
    bad[offset + 20 : offset + 60] = b"\xff" * 40
    assert libtiff.available()
    with pytest.raises(OSError, match="decoder error"):
        Image.open(io.BytesIO(bytes(bad))).load()
    assert "Using code not yet in table" in capfd.readouterr().err
    assert refusal(bytes(bad)).startswith("damaged: tiff")
    assert capfd.readouterr().err == ""


def test_errors_about_tags_are_no_damage() -> None:
    data = saved(drawing(), "TIFF", compression="tiff_lzw", resolution_unit=2)
    unit = struct.pack("<HHIHH", 296, 3, 1, 2, 0)
    assert data.count(unit) == 1
    odd = data.replace(unit, struct.pack("<HHIHH", 296, 3, 1, 130, 0))
    heard: list[tuple[str, str]] = []
    libtiff._thread.messages = heard
    try:
        Image.open(io.BytesIO(odd)).load()
    finally:
        del libtiff._thread.messages
    assert {module for module, _ in heard} == {"_TIFFVSetField"}
    assert decode(odd, policy=POLICY, limits=LIMITS).tobytes() == drawing().tobytes()


# -- PNG and GIF ------------------------------------------------------------------------------------------------------------------


def png(rows: bytes, width: int, height: int, *, depth: int, colour: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", bytes(range(12))), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if colour != 3:
        del chunks[1]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)


@pytest.mark.parametrize("black", [True, False])
@pytest.mark.parametrize(
    ("depth", "colour", "samples"), [(1, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (8, 3, 1), (8, 4, 2), (8, 6, 4)]
)
def test_a_png_whose_stream_ends_early_is_damaged(depth: int, colour: int, samples: int, black: bool) -> None:
    width, height = 20, 16
    row = b"\0" + bytes((0 if black else 1 + k % 3) for k in range((width * depth * samples + 7) // 8))
    keep = DecodePolicy(mode="keep")
    assert decode(png(row * height, width, height, depth=depth, colour=colour), policy=keep, limits=LIMITS).size == (width, height)
    for rows in (height - 1, height // 2, 1):
        said = refusal(png(row * rows, width, height, depth=depth, colour=colour), keep)
        assert said == "damaged: png: its compressed data ends before the last row"


@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize("options", [{}, {"interlace": 1}, {"transparency": 0}, {"transparency": 3}])
def test_a_gif_whose_stream_ends_early_is_no_image(options: dict[str, Any], animated: bool) -> None:
    """The stream of a low image under the header of a higher one."""
    image = drawing().quantize(16)
    low = image.crop((0, 0, image.width, image.height - 8))
    if animated:
        options = {**options, "save_all": True, "append_images": [low.transpose(Image.Transpose.ROTATE_180)], "disposal": 1}
    data = bytearray(saved(low, "GIF", **options))
    assert decode(bytes(data), policy=POLICY, limits=LIMITS).height == low.height
    frame = bytes(data).index(b"\x2c\0\0\0\0" + struct.pack("<H", low.width))
    assert bytes(data[8:10]) == bytes(data[frame + 7 : frame + 9]) == struct.pack("<H", low.height)
    data[8:10] = data[frame + 7 : frame + 9] = struct.pack("<H", image.height)
    assert refusal(bytes(data)).startswith(("damaged: gif", "truncated: gif"))


def test_a_wrong_checksum_is_damage() -> None:
    data = bytearray(WHOLE["png"])
    data[bytes(data).index(b"IEND") - 5] ^= 1
    assert refusal(bytes(data)) == "damaged: png: the checksum of a IDAT chunk is wrong"


# -- what is whole although Pillow refuses it -------------------------------------------------------------------------------------------


def taken(data: bytes, name: str) -> list[str]:
    """The words of the notes on a file that decodes as the whole one of that name."""
    with noting() as notes:
        assert decode(data, policy=POLICY, limits=LIMITS).tobytes() == decode(WHOLE[name], policy=POLICY, limits=LIMITS).tobytes()
    return [word for word, _ in notes]


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-cmyk"])
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(name: str) -> None:
    data = WHOLE[name]
    assert taken(data, name) == []
    assert taken(data[:-1], name) == taken(data[:-2], name) == ["no_end_marker"]
    for cut in range(3, 60):
        assert refusal(data[:-cut]).startswith("truncated: jpeg")
    strict = DecodePolicy(damage="strict")
    assert decode(data[:-2], policy=strict, limits=DecodeLimits(max_bytes=len(data) - 2)).size == drawing().size


def test_a_progressive_jpeg_without_its_last_scan_is_cut() -> None:
    data = WHOLE["jpeg-progressive"]
    last = data.rindex(b"\xff\xda")
    for end in (last, data.rindex(b"\xff\xc4")):
        assert refusal(data[:end]).startswith("truncated: jpeg")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


LONG = b"x" * (2 << 20)
ODD_CHUNKS = {
    "long zTXt": chunk(b"zTXt", b"prompt\0\0" + zlib.compress(LONG)),
    "long iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG)),
    "long iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
    "much text": b"".join(chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(b"y" * 900_000)) for i in range(80)),
    "wrong checksum": chunk(b"tEXt", b"Comment\0hello").replace(b"hello", b"Hello"),
}


@pytest.mark.parametrize("name", ODD_CHUNKS)
@pytest.mark.parametrize("before", [True, False])
def test_text_and_profiles_of_a_png_do_not_refuse_its_pixels(name: str, before: bool) -> None:
    data = WHOLE["png"]
    at = 33 if before else len(data) - 12
    odd = data[:at] + ODD_CHUNKS[name] + data[at:]
    if name == "long iCCP" and not before:
        return  # a profile stands before the pixels
    # Behind the pixels Pillow does not look at checksums of text.
    assert taken(odd, "png") == ([] if name == "wrong checksum" and not before else ["metadata_left_out"])
    assert read_header(odd, policy=POLICY, limits=LIMITS) == drawing().size


def test_profiles_that_do_not_unpack_are_ignored() -> None:
    data = WHOLE["png"]
    assert taken(data[:33] + chunk(b"iCCP", b"profile\0\0not zlib") + data[33:], "png") == []


def test_a_bmp_with_a_hotspot_is_a_bmp() -> None:
    data = bytearray(WHOLE["bmp"])
    data[6:10] = struct.pack("<HH", 21, 16)
    assert taken(bytes(data), "bmp") == []


@pytest.mark.parametrize("compression", [1, 5])
def test_big_endian_bigtiff_is_a_tiff(compression: int) -> None:
    with Image.open(io.BytesIO(WHOLE["tiff-raw" if compression == 1 else "tiff-tiff_lzw"])) as image:
        start, size = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    source = WHOLE["tiff-raw" if compression == 1 else "tiff-tiff_lzw"]
    strips = [source[a : a + n] for a, n in zip(start, size, strict=True)]
    rows = -(-drawing().height // len(strips))
    offsets = [16 + sum(map(len, strips[:k])) for k in range(len(strips))]
    pixels = b"".join(strips)
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [drawing().width]),
        (257, 4, [drawing().height]),
        (258, 3, [8, 8, 8]),
        (259, 3, [compression]),
        (262, 3, [2]),
        (273, 16, offsets),
        (277, 3, [3]),
        (278, 4, [rows]),
        (279, 16, [len(s) for s in strips]),
    ]
    table, after = b"", b""
    start_of_table = 16 + len(pixels)
    for tag, kind, values in tags:
        packed = struct.pack(">" + {3: "H", 4: "I", 16: "Q"}[kind] * len(values), *values)
        if len(packed) > 8:
            field = struct.pack(">Q", start_of_table + 8 + 20 * len(tags) + 8 + len(after))
            after += packed
        else:
            field = packed.ljust(8, b"\0")
        table += struct.pack(">HHQ", tag, kind, len(values)) + field
    head = b"MM\0+" + struct.pack(">HHQ", 8, 0, start_of_table)
    data = head + pixels + struct.pack(">Q", len(tags)) + table + bytes(8) + after
    assert taken(data, "tiff-raw") == []
    assert read_header(data, policy=POLICY, limits=LIMITS) == drawing().size
    assert refusal(data[: start_of_table + 30]).split(":")[0] in ("truncated", "not_an_image")


# -- strict -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-cmyk", "tiff-jpeg"])
def test_strict_refuses_what_libjpeg_warns_of(name: str) -> None:
    strict = DecodePolicy(damage="strict")
    whole = verdict(WHOLE[name], POLICY)
    assert verdict(WHOLE[name], strict) == whole
    files = list(damaged(WHOLE[name], name, 150))
    standard, closer = [verdict(bad, POLICY) for bad in files], [verdict(bad, strict) for bad in files]
    for one, other in zip(standard, closer, strict=True):
        # Either the same pixels, or refused: never other pixels.
        assert other == one or other.startswith("damaged: ")
    other_pixels = [v for v in standard if ":" not in v and v != whole]
    still = [v for v in closer if ":" not in v and v != whole]
    assert 0 < len(still) < len(other_pixels) * 3 // 4


def test_strict_without_its_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    strict = DecodePolicy(damage="strict")
    with pytest.raises(EnvironmentFault, match="needs simplejpeg") as caught:
        decode(WHOLE["jpeg"], policy=strict, limits=LIMITS)
    assert (caught.value.code, caught.value.exit_code) == ("missing-extra", 3)
    with pytest.raises(EnvironmentFault, match="needs simplejpeg"):
        codec_fingerprint(strict=True)


def test_the_fingerprint_covers_what_strict_refuses() -> None:
    assert codec_fingerprint() != codec_fingerprint(strict=True)
