"""README.md, the card of an instance: for people who find the folder, and for `load_dataset`, which learns the splits from its head.

The head is a mapping, and the caller writes it as YAML. The same facts give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refinery_beam.reporting.markdown import _cell, _code, _table
from refinery_beam.reporting.opening import Opening, snippets


class Stored(NamedTuple):
    """How much is stored: the records of a split, and the bytes of its files."""

    records: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """The facts of a card, as plain values.

    `splits` and `sample` are what the files of each split hold, `sinks` the number of files by name. `classes` counts labels.
    `fields` are (name, type, how it is stored), `features` the columns as the `datasets` library describes them. `pixels` are dtype and
    shape where a cell of `content` is the raw bytes of an array. `deferred` are (op, file of its statistics or '').
    """

    sources: Sequence[str]
    noun: str
    splits: Mapping[str, Stored]
    classes: int
    fields: Sequence[tuple[str, str, str]]
    features: Sequence[Mapping[str, Any]]
    content: str
    pixels: tuple[str, Sequence[int]] | None
    label: str
    recipe_hash: str
    input_hash: str
    seed: int
    logical_digest: str
    sample: Mapping[str, Stored] = field(default_factory=dict)
    sinks: Mapping[str, int] = field(default_factory=dict)
    deferred: Sequence[tuple[str, str]] = ()


def split_names(splits: Iterable[str]) -> dict[str, str]:
    """The name of each split in the `datasets` library, which takes fewer names: letters, digits, underscores and single dots, and not
    ``all``.

    >>> split_names(["train", "hold-out", "hold_out", "all"])
    {'train': 'train', 'hold-out': 'hold_out_2', 'hold_out': 'hold_out', 'all': 'all_'}
    """
    splits = list(splits)
    found = {split: split for split in splits if re.fullmatch(r"\w+(\.\w+)*", split) and split != "all"}
    for split in splits:
        if split not in found:
            plain = "all_" if split == "all" else re.sub(r"\W+", "_", split)
            name, number = plain, 1
            while name in found.values():
                number += 1
                name = f"{plain}_{number}"
            found[split] = name
    return {split: found[split] for split in splits}


def card_head(facts: CardFacts) -> dict[str, Any]:
    """The head of the card: a config for the splits, the sample and each sink, so that ``load_dataset(folder)`` gives the splits alone."""
    names = split_names(facts.splits)
    # A split without records is left out: the library opens nothing at all where one is empty.
    views = {
        view: (folder, {split: stored for split, stored in whole.items() if stored.records})
        for view, folder, whole in (("default", "dataset", facts.splits), ("sample", "sample", facts.sample))
    }
    views = {view: found for view, found in views.items() if found[1]}
    configs: list[dict[str, Any]] = []
    for view, (folder, splits) in views.items():
        files = [{"split": names[split], "path": f"{folder}/{split}/*.parquet"} for split in splits]
        configs.append({"config_name": view, **({"default": True} if view == "default" else {}), "data_files": files})
    for sink in facts.sinks:
        configs.append({"config_name": f"sink-{sink}", "data_files": [{"split": "files", "path": f"sinks/{sink}/files.parquet"}]})
    described = [
        {
            "config_name": view,
            "features": [dict(feature) for feature in facts.features],
            "splits": [
                {"name": names[split], "num_bytes": stored.bytes, "num_examples": stored.records} for split, stored in splits.items()
            ],
        }
        for view, (_, splits) in views.items()
    ]
    return {"configs": configs, "dataset_info": described}


def render_card(facts: CardFacts, *, head: str) -> str:
    """The card as Markdown text ending in a newline. `head` is the YAML text of `card_head`."""
    parts = [_title(facts), _splits(facts), _fields(facts), _opening(facts), _key(facts)]
    return f"---\n{head}---\n\n" + "\n".join(part for part in parts if part)


def _title(facts: CardFacts) -> str:
    total, splits = sum(stored.records for stored in facts.splits.values()), len(facts.splits)
    classes = f" of {facts.classes:,} class{'es' if facts.classes != 1 else ''}" if facts.classes else ""
    return (
        f"# {_cell(', '.join(facts.sources))}\n\n"
        f"{total:,} {facts.noun}{classes} in {splits} split{'s' if splits != 1 else ''}, prepared by refinery-beam. "
        "[recipe.yaml](recipe.yaml) makes them again; [report/report.md](report/report.md) says what was done, and what was left out and "
        "why.\n"
    )


def _splits(facts: CardFacts) -> str:
    names = split_names(facts.splits)
    renamed = any(split != name for split, name in names.items())
    head = ["split", "records", "bytes", "folder", *(["in `datasets`"] if renamed else [])]
    rows = []
    for split, stored in facts.splits.items():
        row = [_cell(split), f"{stored.records:,}", f"{stored.bytes:,}", _code(f"dataset/{split}")]
        rows.append([*row, *([_code(names[split])] if renamed else [])])
    text = "## Splits\n\n" + _table(head, rows)
    if empty := [_code(split) for split, stored in facts.splits.items() if not stored.records]:
        text += f"\n`load_dataset` leaves out what is empty: {', '.join(empty)}.\n"
    if facts.sample:
        counts = ", ".join(f"{_cell(split)} {stored.records:,}" for split, stored in facts.sample.items())
        text += f"\n`sample/` holds a sample of the records once more: {counts}.\n"
    for sink, files in facts.sinks.items():
        text += f"\n`sinks/{sink}/` has {files:,} files, listed in `sinks/{sink}/files.parquet`.\n"
    return text


def _fields(facts: CardFacts) -> str:
    rows = [(_code(name), _cell(type), stored) for name, type, stored in facts.fields]
    text = "## Fields\n\n" + _table(("field", "type", "stored as"), rows)
    if facts.deferred:
        named = ", ".join(f"`{op}`" + (f" ([its statistics]({file}))" if file else "") for op, file in facts.deferred)
        text += f"\nRefinery-beam applies {named} when it reads; other libraries read what is stored, which is not yet changed by it.\n"
    return text


def opening_of(facts: CardFacts) -> Opening:
    """What snippets name: the first split that has records."""
    split = next((split for split, stored in facts.splits.items() if stored.records), next(iter(facts.splits)))
    return Opening(
        split=split,
        name=split_names(facts.splits)[split],
        content=facts.content,
        pixels=facts.pixels,
        image=any(feature["name"] == facts.content and feature.get("dtype") == "image" for feature in facts.features),
        label=facts.label,
        named=any(isinstance(feature.get("dtype"), Mapping) and "class_label" in feature["dtype"] for feature in facts.features),
        deferred=bool(facts.deferred),
    )


def _opening(facts: CardFacts) -> str:
    text = "## How to open it\n\n`path` is this folder.\n"
    for library, note, lines in snippets(opening_of(facts)):
        text += f"\n{library}{note}:\n\n```python\n" + "\n".join(lines) + "\n```\n"
    return text


def _key(facts: CardFacts) -> str:
    rows = [
        ("Recipe", f"`{facts.recipe_hash}`"),
        ("Input", f"`{facts.input_hash}`"),
        ("Seed", str(facts.seed)),
        ("Rows", f"`{facts.logical_digest}`"),
    ]
    return (
        "## Identity\n\nThe same recipe, input and seed give the same rows on every machine. `refinery-beam verify` checks every byte of "
        "this folder against manifest.json.\n\n" + _table(("", ""), rows)
    )
