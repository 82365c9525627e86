"""Checks of sources and labels; those of partitions are in `partitions`."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_beam.dtypes import INTEGERS, WORDS
from refinery_beam.errors import RecipeError, closest
from refinery_beam.plugins.base import DerivesLabel
from refinery_beam.recipe import reserved
from refinery_beam.recipe.checks.context import Context, Finding, Findings
from refinery_beam.recipe.labels import label_rule
from refinery_beam.recipe.layout import RULE as LAYOUT_RULE
from refinery_beam.recipe.layout import LayoutError, layout_segments
from refinery_beam.tables import TableFault


def labels_resolvable(c: Context) -> Findings:
    """13: the label is in the schema, and something makes it."""
    labels = c.model.Labels
    if labels.field not in c.model.Output.record_schema:
        yield c.error(
            f"the label field {labels.field!r} is not in Output.record_schema",
            ("Labels", "field"),
            code="label-not-in-schema",
            value=labels.field,
            remedy=_closest(labels.field, c.model.Output.record_schema) or None,
            field=labels.field,
        )
    elif problem := _label_type(c):
        yield problem
    yield from (Finding("error", error) for error in label_rule(c.recipe, c.plugin).errors)
    if labels.source.kind == "direct" and labels.source.derivation is not None:
        yield c.error(
            "a derivation is given, but Labels.source.kind is direct",
            ("Labels", "source", "derivation"),
            code="label-derivation-unused",
            value=labels.source.derivation,
        )


def _label_type(c: Context) -> Finding | None:
    """Labels of folders, names and tables are text, or whole numbers by their decimal text; nothing else can hold them."""
    labels = c.model.Labels
    declared = c.model.Output.record_schema[labels.field]
    made = [f for f in c.model.Featurizations if f.output_field == labels.field and not isinstance(c.plugin.op(f.op), DerivesLabel)]
    known = declared.dtype in WORDS and all(c.plugin.kind.source_types.get(s.type) is not None for s in c.model.Input.sources)
    if made or not known or (declared.shape is None and (declared.dtype in ("str", "int") or declared.dtype in INTEGERS)):
        return None
    shown = declared.dtype + (f" of shape {list(declared.shape)}" if declared.shape is not None else "")
    return c.error(
        f"the label {labels.field!r} is declared {shown}, which no label of a folder or a table is",
        ("Output", "record_schema", labels.field),
        code="label-dtype",
        value=declared.dtype,
    )


def label_from_spec_resolves(c: Context) -> Findings:
    """19: each labeled source has exactly one source of labels; its table has the named columns, and one label for each file."""
    derived = c.model.Labels.source.kind == "derived"
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        table = source.label_from
        arrangement = c.arrangement(source)
        if arrangement == "folder" and table is not None:
            yield c.error(
                f"the source {source.name!r} has class folders and a label table",
                (*at, "label_from"),
                code="two-label-sources",
                value=source.type,
                type=c.type_arranged("flat"),
            )
        if arrangement == "flat" and table is None and not source.unlabeled and not derived:
            yield c.error(f"the source {source.name!r} has no labels", at, code="no-label-source", value=source.name)
        found = c.tables.get(i)
        if table is None or found is None:
            continue
        try:
            if isinstance(found, TableFault):
                raise found
            for role in ("label_field", "id_field"):
                if (column := getattr(table, role)) is not None:
                    found.column(column)
        except TableFault as fault:
            where = (*at, "label_from", next((r for r in ("label_field", "id_field") if getattr(table, r) == fault.value), "path"))
            yield Finding("error", fault.error(RecipeError, title=table.path, at=c.recipe.at(where)))


def tree_layout_label_source(c: Context) -> Findings:
    """31: layouts are well formed, on tree sources only, and each labeled tree has one label source."""
    tree = c.type_arranged("tree")
    derived = c.model.Labels.source.kind == "derived"
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if c.arrangement(source) != "tree":
            if source.layout is not None:
                yield c.error(
                    f"the source {source.name!r} of type {source.type} has a layout",
                    (*at, "layout"),
                    code="layout-misplaced",
                    value=source.layout,
                    type=tree,
                )
            continue
        if source.layout is None:
            yield c.error(f"the source {source.name!r} has no layout", at, code="layout-missing", type=source.type)
            continue
        try:
            layout_segments(source.layout)
        except LayoutError as error:
            yield c.error(
                f"the layout {source.layout!r} {error.problem}",
                (*at, "layout"),
                code="bad-layout",
                value=source.layout,
                remedy=error.remedy,
                grammar=LAYOUT_RULE,
            )
        found = ("{label}" in source.layout) + (source.label_from is not None)
        if source.unlabeled and "{label}" in source.layout:
            yield c.error(
                f"the unlabeled source {source.name!r} has {{label}} in its layout",
                (*at, "layout"),
                code="unlabeled-with-labels",
                value=source.layout,
                remedy="write '*' instead of {label}",
            )
        elif not source.unlabeled and (found > 1 or (found == 0 and not derived)):
            yield c.error(
                f"the source {source.name!r} has {'two label sources' if found else 'no label source'}",
                (*at, "layout"),
                code="two-label-sources" if found else "no-label-source",
                value=source.layout,
                rule="a labeled tree takes labels from {label} in its layout or from label_from, not both",
                remedy="remove one of the two" if found else "add {label} to the layout, or label_from",
            )


def featurization_output_field_loader_collision(c: Context) -> Findings:
    """23: a featurization writes a field that nothing else fills."""
    direct = c.model.Labels.source.kind == "direct"
    reserved = {*c.loader_fields, *({c.label, "label"} if direct else ())}
    writers: dict[str, str] = {}
    for i, f in enumerate(c.model.Featurizations):
        if f.output_field in reserved:
            yield c.error(
                f"{f.name!r} writes {f.output_field!r}, which the loader fills",
                ("Featurizations", i, "output_field"),
                code="reserved-field",
                value=f.output_field,
                remedy="write Labels.source.kind: derived" if f.output_field == c.label else None,
                reserved=sorted(reserved),
            )
        elif f.output_field in writers:
            yield c.error(
                f"{f.name!r} writes {f.output_field!r}, as {writers[f.output_field]!r} does",
                ("Featurizations", i, "output_field"),
                code="duplicate-name",
                value=f.output_field,
                rule="each featurization writes a field of its own",
                remedy="choose another name",
            )
        writers.setdefault(f.output_field, f.name)


def source_types_known(c: Context) -> Findings:
    """110: the type of a source is a word of the language."""
    known = sorted({*reserved.SOURCE_TYPES, *c.plugin.source_types})
    for i, source in enumerate(c.model.Input.sources):
        if source.type not in known:
            message, at = f"unknown source type {source.type!r}", ("Input", "sources", i, "type")
            yield c.unknown(message, source.type, known, at, code="unknown-source-type")


def _closest(word: str, known: Iterable[str]) -> str:
    meant = closest(word, known)
    return f"did you mean {meant!r}?" if meant else ""
