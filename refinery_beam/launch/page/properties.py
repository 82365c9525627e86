"""Properties of the stored records from facts/records.parquet: histograms by split, frequent values, sizes, means by class.

Rows are read once, in batches, and added up in whole numbers: memory does not grow with the number of records.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.reporting.page import Distribution, Properties, Sizes, Values
from refinery_beam.reporting.page.bounds import STRIPS, VALUES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

RECORDS = "facts/records.parquet"
BINS = 40
CELLS = 28
MOST_VALUES = 10_000
"""Different values of a text that are counted by name."""

_BATCH = 1 << 16


class Number(NamedTuple):
    """A number of the facts: its title, its scale, and its axis: linear from `low` to `high`, or in powers of two where `high` is None."""

    title: str
    scale: int = 1
    low: int = 0
    high: int | None = None
    unit: str = ""


NUMBERS: dict[str, Number] = {
    "aspect": Number("Aspect (width to height)", 1000, 0, 3),
    "bytes": Number("File size", unit="bytes"),
    "bytes_per_pixel": Number("Bytes a pixel", 1000, 0, 4),
    "jpeg_quality": Number("JPEG quality", 1, 0, 100),
    "mean": Number("Brightness (mean of luma)", 100, 0, 255),
    "std": Number("Contrast (deviation of luma)", 100, 0, 128),
    "sharpness": Number("Sharpness (variance of the Laplacian)", 100),
    "entropy": Number("Entropy, bits", 1000, 0, 8),
    "clipped_dark": Number("Clipped to black", 100, 0, 100, "%"),
    "clipped_bright": Number("Clipped to white", 100, 0, 100, "%"),
    "chroma": Number("Colour (greatest chroma)", 1, 0, 255),
}
"""The numbers that are shown, in this order, where an instance has them."""

TEXTS = {"format": "File format", "mode": "Mode of the file", "orientation": "EXIF orientation", "camera": "Camera"}
MEANS = ("width", "height", "bytes", "mean", "std", "sharpness", "entropy")
_COLUMNS = {"width": "width", "height": "height", "bytes": "bytes", "mean": "brightness", "std": "contrast"}


@dataclass
class _Sums:
    counts: dict[str, Array] = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)

    def add(self, split: str, values: Array, bins: Array) -> None:
        import numpy as np

        counted = np.bincount(bins, minlength=BINS)
        self.counts[split] = self.counts.get(split, 0) + counted
        self.least[split] = min(self.least.get(split, int(values[0])), int(values.min()))
        self.most[split] = max(self.most.get(split, int(values[0])), int(values.max()))
        self.total[split] = self.total.get(split, 0) + int(values.sum())
        self.records[split] = self.records.get(split, 0) + len(values)


def read_properties(manifest: Manifest, wanted: Iterable[str] = ()) -> tuple[Properties, dict[str, tuple[str, int]]]:
    """The properties, and of the `wanted` records the split and the position in it, by record id. Empty where the instance has no facts."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if manifest.file(RECORDS) is None:
        return Properties(), {}
    reading = _Reading()
    looked_up = pa.array(sorted(set(wanted)), pa.string())
    found: dict[str, tuple[str, int]] = {}
    before: Counter[str] = Counter()
    with locations.opened(locations.join(manifest.location, RECORDS)) as source, pq.ParquetFile(source) as file:
        names = set(file.schema_arrow.names)
        own = [
            name
            for name in ("split", "label", "width", "height", *NUMBERS, *TEXTS, *(("record_id",) if len(looked_up) else ()))
            if name in names
        ]
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(own))):
            for split in pc.unique(batch.column("split")).to_pylist():
                part = batch.filter(pc.equal(batch.column("split"), split))
                if len(looked_up):
                    ids = part.column("record_id")
                    for position in pc.indices_nonzero(pc.is_in(ids, looked_up)).to_pylist():
                        found[ids[position].as_py()] = (split, before[split] + position)
                before[split] += part.num_rows
                reading.add(split, part)
    return reading.properties(), found


