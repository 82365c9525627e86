"""The view that pictures get of an instance: counts, pixels, records sampled by rank, and their augmented variants. Rows as stored."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refinery_beam.identity import Stream, rank, record_key
from refinery_beam.plugins.pictures import Shown, Variants
from refinery_beam.reading.instance import Instance

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NO_VALUE = "(none)"
DOMAIN = "picture"


class View:
    """A `plugins.pictures.PictureView` of one instance for the picture `name`. Needs memory for one row group and the sampled rows."""

    def __init__(self, instance: Instance, *, name: str, seed: int) -> None:
        raw = instance.manifest.raw
        self.name = name
        self.splits = instance.splits
        self.train = ("train",) if "train" in self.splits else self.splits[:1]
        self.label_field = str(raw["label_field"])
        self.records = sum(instance.counts.values())
        self.augmentations = tuple(entry["name"] for entry in raw["augmentations"])
        self._lazy = [s for s in self.splits if any(e["materialization"] == "lazy" and s in e["splits"] for e in raw["augmentations"])]
        self._stored = [s for s in self.splits if any(e["materialization"] != "lazy" and s in e["splits"] for e in raw["augmentations"])]
        self._instance = instance
        self._content = instance.manifest.image_field or ""
        self._seed = seed

    def counts(self, field: str | None) -> Mapping[str, Mapping[str, int]]:
        """Records by split and value of a field, as text; None is the label."""
        name = field or self.label_field
        found: dict[str, Mapping[str, int]] = {}
        for split in self.splits:
            counts = Counter(_text(row.get(name)) for row in self._instance.split(split, raw=True, columns=[name]))
            found[split] = dict(sorted(counts.items()))
        return found

    def pixels(self, split: str) -> Iterator[tuple[str, Array]]:
        """(label, pixels) of every row of a split, in stored order."""
        for row in self._instance.split(split, raw=True, columns=[self._content, self.label_field]):
            yield _text(row.get(self.label_field)), row[self._content]

    def sample(self, n: int, *, per_class: bool, splits: Sequence[str] | None = None, seed: int | None = None) -> list[Shown]:
        """The `n` records of lowest seeded rank, of all or of each class, in order of class and rank."""
        return [shown for shown, _ in self._sampled(n, per_class=per_class, splits=splits, seed=seed)]

    def _sampled(self, n: int, *, per_class: bool, splits: Sequence[str] | None, seed: int | None) -> list[tuple[Shown, int]]:
        heaps: dict[str, list[tuple[int, str, str, int, str]]] = {}
        for split in splits if splits is not None else self.splits:
            for index, row in enumerate(self._instance.split(split, raw=True, columns=[self.label_field])):
                label = _text(row.get(self.label_field))
                # heapq keeps the smallest on top: of negated ranks that is the first to go.
                entry = (-self._rank(row["record_id"], seed), row["record_id"], split, index, label)
                heap = heaps.setdefault(label if per_class else "", [])
                if len(heap) < n:
                    heapq.heappush(heap, entry)
                else:
                    heapq.heappushpop(heap, entry)
        found = []
        for _, heap in sorted(heaps.items()):
            for _, record_id, split, index, label in sorted(heap, key=lambda e: (-e[0], e[1])):
                pixels = self._instance.split(split, raw=True, columns=[self._content])[index][self._content]
                found.append((Shown(record_id, split, label, pixels), index))
        return found

    def _rank(self, record_id: str, seed: int | None) -> int:
        return rank(DOMAIN, self._seed if seed is None else seed, self.name, record_key(record_id))

    def variants(self, n_base: int, n_variants: int, *, seed: int | None = None) -> list[tuple[Shown | None, Variants]]:
        """Records and their variants: lazy augmentations as in the first epochs, aggressive ones as stored.

        Raises ValueError when the recipe augments nothing.
        """
        if self._stored:
            return self._stored_variants(n_base, n_variants, seed)
        if not self._lazy:
            raise ValueError("the recipe has no augmentations")
        found: list[tuple[Shown | None, Variants]] = []
        for base, index in self._sampled(n_base, per_class=False, splits=self._lazy, seed=seed):
            reader = self._instance.split(base.split, raw=True, columns=[self._content])
            images = [(f"epoch {number}", reader.epoch(number)[index][self._content]) for number in range(n_variants)]
            found.append((base, Variants(base.label, images)))
        return found

    def _stored_variants(self, n_base: int, n_variants: int, seed: int | None) -> list[tuple[Shown | None, Variants]]:
        made: dict[str, list[tuple[str, int, str]]] = {}
        labels: dict[str, str] = {}
        for split in self._stored:
            for index, row in enumerate(self._instance.split(split, raw=True, columns=[self.label_field])):
                parent, _, variant = row["record_id"].rpartition("#")
                made.setdefault(parent or row["record_id"], []).append((split, index, variant))
                labels[parent or row["record_id"]] = _text(row.get(self.label_field))
        ranked = sorted(made, key=lambda parent: (self._rank(parent, seed), parent))
        found: list[tuple[Shown | None, Variants]] = []
        for parent in ranked[:n_base]:
            images = []
            for split, index, variant in sorted(made[parent], key=lambda m: m[2])[:n_variants]:
                images.append((variant, self._instance.split(split, raw=True, columns=[self._content])[index][self._content]))
            found.append((None, Variants(labels[parent], images)))
        return found

    def stream(self, record_id: str, replica: str) -> Stream:
        """Random numbers of this picture for a record and a use of them."""
        return Stream(seed=self._seed, op=self.name, key=record_key(record_id), replica=replica, domain=DOMAIN)


def _text(value: Any) -> str:
    return NO_VALUE if value is None else str(value)
