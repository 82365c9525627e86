"""Everything that the command line prints goes through here: results on stdout, all else on stderr, JSON exactly as the contract says.

A verb says *what* it prints, as blocks (`cli.blocks`). How, follows from where it goes. On a terminal that can do it, rich draws tables and
colours (`cli.terminal`, imported there alone); anywhere else it is the plain text that scripts read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from refinery_beam.cli.blocks import Block, Cell, Facts, Line, Table, Words, plain
from refinery_beam.errors import RefineryError
from refinery_beam.visible import display, json_text, visible
from refinery_beam.visible import name as shown_name

if TYPE_CHECKING:
    from refinery_beam.cli.options import Options

__all__ = [
    "CONTRACT",
    "Block",
    "Cell",
    "Facts",
    "Line",
    "Table",
    "Words",
    "coded",
    "display",
    "next_command",
    "print_failure",
    "print_json",
    "print_remarks",
    "print_text",
    "show",
    "shown_name",
    "tell",
    "tell_text",
]

CONTRACT = 1

plainly = False
"""Whether --no-color was given: `refinery_beam.cli.app` sets it before anything is printed."""


def show(*blocks: Block | str) -> None:
    """Results, on stdout. A string is a line."""
    _put(sys.stdout, [Line(block) if isinstance(block, str) else block for block in blocks])


def tell(*lines: Line | str) -> None:
    """Remarks, on stderr."""
    _put(sys.stderr, [Line(line) if isinstance(line, str) else line for line in lines])


def print_json(body: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout, in the order given. What is not printable is escaped; it parses to the very same values."""
    text = json_text(body)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(body, allow_nan=False)
    _write(sys.stdout, text + "\n")


def print_text(text: str) -> None:
    """Text that is a result as it is, lines and all, on stdout."""
    _write(sys.stdout, _lines(text))


def tell_text(text: str) -> None:
    """Text that is shown as it is, lines and all, on stderr: a traceback."""
    _write(sys.stderr, _lines(text))


def print_failure(error: RefineryError, *, as_json: bool) -> None:
    """An error as the contract's object on stdout, or as words on stderr."""
    notes = [*getattr(error, "__notes__", ())]
    if as_json:
        print_json({"contract": CONTRACT, "errors": [e.to_dict() for e in error.errors()], **({"notes": notes} if notes else {})})
        return
    found = error.errors()
    lines = [line for one in found for line in _labelled("error", one.render(), "bad")]
    if len(found) > 1:
        lines.append(Line(f"{len(found)} errors"))
    tell(*lines, *(Line(f"note: {note}", "quiet") for note in notes))


def print_remarks(options: Options, *, notes: Iterable[str] = (), warnings: Iterable[str] = ()) -> None:
    """Notes and warnings on stderr, as far as the log level lets them through."""
    if not options.quiet:
        tell(*(Line(f"note: {note}", "quiet") for note in notes))
    if options.warns:
        # Rule and remedy are for who reads remarks.
        said = [warning.splitlines()[0] if options.quiet else warning for warning in warnings]
        tell(*(line for warning in said for line in _labelled("warning", warning, "warning")))


def next_command(options: Options, *words: str) -> None:
    """What one would do next, as a command line for this shell, on stderr; for who reads remarks. It carries the options that say which
    instance is meant. Nothing where options of stores were given: they may be secrets.
    """
    if options.json or options.quiet or "storage_options" in options.given:
        return
    tell(Line(f"next: refinery-beam {' '.join(map(shell_word, [*words, *options.of_the_key()]))}", "quiet"))


def shell_word(word: str) -> str:
    r"""A word as a shell takes it, in printable characters.

    >>> print(shell_word("my images"), shell_word("it's"), shell_word("a\nb"))
    'my images' 'it'"'"'s' $'a\nb'
    """
    import shlex

    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(c if c.isprintable() and c not in "\\'" else f"\\{c}" if c in "\\'" else _in_shell(c) for c in word)
    return f"$'{escaped}'"


def coded(warnings: Iterable[tuple[str, str]]) -> list[str]:
    """Warnings with their codes behind them."""
    return [f"{message} [{code}]" for code, message in warnings]


def on_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can do more than lines of text."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except ValueError:  # it is closed
        return False


def colours(stream: TextIO) -> bool:
    """Whether colours are wanted on a stream: it is a terminal, and neither --no-color nor NO_COLOR say otherwise (no-color.org)."""
    return on_terminal(stream) and not plainly and not os.environ.get("NO_COLOR")


def _lines(text: str) -> str:
    return "".join(f"{visible(line)}\n" for line in text.removesuffix("\n").split("\n"))


def _labelled(label: str, text: str, style: str) -> list[Line]:
    first, *rest = text.split("\n")
    return [Line(f"{label}: {first}", style), *(Line(line) for line in rest)]


def _put(stream: TextIO, blocks: Sequence[Block]) -> None:
    if not blocks:
        return
    if on_terminal(stream):
        # A door: what is read by a program pays nothing for how a terminal looks.
        from refinery_beam.cli.terminal import drawn

        _write(stream, drawn(blocks, stream, colours=colours(stream)))
    else:
        _write(stream, "".join(f"{line}\n" for block in blocks for line in plain(block)))


def _write(stream: TextIO, text: str) -> None:
    """All text leaves here, for stdout and stderr, which `streams` guards. What the encoding of a stream cannot say is escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _in_shell(char: str) -> str:
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}
    return known.get(char) or "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
