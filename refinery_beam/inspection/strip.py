"""One record as a strip of pictures: the file, after each step, as it is stored, as a model gets it, and augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.errors import RefineryError
from refinery_beam.inspection.find import Found
from refinery_beam.inspection.thumbnails import thumbnails_of
from refinery_beam.reading.instance import Instance

if TYPE_CHECKING:
    from PIL import Image

EPOCHS = 4
"""Draws of lazy augmentations that are shown."""

MADE = 12
"""Rows made of the record that are shown."""


class Frame(NamedTuple):
    """One picture of the strip: what it is, its pixels, and what they are."""

    caption: str
    pixels: Any
    dtype: str
    shape: tuple[int, ...]


class Strip(NamedTuple):
    """The frames of a record, and what could not be shown, and why."""

    frames: tuple[Frame, ...]
    notes: tuple[str, ...]


def strip_of(instance: Instance, rows: Sequence[Found], file: str | None) -> Strip:
    """The frames of a record: `rows` are its own stored row and those made of it; `file` is where its raw file is, None where that is not
    known: then its thumbnail stands for it, where there is one. Nothing is written.
    """
    notes: list[str] = []
    frames: list[Frame] = []
    content = instance.manifest.image_field
    if content is None:
        return Strip((), ("this dataset stores no content",))
    own = next((row for row in rows if "#" not in row.record_id), rows[0])
    try:
        frames += _from_file(instance, own.split, file) if file is not None else _thumbnail(instance, own.record_id)
    except RefineryError as error:
        notes.append(f"the file is not shown: {error.message}")
    stored = instance.split(own.split, raw=True, columns=[content])
    frames += _frame("stored", stored[own.position][content])
    if instance.recorded.deferred(own.split, strict=False).steps:
        try:
            names = ", ".join(entry["name"] for entry in instance.tail(own.split))
            frames += _frame(f"for a model ({names})", instance.split(own.split, columns=[content])[own.position][content])
        except RefineryError as error:
            notes.append(f"what a model gets is not shown: {error.message}")
    if instance.recorded.lazy(own.split):
        for epoch in range(EPOCHS):
            frames += _frame(f"epoch {epoch}", stored.epoch(epoch)[own.position][content])
    made = [row for row in rows if row is not own]
    for row in made[:MADE]:
        frames += _frame(
            row.record_id.removeprefix(own.record_id.partition("#")[0]),
            instance.split(row.split, raw=True, columns=[content])[row.position][content],
        )
    if len(made) > MADE:
        notes.append(f"{len(made) - MADE:,} more rows were made of it")
    return Strip(tuple(frames), tuple(notes))


def strip_of_lost(instance: Instance, record_id: str, split: str, file: str | None) -> Strip:
    """The frames of a record of the ledger: its file decoded, or its thumbnail."""
    notes: list[str] = []
    frames: list[Frame] = []
    try:
        if file is not None:
            frames += _decoded(instance, split, file)
    except RefineryError as error:
        notes.append(f"the file is not shown: {error.message}")
    return Strip(tuple(frames or _thumbnail(instance, record_id)), tuple(notes))


def contact_sheet(title: str, note: str, tiles: Sequence[tuple[Any, str]]) -> Image.Image:
    """Pictures of several records with their captions, six in a row; pixels of None are an empty tile."""
    from refinery_beam.plugins.common.canvas import Band, Tile, sheet, shown

    drawn = [Tile(None if pixels is None else shown(pixels), caption) for pixels, caption in tiles]
    return sheet(title, note, [Band("", drawn[start : start + 6]) for start in range(0, len(drawn), 6)])


def stored_pixels(instance: Instance, found: Found) -> Any:
    """The stored content of a row, where it is an array of pixels, else None."""
    content = instance.manifest.image_field
    if content is None:
        return None
    pixels = instance.split(found.split, raw=True, columns=[content])[found.position][content]
    return pixels if getattr(pixels, "ndim", 0) in (2, 3) else None


def drawn_strip(title: str, note: str, frames: Sequence[Frame]) -> Image.Image:
    """The frames side by side, six in a row."""
    return contact_sheet(title, note, [(frame.pixels, frame.caption) for frame in frames])


def _from_file(instance: Instance, split: str, file: str) -> Iterator[Frame]:
    """The raw file decoded, and after each step of its split."""
    from refinery_beam import locations
    from refinery_beam.reading.recorded import Chain

    recorded = instance.recorded
    content = recorded.decode(locations.read(file), split, location=file)
    yield from _frame("decoded", recorded.kind.plain(content))
    chain = recorded.eager(split, strict=False)
    for step in chain.steps:
        content = recorded.run(content, Chain((step,)), record=file)
        yield from _frame(f"after {step.bound.name}", recorded.kind.plain(content))


def _decoded(instance: Instance, split: str, file: str) -> Iterator[Frame]:
    from refinery_beam import locations

    content = instance.recorded.decode(locations.read(file), split, location=file)
    yield from _frame("decoded", instance.recorded.kind.plain(content))


def _thumbnail(instance: Instance, record_id: str) -> Iterator[Frame]:
    for pixels in thumbnails_of(instance.manifest, {record_id}).values():
        yield from _frame("thumbnail", pixels)


def _frame(caption: str, pixels: Any) -> Iterator[Frame]:
    """A frame of content that is an array of pixels; nothing for content of another kind."""
    if getattr(pixels, "ndim", 0) not in (2, 3):
        return
    yield Frame(caption, pixels, str(pixels.dtype), tuple(int(n) for n in pixels.shape))
