"""Golden bytes: an op whose output bytes change must have a new version.

`ops.json` holds a digest of what every op makes of generated inputs, by op, version and case; `decode.json` does the same for decoding,
under the part of the codec fingerprint it rests on, so another JPEG library is told apart from another rule of ours.

After adding an op, a case or a version:  python tests/golden/test_op_bytes.py
writes what is missing. It never replaces a digest that is there: to change one is to change every dataset made with that version.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont, features

from refinery_beam.identity import Stream, canonical_bytes, record_key
from refinery_beam.plugins.base import TAGS_FIELD, ArrayType, FittedOp
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.plugins.image_classification.codecs.calibration import CALIBRATION, wide_profile
from refinery_beam.plugins.image_classification.codecs.decode import decode
from refinery_beam.plugins.image_classification.codecs.encode import encode
from refinery_beam.plugins.image_classification.fingerprint import codec_parts
from refinery_beam.plugins.image_classification.ops.corruptions import corrupt
from refinery_beam.plugins.image_classification.ops.generate import NAMES
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from refinery_beam.testing.conformance import default_images
from refinery_beam.testing.picture_view import SmallView

HERE = Path(__file__).parent
MAKERS = {name: op for name, op in PLUGIN.ops.items() if op.spec.section != "Visualizations"}
"""The ops whose results are part of a dataset; pictures are drawn from it."""

OPS, DECODE, PICTURES = HERE / "ops.json", HERE / "decode.json", HERE / "pictures.json"
DRAWN: dict[str, list[dict[str, Any]]] = {
    "class_distribution_histogram": [{}, {"group_by": "label"}],
    "sample_grid": [{}, {"n": 2, "per_class": True}],
    "mean_image_per_class": [{}],
    "pixel_distribution": [{}, {"bins": 7, "splits": ["train"]}],
    "augmented_sample_grid": [{}, {"n_base": 2, "n_variants": 3}],
    "corruption_severity_grid": [{"corruption_types": ["fog", "contrast"], "severities": [1, 5]}],
    "severity_ladder": [{"corruption_type": "gaussian_noise", "n_examples": 2}],
}
PARAMS: dict[str, list[dict[str, Any]]] = {
    "resize": [
        *({"size": [17, 23], "method": m} for m in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")),
        {"size": [70, 90], "method": "bilinear"},
        {"size": 20, "mode": "fit"},
        {"size": 20, "mode": "cover"},
        {"size": [33, 20], "mode": "pad", "fill": 9},
    ],
    "center_crop": [{"size": [13, 20]}],
    "pad": [{"padding": 3, "fill": 7}, {"size": [41, 52], "mode": "reflect"}, {"padding": [1, 2, 3, 4], "mode": "edge"}],
    "to_grayscale": [{}, {"channels": 3}],
    "to_rgb": [{}],
    "cast": [
        {"dtype": "float32", "scale": 1 / 255},
        {"dtype": "uint8", "scale": 0.5},
        {"dtype": "int8"},
        {"dtype": "float16", "scale": -1e3},
    ],
    "normalize": [{}, {"mean": 120, "std": 60.5}],
    "mean_subtract": [{}, {"mean": 120.25}],
    "filter_by_label": [{"labels": ["a", 0]}, {"labels": ["a"], "action": "exclude"}],
    "random_sample": [{"fraction": 0.1}, {"fraction": 0.29}, {"n": 7}],
    "sample_per_class": [{"n_per_class": 10, "label": "t", "exclude_already_labeled": ["u", "v"]}, {"n_per_class": 1}],
    "sample_per_class_fractional": [{"n_per_class_base": 100, "fractions": {"a": 0.57, "b": 0.0}, "label": "t"}],
    "drop_by_label": [{"labels": ["t", "u"]}],
    "drop_duplicates": [{}, {"kind": "near"}, {"kind": "near", "distance": 9}],
    "fact_range": [{"fact": "sharpness", "min": 10.5}, {"fact": "aspect", "min": 0.5, "max": 2.0}],
    "image_size": [{"min_width": 10, "max_height": 70, "max_aspect": 1.1}, {"max_width": 70, "min_height": 9}],
    "filter_by_field": [
        {"field": "f", "equals": 1},
        {"field": "f", "in": ["x", 0.5]},
        {"field": "f", "not_in": ["x"]},
        {"field": "f", "min": 0.5},
    ],
    "label_from_path": [{}, {"source": "filename"}, {"source": "stem"}],
    "image_size_stats": [{}],
    "duplicate_minority_class": [{}],
    "imagecorruptions_apply": [{"corruption_types": [name], "severities": [1, 2, 3, 4, 5]} for name in NAMES if name != "jpeg_compression"],
    "horizontal_flip": [{}, {"p": 1}],
    "vertical_flip": [{"p": 1}],
    "random_crop": [{"size": [20, 30]}, {"size": 35, "padding": 4, "padding_mode": "replicate"}, {"size": 33, "padding": 3}],
    "color_jitter": [{"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2}, {"hue": 0.5}],
    "random_erasing": [{"p": 1}, {"p": 1, "scale": [0.4, 0.6], "ratio": [1, 1]}],
    "rotate": [{"degrees": 40}, {"degrees": 180, "fill": 9}],
    "gaussian_blur": [{}, {"sigma": [3, 5]}],
    "categorical_encode": [{}, {"ordering": "first_seen"}, {"vocabulary": ["b", 1, True], "oov": "index", "output_dtype": "int8"}],
    "flatten": [{}],
    "perceptual_hash": [{}, {"kind": "dhash"}, {"output_dtype": "int64"}],
}


def generated(mode: str) -> Image.Image:
    planes = len(mode)
    return Image.frombytes(mode, (43, 31), bytes((i * 37 + i // 7 * 11 + (i * i >> 6)) & 255 for i in range(43 * 31 * planes)))


def inputs() -> dict[str, Any]:
    floats = (np.arange(31 * 43 * 3) * 7919 % 10007 / 7 - 300).astype(np.float32).reshape(31, 43, 3)
    grey = np.ascontiguousarray(floats[:, :, :1])
    return {"RGB": generated("RGB"), "L": generated("L"), "RGBA": generated("RGBA"), "float32": floats, "one float32": grey}


def shown(pixels: Any) -> bytes:
    array = as_array(pixels)
    return f"{array.dtype} {array.shape} ".encode() + array.tobytes()


def results(name: str) -> dict[str, bytes]:
    """Case -> output bytes of one op."""
    op: Any = PLUGIN.ops[name]
    found: dict[str, bytes] = {}
    for given in PARAMS.get(name, []):
        params = op.spec.params.model_validate(given)
        case = json.dumps(given, sort_keys=True)
        if op.spec.section == "Filters":
            # A filter that does not choose by metadata, or by rank among all, lets everything pass there.
            keep = getattr(op, "keep", lambda label, fields, params: True)
            quota = getattr(op, "quota", lambda n, params: n)
            kept = [keep(label, {}, params) for label in ("a", "b", "0", None)]
            counts = (0, 9, 10, 70, 100, 12345)
            found[case] = canonical_bytes([kept, [quota(n, params) for n in counts]])
            if op.kind == "predicate" and name != "filter_by_label":
                fields = [{TAGS_FIELD: ["a", "t"]}, {TAGS_FIELD: []}, *({"f": v} for v in (None, "x", "1", "1.0", 0.5, True))]
                found[case] += canonical_bytes([op.keep("a", f, params) for f in fields])
            elif op.kind == "sample_per_class":
                quotas = [op.class_quota(label, n, params) for label in ("a", "b", "c") for n in counts]
                found[case] += canonical_bytes([quotas, op.tag(params), list(op.excluded(params))])
            elif op.kind == "header":
                found[case] += canonical_bytes([op.refusal({"width": w, "height": h}, params) for w in counts for h in counts])
            elif op.kind == "measured":
                facts = [{"sharpness": n, "width": n + 1, "height": m + 1} for n in (*counts, 1049, 1050) for m in counts]
                found[case] += canonical_bytes([op.refusal(one, params) for one in facts])
            elif op.kind == "duplicates":
                images = [v for k, v in inputs().items() if "float32" not in k]
                found[case] += canonical_bytes([op.distance(params), [op.signature(v) for v in images]])
        elif op.spec.section == "Generation":
            found |= made_by(op, params, case)
        elif op.spec.section == "Augmentations":
            found |= varied_by(op, params, case)
        elif name == "label_from_path":
            found[case] = canonical_bytes([op.featurize([p], params) for p in ("s/cat/1.tar.png", "s/u\u0308/x")])
        elif name == "categorical_encode":
            partial = op.partial(params)
            for k, value in enumerate(["b", "a", 1, "b", True, None]):
                partial.observe([value], bytes([200 - 7 * k]) * 32)
            fitted = op.pinned(params) or op.fit(partial, params)
            found[case] = canonical_bytes([fitted, [op.featurize_fitted([v], params, fitted) for v in ("b", 1, True)]])
        else:
            for kind, pixels in inputs().items():
                if (kind == "float32" and name == "perceptual_hash") or (kind == "one float32" and op.spec.section == "Featurizations"):
                    continue
                if op.spec.section == "Featurizations":
                    found[f"{case} of {kind}"] = canonical_bytes(op.featurize([as_array(pixels)], params))
                    continue
                array = as_array(pixels)
                if name == "to_rgb" and kind == "float32":
                    pixels = array = np.ascontiguousarray(array[:, :, :1])
                fitted = None
                if isinstance(op, FittedOp) and op.pinned(params) is None:
                    partial = op.partial(ArrayType(str(array.dtype), array.shape), params)
                    partial.add(pixels)
                    fitted = op.fit(partial, params)
                    found[f"fit of {kind}"] = canonical_bytes(fitted)
                out = op.infer(ArrayType(str(array.dtype), array.shape), params)
                found[f"{case} of {kind}"] = shown(op.apply(pixels, params, fitted, out))
    return found


def made_by(op: Any, params: Any, case: str) -> dict[str, bytes]:
    """A generation's children of a grey and a coloured image, all severities in one digest; or the counts of a balancing op."""
    if op.kind == "balance":
        return {case: canonical_bytes([op.extra(n, 10, params) for n in (1, 3, 10)])}
    found = {}
    for mode in ("RGB", "L"):
        image = generated(mode).resize((48, 40), Image.Resampling.BOX)
        streams = [(v, Stream(seed=1, op="golden", key=record_key("a"), replica=v.name)) for v in op.generated(params)]
        found[f"{case} of {mode}"] = b"".join(v.name.encode() + shown(op.apply(image, v.params, stream)) for v, stream in streams)
    return found


