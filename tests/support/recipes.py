"""Recipes for tests: a base that runs as it stands, and in the call what the test is about.

    write_recipe(images, tmp_path, filters=["{name: few, op: random_sample, params: {n: 5}}"], splits={"ratios": {"train": 1.0}})
    write_recipe(images, tmp_path, name="floats.yaml", fields={"image": {"dtype": "float32"}}, input=quarantine(0.5))

A part is named like its section (``PARTS``), takes the section's place, and is Python's values or YAML's text. ``None`` takes the section
away. Four are added to what the base says: ``input``, ``output``, ``source`` and ``fields``, the fields of ``Output.record_schema``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from refinery_beam.launch import RunResult

Run = Callable[..., RunResult]

PARTS = {
    **{name: name for name in ("schema_version", "plugin", "seed", "overlays")},
    "input": "Input",
    "output": "Output",
    "labels": "Labels",
    "contracts": "InputContracts",
    "filters": "Filters",
    "splits": "Splits",
    "generation": "Generation",
    "transformations": "Transformations",
    "augmentations": "Augmentations",
    "featurizations": "Featurizations",
    "expectations": "OutputExpectations",
    "sample": "SampleData",
    "pictures": "Visualizations",
    "sinks": "Sinks",
}

RESIZE = "{name: resize, op: resize, params: {size: 32, method: bilinear}, splits: [train, val, test]}"
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, val, test]}"
SPLITS: dict[str, Any] = {"ratios": {"train": 0.7, "val": 0.15, "test": 0.15}, "seed": 11, "stratify_by": "label"}

MAIN: dict[str, Any] = {
    "schema_version": 3,
    "plugin": "image_classification",
    "seed": 0,
    "Input": {"sources": [{"name": "photos", "type": "image_folder", "path": None}]},
    "Output": {
        "record_schema": {"image": {"dtype": "uint8", "shape": [32, 32, 3]}, "label": {"dtype": "str"}, "path": {"dtype": "str"}},
        "shard_records": 7,
    },
    "Labels": {"field": "label", "source": {"kind": "derived", "derivation": "parent_directory_name"}},
    "Splits": SPLITS,
    "Transformations": [RESIZE, NORMALIZE],
}
"""Class folders into three splits, resized, normalized by the statistics of train."""

SMALL: dict[str, Any] = {
    "schema_version": 3,
    "plugin": "image_classification",
    "Input": {"sources": [{"name": "photos", "type": "image_folder", "path": None}]},
    "Output": {"record_schema": {"image": {"dtype": "uint8", "shape": [16, 16, 3]}, "label": {"dtype": "str"}}},
    "Labels": {"field": "label", "source": {"kind": "direct"}},
    "Splits": {"ratios": {"train": 0.75, "test": 0.25}, "seed": 3, "stratify_by": "label"},
    "Transformations": ["{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train, test]}"],
}
"""Class folders into train and test, resized."""


def write_recipe(images: Path | str, folder: Path, *, name: str = "recipe.yaml", base: Mapping[str, Any] = MAIN, **parts: Any) -> Path:
    """Write a recipe over `images`."""
    path = folder / name
    path.write_text(recipe_text(images, base=base, **parts), encoding="utf-8")
    return path


def recipe_text(images: Path | str, *, base: Mapping[str, Any] = MAIN, **parts: Any) -> str:
    """A recipe over `images`: the base, and the parts in the place of its own."""
    whole = copy.deepcopy(dict(base))
    whole["Input"]["sources"] = [{**source, "path": str(images), **parts.pop("source", {})} for source in whole["Input"]["sources"]]
    fields = parts.pop("fields", {})
    for part, value in parts.items():
        given = value if part == "plugin" else read(value)
        section = PARTS[part]
        whole[section] = combine(whole[section], given) if part in ("input", "output") else given
    schema = whole["Output"].get("record_schema", {})
    for field, value in fields.items():
        given = read(value)
        schema[field] = None if given is None else {**(schema.get(field) or {}), **given}
    whole["Output"]["record_schema"] = combine(schema, {})
    return "".join(line + "\n" for section, value in whole.items() if value is not None for line in lines(section, value))


def position(recipe: Path, words: str) -> str:
    """Where these words begin, as an error says it: file, line and column."""
    head = recipe.read_text(encoding="utf-8").partition(words)[0]
    return f"{recipe}:{head.count(chr(10)) + 1}:{len(head) - head.rfind(chr(10))}"


def quarantine(limit: float) -> dict[str, Any]:
    """Bad records go to the ledger, up to a fraction of all."""
    return {"on_error": "quarantine", "max_bad_fraction": limit}


def more(item: str | Mapping[str, Any], **words: Any) -> dict[str, Any]:
    """An item of a section with other words; a mapping is added to the one that stands there, and ``None`` takes a word away."""
    whole: dict[str, Any] = read(item)
    added = {word: combine(whole[word], value) if isinstance(value, Mapping) and word in whole else value for word, value in words.items()}
    return combine(whole, added)


def combine(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {word: value for word, value in {**one, **other}.items() if value is not None}


def read(value: Any) -> Any:
    """A part as values, whether it was given so or as text."""
    if isinstance(value, str):
        return yaml.safe_load(value)
    if isinstance(value, Sequence):
        return [read(item) for item in value]
    return value


def lines(word: str, value: Any, depth: int = 0) -> Iterator[str]:
    """A section as people write it: a line for every word of a mapping and for every item of a list, and these in one line."""
    head = "  " * depth + f"{word}:"
    if isinstance(value, Mapping) and value and (depth == 0 or all(isinstance(inner, Mapping) for inner in value.values())):
        yield head
        for inner, found in value.items():
            yield from lines(inner, found, depth + 1)
    elif isinstance(value, Sequence) and value and not isinstance(value, str) and all(isinstance(read(item), Mapping) for item in value):
        yield head
        yield from (f"{'  ' * depth}  - {in_one_line(read(item))}" for item in value)
    else:
        yield f"{head} {in_one_line(value)}"


def in_one_line(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1_000_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
