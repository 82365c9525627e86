"""The recipe that `init` writes. Deterministic text that runs as it is; so does every suggestion in it, once uncommented.

Lines that begin with ``# `` are remarks. Lines that begin with ``#`` and anything else are suggestions: take the ``#`` away.
"""

from __future__ import annotations

import os

from refinery_beam.errors import display
from refinery_beam.recipe.yaml.write import quoted
from refinery_beam.scaffold.facts import FolderFacts, SourceFacts, Table

SCHEMA_FILE = "refinery-beam.schema.json"

_REMARKS = 40


def recipe_text(facts: FolderFacts, base: str) -> str:
    """The recipe, with paths relative to `base`."""
    splits = f"[{', '.join(_splits(facts))}]"
    lines = [
        f"# yaml-language-server: $schema=./{SCHEMA_FILE}",
        "# Remarks begin with '# '. Other lines that begin with '#' are suggestions: take the '#' away.",
        "",
        *_remarks(facts),
        "schema_version: 3",
        "plugin: image_classification",
        "seed: 0",
        "",
        "Input:",
        "# Set bad files aside, by name and reason, instead of stopping at the first one.",
        "#  on_error: quarantine",
        "#  max_bad_fraction: 0.05",
        "  sources:",
        *(line for source in facts.sources for line in _source(source, base)),
        "",
        "Labels:",
        "  field: label",
        "  source: { kind: direct }",
        "",
        "# A small draw, to try a recipe on (all records where there are fewer).",
        "#Filters:",
        "#  - { name: some, op: random_sample, params: { n: 1000 } }",
        "",
        *_split_rule(facts),
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
        "# Drawn into report/pictures/, and shown on report/report.html. Pictures are no part of the dataset: change them as you like.",
        "Visualizations:",
        "  - { name: examples, op: sample_grid, params: { n: 8, per_class: true }, stage: post_pipeline, mode: reporting }",
        "  - { name: classes, op: class_distribution_histogram, stage: post_pipeline, mode: reporting }",
        "",
        "Output:",
        "# Pictures instead of raw pixels: smaller, slower to read.",
        "#  encoding: png",
        "  record_schema:",
        f"    image: {{ dtype: uint8, shape: [{facts.size}, {facts.size}, 3] }}",
        "    label: { dtype: str }",
        *(_hash_field(splits) if any(source.unlabeled for source in facts.sources) else _label_number(splits)),
    ]
    return "\n".join(lines) + "\n"


def _remarks(facts: FolderFacts) -> list[str]:
    """What was taken and what was left, in columns."""
    if not facts.remarks:
        return []
    shown = facts.remarks[:_REMARKS]
    width = max(len(_cut(remark.path)) for remark in shown)
    lines = [f"# {remark.verdict:5}  {_cut(remark.path).ljust(width)}  {display(remark.why)}" for remark in shown]
    more = len(facts.remarks) - len(shown)
    return ["# What init took of the folder, and what it left:", *lines, *([f"# and {more} more"] if more else []), ""]


def _cut(path: str) -> str:
    text = display(path)
    return text if len(text) <= 60 else text[:59] + "…"


def _splits(facts: FolderFacts) -> list[str]:
    table = facts.table
    if facts.splits:
        return list(facts.splits)
    if table is not None and table.split_field:
        found = set(table.splits.values())
    else:
        found = {source.partition for source in facts.sources if source.partition}
        found |= {"val"} if facts.carve else set()
    found = found or {"train", "val", "test"}
    return [split for split in ("train", "val", "test") if split in found]


def _split_rule(facts: FolderFacts) -> list[str]:
    table = facts.table
    if any(source.partition for source in facts.sources):
        if not facts.carve:
            return ["# The splits are the folders, as they are given.", ""]
        return [
            "Splits:",
            "  ratios: { train: 0.85, val: 0.15 }",
            "  applies_to: train # val is carved from train; what else is given stays as it is",
            "  stratify_by: label",
            "",
        ]
    if table is not None and table.split_field:
        pairs = ", ".join(f"{quoted(value)}: {split}" for value, split in table.splits.items())
        return ["Splits:", "  key_assignment:", f"    field: {quoted(table.split_field)}", f"    mapping: {{ {pairs} }}", ""]
    if facts.splits:
        return ["# The splits are the folders, as they are given.", ""]
    return ["Splits:", "  ratios: { train: 0.7, val: 0.15, test: 0.15 }", "  stratify_by: label", ""]


def _source(source: SourceFacts, base: str) -> list[str]:
    lines = [
        f"    - name: {quoted(source.name)}",
        f"      type: {source.type}",
        f"      path: {quoted(_relative(source.path, base), path=True)}",
    ]
    if source.layout:
        lines.append(f'      layout: "{source.layout}"')
    if source.table is not None:
        lines += _label_from(source.table, base)
    if source.partition:
        lines.append(f"      partition: {source.partition}")
    if source.unlabeled:
        lines.append("      unlabeled: true")
    return lines


def _label_from(table: Table, base: str) -> list[str]:
    return [
        "      label_from:",
        f"        path: {quoted(_relative(table.path, base), path=True)}",
        "        join: by_id",
        f"        id_field: {quoted(table.id_field)}",
        f"        label_field: {quoted(table.label_field)}",
        *([f"        encoding: {table.encoding} # it is not UTF-8; look at the labels, whether this is it"] if table.encoding else []),
    ]


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


def _relative(path: str, base: str) -> str:
    relative = os.path.relpath(path, base).replace(os.sep, "/")
    return relative if relative.startswith("..") else f"./{relative}" if relative != "." else "."
