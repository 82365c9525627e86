"""A table for a notebook, in one piece of HTML that loads nothing. Every text is made visible and escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from refinery_beam.visible import shorten, visible

CHARACTERS = 400
"""Of a longer cell the beginning and the end are shown."""


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table with a head and, below it, a caption.

    >>> html_table(("a",), [("<b>",)])
    '<div><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table></div>'
    """
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{_text(value)}</td>" for value in row) + "</tr>" for row in rows)
    below = f"<div>{_text(caption)}</div>" if caption else ""
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"


def _text(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return html.escape(visible(shorten(text, CHARACTERS)))
