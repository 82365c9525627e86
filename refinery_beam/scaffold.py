"""`init`: writes a recipe for a folder. Deterministic text that runs as it is; so does every suggestion in it, once uncommented.

Lines that begin with ``# `` are remarks. Lines that begin with ``#`` and anything else are suggestions: take the ``#`` away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

from refinery_beam.errors import DataError, UsageError
from refinery_beam.plugins.base import BadRecord, Kind
from refinery_beam.plugins.discovery import find_plugin, plugin_names, read_plugin_paths
from refinery_beam.recipe import json_schema
from refinery_beam.recipe.delimited import ENCODING, read_head, read_rows, table_form
from refinery_beam.recipe.yaml.write import quoted

SCHEMA_FILE = "refinery-beam.schema.json"
Layout = Literal["class-folders", "flat-with-table", "train-test", "unlabeled-test"]

_TABLES = (".csv", ".tsv", ".jsonl")
_LABEL_WORDS = ("label", "class", "category", "target", "species", "diagnosis", "y")
_TRAIN, _TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation", "holdout")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A label table beside the images: its path, the column of ids and the column of labels."""

    path: str
    id_field: str
    label_field: str


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """The layout of a folder. ``images`` is the (train) folder of the images, ``test`` the folder of test images."""

    layout: Layout
    images: str
    test: str = ""
    table: Table | None = None
    size: int = 224


def scaffold(folder: str, recipe: str, *, force: bool = False, plugin_paths: Sequence[str] = ()) -> FolderFacts:
    """Inspect `folder`, and write the recipe and its schema file.

    Raises DataError ``init-layout`` for a folder whose layout it does not know, UsageError ``init-exists`` for a file that exists (unless
    `force`).
    """
    facts = inspect_folder(os.path.abspath(folder))
    location = os.path.abspath(recipe)
    schema = os.path.join(os.path.dirname(location), SCHEMA_FILE)
    texts = {location: recipe_text(facts, os.path.dirname(location)), schema: schema_text(plugin_paths)}
    for path, text in texts.items():
        if not force and os.path.lexists(path) and not (path == schema and _same(path, text)):
            raise UsageError(f"{path} exists", code="init-exists", at=path)
    for path, text in texts.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return facts


def schema_text(plugin_paths: Sequence[str] = ()) -> str:
    """The JSON Schema of recipes as `refinery-beam schema` prints it, with the words of all plugins."""
    code = read_plugin_paths(plugin_paths)
    plugins = [find_plugin(name, paths=code) for name in plugin_names(code)]
    return json.dumps(json_schema(plugins), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def inspect_folder(folder: str) -> FolderFacts:
    """Find out how a folder is laid out. Reads names, the head of a table, and one image header."""
    if not os.path.isdir(folder):
        raise _nothing(folder, "it is no folder")
    folders = sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    train = next((n for word in _TRAIN for n in folders if n.casefold() == word), None)
    test = next((n for word in _TEST for n in folders if n.casefold() == word), None)
    if train and test:
        train_folder, test_folder = os.path.join(folder, train), os.path.join(folder, test)
        if _class_folders(train_folder) and _class_folders(test_folder):
            return FolderFacts(layout="train-test", images=train_folder, test=test_folder, size=_size(train_folder))
        if _class_folders(train_folder) and _images(test_folder):
            return FolderFacts(layout="unlabeled-test", images=train_folder, test=test_folder, size=_size(train_folder))
    table_files = sorted(n for n in os.listdir(folder) if n.casefold().endswith(_TABLES))
    for name in table_files:
        for images in (folder, *(os.path.join(folder, n) for n in folders)):
            table = _table(os.path.join(folder, name), _images(images))
            if table is not None:
                return FolderFacts(layout="flat-with-table", images=images, table=table, size=_size(images))
    if _class_folders(folder):
        return FolderFacts(layout="class-folders", images=folder, size=_size(folder))
    why = "it holds images, but no table says what they are" if _images(folder) else "it holds no images where init looks"
    if table_files:
        why = f"no column of {', '.join(table_files)} names its images"
    raise _nothing(folder, why)


def recipe_text(facts: FolderFacts, base: str) -> str:
    """The recipe, with paths relative to `base`."""
    splits = "[train, val, test]"
    lines = [
        f"# yaml-language-server: $schema=./{SCHEMA_FILE}",
        "# Remarks begin with '# '. Other lines that begin with '#' are suggestions: take the '#' away.",
        "",
        "schema_version: 3",
        "plugin: image_classification",
        "seed: 0",
        "",
        "Input:",
        "# Set bad files aside, by name and reason, instead of stopping at the first one.",
        "#  on_error: quarantine",
        "#  max_bad_fraction: 0.05",
        "  sources:",
        *_sources(facts, base),
        "",
        "Labels:",
        "  field: label",
        "  source: { kind: direct }",
        "",
        "# A small draw, to try a recipe on (all records where there are fewer).",
        "#Filters:",
        "#  - { name: some, op: random_sample, params: { n: 1000 } }",
        "",
        "Splits:",
    ]
    if facts.test:
        lines += ["  ratios: { train: 0.85, val: 0.15 }", "  applies_to: train # val is carved from train; test stays as it is"]
    else:
        lines += ["  ratios: { train: 0.7, val: 0.15, test: 0.15 }"]
    lines += [
        "  stratify_by: label",
        "",
        "Transformations:",
        "  - name: resize",
        "    op: resize",
        f"    params: {{ size: {facts.size}, method: bilinear }}",
        f"    splits: {splits}",
        "# Statistics of train, applied by readers: what is stored stays uint8.",
        "#  - name: normalize",
        "#    op: normalize",
        "#    fit_source: train",
        f"#    splits: {splits}",
        "",
        "Output:",
        "# Pictures instead of raw pixels: smaller, slower to read.",
        "#  encoding: png",
        "  record_schema:",
        f"    image: {{ dtype: uint8, shape: [{facts.size}, {facts.size}, 3] }}",
        "    label: { dtype: str }",
        *(_hash_field(splits) if facts.layout == "unlabeled-test" else _label_number(splits)),
    ]
    return "\n".join(lines) + "\n"


def _label_number(splits: str) -> list[str]:
    return [
        "# The label as a number as well; -1 for one that train does not have.",
        "#    label_id: { dtype: int64 }",
        "#Featurizations:",
        "#  - name: label_id",
        "#    op: categorical_encode",
        "#    inputs: [label]",
        "#    output_field: label_id",
        "#    fit_source: train",
        "#    params: { oov: ignore }",
        f"#    splits: {splits}",
    ]


def _hash_field(splits: str) -> list[str]:
    return [
        "# A hash that images which look alike nearly share.",
        "#    hash: { dtype: str }",
        "#Featurizations:",
        "#  - name: hash",
        "#    op: perceptual_hash",
        "#    inputs: [image]",
        "#    output_field: hash",
        f"#    splits: {splits}",
    ]


def _sources(facts: FolderFacts, base: str) -> list[str]:
    def source(name: str, kind: str, path: str, *more: str) -> list[str]:
        return [
            f"    - name: {name}",
            f"      type: {kind}",
            f"      path: {quoted(_relative(path, base), path=True)}",
            *(f"      {m}" for m in more),
        ]

    if facts.table is not None:
        table = facts.table
        return source(
            "images",
            "image_flat",
            facts.images,
            "label_from:",
            f"  path: {quoted(_relative(table.path, base), path=True)}",
            "  join: by_id",
            f"  id_field: {quoted(table.id_field)}",
            f"  label_field: {quoted(table.label_field)}",
        )
    if facts.layout == "train-test":
        return source("train_data", "image_folder", facts.images, "partition: train") + source(
            "test_data", "image_folder", facts.test, "partition: test"
        )
    if facts.layout == "unlabeled-test":
        return source("train_data", "image_folder", facts.images, "partition: train") + source(
            "test_data", "image_flat", facts.test, "partition: test", "unlabeled: true"
        )
    return source("images", "image_folder", facts.images)


def _relative(path: str, base: str) -> str:
    relative = os.path.relpath(path, base).replace(os.sep, "/")
    return relative if relative.startswith("..") else f"./{relative}" if relative != "." else "."


def _images(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return sorted(e.name for e in os.scandir(folder) if not e.name.startswith(".") and _is_image(e.name) and e.is_file())


def _is_image(name: str) -> bool:
    return name.rpartition(".")[2].casefold() in _extensions() and "." in name.lstrip(".")


def _images_kind() -> Kind:
    return find_plugin("image_classification").kind


@cache
def _extensions() -> frozenset[str]:
    return frozenset(e for known in _images_kind().source_types.values() for e in known.extensions)


def _class_folders(folder: str) -> list[str]:
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".") and _images(e.path))


