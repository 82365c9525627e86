"""Charts as SVG of whole numbers: no text inside, so they stretch with the page. Colours are classes, which the style sheet knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDE, HIGH = 400, 100
"""The units of a chart."""

_SVG = Markup('<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>')
_LABELLED, _HIDDEN = Markup('role="img" aria-label="{}"'), Markup('aria-hidden="true"')
"""A chart says what it shows, or repeats numbers that stand beside it."""
_RECT = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
_PATH = Markup('<path class="{}" d="{}"/>')


def stacked(parts: Sequence[tuple[str, int]], whole: int, words: str) -> Markup:
    """One bar of (class, amount) beside each other, on a scale that ends at `whole`."""
    at, found = 0, []
    for name, amount in parts:
        # Both ends are rounded, not the length: parts then touch.
        left, right = _scaled(at, whole, 1000), _scaled(at + amount, whole, 1000)
        at += amount
        if amount:
            found.append(_RECT.format(name, left, 0, max(right - left, 2), 10))
    return _SVG.format("bar", 1000, 10, _said(words), Markup().join(found))


def steps(series: Sequence[tuple[str, Sequence[int]]], words: str) -> Markup:
    """Histograms over each other as outlines, each with its own scale: what is compared is their form."""
    return _SVG.format("chart", WIDE, HIGH, _said(words), Markup().join(_PATH.format(name, _outline(counts)) for name, counts in series))


def areas(series: Mapping[str, Sequence[int]], words: str) -> Markup:
    """Histograms of channels over each other on one scale, each the class of its channel."""
    folded = {name: _folded(counts, 128) for name, counts in series.items()}
    # The two ends are left out of the scale: clipped values would flatten everything else.
    most = max((max(counts[1:-1], default=0) for counts in folded.values()), default=0)
    return _SVG.format(
        "chart",
        WIDE,
        HIGH,
        _said(words),
        Markup().join(_PATH.format(f"area {name}", _outline(counts, most)) for name, counts in folded.items()),
    )


def cells(columns: int, rows: int, counts: Sequence[tuple[int, int, int]], words: str) -> Markup:
    """A map of counts: the more, the darker, in eight tones by orders of two."""
    most = max((n for _, _, n in counts), default=1).bit_length()
    found = [
        _RECT.format(f"tone{max(1, _scaled(n.bit_length(), most, 8))}", x * 10, (rows - 1 - y) * 10, 10, 10) for x, y, n in counts if n
    ]
    return _SVG.format("map", columns * 10, rows * 10, _said(words), Markup().join(found))


def ranked(values: Sequence[int], words: str) -> Markup:
    """Values from the greatest to the least, as an area from zero."""
    return _SVG.format(
        "chart", WIDE, HIGH, _said(words), _PATH.format("area s0", _outline(_folded_means(sorted(values, reverse=True), 200)))
    )


def _said(words: str) -> Markup:
    return _LABELLED.format(words) if words else _HIDDEN


def _outline(counts: Sequence[int], most: int = 0) -> str:
    """The steps of a histogram as a closed path."""
    most = most or max(counts, default=0)
    width = len(counts)
    points = [f"M0 {HIGH}"]
    for i, count in enumerate(counts):
        y = HIGH - min(HIGH, _scaled(count, most, HIGH - 4))
        points.append(f"V{y}H{_scaled(i + 1, width, WIDE)}")
    return "".join([*points, f"V{HIGH}Z"])


def _folded(counts: Sequence[int], most: int) -> list[int]:
    """Neighbouring bins added up until there are at most `most`."""
    size = -(-len(counts) // most) or 1
    return [sum(counts[i : i + size]) for i in range(0, len(counts), size)]


def _folded_means(values: Sequence[int], most: int) -> list[int]:
    size = -(-len(values) // most) or 1
    return [sum(values[i : i + size]) // len(values[i : i + size]) for i in range(0, len(values), size)]


def _scaled(amount: int, whole: int, units: int) -> int:
    """`amount` of `whole` in units, rounded half up."""
    return (2 * amount * units + whole) // (2 * whole) if whole else 0