def varied_by(op: Any, params: Any, case: str) -> dict[str, bytes]:
    """What an augmentation draws and makes for four replicas of an image."""
    found = {}
    for mode in ("RGB", "L"):
        array, parts = as_array(generated(mode)), []
        for replica in range(4):
            stream = Stream(seed=1, op="golden", key=record_key("a"), replica=replica)
            sampled = op.draw(stream, params, ArrayType("uint8", array.shape))
            parts += [canonical_bytes(sampled), shown(op.apply(array, sampled, params))]
        found[f"{case} of {mode}"] = b"".join(parts)
    return found


def op_digests(name: str) -> dict[str, str]:
    return {case: hashlib.sha256(data).hexdigest()[:32] for case, data in results(name).items()}


def decode_digests() -> dict[str, dict[str, str]]:
    """Codec part -> policy -> digest, of every calibration file; and of what is encoded."""
    found: dict[str, dict[str, str]] = {}
    parts = codec_parts()
    for name, text in CALIBRATION.items():
        part = parts[f"decode-{name}"]
        if part == "absent":
            continue
        for mode in ("RGB", "L", "RGBA", "keep"):
            image = decode(base64.b64decode(text), policy=DecodePolicy(mode=mode), limits=DecodeLimits())  # type: ignore[arg-type]
            found.setdefault(f"decode-{name} {part}", {})[mode] = hashlib.sha256(shown(image)).hexdigest()[:32]
    wide, deep = png(generated("RGB"), icc_profile=wide_profile()), png(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)))
    for key, data, policies in (
        (f"convert-icc {parts['convert-icc']}", wide, ({"icc": "convert"}, {"icc": "convert", "mode": "L"}, {"icc": "ignore"})),
        ("depth", deep, tuple({"bits": bits, "mode": mode} for bits in (12, 14, 16, None) for mode in ("L", "RGB", "keep"))),
    ):
        for policy in policies:
            image = decode(data, policy=DecodePolicy.model_validate(policy), limits=DecodeLimits())
            found.setdefault(key, {})[json.dumps(policy, sort_keys=True)] = hashlib.sha256(shown(image)).hexdigest()[:32]
    stream = Stream(seed=1, op="golden", key=b"")  # JPEG compression draws nothing
    low = f"encode-jpeg_low {parts['encode-jpeg_low']} {parts['encode-jpeg']}"
    for mode in ("L", "RGB"):
        image = generated(mode).resize((48, 40), Image.Resampling.BOX)
        corrupted = b"".join(shown(corrupt(image, "jpeg_compression", s, stream)) for s in range(1, 6))
        found.setdefault(low, {})[mode] = hashlib.sha256(corrupted).hexdigest()[:32]
    for encoding, modes in {"png": ("L", "RGB"), "jpeg": ("L", "RGB"), "webp": ("RGB",)}.items():
        key = f"encode-{encoding} {parts[f'encode-{encoding}']}"
        found[key] = {m: hashlib.sha256(encode(generated(m), encoding)).hexdigest()[:32] for m in modes}
    return found


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def lettering() -> str:
    """What draws text on this machine: the same pictures come only of the same."""
    return f"freetype {features.version('freetype2')}, raqm {features.version('raqm')}, Pillow's font {digest_of_font()}"


