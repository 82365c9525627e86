"""Folders whose pictures are named and labelled by tables."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from refinery_beam.errors import display
from refinery_beam.index.text import plural
from refinery_beam.scaffold.evidence import Evidence, label_columns, split_column
from refinery_beam.scaffold.facts import FolderFacts, Layout, Remark, SourceFacts, Table, undecided
from refinery_beam.scaffold.size import usual_size
from refinery_beam.scaffold.survey import Folder, holds_pictures, split_of
from refinery_beam.scaffold.words import few, left_table, shell_word

_ORDER = ("train", "val", "test")


class _Labelled(NamedTuple):
    """A table, the folders whose pictures it labels, and its column of labels."""

    evidence: Evidence
    folders: list[Folder]
    column: str


def by_table(top: Folder, tables: Sequence[Evidence], label_column: str) -> FolderFacts | None:
    """The facts of a folder with label tables; None where no table labels pictures, or class folders say the same."""
    joined = [table for table in tables if table.form is not None]
    if not label_column and _folders_say_it(top, joined):
        return None
    remarks: list[Remark] = []
    labelled: list[_Labelled] = []
    for evidence in joined:
        found = _labelled(top, evidence, label_column)
        if isinstance(found, str):
            remarks.append(left_table(top, evidence, found))
        else:
            labelled.append(found)
    if labelled:
        return _facts(top, tables, labelled, remarks)
    if label_column:
        raise undecided(display(top.path), f"no table that names its pictures has a column {label_column!r}")
    for evidence, remark in zip(joined, remarks, strict=True):
        evidence.problem = remark.why
    return None


def _labelled(top: Folder, evidence: Evidence, label_column: str) -> _Labelled | str:
    """What a table labels, or why it labels nothing."""
    if label_column and label_column not in evidence.columns:
        return f"it has no column {label_column!r}"
    leaves = [folder for folder in top.walk() if folder.images]
    named = {folder.relative: _named(folder, evidence) for folder in leaves}
    folders = [folder for folder in leaves if named[folder.relative]]
    rows = sorted({row for found in named.values() for row in found.values()})
    columns, problem = ([label_column], "") if label_column else label_columns(evidence, rows)
    if problem:
        raise undecided(
            display(top.path),
            f"{evidence.name} has its labels in no one column: {problem}",
            [
                "make one column of them, such as df[columns].idxmax(axis=1) in pandas",
                "--label-column NAME, where one of them is the label",
            ],
        )
    if not columns:
        return "it names pictures, but none of its columns looks like labels (a few values, one in every row)"
    folders = _one_picture_a_name(top, folders, evidence)
    for folder in folders:
        count, whole = len(named[folder.relative]), len(folder.images)
        if count < whole:
            raise undecided(
                display(top.path),
                f"{evidence.name} names {count:,} of the {whole:,} pictures in {folder.relative or './'}",
                [
                    f"add rows for the other {whole - count:,} (of several tables make one, with a column that names the split)",
                    "move them elsewhere",
                    "write the recipe by hand, with on_error: quarantine",
                ],
            )
    if len(columns) > 1:
        raise undecided(
            display(top.path),
            f"several columns of {evidence.name} may be the label",
            [f"--label-column {shell_word(c)} ({_values(evidence, c)})" for c in columns[:8]],
        )
    return _Labelled(evidence, folders, columns[0])


def _one_picture_a_name(top: Folder, folders: list[Folder], evidence: Evidence) -> list[Folder]:
    """The folders, or the one called images where several hold pictures of the same names, as masks do."""
    keys = (
        Counter(evidence.form.path_key(folder.relative + name) for folder in folders for name in folder.images)
        if evidence.form
        else Counter()
    )
    if max(keys.values()) < 2:
        return folders
    pictures = [folder for folder in folders if holds_pictures(folder)]
    if len(pictures) != 1:
        raise undecided(
            display(top.path),
            f"{evidence.name} names pictures of several folders by the same names: which are the images?",
            [f"move {folder.relative} elsewhere" for folder in folders[:6]],
        )
    return pictures


def _folders_say_it(top: Folder, joined: Sequence[Evidence]) -> bool:
    """Whether class folders and a table say the same. It is asked where they contradict each other."""
    classes = [folder for folder in top.classes if not split_of(folder.name)]
    if len(classes) < 2 or top.images or _are_parts(classes) or any(map(holds_pictures, classes)):
        return False
    for evidence in joined:
        rows = {folder.name: [row for row in _named(folder, evidence).values() if row < len(evidence.rows)] for folder in classes}
        if not any(rows.values()):
            continue
        for column in evidence.columns:
            if all(str(evidence.rows[row].get(column)) == name for name, found in rows.items() for row in found):
                return True
        columns, _ = label_columns(evidence, [row for found in rows.values() for row in found])
        if columns and all(len(_named(folder, evidence)) == len(folder.images) for folder in classes):
            raise undecided(
                display(top.path),
                f"its folders ({few([f.name for f in classes])}) and {evidence.name} say different labels",
                [f"the folders are the classes: move {evidence.name} elsewhere", *(f"--label-column {shell_word(c)}" for c in columns[:6])],
            )
    return False


def _are_parts(folders: Sequence[Folder]) -> bool:
    """Whether names of folders differ in their numbers only, as those of parts do."""
    stems = {re.sub(r"[0-9]+", "", folder.name) for folder in folders}
    return len(stems) == 1 and stems != {""}


def _facts(top: Folder, tables: Sequence[Evidence], labelled: Sequence[_Labelled], remarks: list[Remark]) -> FolderFacts:
    sources: list[SourceFacts] = []
    claimed: dict[str, str] = {}
    rest = _unlabelled(top, labelled)
    for evidence, folders, column in labelled:
        for folder in folders:
            if folder.relative in claimed:
                first, second = claimed[folder.relative], evidence.name
                raise undecided(
                    display(top.path),
                    f"{first} and {second} both label pictures in {folder.relative or './'}",
                    [f"move {first} or {second} elsewhere"],
                )
            claimed[folder.relative] = evidence.name
        root = _root_of(folders, top)
        part = split_of(evidence.name) or (split_of(root.name) if root is not None else "")
        part = part if len(labelled) > 1 or rest else ""
        split, meant = split_column(evidence)
        table = Table(
            path=evidence.path,
            id_field=evidence.id_field,
            label_field=column,
            split_field=split,
            splits=meant,
            encoding=evidence.encoding,
        )
        roots = folders if root is None else [root]
        for folder in roots:
            name = f"{part}_data" if part and len(roots) == 1 else _source_name(folder)
            sources.append(SourceFacts(name=name, type="image_flat", path=folder.path, table=table, partition=part))
            words = f"pictures, partition {part}" if part else "pictures"
            remarks.append(Remark(folder.relative or "./", "taken", words))
        form = evidence.form.words if evidence.form is not None else ""
        words = f"ids in {evidence.id_field!r} ({form}), labels in {column!r}" + (f", splits in {split!r}" if split else "")
        remarks.append(Remark(os.path.relpath(evidence.path, top.path), "taken", words))
    if any(s.partition for s in sources) and not all(s.partition for s in sources):
        raise undecided(
            display(top.path), "some tables name a split and others do not", ["give each table the name of its split: train.csv, test.csv"]
        )
    for folder in rest:
        part = split_of(folder.name)
        if part in ("val", "test") and sources[0].partition and part not in [s.partition for s in sources]:
            sources.append(SourceFacts(name=f"{part}_data", type="image_flat", path=folder.path, partition=part, unlabeled=True))
            remarks.append(
                Remark(folder.relative, "taken", f"partition {part}, unlabeled: no table labels its {len(folder.images):,} pictures")
            )
        else:
            remarks.append(Remark(folder.relative or "./", "left", f"no table labels its {plural(len(folder.images), 'picture')}"))
    known = {remark.path for remark in remarks}
    for other in tables:
        if os.path.relpath(other.path, top.path) not in known:
            remarks.append(left_table(top, other, other.problem or "another table labels the pictures"))
    return _joined(top, sources, remarks)


def _joined(top: Folder, sources: list[SourceFacts], remarks: list[Remark]) -> FolderFacts:
    partitions = [source.partition for source in sources if source.partition]
    twice = next((p for p in partitions if partitions.count(p) > 1), "")
    if twice:
        raise undecided(
            display(top.path), f"several tables or folders are the split {twice!r}", ["put each split in one table and one folder"]
        )
    if partitions and "train" not in partitions and len(sources) > 1:
        raise undecided(display(top.path), f"nothing is the split train beside {few(partitions)}")
    if len(sources) == 1:
        sources = [SourceFacts(name="images", type="image_flat", path=sources[0].path, table=sources[0].table)]
        partitions = []
    sources.sort(key=lambda source: _ORDER.index(source.partition) if source.partition else 0)
    layout: Layout = "unlabeled-test" if any(source.unlabeled for source in sources) else "flat-with-table"
    return FolderFacts(
        layout=layout,
        sources=tuple(sources),
        remarks=tuple(sorted(remarks)),
        size=usual_size(top, sources[0].path),
        carve="train" in partitions and "val" not in partitions,
    )


def _named(folder: Folder, evidence: Evidence) -> dict[str, int]:
    return evidence.covered([folder.relative + name for name in folder.images])


def _unlabelled(top: Folder, labelled: Sequence[_Labelled]) -> list[Folder]:
    known = {folder.relative for one in labelled for folder in one.folders}
    return [folder for folder in top.walk() if folder.images and folder.relative not in known]


def _root_of(folders: Sequence[Folder], top: Folder) -> Folder | None:
    """The folder whose pictures, at any depth, are exactly those of some folders; None if there is none."""
    wanted = {folder.relative for folder in folders}
    fitting = [folder for folder in top.walk() if {f.relative for f in folder.walk() if f.images} == wanted]
    return fitting[-1] if fitting else None


def _source_name(folder: Folder) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", folder.relative).strip("_") or "images"


def _values(evidence: Evidence, column: str) -> str:
    values = sorted(set(evidence.values(column)))
    return f"{len(values):,} values: {few(values, 3)}"
