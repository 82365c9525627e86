"""Recipes that want to hurt, through the command line: refused within a second, in words that help, with nothing done anywhere.

`tests/recipe/test_hostile.py` holds texts that are no YAML, or too much of it; here the YAML is fine and what it says is not.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from refinery_beam.cli.app import call
from refinery_beam.testing import images

BASE = """\
schema_version: 3
plugin: image_classification
Input: {sources: [{name: photos, type: image_folder, path: images}]}
Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
Splits: {ratios: {train: 0.5, test: 0.5}}
Transformations: [{name: r, op: resize, params: {size: 16, method: box}, splits: [train, test]}]
"""
CODE = (
    "$(touch PWN)",
    "`touch PWN`",
    "; touch PWN",
    "__import__('os').system('touch PWN')",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "%n%s",
    "<script>",
)
PATHS = ("../../evil", "/etc/evil", "a/b", "..", ".", "~root", "C:\\evil", "evil\\..\\x", "con\u0000", "a" * 5000, "x\ny", "\u202egnp.x")


def quoted(text: str) -> str:
    return (
        '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
        if not text.isprintable()
        else f"'{text.replace(chr(39), chr(39) * 2)}'"
    )


def name(text: str) -> str:
    return BASE.replace("name: r,", f"name: {quoted(text)},")


def template(text: str) -> str:
    return f"{BASE}Sinks: [{{name: s, stage: post_pipeline, field: image, format: png_per_record, path_template: {quoted(text)}}}]\n"


HOSTILE: dict[str, str] = {
    **{f"op called {text[:24]!r}": name(text) for text in PATHS},
    **{f"code as an op {text!r}": BASE.replace("op: resize", f"op: {quoted(text)}") for text in CODE},
    **{f"code as a field {text!r}": BASE.replace("field: label", f"field: {quoted(text)}") for text in CODE[:3]},
    **{f"source called {text[:24]!r}": BASE.replace("name: photos", f"name: {quoted(text)}") for text in PATHS[:4]},
    **{f"split called {text[:24]!r}": BASE.replace("test:", f"{quoted(text)}:") for text in PATHS[:4]},
    **{
        f"template {text!r}": template(text)
        for text in (
            *(
                "/etc/{record_id}.png",
                "../{record_id}.png",
                "a/../../{record_id}",
                "{path}",
                "~/{record_id}",
                "file:///{record_id}",
                "x.png",
            ),
            *(
                "{label.__class__}/{record_id}",
                "{label!r}/{record_id}",
                "{label:>99999999}/{record_id}",
                "{}",
                "{record_id",
                "{0}",
                "{label|exec}",
            ),
        )
    },
    "sink called ../x": template("{record_id}.png").replace("name: s,", "name: ../x,"),
    "picture called ../x": BASE + "Visualizations: [{name: ../x, op: sample_grid, stage: post_pipeline, mode: reporting}]\n",
    "source in the file system's root of devices": BASE.replace("path: images", "path: /dev/null"),
    "source that is not there": BASE.replace("path: images", "path: $(touch PWN)"),
    "table that is not there": BASE.replace(
        "path: images}", "path: images, label_from: {path: /dev/zero, join: by_id, id_field: a, label_field: b}}"
    ),
    "an image of a terabyte": BASE.replace("size: 16", "size: 1000000"),
    "a negative size": BASE.replace("size: 16", "size: -16"),
    "a size as text": BASE.replace("size: 16", "size: '16'"),
    "a list for a number": BASE.replace("size: 16", "size: [1, 2, 3, 4]"),
    "a grid of a billion": BASE
    + "Visualizations: [{name: v, op: sample_grid, params: {n: 1000000000}, stage: post_pipeline, mode: reporting}]\n",
    "a billion variants": BASE + "Augmentations: [{name: a, op: horizontal_flip, materialization: lazy, expansion: 1000000000}]\n",
    "a seed beyond 64 bits": BASE + f"seed: {2**64}\n",
    "an overlay that brings a plugin": BASE.replace("plugin: image_classification", "plugin: /tmp/evil.py"),
    "an import of itself": BASE.replace(
        "}]\n", "}, {name: n, op: normalize, splits: [train, test], params: {stats_from_instance: {recipe: recipe.yaml, op_id: n}}}]\n"
    ),
    "an extension nobody asked for": BASE + "extensions: {os: {system: touch PWN}}\n",
    "a dtype of Python objects": BASE.replace("dtype: str", "dtype: object"),
    "a shape of eleven million": BASE.replace("shape: [16, 16, 3]", "shape: [9999999, 9999999, 3]"),
}


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "inner"
    images.class_folders(root / "images", classes=("a", "b"), per_class=3, size=(16, 16))
    (root / "recipe.yaml").write_text(BASE)
    assert call(["validate", str(root / "recipe.yaml")]) == 0  # so that imports are not counted below
    return root


def everything(root: Path) -> dict[str, str]:
    """All files around, with their contents."""
    files = (p for p in root.parent.rglob("*") if p.is_file() and p.name != "recipe.yaml" and "cache" not in p.parts)
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("what", HOSTILE)
def test_refused_at_once(what: str, location: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(location)
    monkeypatch.chdir(location)
    recipe = location / "recipe.yaml"
    recipe.write_text(HOSTILE[what])
    started = time.process_time()
    status = call(["run", str(recipe), "--cache-root", str(location / "cache")])
    assert time.process_time() - started < 1
    said = capsys.readouterr()
    assert status == (3 if "plugin" in what else 1) and said.out == ""
    first, *rest = said.err.splitlines()
    assert first.startswith(f"error: {recipe}:") and "Traceback" not in said.err and len(said.err) < 5000
    assert any(line.startswith("  rule:") for line in rest) and any(line.startswith("  remedy:") for line in rest)
    assert everything(location) == before and not list((location / "cache").glob("instances/*"))
