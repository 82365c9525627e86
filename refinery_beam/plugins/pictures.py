"""The protocol of a picture: an op of the section ``Visualizations``, and its view of a dataset.

A picture is drawn from a finished instance, after promotion, from nothing but stored rows. It is a pure function of its view and its
parameters; nothing of it is part of a dataset's key, so editing pictures never rebuilds a dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from refinery_beam.identity import Stream
    from refinery_beam.plugins.ops import OpSpec

    Array = np.ndarray[Any, Any]


class Shown(NamedTuple):
    """A stored row to draw: its label ('' where it has none) and its pixels as stored, before the deferred tail."""

    record_id: str
    split: str
    label: str
    pixels: Array


class Variants(NamedTuple):
    """The variants of one record under augmentation: (caption, pixels) of each."""

    label: str
    images: Sequence[tuple[str, Array]]


class PictureView(Protocol):
    """A dataset as pictures see it. ``name`` is the picture's own, ``train`` the splits whose name is train, or else the first."""

    name: str
    splits: tuple[str, ...]
    train: tuple[str, ...]
    label_field: str
    records: int
    augmentations: tuple[str, ...]

    def counts(self, field: str | None) -> Mapping[str, Mapping[str, int]]:
        """Records by split and value of a field, as text; None is the label. Records without a value count as '(none)'."""

    def pixels(self, split: str) -> Iterator[tuple[str, Array]]:
        """(label, pixels) of every row of a split, in stored order, one at a time."""

    def sample(self, n: int, *, per_class: bool, splits: Sequence[str] | None = None, seed: int | None = None) -> list[Shown]:
        """The `n` records of lowest seeded rank, of all or of each class, in order of class and rank."""

    def variants(self, n_base: int, n_variants: int, *, seed: int | None = None) -> list[tuple[Shown | None, Variants]]:
        """Records of the augmented splits and their variants: lazy ones as in the first epochs, aggressive ones as they are stored."""

    def stream(self, record_id: str, replica: str) -> Stream:
        """Random numbers of this picture for a record and a use of them."""


@runtime_checkable
class PictureOp(Protocol):
    """Draws one picture. ``needs_pixels``: the recipe must store images. A ValueError says why the picture cannot be drawn."""

    needs_pixels: bool

    @property
    def spec(self) -> OpSpec: ...

    def draw(self, view: PictureView, params: Any) -> Image: ...
