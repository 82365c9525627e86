"""How an instance shows itself in a notebook: counts by split and class, and a few pictures, in one piece of HTML that loads nothing."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import Any

from refinery_beam.cache import Manifest
from refinery_beam.errors import RefineryError
from refinery_beam.reading.readers import SplitReader

PICTURES = 4
"""Pictures of each split: the first rows in stored order, which is the order of hashes and so a random sample."""

CLASSES = 12
"""Classes that are listed; of more the number is."""

SIDE = 96
"""The longest side of a picture, in pixels."""


def html_of(manifest: Manifest, readers: Mapping[str, SplitReader], *, status: str) -> str:
    """The table of counts and a row of pictures for each split. Never raises: what cannot be read is said in its stead."""
    classes = sorted({label for split in manifest.raw.get("classes", {}).values() for label in split})
    listed = classes if len(classes) <= CLASSES else []
    head = "".join(f"<th>{_text(word)}</th>" for word in ("split", "rows", *listed, ""))
    body = "".join(_row(manifest, split, reader, listed) for split, reader in readers.items())
    more = f"<div>{len(classes):,} classes</div>" if len(classes) > CLASSES else ""
    name = _text(f"{status}: {manifest.location}")
    return f"<div><div><code>{name}</code></div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}</div>"


def _row(manifest: Manifest, split: str, reader: SplitReader, listed: list[str]) -> str:
    counts = manifest.raw.get("classes", {}).get(split, {})
    cells = [_text(split), f"{len(reader):,}", *(f"{counts.get(label, 0):,}" for label in listed), _pictures(manifest, reader)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _pictures(manifest: Manifest, reader: SplitReader) -> str:
    field, label = manifest.image_field, str(manifest.raw.get("label_field", ""))
    if field is None or not len(reader):
        return ""
    names = [name for name in (field, label) if name in reader.fields]
    try:
        rows = reader.columns(*names)[:PICTURES]
        return "".join(_picture(row[field], str(row.get(label, ""))) for row in rows)
    except (RefineryError, ValueError) as error:
        return _text(str(error))


def _picture(content: Any, label: str) -> str:
    """An array of pixels as a picture in the page; '' for content of another kind."""
    if getattr(content, "ndim", 0) not in (2, 3):
        return ""
    from PIL import Image

    from refinery_beam.plugins.common.canvas import shown

    pixels = shown(content)
    image = Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{_text(label)}" title="{_text(label)}" style="margin:2px">'


def _text(word: str) -> str:
    return html.escape(word)