def _size(folder: str) -> int:
    """A side to resize to: 224, or less where the first readable image is smaller; a multiple of 16."""
    kind = _images_kind()
    paths = [os.path.join(folder, n) for n in _images(folder)]
    paths += [os.path.join(folder, c, n) for c in _class_folders(folder) for n in _images(os.path.join(folder, c))[:3]]
    for location in paths:
        try:
            with open(location, "rb") as file:
                header = kind.header(file.read(), kind.policy(), kind.limits())
        except (OSError, BadRecord):
            continue
        return int(max(16, min(224, min(header["width"], header["height"]) // 16 * 16)))
    return 224


def _table(path: str, images: Sequence[str]) -> Table | None:
    """The table, if one of its columns names images; its labels are in the column with such a name, else in that with fewest values."""
    if not images:
        return None
    rows = first_rows(path)
    columns = list(rows[0]) if rows else []
    names = {*images, *(name.rpartition(".")[0] for name in images)}
    matches = {c: sum(1 for r in rows if str(r.get(c, "")).rpartition("/")[2] in names) for c in columns}
    best = max(columns, key=lambda c: matches[c], default=None)
    if best is None or not matches[best]:
        return None
    others = [c for c in columns if c != best]
    if not others:
        return None
    named = [c for word in _LABEL_WORDS for c in others if c.casefold() == word]
    label = named[0] if named else min(others, key=lambda c: len({str(r.get(c)) for r in rows}))
    return Table(path=path, id_field=best, label_field=label)


def first_rows(path: str) -> list[dict[str, Any]]:
    """The first thousand rows of a table; [] for one that cannot be read."""
    try:
        with open(path, encoding=ENCODING, newline="") as file:
            text = file.read()
        if table_form(path) == "json lines":
            return [row for line in text.split("\n")[:1000] if line.strip() and isinstance(row := json.loads(line), dict)]
    except (OSError, ValueError):
        return []
    head = read_head(text, path=path)
    rows = (cells for _, cells in read_rows(text, head.separator, strict=False) if cells)
    return [{name: value for name, value in zip(head.cells, cells, strict=False) if name} for cells in islice(rows, 1, 1001)]


def _same(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read() == text
    except (OSError, ValueError):
        return False


def _nothing(folder: str, why: str) -> DataError:
    return DataError(f"init makes nothing of {folder}: {why}", code="init-layout", at=folder)
