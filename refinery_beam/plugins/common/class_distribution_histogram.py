"""class_distribution_histogram: how many records of each class are in each split, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from refinery_beam.plugins.common.canvas import Bars, bars
from refinery_beam.plugins.ops import OpSpec, Params

if TYPE_CHECKING:
    from PIL.Image import Image

    from refinery_beam.plugins.pictures import PictureView

MOST_BARS = 40
"""How many values are drawn at most: the most frequent ones, with a note of how many there are."""


class ClassDistributionParams(Params):
    """Parameters of class_distribution_histogram."""

    group_by: str | None = Field(default=None, description="The field whose values are counted; default the label.")


class ClassDistributionHistogram:
    """A bar for every class and split. Classes by count, the most frequent first; equal counts by name."""

    spec = OpSpec(
        name="class_distribution_histogram",
        section="Visualizations",
        version=1,
        params=ClassDistributionParams,
        summary="How many records of each class are in each split.",
    )
    needs_pixels = False

    def draw(self, view: PictureView, params: ClassDistributionParams) -> Image:
        """Bars."""
        counts = view.counts(params.group_by)
        total: dict[str, int] = {}
        for by_value in counts.values():
            for value, count in by_value.items():
                total[value] = total.get(value, 0) + count
        order = sorted(total, key=lambda value: (-total[value], value))
        note = f"{sum(total.values()):,} records, {len(order):,} values of {params.group_by or view.label_field}"
        if len(order) > MOST_BARS:
            note += f"; the {MOST_BARS} most frequent"
            order = order[:MOST_BARS]
        series = [Bars(split, [counts[split].get(value, 0) for value in order]) for split in view.splits]
        return bars(view.name, note, order, series)
