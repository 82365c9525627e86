"""A small dataset to draw pictures of, without an instance: for the tests of a picture op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refinery_beam.identity import Stream, digest, record_key
from refinery_beam.plugins.pictures import Shown, Variants

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


class SmallView:
    """A `plugins.pictures.PictureView` of images in memory: every third one is test, classes a and b take turns.

    >>> from refinery_beam.testing.conformance import default_images
    >>> view = SmallView(default_images())
    >>> view.records, view.counts(None)
    (6, {'train': {'a': 2, 'b': 2}, 'test': {'a': 1, 'b': 1}})
    """

    name = "picture"
    splits: tuple[str, ...] = ("train", "test")
    train: tuple[str, ...] = ("train",)
    label_field = "label"
    augmentations: tuple[str, ...] = ("flip",)

    def __init__(self, images: Sequence[Any]) -> None:
        self._rows = [
            Shown(f"s/{i}.png", "test" if i % 3 == 2 else "train", "ab"[i % 2], np.array(image)) for i, image in enumerate(images)
        ]
        self.records = len(self._rows)

    def counts(self, field: str | None) -> Mapping[str, Mapping[str, int]]:
        """Records by split and label."""
        return {s: {v: sum(r.split == s and r.label == v for r in self._rows) for v in "ab"} for s in self.splits}

    def pixels(self, split: str) -> Iterator[tuple[str, Array]]:
        """(label, pixels) of every row of a split."""
        return ((row.label, row.pixels) for row in self._rows if row.split == split)

    def sample(self, n: int, *, per_class: bool, splits: Sequence[str] | None = None, seed: int | None = None) -> list[Shown]:
        """The first `n` rows, of all or of each class."""
        rows = [row for row in self._rows if splits is None or row.split in splits]
        return [row for v in "ab" for row in [r for r in rows if r.label == v][:n]] if per_class else rows[:n]

    def variants(self, n_base: int, n_variants: int, *, seed: int | None = None) -> list[tuple[Shown | None, Variants]]:
        """Rows and their mirror images."""
        made = [(f"epoch {k}", np.s_[:, :: 1 - 2 * (k % 2)]) for k in range(n_variants)]
        return [(row, Variants(row.label, [(name, row.pixels[cut]) for name, cut in made])) for row in self._rows[:n_base]]

    def stream(self, record_id: str, replica: str) -> Stream:
        """Random numbers for a record and a use of them."""
        return Stream(seed=1, op=self.name, key=record_key(record_id), replica=replica)

    def digest(self) -> bytes:
        """A digest of the view's data, to check that a picture did not change it."""
        return digest("view", *(row.pixels.tobytes() for row in self._rows))