class _Reading:
    def __init__(self) -> None:
        self.numbers: dict[str, _Sums] = {}
        self.texts: dict[str, dict[str, Counter[str]]] = {}
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.labels: dict[str, int] = {}
        self.sums: dict[str, Counter[str]] = {}
        self.formats: dict[str, Counter[str]] = {}

    def add(self, split: str, part: pa.RecordBatch) -> None:
        """Add the rows of one split."""
        import pyarrow.compute as pc

        columns = {name: part.column(name) for name in part.schema.names}
        if {"width", "height"} <= columns.keys():
            self._sizes(columns)
        for name in NUMBERS:
            values = self._values(name, columns)
            if values is not None and len(values):
                self.numbers.setdefault(name, _Sums()).add(split, values, _bins(NUMBERS[name], values))
        for name in TEXTS.keys() & columns.keys():
            known = self.texts.setdefault(name, {})
            for pair in pc.value_counts(columns[name]).to_pylist():
                value = "" if pair["values"] is None else str(pair["values"])
                if value in known or len(known) < MOST_VALUES:
                    known.setdefault(value, Counter())[split] += pair["counts"]
        if "label" in columns:
            self._classes(columns)

    def _sizes(self, columns: Mapping[str, pa.Array]) -> None:
        import numpy as np

        both = np.stack([columns[name].drop_null().to_numpy(zero_copy_only=False) for name in ("width", "height")])
        pairs, counts = np.unique(_cell(both), axis=1, return_counts=True)
        for (width, height), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            self.pairs[width, height] += count

    def _values(self, name: str, columns: Mapping[str, pa.Array]) -> Array | None:
        """The values of a number, without those that are missing; None where the instance has no such number."""
        import numpy as np

        if name in columns:
            found: Array = columns[name].drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
            return found
        if not {"width", "height", "bytes"} <= columns.keys() or any(columns[word].null_count for word in ("width", "height", "bytes")):
            return None
        width, height, size = (columns[word].to_numpy(zero_copy_only=False).astype(np.int64) for word in ("width", "height", "bytes"))
        derived: dict[str, Array] = {
            "aspect": width * 1000 // np.maximum(height, 1),
            "bytes_per_pixel": size * 1000 // np.maximum(width * height, 1),
        }
        return derived.get(name)

    def _classes(self, columns: Mapping[str, pa.Array]) -> None:
        """Sums by label; of more labels than the page has room for, the first that come: rows come in the order of hashes."""
        import pyarrow as pa

        names = [name for name in MEANS if name in columns]
        table = pa.table({name: columns[name] for name in ("label", *names, *(("format",) if "format" in columns else ()))})
        asked: list[tuple[Any, str]] = [("label", "count"), *((name, kind) for name in names for kind in ("sum", "count"))]
        for row in table.group_by("label").aggregate(asked).to_pylist():
            label = "" if row["label"] is None else str(row["label"])
            self.labels[label] = self.labels.get(label, 0) + row["label_count"]
            if label not in self.sums and len(self.sums) >= STRIPS:
                continue
            sums = self.sums.setdefault(label, Counter())
            for name in names:
                sums[name] += row[f"{name}_sum"] or 0
                sums[f"{name}:count"] += row[f"{name}_count"]
        if "format" in columns:
            for row in table.group_by(["label", "format"]).aggregate([("format", "count")]).to_pylist():
                label = "" if row["label"] is None else str(row["label"])
                if label in self.sums and row["format"] is not None:
                    self.formats.setdefault(label, Counter())[row["format"]] += row["format_count"]

    def properties(self) -> Properties:
        """All of it."""
        distributions = [_distribution(name, self.numbers[name]) for name in NUMBERS if name in self.numbers]
        names = [name for name in MEANS if any(sums[f"{name}:count"] for sums in self.sums.values())]
        rows = []
        for label, sums in sorted(self.sums.items()):
            means = [_mean(sums[name], sums[f"{name}:count"], NUMBERS[name].scale if name in NUMBERS else 1) for name in names]
            formats = self.formats.get(label)
            rows.append((label, self.labels[label], [*means, *([_formats(formats)] if self.formats else [])]))
        return Properties(
            distributions=distributions,
            values=[found for name in TEXTS if name in self.texts and (found := _text(name, self.texts[name])) is not None],
            sizes=_grid(self.pairs),
            columns=[*(_COLUMNS.get(name, name) for name in names), *(["format"] if self.formats else [])] if rows else [],
            classes=rows if names else [],
            more_classes=len(self.labels) - len(self.sums),
        )


