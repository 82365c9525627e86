"""Draws the pictures of docs/splits.md: twenty images, and what each rule of Splits makes of them.

usage: draw_splits.py FOLDER

Each picture is made by the functions that split a run's records, from the rule that stands in its first line. Plain SVG; the same text
every time, so a test compares it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from refinery_beam.identity import digest, record_key
from refinery_beam.planning.build import build_plan
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.strata import by_hash, by_name, divide
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.recipe import load_recipe
from refinery_beam.records import Ref

CLASSES = {"cat": 10, "dog": 6, "owl": 4}
COLOURS = {"train": "#1f5fa8", "val": "#c96a00", "test": "#2f7d32", "": "#9a9a9a"}
"""Dark enough for a white letter on each."""

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: pets, type: image_flat, path: ., label_from: {{ path: t.csv, join: by_row_order, label_field: label }} }}] }}
Output: {{ record_schema: {{ label: {{ dtype: str }}, litter: {{ dtype: str }}, day: {{ dtype: int64 }} }} }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Splits: {{ {rule} }}
"""
RATIOS = "ratios: { train: 0.7, val: 0.15, test: 0.15 }"

RULES = {
    "exact": RATIOS,
    "stratified": f"{RATIOS}, stratify_by: label",
    "grouped": f"{RATIOS}, group_by: litter",
    "ordered": f"{RATIOS}, method: ordered, order_by: day",
    "hash": f"{RATIOS}, method: hash, seed: 1",
    "below-one": "ratios: { train: 0.5, test: 0.2 }, stratify_by: label",
    "key": "key_assignment: { field: label, mapping: { cat: train, dog: train, owl: test } }",
}

SIDE, STEP, LEFT, TOP = 30, 38, 70, 64
WIDTH = LEFT + 10 * STEP + 230


def pets() -> list[Ref]:
    """The twenty images, by class. A litter has one to four of a class; a day is when a picture was taken."""
    refs = []
    for label, count in CLASSES.items():
        for i in range(count):
            record_id = f"pets/{label}_{i}.png"
            key = record_key(record_id)
            litter = f"{label}{(0, 0, 0, 0, 1, 1, 2, 3, 3, 3)[i]}"
            fields = json.dumps({"day": 1 + (i * 7 + len(label) * 3 + ord(label[0])) % 30, "litter": litter})
            refs.append(Ref(record_id, key, 0, f"{label}_{i}.png", 1, b"", label, "", key, "", fields, ""))
    return refs


def assigned(plan: Plan) -> dict[str, str]:
    """{record id: split}, '' for none, as a run assigns them."""
    refs = pets()
    if plan.split.group_by:
        refs = [ref._replace(group=digest("group-field", json.loads(ref.fields)["litter"])) for ref in refs]
    if plan.split.mode == "key":
        return {ref.record_id: by_name(ref, plan).split for ref in refs}
    if plan.split.method == "hash":
        return {ref.record_id: by_hash(ref, plan).split for ref in refs}
    return {ref.record_id: ref.split for ref in divide(sorted(refs, key=lambda ref: (ref.group, ref.key)), plan)}


def picture(rule: str) -> str:
    """One rule as SVG: a row a class, a square an image, and the records of each split beside them."""
    plan = build_plan(load_recipe("recipe.yaml", text=RECIPE.format(rule=rule)), find_plugin("image_classification"))
    found, splits = assigned(plan), list(plan.split.splits)
    if "" in found.values():
        splits.append("")
    note = {"litter": "Images of one litter are framed together.", "day": "Numbers are days."}.get(
        plan.split.group_by or plan.split.order_by or "", ""
    )
    height = TOP + len(CLASSES) * STEP + 42 + (20 if note else 0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="14">',
        f"<title>{escape(rule)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        text(12, 24, rule, family="monospace", size=12),
        *(text(column(i), TOP - 12, split or "none", anchor="end", colour=COLOURS[split], weight="bold") for i, split in enumerate(splits)),
    ]
    for row, label in enumerate(CLASSES):
        lines += class_row(row, label, found, splits, plan)
    y = TOP + len(CLASSES) * STEP
    lines.append(f'<line x1="{column(0) - 40}" x2="{column(len(splits) - 1)}" y1="{y}" y2="{y}" stroke="#808080"/>')
    lines += [
        text(column(i), y + 24, str(list(found.values()).count(split)), anchor="end", weight="bold") for i, split in enumerate(splits)
    ]
    if note:
        lines.append(text(12, height - 14, note, size=12))
    return "\n".join([*lines, "</svg>", ""])


def class_row(row: int, label: str, found: Mapping[str, str], splits: Sequence[str], plan: Plan) -> Iterator[str]:
    """The images of a class, in the order of days where the rule follows them, and its counts."""
    y = TOP + row * STEP
    members = [ref for ref in pets() if ref.label == label]
    if plan.split.order_by:
        members.sort(key=lambda ref: (json.loads(ref.fields)["day"], ref.record_id))
    yield text(12, y + 20, label)
    if plan.split.group_by:
        litters = [json.loads(ref.fields)["litter"] for ref in members]
        for litter in dict.fromkeys(litters):
            x, width = LEFT + litters.index(litter) * STEP - 3, litters.count(litter) * STEP - 2
            yield f'<rect x="{x}" y="{y - 3}" width="{width}" height="{SIDE + 6}" rx="6" fill="none" stroke="#404040" stroke-width="2"/>'
    for i, ref in enumerate(members):
        split = found[ref.record_id]
        shown = str(json.loads(ref.fields)["day"]) if plan.split.order_by else (split[:2] or "-")
        yield f'<rect x="{LEFT + i * STEP}" y="{y}" width="{SIDE}" height="{SIDE}" rx="4" fill="{COLOURS[split]}"/>'
        yield text(LEFT + i * STEP + SIDE // 2, y + 20, shown, anchor="middle", colour="#ffffff")
    for i, split in enumerate(splits):
        yield text(column(i), y + 20, str(sum(found[ref.record_id] == split for ref in members)), anchor="end")


def column(number: int) -> int:
    """The right edge of a column of counts."""
    return LEFT + 10 * STEP + 60 + number * 50


def text(
    x: int, y: int, words: str, *, anchor: str = "start", colour: str = "#202020", family: str = "", size: int = 0, weight: str = ""
) -> str:
    given = {"font-family": family, "font-size": size, "font-weight": weight, "text-anchor": anchor if anchor != "start" else ""}
    more = "".join(f' {name}="{value}"' for name, value in given.items() if value)
    return f'<text x="{x}" y="{y}" fill="{colour}"{more}>{escape(words)}</text>'


def main(folder: str) -> None:
    for name, rule in RULES.items():
        Path(folder, f"splits-{name}.svg").write_text(picture(rule), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