def digest_of_font() -> str:
    glyphs = ImageFont.load_default(13).getmask("Refinery 0123456789")
    return hashlib.sha256(bytes(glyphs)).hexdigest()[:16]


def picture_digests() -> dict[str, dict[str, str]]:
    """op@version -> case -> digest of the picture's pixels, of a small view."""
    found: dict[str, dict[str, str]] = {}
    for name, cases in DRAWN.items():
        op: Any = PLUGIN.ops[name]
        for given in cases:
            picture = op.draw(SmallView(default_images()), op.spec.params.model_validate(given))
            case = json.dumps(given, sort_keys=True)
            digest = hashlib.sha256(shown(np.asarray(picture.convert("RGB")))).hexdigest()[:32]
            found.setdefault(f"{name}@{op.spec.version}", {})[case] = digest
    return found


def test_pictures_change_only_with_the_version() -> None:
    """A picture is drawn once for its key, which holds the op's version: another drawing of that version would never be seen."""
    assert set(DRAWN) == set(PLUGIN.ops) - set(MAKERS)
    golden = json.loads(PICTURES.read_text()).get(lettering())
    if golden is None:
        pytest.skip(f"no pictures recorded for {lettering()}")
    assert picture_digests() == golden, "bump OpSpec.version of the picture, then record the new one"


