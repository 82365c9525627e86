"""The labels of an instance: their frozen order, and the number of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refinery_beam.cache import Manifest

LABEL_ID = "label_id"
"""The field that readers add where it is asked for."""

NO_LABEL = -1
"""The number of a record without a label."""


def classes_of(manifest: Manifest) -> tuple[str, ...]:
    """The labels of all splits, each once, as text in the order of code points. Their positions are the label ids."""
    by_split: Mapping[str, Mapping[str, int]] = manifest.raw.get("classes", {})
    return tuple(sorted({label for labels in by_split.values() for label in labels if label}))


class LabelIds:
    """Label ids of values as rows hold them."""

    def __init__(self, manifest: Manifest) -> None:
        self._ids = {label: number for number, label in enumerate(classes_of(manifest))}

    def __call__(self, label: Any) -> int:
        """The id of a label, -1 where there is none."""
        return NO_LABEL if label is None else self._ids.get(str(label), NO_LABEL)
