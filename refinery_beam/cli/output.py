"""Printing: results on stdout, everything else on stderr, JSON exactly as the contract says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refinery_beam.cli.options import Options
from refinery_beam.errors import RefineryError

CONTRACT = 1


def print_json(body: Mapping[str, Any]) -> None:
    """One JSON object on stdout, in the order given."""
    print(json.dumps(body, ensure_ascii=False, allow_nan=False))


def print_failure(error: RefineryError, *, as_json: bool) -> None:
    """An error as the contract's object on stdout, or as words on stderr."""
    if as_json:
        print_json({"contract": CONTRACT, "errors": [e.to_dict() for e in error.errors()]})
        return
    found = error.errors()
    text = "\n".join(f"error: {e.render()}" for e in found)
    if len(found) > 1:
        text += f"\n{len(found)} errors"
    print(text, file=sys.stderr)


def print_remarks(options: Options, *, notes: Iterable[str] = (), warnings: Iterable[str] = ()) -> None:
    """Notes and warnings on stderr, as far as the log level lets them through."""
    said = [f"note: {note}" for note in notes] if not options.quiet else []
    if options.warns:
        # Rule and remedy are for who reads remarks.
        said += [f"warning: {warning.splitlines()[0] if options.quiet else warning}" for warning in warnings]
    for line in said:
        print(line, file=sys.stderr)


def coded(warnings: Iterable[tuple[str, str]]) -> list[str]:
    """Warnings with their codes behind them."""
    return [f"{message} [{code}]" for code, message in warnings]


def rows(pairs: Sequence[tuple[str, object]]) -> str:
    """Aligned `name  value` lines.

    >>> print(rows([("train", 3), ("validation", 1)]))
    train       3
    validation  1
    """
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the last one as long as it is.

    >>> print(table([("key", "size"), ("ab", "1 MB")]))
    key  size
    ab   1 MB
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
