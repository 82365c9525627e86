"""Checks of sources and labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from refinery_beam.errors import RefineryError, closest, did_you_mean
from refinery_beam.recipe.checks.context import LOADER_FIELDS, TAG_FILTERS, Context, Finding, Findings

FLAT = ("image_flat", "audio_flat")
FOLDER = ("image_folder", "audio_folder")
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
            written = maker.params.get("source", "parent_directory_name")
            if maker.op == "label_from_path" and labels.source.derivation not in (None, written):
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


def partitions_consistent(c: Context) -> Findings:
    """20: every source has a partition or none has, and Splits says how they become splits."""
    sources, splits = c.model.Input.sources, c.model.Splits
    named = [i for i, s in enumerate(sources) if s.partition is not None]
    for i, source in enumerate(sources):
        has_token = bool(source.layout and "{split}" in source.layout)
        if source.partition is not None and has_token:
            yield c.error(
                f"the source {source.name!r} has a partition and a {{split}} layout",
                "Input",
                "sources",
                i,
                "partition",
                code="partition-twice",
                value=source.partition,
                rule="the partition is declared once",
                remedy="remove one of the two",
            )
        if c.partitioned and source.partition is None and not has_token:
            yield c.error(
                f"the source {source.name!r} has no partition, others have",
                "Input",
                "sources",
                i,
                code="partition-missing",
                value=source.name,
                rule="either every source declares its partition or none does",
                remedy="add 'partition: train' (or another name) to it",
            )
    if "partition" in c.model.Output.record_schema and c.label == "partition":
        yield c.error(
            "the label cannot be called partition",
            "Labels",
            "field",
            code="reserved-field",
            value="partition",
            rule="'partition' is the declared partition of a record",
            remedy="rename it",
        )
    if not c.partitioned:
        yield from _tag_splits(c)
        return
    if splits.applies_to is not None and not c.split_layouts and splits.applies_to not in c.partitions:
        yield c.error(
            f"Splits.applies_to names {splits.applies_to!r}, which is no partition",
            "Splits",
            "applies_to",
            code="unknown-partition",
            value=splits.applies_to,
            rule="applies_to names the partition that ratios divide",
            remedy=did_you_mean(splits.applies_to, c.partitions),
        )
    if splits.ratios is not None and splits.applies_to is None:
        yield c.error(
            "ratios are given, but the sources are partitioned",
            "Splits",
            "ratios",
            code="ratios-with-partitions",
            rule="partitions are the splits; ratios divide one of them, named by applies_to",
            remedy=f"add 'applies_to: {_to_divide(c.partitions)}' to Splits, or remove ratios",
        )
    if splits.applies_to is not None and splits.ratios is None:
        yield c.error(
            "Splits.applies_to needs ratios",
            "Splits",
            "applies_to",
            code="applies-to-without-ratios",
            value=splits.applies_to,
            rule="applies_to names the partition that ratios divide",
            remedy="add ratios, or remove applies_to",
        )
    if splits.key_assignment is not None:
        yield c.error(
            "key_assignment is given, but the sources are partitioned",
            "Splits",
            "key_assignment",
            code="key-assignment-with-partitions",
            rule="partitions already are the splits",
            remedy="remove the partitions or key_assignment",
        )
    for name in splits.ratios or ():
        if name != splits.applies_to and name in c.partitions:
            at = next(i for i in named if sources[i].partition == name)
            yield c.error(
                f"the split {name!r} of ratios is also a partition ({c.recipe.place(('Input', 'sources', at, 'partition'))})",
                "Splits",
                "ratios",
                name,
                key=True,
                code="split-name-collision",
                value=name,
                rule="splits carved by ratios and partitions passed through have different names",
                remedy="rename one of the two",
            )


def _tag_splits(c: Context) -> Findings:
    """What ``applies_to`` needs where it names a tag."""
    splits = c.model.Splits
    if splits.applies_to is None or splits.applies_to not in c.early_tags:
        return
    if splits.ratios is None:
        yield c.error(
            "Splits.applies_to needs ratios",
            "Splits",
            "applies_to",
            code="applies-to-without-ratios",
            value=splits.applies_to,
            rule="applies_to names the tag of the records that ratios divide",
            remedy="add ratios, or remove applies_to",
        )
    for name in splits.ratios or ():
        if name != splits.applies_to and name in c.early_tags:
            yield c.error(
                f"the split {name!r} of ratios is also a tag",
                "Splits",
                "ratios",
                name,
                key=True,
                code="split-name-collision",
                value=name,
                rule="splits carved by ratios and splits named by tags have different names",
                remedy="rename one of them",
            )


def unlabeled_consistency(c: Context) -> Findings:
    """21: unlabeled records meet nothing that asks for their label."""
    unlabeled: set[str] = set()
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if not source.unlabeled:
            continue
        if source.partition is None and "{split}" not in (source.layout or ""):
            yield c.error(
                f"the unlabeled source {source.name!r} has no partition",
                *at,
                "unlabeled",
                code="unlabeled-without-partition",
                value=True,
                rule="unlabeled records are a partition of their own",
                remedy="add 'partition: test' (or another name)",
            )
        elif source.partition is not None:
            unlabeled.add(source.partition)
        if source.label_from is not None:
            yield c.error(
                f"the unlabeled source {source.name!r} has a label table",
                *at,
                "label_from",
                code="unlabeled-with-labels",
                rule="an unlabeled source has no labels",
                remedy="remove unlabeled or label_from",
            )
        if source.type in FOLDER:
            yield c.error(
                f"the unlabeled source {source.name!r} is of type {source.type}, whose folders are classes",
                *at,
                "type",
                code="unlabeled-type",
                value=source.type,
                rule="an unlabeled source is image_flat or image_tree",
                remedy="write 'type: image_flat'",
            )
    splits = c.model.Splits
    if splits.stratify_by == c.label and splits.applies_to in unlabeled:
        yield c.error(
            f"stratify_by {c.label!r} on the unlabeled partition {splits.applies_to!r}",
            "Splits",
            "stratify_by",
            code="label-of-unlabeled",
            value=splits.stratify_by,
            rule="unlabeled records cannot be stratified by label",
            remedy="remove stratify_by, or name a labeled partition in applies_to",
        )
    for section, i, operation in c.operations("Filters", "Featurizations"):
        labels = operation.op in ("filter_by_label", *TAG_FILTERS) or operation.params.get("field") == c.label
        reads = (labels and section == "Filters") or c.label in getattr(operation, "inputs", ())
        reads = reads and (section == "Featurizations" or "post_split" in operation.stages)
        touched = [s for s in operation.splits if s in unlabeled]
        if reads and touched:
            yield c.error(
                f"{operation.name!r} reads the label of the unlabeled split {touched[0]!r}",
                section,
                i,
                "splits",
                code="label-of-unlabeled",
                value=touched[0],
                rule="what reads labels runs on labeled splits only",
                remedy=f"remove {touched[0]} from its splits",
            )
        elif labels and unlabeled and section == "Filters" and "pre_split" in operation.stages:
            yield c.error(
                f"{operation.name!r} filters by label before the split, where unlabeled records are too",
                section,
                i,
                code="label-of-unlabeled",
                value=operation.op,
                rule="what reads labels runs on labeled splits only",
                remedy="write 'stages: [post_split]' and the labeled splits",
            )


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
    reserved = {*LOADER_FIELDS, *({c.label, "label"} if direct else ())}
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


def paths_exist(c: Context) -> Findings:
    """101: local locations exist and are of the right kind; variables in locations are set."""
    for i, source in enumerate(c.model.Input.sources):
        yield from _location(c, source.path, ("Input", "sources", i, "path"), folder=source.type not in OTHER)
        if source.label_from is not None:
            yield from _location(c, source.label_from.path, ("Input", "sources", i, "label_from", "path"), folder=False)


def output_inside_source(c: Context) -> Findings:
    """107: the cache does not lie inside what is read."""
    if c.cache_root is None or "://" in c.cache_root:
        return
    cache = os.path.realpath(c.cache_root)
    for i, source in enumerate(c.model.Input.sources):
        try:
            root = c.recipe.resolve(source.path)
        except RefineryError:
            continue
        if "://" in root:
            continue
        root = os.path.realpath(root)
        if cache == root or cache.startswith(root.rstrip(os.sep) + os.sep):
            yield c.error(
                f"the cache root {c.cache_root!r} lies inside the source {source.name!r}",
                "Input",
                "sources",
                i,
                "path",
                code="output-inside-source",
                value=source.path,
                rule="what is written must not become input",
                remedy="choose another --cache-root",
            )


def _location(c: Context, location: str, path: tuple[str | int, ...], *, folder: bool) -> Findings:
    try:
        resolved = c.recipe.resolve(location)
    except RefineryError as error:
        error.place = c.recipe.place(path)
        yield Finding("error", error)
        return
    if "://" in resolved:
        return
    exists = os.path.isdir(resolved) if folder else os.path.exists(resolved)
    if not exists:
        other = os.path.exists(resolved)
        # The resolved form is shown only where no variable went into it.
        shown = "" if "${env:" in location else f" (that is {resolved})"
        yield c.error(
            f"{location!r}{shown} is not a folder" if other else f"{location!r}{shown} does not exist",
            *path,
            code="path-not-a-folder" if other else "path-missing",
            value=location,
            rule="relative paths count from the recipe's folder",
            remedy=_neighbour(location, resolved) or "check the path",
        )


def _neighbour(location: str, resolved: str) -> str:
    """The path with its last part as it is really spelt, if something beside it has such a name."""
    folder, name = os.path.split(resolved.rstrip("/"))
    try:
        meant = closest(name, [n for n in os.listdir(folder) if n != name])
    except OSError:
        return ""
    if meant is None:
        return ""
    return f"did you mean {os.path.join(os.path.dirname(location.rstrip('/')), meant)!r}?"


def _closest(word: str, known: Iterable[str]) -> str:
    meant = closest(word, known)
    return f"did you mean {meant!r}?" if meant else ""


def _to_divide(partitions: Sequence[str]) -> str:
    return "train" if "train" in partitions or not partitions else partitions[0]


def _extra(c: Context, name: str) -> Findings:
    for error in c.extra.get(name, ()):
        yield Finding("error", error)