@pytest.mark.parametrize("name", MAKERS)
def test_bytes_change_only_with_the_version(name: str) -> None:
    golden = json.loads(OPS.read_text())
    key = f"{name}@{PLUGIN.ops[name].spec.version}"
    assert key in golden, f"{key} has no golden bytes. If its version is new on purpose, run: python tests/golden/{Path(__file__).name}"
    now = op_digests(name)
    assert set(now) == set(golden[key]), f"the cases of {key} and of {OPS.name} differ; run: python tests/golden/{Path(__file__).name}"
    changed = sorted(case for case in now if now[case] != golden[key][case])
    assert not changed, (
        f"{name} gives other bytes than version {PLUGIN.ops[name].spec.version} promised, for: {'; '.join(changed)}. "
        f"Every dataset made with it would silently differ: bump OpSpec.version of {name!r}, "
        f"then run python tests/golden/{Path(__file__).name}"
    )


def test_every_op_has_cases() -> None:
    assert set(PARAMS) == set(MAKERS)


def test_decoding_follows_the_codecs() -> None:
    golden, now = json.loads(DECODE.read_text()), decode_digests()
    known = {key: value for key, value in now.items() if key in golden}
    if not known:
        pytest.skip("these codecs give other pixels than any recorded ones")
    for key, value in known.items():
        assert value == golden[key], (
            f"{key}: the codec gives the pixels it gave, but decode or encode makes others of them. That changes every dataset: "
            "give the plugin a new version, and record the new bytes"
        )


def test_a_changed_op_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    op: Any = PLUGIN.ops["cast"]
    real = type(op).apply
    monkeypatch.setattr(type(op), "apply", lambda self, *args: as_array(real(self, *args))[::-1])
    with pytest.raises(AssertionError, match=r"bump OpSpec.version of 'cast'"):
        test_bytes_change_only_with_the_version("cast")


def record() -> None:
    """Write the digests that are missing, and only those."""
    golden = json.loads(OPS.read_text()) if OPS.exists() else {}
    for name, op in MAKERS.items():
        entry = golden.setdefault(f"{name}@{op.spec.version}", {})
        for case, value in op_digests(name).items():
            entry.setdefault(case, value)
    OPS.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    pictures = json.loads(PICTURES.read_text()) if PICTURES.exists() else {}
    here = pictures.setdefault(lettering(), {})
    for key, cases in picture_digests().items():
        for case, value in cases.items():
            here.setdefault(key, {}).setdefault(case, value)
    PICTURES.write_text(json.dumps(pictures, indent=1, sort_keys=True) + "\n")
    codecs = json.loads(DECODE.read_text()) if DECODE.exists() else {}
    for key, value in decode_digests().items():
        codecs.setdefault(key, value)
    DECODE.write_text(json.dumps(codecs, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    record()
