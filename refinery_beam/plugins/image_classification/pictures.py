"""The pictures of a dataset that a recipe can ask for. They look at stored rows through a `PictureView`, and give one Pillow image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.common.canvas import (
    CHANNEL_NAMES,
    CHANNELS,
    Band,
    Panel,
    Tile,
    curves,
    sheet,
    shown,
)
from refinery_beam.plugins.image_classification.ops.corruptions import corrupt
from refinery_beam.plugins.image_classification.ops.generate import NAMES
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import OpSpec, Params

if TYPE_CHECKING:
    from PIL.Image import Image

    from refinery_beam.plugins.pictures import PictureView, Shown

MOST_BANDS = 50
"""Of more classes than this the first are drawn, and the note says how many there are."""

Count = Annotated[int, Field(strict=True, ge=1, le=64)]


class SampleGridParams(Params):
    """Parameters of sample_grid."""

    n: Count = Field(default=16, description="How many images; with per_class, how many of each class.")
    per_class: bool = Field(default=False, strict=True, description="A row of images for each class.")


class MeanImageParams(Params):
    """mean_image_per_class has no parameters."""


class PixelDistributionParams(Params):
    """Parameters of pixel_distribution."""

    bins: Annotated[int, Field(strict=True, ge=1, le=256)] = Field(default=64, description="How many bins, 1 to 256.")
    splits: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(default=None, description="Which splits; default all.")


class AugmentedGridParams(Params):
    """Parameters of augmented_sample_grid."""

    n_base: Count = Field(default=4, description="How many records.")
    n_variants: Count = Field(default=5, description="How many variants of each.")
    seed: Annotated[int, Field(strict=True)] | None = Field(default=None, description="Chooses other records; default the master seed.")


def _known(value: str) -> str:
    if value not in NAMES:
        raise ValueError(f"there is no corruption {value!r}; {did_you_mean(value, NAMES) or 'known: ' + ', '.join(NAMES)}")
    return value


class CorruptionGridParams(Params):
    """Parameters of corruption_severity_grid."""

    n_images: Count = Field(default=1, description="How many images.")
    corruption_types: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Which corruptions.")
    severities: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=5)], ...], Field(min_length=1)] = Field(
        default=(1, 2, 3, 4, 5), description="How strong, 1 to 5."
    )

    @field_validator("corruption_types")
    @classmethod
    def _types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known(name) for name in value)


class SeverityLadderParams(Params):
    """Parameters of severity_ladder."""

    n_examples: Count = Field(default=4, description="How many images.")
    corruption_type: str = Field(description="Which corruption.")

    @field_validator("corruption_type")
    @classmethod
    def _type(cls, value: str) -> str:
        return _known(value)


class SampleGrid:
    """Stored images, sampled by seeded rank."""

    spec = OpSpec(
        name="sample_grid",
        section="Visualizations",
        version=1,
        params=SampleGridParams,
        summary="Images as they are stored, some of all or some of each class.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: SampleGridParams) -> Image:
        """Tiles: a row for each class, or rows of eight."""
        rows = view.sample(params.n, per_class=params.per_class)
        if not params.per_class:
            tiles = [Tile(shown(row.pixels), row.label) for row in rows]
            bands = [Band("", tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
            return sheet(view.name, f"{len(tiles)} of {view.records:,} records, by seeded rank", bands)
        by_class: dict[str, list[Tile]] = {}
        for row in rows:
            by_class.setdefault(row.label, []).append(Tile(shown(row.pixels), row.split))
        note = f"{params.n} of each of {len(by_class):,} classes, by seeded rank"
        return sheet(view.name, note, _capped([Band(label, tiles) for label, tiles in sorted(by_class.items())]))


class MeanImagePerClass:
    """The mean of all stored images of a class, from exact sums. Images of unequal size are brought to the first one's."""

    spec = OpSpec(
        name="mean_image_per_class",
        section="Visualizations",
        version=1,
        params=MeanImageParams,
        summary="The mean of the images of each class.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: MeanImageParams) -> Image:
        """Tiles, eight in a row."""
        import numpy as np
        from PIL import Image as Pillow

        sums: dict[str, tuple[int, Any]] = {}
        size: tuple[int, ...] | None = None
        for split in view.splits:
            for label, pixels in view.pixels(split):
                array = shown(pixels)
                plain = array.reshape(array.shape[:2]) if array.ndim == 3 and array.shape[2] == 1 else array
                size = size or plain.shape[:2]
                if plain.shape[:2] != size:
                    plain = np.asarray(Pillow.fromarray(plain).resize((size[1], size[0]), Pillow.Resampling.BILINEAR))
                rgb = np.asarray(Pillow.fromarray(plain).convert("RGB")).astype(np.int64)
                count, total = sums.get(label, (0, 0))
                sums[label] = (count + 1, total + rgb)
        tiles = [
            Tile(((2 * total + count) // (2 * count)).astype(np.uint8), f"{label} ({count:,})")
            for label, (count, total) in sorted(sums.items())
        ]
        kept = tiles[: MOST_BANDS * 8]
        note = f"{view.records:,} records, {len(tiles):,} classes" + (f"; the first {len(kept)}" if len(kept) < len(tiles) else "")
        return sheet(view.name, note, [Band("", kept[i : i + 8]) for i in range(0, len(kept), 8)])


class PixelDistribution:
    """The share of pixels in each bin, channel by channel, a panel for each split. 8-bit values from 0 to 255, others over their range."""

    spec = OpSpec(
        name="pixel_distribution",
        section="Visualizations",
        version=1,
        params=PixelDistributionParams,
        summary="How pixel values are distributed in each split.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: PixelDistributionParams) -> Image:
        """Curves."""
        splits = [s for s in view.splits if params.splits is None or s in params.splits]
        low, high = self._range(view, splits)
        panels = [self._panel(view, split, params.bins, low, high) for split in splits]
        return curves(view.name, f"share of pixel values in {params.bins} bins, each split on its own scale", panels)

    def _range(self, view: PictureView, splits: Sequence[str]) -> tuple[float, float]:
        import numpy as np

        low, high = float("inf"), float("-inf")
        for split in splits:
            for _, pixels in view.pixels(split):
                if pixels.dtype == np.uint8:
                    return 0.0, 255.0
                low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
        return (low, high) if low < high else (low, low + 1.0) if low != float("inf") else (0.0, 255.0)

    def _panel(self, view: PictureView, split: str, bins: int, low: float, high: float) -> Panel:
        import numpy as np

        totals: dict[int, Any] = {}
        count = 0
        for _, pixels in view.pixels(split):
            planes = pixels.reshape(*pixels.shape[:2], -1)
            # Whole numbers fall into bins by whole numbers; the last bin holds the greatest value too.
            bin_of = ((planes.astype(np.float64) - low) * bins / (high - low + (1.0 if pixels.dtype == np.uint8 else 0.0))).astype(np.int64)
            bin_of = np.minimum(bin_of, bins - 1)
            for channel in range(planes.shape[2]):
                counted = np.bincount(bin_of[:, :, channel].reshape(-1), minlength=bins)
                totals[channel] = totals.get(channel, 0) + counted
            count += 1
        names = CHANNEL_NAMES.get(len(totals), tuple(f"channel {i}" for i in range(len(totals))))
        colours = CHANNELS.get(len(totals), ("#000000",) * len(totals))
        lines = [(names[c], colours[c], [float(n) / float(t.sum()) for n in t]) for c, t in sorted(totals.items())]
        return Panel(f"{split}, {count:,} records", lines, low, high)


class AugmentedSampleGrid:
    """What training sees: a stored image and its lazy variants of the first epochs; of aggressive ones, the stored variants."""

    spec = OpSpec(
        name="augmented_sample_grid",
        section="Visualizations",
        version=1,
        params=AugmentedGridParams,
        summary="Records beside the variants that augmentation makes of them.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: AugmentedGridParams) -> Image:
        """A row of tiles for each record."""
        bands = []
        for row, variants in view.variants(params.n_base, params.n_variants, seed=params.seed):
            first = [Tile(shown(row.pixels), "stored")] if row is not None else []
            bands.append(Band(variants.label, [*first, *(Tile(shown(p), name) for name, p in variants.images)]))
        names = ", ".join(view.augmentations) or "no augmentations"
        return sheet(view.name, names, bands)


class CorruptionSeverityGrid:
    """Stored train images under corruptions: a row for each image and corruption, a column for each severity."""

    spec = OpSpec(
        name="corruption_severity_grid",
        section="Visualizations",
        version=2,
        params=CorruptionGridParams,
        summary="Images under chosen corruptions and severities.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: CorruptionGridParams) -> Image:
        """Tiles."""
        rows = view.sample(params.n_images, per_class=False, splits=view.train)
        bands = [_ladder(view, row, kind, params.severities, caption=kind) for row in rows for kind in params.corruption_types]
        return sheet(view.name, f"{len(rows)} of train, by seeded rank; columns are severities", bands)


class SeverityLadder:
    """Stored train images under one corruption, from none to the strongest."""

    spec = OpSpec(
        name="severity_ladder",
        section="Visualizations",
        version=2,
        params=SeverityLadderParams,
        summary="Images under one corruption at its five severities.",
    )
    needs_pixels = True

    def draw(self, view: PictureView, params: SeverityLadderParams) -> Image:
        """Tiles."""
        rows = view.sample(params.n_examples, per_class=False, splits=view.train)
        bands = [_ladder(view, row, params.corruption_type, (1, 2, 3, 4, 5), caption=row.label) for row in rows]
        return sheet(view.name, f"{params.corruption_type}, severities 1 to 5", bands)


def _ladder(view: PictureView, row: Shown, kind: str, severities: Sequence[int], *, caption: str) -> Band:
    stored = shown(row.pixels)
    tiles = [Tile(stored, "stored")]
    for severity in severities:
        try:
            done = corrupt(stored, kind, severity, view.stream(row.record_id, f"{kind}:{severity}"))
        except BadRecord as error:
            raise ValueError(error.detail) from error
        tiles.append(Tile(as_array(done), f"severity {severity}"))
    return Band(caption, tiles)


def _capped(bands: Sequence[Band]) -> Sequence[Band]:
    if len(bands) <= MOST_BANDS:
        return bands
    return [*bands[:MOST_BANDS], Band(f"and {len(bands) - MOST_BANDS:,} more", ())]


PICTURES: Mapping[str, Any] = {
    op.spec.name: op
    for op in (
        SampleGrid(),
        MeanImagePerClass(),
        PixelDistribution(),
        AugmentedSampleGrid(),
        CorruptionSeverityGrid(),
        SeverityLadder(),
    )
}
