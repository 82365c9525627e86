"""Checks of sources and labels; those of partitions are in `partitions`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from refinery_beam.errors import closest, did_you_mean
from refinery_beam.plugins.base import DerivesLabel
from refinery_beam.recipe.checks.context import FOLDER, Context, Finding, Findings

FLAT = ("image_flat", "audio_flat")
TREE = ("image_tree", "audio_tree")


OTHER = ("image_table", "image_parquet", "webdataset", "instance")
SOURCE_TYPES = (*FOLDER, *FLAT, *TREE, *OTHER)


_TOKEN = re.compile(r"\{[^{}]*\}")


def labels_resolvable(c: Context) -> Findings:
    """13: the label is in the schema, and something makes it."""
    labels = c.model.Labels
    if labels.field not in c.model.Output.record_schema:
        yield c.error(
            f"the label field {labels.field!r} is not in Output.record_schema",
            "Labels",
            "field",
            code="label-not-in-schema",
            value=labels.field,
            rule="the label is a field of Output.record_schema",
            remedy=_closest(labels.field, c.model.Output.record_schema) or f"add '{labels.field}: {{dtype: str}}' to Output.record_schema",
        )
    makers = [(i, f) for i, f in enumerate(c.model.Featurizations) if f.output_field == labels.field]
    if labels.source.kind == "derived":
        if labels.source.derivation is None and not makers:
            yield c.error(
                "the label is derived, but nothing derives it",
                "Labels",
                "source",
                code="label-not-made",
                value=labels.field,
                rule="a derived label has a derivation, or a featurization that writes it",
                remedy="add 'derivation: parent_directory_name' to Labels.source",
            )
        for i, maker in makers:
            op: object = c.plugin.op(maker.op)
            params, _ = c.params("Featurizations", i, maker)
            if params is None or not isinstance(op, DerivesLabel):
                continue
            written = op.derivation(params)
            if labels.source.derivation not in (None, written):
                yield c.error(
                    f"Labels derives the label by {labels.source.derivation}, the featurization {maker.name!r} by {written}",
                    "Featurizations",
                    i,
                    code="label-made-twice",
                    value=written,
                    rule="one rule makes the label",
                    remedy="make both the same, or remove one",
                )
    elif labels.source.derivation is not None:
        yield c.error(
            "a derivation is given, but Labels.source.kind is direct",
            "Labels",
            "source",
            "derivation",
            code="label-derivation-unused",
            value=labels.source.derivation,
            rule="direct labels come from the folder or the label table; a derivation belongs to kind: derived",
            remedy="write 'kind: derived', or remove the derivation",
        )


def label_from_spec_resolves(c: Context) -> Findings:
    """19: each labeled source has exactly one place its labels come from, and the table has the columns named."""
    derived = c.model.Labels.source.kind == "derived"
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        table = source.label_from
        if source.type in FOLDER and table is not None:
            yield c.error(
                f"the source {source.name!r} has class folders and a label table",
                *at,
                "label_from",
                code="two-label-sources",
                value=source.type,
                rule="an image_folder source takes labels from its folders",
                remedy="use type: image_flat with label_from, or remove label_from",
            )
        if source.type in FLAT and table is None and not source.unlabeled and not derived:
            yield c.error(
                f"the source {source.name!r} has no labels",
                *at,
                code="no-label-source",
                value=source.name,
                rule="a flat source needs label_from, or 'unlabeled: true' with a partition",
                remedy="add label_from, or set Labels.source.kind to derived",
            )
        columns = c.sidecars.get(i)
        if table is None or columns is None:
            continue
        if not columns:
            yield c.error(
                f"the label table {table.path!r} is empty",
                *at,
                "label_from",
                "path",
                code="label-table-empty",
                value=table.path,
                rule="a label table has a header row and a row for each image",
                remedy="check the path",
            )
            continue
        for role in ("label_field", "id_field"):
            column = getattr(table, role)
            if column is not None and column not in columns:
                yield c.error(
                    f"the label table {table.path!r} has no column {column!r}",
                    *at,
                    "label_from",
                    role,
                    code="label-column-missing",
                    value=column,
                    rule=f"its columns are {', '.join(columns[:20])}",
                    remedy=did_you_mean(column, columns[:100]),
                )
    yield from _extra(c, "label_from_spec_resolves")


def tree_layout_label_source(c: Context) -> Findings:
    """31: layouts are well formed, on tree sources only, and each labeled tree has one label source."""
    derived = c.model.Labels.source.kind == "derived"
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if source.type not in TREE:
            if source.layout is not None:
                yield c.error(
                    f"the source {source.name!r} of type {source.type} has a layout",
                    *at,
                    "layout",
                    code="layout-misplaced",
                    value=source.layout,
                    rule="layout belongs to image_tree sources",
                    remedy="write 'type: image_tree', or remove layout",
                )
            continue
        if source.layout is None:
            yield c.error(
                f"the source {source.name!r} has no layout",
                *at,
                code="layout-missing",
                rule="an image_tree source says how its paths are built",
                remedy="add for example 'layout: \"{label}/{file}\"'",
            )
            continue
        problem = layout_problem(source.layout)
        if problem:
            yield c.error(
                f"the layout {source.layout!r} {problem}",
                *at,
                "layout",
                code="bad-layout",
                value=source.layout,
                rule="between '/' stand {label} and {split} (at most once), '*', '**' (at most once), literal text, and last {file}",
                remedy="for example {label}/**/{file}",
            )
        found = ("{label}" in source.layout) + (source.label_from is not None)
        if source.unlabeled and "{label}" in source.layout:
            yield c.error(
                f"the unlabeled source {source.name!r} has {{label}} in its layout",
                *at,
                "layout",
                code="unlabeled-with-labels",
                value=source.layout,
                rule="an unlabeled source has no labels",
                remedy="write '*' instead of {label}",
            )
        elif not source.unlabeled and (found > 1 or (found == 0 and not derived)):
            yield c.error(
                f"the source {source.name!r} has {'two label sources' if found else 'no label source'}",
                *at,
                "layout",
                code="two-label-sources" if found else "no-label-source",
                value=source.layout,
                rule="a labeled tree takes labels from {label} in its layout or from label_from, not both",
                remedy="remove one of the two" if found else "add {label} to the layout, or label_from",
            )


def layout_problem(layout: str) -> str:
    """What is wrong with a layout; '' if nothing is.

    >>> layout_problem("{split}/{label}/**/{file}"), layout_problem("{label}")
    ('', 'does not end in {file}')
    """
    segments = layout.split("/")
    if any(s in ("", ".", "..") for s in segments):
        return "has an empty segment, '.' or '..'"
    if any(ord(ch) < 32 for ch in layout):
        return "holds a control character"
    for segment in segments:
        if segment in ("{label}", "{split}", "{file}", "*", "**"):
            continue
        token = _TOKEN.search(segment)
        if token or "{" in segment or "}" in segment:
            return f"has the segment {segment!r}; a token stands alone between slashes"
        if "*" in segment:
            return f"has the segment {segment!r}; '*' and '**' stand alone between slashes"
    if segments[-1] != "{file}":
        return "does not end in {file}"
    for word in ("{label}", "{split}", "{file}", "**"):
        if segments.count(word) > 1:
            return f"has {word} more than once"
    return ""


def featurization_output_field_loader_collision(c: Context) -> Findings:
    """23: a featurization writes a field that nothing else fills."""
    direct = c.model.Labels.source.kind == "direct"
    reserved = {*c.loader_fields, *({c.label, "label"} if direct else ())}
    seen: dict[str, str] = {}
    for i, f in enumerate(c.model.Featurizations):
        if f.output_field in reserved:
            yield c.error(
                f"{f.name!r} writes {f.output_field!r}, which the loader fills",
                "Featurizations",
                i,
                "output_field",
                code="reserved-field",
                value=f.output_field,
                rule=f"the loader fills {', '.join(sorted(reserved))}",
                remedy="write Labels.source.kind: derived" if f.output_field == c.label else "choose another name",
            )
        elif f.output_field in seen:
            yield c.error(
                f"{f.name!r} writes {f.output_field!r}, as {seen[f.output_field]!r} does",
                "Featurizations",
                i,
                "output_field",
                code="duplicate-name",
                value=f.output_field,
                rule="each featurization writes a field of its own",
                remedy="choose another name",
            )
        seen.setdefault(f.output_field, f.name)


def source_types_known(c: Context) -> Findings:
    """110: the type of a source is a word of the language."""
    known = sorted({*SOURCE_TYPES, *c.plugin.source_types})
    for i, source in enumerate(c.model.Input.sources):
        if source.type not in known:
            yield c.error(
                f"unknown source type {source.type!r}",
                "Input",
                "sources",
                i,
                "type",
                code="unknown-source-type",
                value=source.type,
                rule="the type says how a source is laid out",
                remedy=did_you_mean(source.type, known),
            )


def _closest(word: str, known: Iterable[str]) -> str:
    meant = closest(word, known)
    return f"did you mean {meant!r}?" if meant else ""


def _extra(c: Context, name: str) -> Findings:
    for error in c.extra.get(name, ()):
        yield Finding("error", error)
