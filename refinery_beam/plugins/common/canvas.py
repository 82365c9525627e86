"""Draws pictures of a dataset: sheets of tiles, bars, curves. Uses only Pillow, so the same Pillow draws the same bytes.

All pictures share one style: dark ink on white, a light ground under tiles, the eight colours of Okabe and Ito (2008), which people with
any colour vision tell apart. Text is the font that comes inside Pillow; a character that it lacks becomes a box, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    Array = np.ndarray[Any, Any]
    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK, MUTED, LINE, GROUND, PAPER = "#1a1a1a", "#6b6b6b", "#d4d4d4", "#f1f1f1", "#ffffff"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
CHANNELS = {1: ("#000000",), 3: ("#D55E00", "#009E73", "#0072B2"), 4: ("#D55E00", "#009E73", "#0072B2", "#6b6b6b")}
CHANNEL_NAMES = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
SIDE = 112
"""The side of a tile in pixels."""

_MARGIN, _GAP, _TITLE, _TEXT = 24, 8, 20, 13


class Tile(NamedTuple):
    """One image of a sheet, and the caption below it ('' for none). An image of None is an empty tile with the caption inside."""

    pixels: Array | None
    caption: str = ""


class Band(NamedTuple):
    """A row of tiles, and the caption left of it ('' in every band: no left column)."""

    caption: str
    tiles: Sequence[Tile]


class Bars(NamedTuple):
    """The values of one series, one for each group; its name stands in the legend."""

    name: str
    values: Sequence[int]


class Panel(NamedTuple):
    """Curves over one axis: (name, colour, values), values being shares of bins from `low` to `high`."""

    title: str
    curves: Sequence[tuple[str, str, Sequence[float]]]
    low: float
    high: float


def sheet(title: str, note: str, bands: Sequence[Band]) -> Image.Image:
    """Bands of tiles below each other."""
    small = _font(_TEXT)
    left = max((min(180, round(small.getlength(band.caption))) + 12 for band in bands if band.caption), default=0)
    below = 18 if any(tile.caption for band in bands for tile in band.tiles) else 0
    columns = max((len(band.tiles) for band in bands), default=1)
    step = SIDE + _GAP
    width = max(_MARGIN * 2 + left + columns * step - _GAP, _needed(title, note))
    image, pen, top = _page(title, note, width, len(bands) * (step + below) - _GAP)
    for band in bands:
        _text(pen, (_MARGIN, top + SIDE // 2 - _TEXT), band.caption, small, INK, left - 12)
        for i, tile in enumerate(band.tiles):
            x = _MARGIN + left + i * step
            pen.rectangle((x, top, x + SIDE - 1, top + SIDE - 1), fill=GROUND)
            if tile.pixels is not None:
                shown = _fitted(tile.pixels)
                image.paste(shown, (x + (SIDE - shown.width) // 2, top + (SIDE - shown.height) // 2))
            _text(pen, (x, top + SIDE + 1), tile.caption, small, MUTED, SIDE)
        top += step + below
    return image


def bars(title: str, note: str, groups: Sequence[str], series: Sequence[Bars]) -> Image.Image:
    """A horizontal bar for each group and series, with its number. Every bar starts at zero."""
    small = _font(_TEXT)
    left = max((min(220, round(small.getlength(group))) for group in groups), default=0) + 12
    most = max((value for row in series for value in row.values), default=0)
    thick = 16 if len(series) == 1 else 13
    tall = thick * len(series) + 10
    right = round(small.getlength(f"{most:,}")) + 12
    wide = 420
    width = max(_MARGIN * 2 + left + wide + right, _needed(title, note))
    legend = 26 if len(series) > 1 else 0
    image, pen, top = _page(title, note, width, legend + tall * max(1, len(groups)))
    if legend:
        _legend(pen, (_MARGIN + left, top), [(row.name, COLOURS[i % len(COLOURS)]) for i, row in enumerate(series)], small)
    top += legend
    start = _MARGIN + left
    for g, group in enumerate(groups):
        y = top + g * tall
        _text(pen, (_MARGIN, y + (tall - 10 - _TEXT) // 2 - 2), group, small, INK, left - 12)
        for i, row in enumerate(series):
            length = wide * row.values[g] // most if most else 0
            at = y + i * thick
            if length:
                pen.rectangle((start, at, start + length - 1, at + thick - 3), fill=COLOURS[i % len(COLOURS)])
            _text(pen, (start + length + 6, at - 2), f"{row.values[g]:,}", small, MUTED, right)
    pen.line((start - 1, top - 2, start - 1, top + tall * len(groups) - 8), fill=INK)
    return image


def curves(title: str, note: str, panels: Sequence[Panel]) -> Image.Image:
    """Panels below each other, each with its own height scale; an axis with five ticks under each."""
    small = _font(_TEXT)
    wide, tall, each = 560, 150, 150 + 58
    width = max(_MARGIN * 2 + wide, _needed(title, note))
    image, pen, top = _page(title, note, width, each * max(1, len(panels)))
    for panel in panels:
        _text(pen, (_MARGIN, top), panel.title, small, INK, wide // 2)
        _legend(pen, (_MARGIN + wide - 210, top), [(name, colour) for name, colour, _ in panel.curves], small)
        high, base = top + 22, top + 22 + tall
        pen.line((_MARGIN, base, _MARGIN + wide, base), fill=INK)
        peak = max((value for _, _, values in panel.curves for value in values), default=0.0)
        for i in range(5):
            x = _MARGIN + wide * i // 4
            pen.line((x, high, x, base + 4), fill=LINE)
            value = panel.low + (panel.high - panel.low) * i / 4
            text = f"{value:.0f}" if panel.high - panel.low > 20 else f"{value:.3g}"
            _text(pen, (min(x, _MARGIN + wide - round(small.getlength(text))), base + 5), text, small, MUTED, 90)
        for _, colour, values in panel.curves:
            points: list[tuple[float, float]] = []
            for i, value in enumerate(values):
                y = base - (tall * value / peak if peak else 0)
                points += [(_MARGIN + wide * i / len(values), y), (_MARGIN + wide * (i + 1) / len(values), y)]
            if points:
                pen.line(points, fill=colour, width=2)
        top += each
    return image


def shown(array: Array) -> Array:
    """Pixels as 8-bit values for a picture: 8-bit pixels unchanged, others stretched from their least value to their greatest."""
    import numpy as np

    if array.dtype == np.uint8:
        return array
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.full(array.shape, 128, np.uint8)
    return np.clip(np.nan_to_num((values - low) * 255.0 / (high - low)), 0, 255).astype(np.uint8)


def _page(title: str, note: str, width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    from PIL import Image, ImageDraw

    head = _MARGIN + 26 + (22 if note else 4)
    image = Image.new("RGB", (width, head + max(height, SIDE // 4) + _MARGIN), PAPER)
    pen = ImageDraw.Draw(image)
    _text(pen, (_MARGIN, _MARGIN - 6), title, _font(_TITLE), INK, width - 2 * _MARGIN)
    _text(pen, (_MARGIN, _MARGIN + 20), note, _font(_TEXT), MUTED, width - 2 * _MARGIN)
    return image, pen, head


def _legend(pen: ImageDraw.ImageDraw, at: tuple[int, int], entries: Sequence[tuple[str, str]], font: Any) -> None:
    x, y = at
    for name, colour in entries:
        pen.rectangle((x, y + 3, x + 10, y + 13), fill=colour)
        _text(pen, (x + 15, y), name, font, INK, 90)
        x += 15 + min(90, round(font.getlength(name))) + 14


def _fitted(pixels: Array) -> Image.Image:
    """A tile's image: small ones enlarged by whole numbers, so that their pixels stay visible; large ones reduced."""
    from PIL import Image

    plain = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    image = Image.fromarray(plain)
    if image.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", image.size, PAPER)
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    image = image.convert("RGB")
    longest = max(image.size)
    if longest > SIDE:
        scaled = (max(1, image.width * SIDE // longest), max(1, image.height * SIDE // longest))
        return image.resize(scaled, Image.Resampling.LANCZOS)
    times = SIDE // longest
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST) if times > 1 else image


def _text(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, font: Any, colour: str, width: int) -> None:
    """One line, cut with an ellipsis where it would be too long."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    if line and font.getlength(line) > width:
        while line and font.getlength(line + "...") > width:
            line = line[:-1]
        line += "..."
    if line:
        pen.text(at, line, font=font, fill=colour)


def _needed(title: str, note: str) -> int:
    """The width that title and note need, up to a limit."""
    wide = max(_font(_TITLE).getlength(title), _font(_TEXT).getlength(note))
    return min(900, int(wide) + 2 * _MARGIN + 5)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
