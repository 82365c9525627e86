"""Decides what a folder is. What it cannot know it asks: a DataError ``init-layout`` lists what there is to decide."""

from __future__ import annotations

import os
from collections.abc import Sequence

from refinery_beam.errors import display
from refinery_beam.scaffold.by_folder import class_folders, nested_folders, split_folders
from refinery_beam.scaffold.by_table import by_table
from refinery_beam.scaffold.evidence import Evidence, find_ids, read_evidence
from refinery_beam.scaffold.facts import FolderFacts, undecided
from refinery_beam.scaffold.survey import Folder, is_submission, survey
from refinery_beam.scaffold.words import general_options, other_files

_TABLES = 50


def inspect_folder(folder: str, *, label_column: str = "") -> FolderFacts:
    """Find out how a folder is laid out, with `label_column` as the column of labels where it is given. Reads names, tables, and one image
    header.
    """
    top = survey(folder)
    if not top.total:
        others = sorted(other_files(top).items(), key=lambda item: (-item[1], item[0]))[:8]
        there = "; there are " + ", ".join(f"{n:,} {extension}" for extension, n in others) if others else ""
        raise undecided(display(folder), f"it holds no picture of a kind that is read{there}")
    tables = _read_tables(top)
    found = by_table(top, tables, label_column)
    for layout in (split_folders, class_folders, nested_folders):
        found = found or layout(top, tables)
    if found is None:
        raise undecided(display(folder), _why(top, tables), general_options(top))
    return found


def _read_tables(top: Folder) -> list[Evidence]:
    """The tables at the top and one folder below, with the columns that name pictures."""
    found = []
    paths = top.paths()
    for folder in (top, *top.folders):
        for name in folder.tables[:_TABLES]:
            path = os.path.join(folder.path, name)
            if is_submission(name):
                found.append(Evidence(path, "a form for a submission, no labels"))
                continue
            evidence = read_evidence(path)
            if not evidence.problem:
                find_ids(evidence, paths)
                evidence.problem = "" if evidence.form is not None else "none of its columns names pictures"
            found.append(evidence)
    return found


def _why(top: Folder, tables: Sequence[Evidence]) -> str:
    if tables:
        return "; ".join(f"{display(table.name)}: {table.problem}" for table in tables[:5])
    return "it holds images, but no table says what they are" if top.images else "its folders are neither classes nor splits"