def _bins(number: Number, values: Array) -> Array:
    import numpy as np

    if number.high is None:
        # Twice the binary logarithm: two bins for every power of two.
        bins: Array = np.clip(np.floor(2 * np.log2(np.maximum(values / number.scale, 1))).astype(np.int64), 0, BINS - 1)
        return bins
    low, high = number.low * number.scale, number.high * number.scale
    bins = np.clip((values - low) * BINS // (high - low + (1 if number.scale == 1 else 0)), 0, BINS - 1)
    return bins


def _distribution(name: str, sums: _Sums) -> Distribution:
    number = NUMBERS[name]
    counts = {split: [int(n) for n in bins] for split, bins in sums.counts.items()}
    ticks = (str(number.low), _short((number.low + (number.high or 0)) / 2), str(number.high))
    if number.high is None:
        # Empty bins at both ends are cut off.
        used = [i for i in range(BINS) if any(bins[i] for bins in counts.values())]
        first, last = used[0], used[-1] + 1
        counts = {split: bins[first:last] for split, bins in counts.items()}
        ticks = (_short(2 ** (first / 2)), _short(2 ** ((first + last) / 4)), _short(2 ** (last / 2)))
    ranges = {
        split: (
            _said(sums.least[split], number.scale),
            _mean(sums.total[split], sums.records[split], number.scale),
            _said(sums.most[split], number.scale),
        )
        for split in counts
    }
    unit = f", {number.unit}" if number.unit else ""
    return Distribution(name, number.title + unit, ticks, counts, ranges)


def _text(name: str, known: Mapping[str, Counter[str]]) -> Values | None:
    """None where every record has one value that says nothing: orientation 1, or no camera."""
    if set(known) <= {"", "1"} and name in ("orientation", "camera"):
        return None
    ranked = sorted(known, key=lambda value: (-sum(known[value].values()), value))
    return Values(name, TEXTS[name], [(value, dict(known[value])) for value in ranked[:VALUES]], len(ranked) - min(VALUES, len(ranked)))


def _cell(values: Array) -> Array:
    """Eighths of powers of two: sizes that differ by less than a tenth are one."""
    import numpy as np

    eighths: Array = np.floor(8 * np.log2(np.maximum(values, 1))).astype(np.int64)
    return eighths


def _grid(pairs: Mapping[tuple[int, int], int]) -> Sizes | None:
    if not pairs:
        return None
    left, right = min(w for w, _ in pairs), max(w for w, _ in pairs)
    low, high = min(h for _, h in pairs), max(h for _, h in pairs)
    span = max(right - left, high - low) + 1
    step = -(-span // CELLS)
    found: Counter[tuple[int, int]] = Counter()
    for (width, height), count in pairs.items():
        found[(width - left) // step, (height - low) // step] += count
    columns, rows = (right - left) // step + 1, (high - low) // step + 1

    def ends(first: int, cells: int) -> tuple[str, str]:
        return _short(math.ceil(2 ** (first / 8))), _short(math.ceil(2 ** ((first + cells * step) / 8)) - 1)

    cells = [(x, y, count) for (x, y), count in sorted(found.items())]
    return Sizes(columns, rows, cells, ends(left, columns), ends(low, rows))


def _mean(total: int, records: int, scale: int) -> str:
    """The mean, rounded half up: one digit behind the point for numbers below 1,000."""
    if not records:
        return "-"
    tenths = (20 * total + records * scale) // (2 * records * scale)
    return f"{tenths // 10:,}" if tenths >= 10_000 or (scale == 1 and tenths % 10 == 0) else f"{tenths // 10:,}.{tenths % 10}"


def _said(value: int, scale: int) -> str:
    if scale == 1:
        return f"{value:,}"
    digits = len(str(scale)) - 1
    return f"{value // scale:,}.{value % scale:0{digits}d}"


def _short(value: float) -> str:
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= unit:
            return f"{value / (1e3 if word == 'k' else unit):.3g}{word}"
    return f"{value:.4g}"


def _formats(counts: Counter[str] | None) -> str:
    if not counts:
        return "-"
    (first, most), *rest = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    total = sum(counts.values())
    return first if not rest else f"{first} {100 * most // total}%"
