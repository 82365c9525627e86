"""Words about what lies in a folder, for remarks and for questions."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence

from refinery_beam.errors import display
from refinery_beam.index.text import plural
from refinery_beam.scaffold.evidence import Evidence
from refinery_beam.scaffold.facts import Remark
from refinery_beam.scaffold.survey import Folder


def few(names: Sequence[str], limit: int = 4) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(display(name)[:60] for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def shell_word(word: str) -> str:
    """A word as a command line takes it."""
    return word if re.fullmatch(r"[\w./-]+", word) else "'" + word.replace("'", "'\\''") + "'"


def left_table(top: Folder, evidence: Evidence, why: str) -> Remark:
    """A table that is left."""
    return Remark(os.path.relpath(evidence.path, top.path), "left", why)


def class_words(folder: Folder) -> str:
    """How many pictures of which classes."""
    classes = folder.classes
    count = sum(len(f.images) for f in classes)
    return f"{plural(count, 'picture')} in {plural(len(classes), 'class folder')}: {few([f.name for f in classes])}"


def nested_remarks(folder: Folder) -> list[Remark]:
    """Pictures deeper than class folders: a folder of them is left."""
    deep = [(f, f.total - len(f.images)) for f in folder.classes]
    return [
        Remark(
            f.relative,
            "left",
            f'{plural(n, "picture")} in folders below it; type: image_tree with layout "{{label}}/**/{{file}}" takes them',
        )
        for f, n in deep
        if n
    ]


def rest_remarks(top: Folder, tables: Sequence[Evidence], known: Collection[str]) -> list[Remark]:
    """What else than the folders that are `known` there is: tables, other folders, other files."""
    remarks = [left_table(top, table, table.problem or "the folders say the labels") for table in tables]
    rest = [folder for folder in top.folders if folder.relative not in known and folder.total]
    remarks += [Remark(folder.relative, "left", f"{plural(folder.total, 'picture')}, in no split") for folder in rest]
    others = other_files(top)
    if others:
        shown = ", ".join(f"{n:,} {extension}" for extension, n in sorted(others.items())[:8])
        remarks.append(Remark("./", "left", f"other files: {shown}"))
    return remarks


def other_files(top: Folder) -> Counter[str]:
    """Files that are neither pictures nor tables, by extension."""
    return sum((folder.others for folder in top.walk()), Counter())


def general_options(top: Folder) -> list[str]:
    """What can be done about a folder that says nothing of labels."""
    found = [f"init {shell_word(f.path)}" for f in top.folders if len(f.classes) > 1][:3]
    return [*found, "put the pictures of each class in a folder", "add a table (CSV) that names the pictures and their labels"]
