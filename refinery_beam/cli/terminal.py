"""How blocks look on a terminal: tables, colours, words wrapped at its width. The only module that knows rich.

Every string reaches rich as text, never as markup, and was made visible before.
"""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Sequence
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from refinery_beam.cli.blocks import CELL_CHARACTERS, Block, Facts, Line, Table, cell, numeric_columns, words

_COLOURS = {"good": "green", "bad": "red", "warning": "yellow", "quiet": "dim", "strong": "bold"}
_LABELS = {"error": "bold red", "warning": "bold yellow", "note": "bold", "next": "bold"}


def drawn(blocks: Sequence[Block], stream: TextIO, *, colours: bool) -> str:
    """The blocks as the text that is sent to a terminal."""
    width = shutil.get_terminal_size((100, 24)).columns if not hasattr(stream, "fileno") else _columns(stream)
    console = Console(
        file=io.StringIO(),
        width=max(20, width),
        force_terminal=True,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for block in blocks:
        if isinstance(block, Line):
            _line(console, block)
        elif isinstance(block, Facts):
            _facts(console, block)
        else:
            _table(console, block)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def _columns(stream: TextIO) -> int:
    import os

    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _line(console: Console, line: Line) -> None:
    text = words(line.text)
    label, colon, _ = text.partition(": ")
    indent = len(text) - len(text.lstrip())
    for part in _wrapped(text, console.width, " " * (indent + 2)):
        shown = Text(part)
        if colon and label in _LABELS:
            shown.stylize(_LABELS[label], 0, len(label) + 1)
            colon = ""
        elif line.style and label not in _LABELS:
            shown.stylize(_COLOURS[line.style])
        console.print(shown, soft_wrap=True)


def _facts(console: Console, facts: Facts) -> None:
    pairs = [(words(fact), cell(value)) for fact, value in facts.pairs]
    if facts.numbers:
        right = max((len(value) for _, value in pairs), default=0)
        pairs = [(fact, value.rjust(right)) for fact, value in pairs]
    width = max([facts.width, *(Text(fact).cell_len for fact, _ in pairs)])
    start = facts.indent + width + 2
    for fact, value in pairs:
        first, *rest = _wrapped(value, max(20, console.width - start), "")
        shown = Text(" " * facts.indent)
        shown.append(fact + " " * (width - Text(fact).cell_len), "cyan")
        shown.append(f"  {first}")
        shown.rstrip()
        console.print(shown, soft_wrap=True)
        for part in rest:
            console.print(Text(" " * start + part), soft_wrap=True)


def _table(console: Console, table: Table) -> None:
    drawing = Drawing(box=SIMPLE_HEAD if table.head else None, show_header=table.head, header_style="bold", pad_edge=False, padding=(0, 1))
    right = numeric_columns(table)
    for k, column in enumerate(table.columns):
        drawing.add_column(Text(column), justify="right" if k in right else "left", overflow="fold")
    for row in table.rows:
        style = (table.styles or {}).get(str(row[0]), "") if row else ""
        shown = [Text(cell(value, CELL_CHARACTERS)) for value in row]
        if style and shown:
            shown[0].stylize(_COLOURS[style])
        drawing.add_row(*shown)
    console.print(drawing)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Lines of words, broken between words alone: a path stays whole, so that it can be copied."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]
