"""Files of every format with damage in them, and what the decoder makes of each.

`python -m support.damaged_files COUNT` prints the digests. Those of two processes, whose allocators fill new memory with different bytes,
show whether anything is stored that no decoder wrote.
"""

from __future__ import annotations

import hashlib
import io
import random
import struct
import sys
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageDraw

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.decode import decode
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy

SIZE = (61, 47)


def drawing(mode: str = "RGB") -> Image.Image:
    """Ellipses on white: all codecs have something to do."""
    image, rng = Image.new("RGB", SIZE, "white"), random.Random(4)
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        x, y = rng.randrange(SIZE[0]), rng.randrange(SIZE[1])
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.ellipse([x, y, x + rng.randrange(4, 30), y + rng.randrange(4, 30)], outline=0, fill=colour)
    return image.convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def tiff(tags: dict[int, tuple[int, tuple[int, ...]]], pixels: bytes) -> bytes:
    """A little-endian TIFF of one directory put together by hand: (type, values) by tag, with `pixels` at byte 8."""
    at = 8 + len(pixels) + len(pixels) % 2
    body = pixels + b"\0" * (len(pixels) % 2)
    entries, after = b"", b""
    values_at = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack("<" + {3: "H", 4: "I", 7: "B"}[kind] * len(values), *values)
        if len(packed) > 4:
            entries += struct.pack("<HHII", tag, kind, len(values), values_at + len(after))
            after += packed + b"\0" * (len(packed) % 2)
        else:
            entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", at) + body + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + after


def old_jpeg_tiff() -> bytes:
    """A TIFF of compression 6: a whole JPEG file named by JPEGInterchangeFormat."""
    jpeg = saved(drawing(), "JPEG", subsampling="4:2:0")
    tags: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (4, (SIZE[0],)),
        257: (4, (SIZE[1],)),
        258: (3, (8, 8, 8)),
        259: (3, (6,)),
        262: (3, (6,)),
        273: (4, (8,)),
        277: (3, (3,)),
        278: (4, (SIZE[1],)),
        279: (4, (len(jpeg),)),
        513: (4, (8,)),
        514: (4, (len(jpeg),)),
        530: (3, (2, 2)),
    }
    return tiff(tags, jpeg)


def whole_files() -> dict[str, bytes]:
    """One whole file a codec."""
    rgb, bits, palette = drawing(), drawing("1"), drawing().quantize(32)
    files = {
        "jpeg": saved(rgb, "JPEG"),
        "jpeg-progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg-cmyk": saved(drawing("CMYK"), "JPEG"),
        "png": saved(rgb, "PNG"),
        "png-palette": saved(palette, "PNG"),
        "png-bits": saved(bits, "PNG"),
        "gif": saved(palette, "GIF"),
        "gif-interlaced": saved(palette, "GIF", interlace=1),
        "gif-animated": saved(palette, "GIF", save_all=True, append_images=[drawing("L").quantize(8)]),
        "webp": saved(rgb, "WEBP"),
        "webp-lossless": saved(rgb, "WEBP", lossless=True),
        "webp-animated": saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)]),
        "bmp": saved(rgb, "BMP"),
        "bmp-palette": saved(palette, "BMP"),
        "tiff-old-jpeg": old_jpeg_tiff(),
        "avif": saved(rgb, "AVIF", quality=70),
        "jpeg2000": saved(rgb, "JPEG2000"),
        "jpeg2000-lossy": saved(rgb, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[8]),
        "ppm": saved(rgb, "PPM"),
        "ppm-bits": saved(bits, "PPM"),
        "ppm-text": b"P2\n# a comment\n61 47\n255\n" + b"\n".join(b"%d" % v for v in drawing("L").tobytes()),
    }
    for compression in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "lzma", "zstd"):
        files[f"tiff-{compression}"] = saved(rgb, "TIFF", compression=compression)
    for compression in ("raw", "group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits"):
        files[f"tiff-bits-{compression}"] = saved(bits, "TIFF", compression=compression)
    files["tiff-strips"] = saved(rgb, "TIFF", compression="tiff_lzw", tiffinfo={278: 16})
    return files


def damaged(data: bytes, seed: str, count: int) -> Iterator[bytes]:
    """Copies of a file: a flipped bit, a few, a run of zeros, a hole, a cut."""
    rng = random.Random(seed)
    for k in range(count):
        copy, at = bytearray(data), rng.randrange(2, len(data))
        if k % 5 <= 1:
            for _ in range(1 if k % 5 == 0 else rng.randrange(2, 9)):
                copy[rng.randrange(2, len(data))] ^= 1 << rng.randrange(8)
        elif k % 5 == 2:
            run = rng.randrange(1, 40)
            copy[at : at + run] = bytes(len(copy[at : at + run]))
        elif k % 5 == 3:
            del copy[at : at + rng.randrange(1, 9)]
        else:
            del copy[at:]
        yield bytes(copy)


def verdict(data: bytes, policy: DecodePolicy) -> str:
    """The digest of the pixels, or the reason word and the detail."""
    try:
        image = decode(data, policy=policy, limits=DecodeLimits(max_pixels=10**6))
    except BadRecord as error:
        return str(error)
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()[:16]


def main(count: int) -> None:
    """One line a file: codec, number, verdict."""
    policy = DecodePolicy(mode="keep")
    for name, data in whole_files().items():
        for k, bad in enumerate(damaged(data, name, count)):
            print(name, k, verdict(bad, policy))


if __name__ == "__main__":
    main(int(sys.argv[1]))
