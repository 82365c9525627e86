"""Small pictures of records, which the write pass kept of some: no raw file is read for them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.columns import batches, opened

if TYPE_CHECKING:
    import numpy.typing as npt

THUMBNAILS = "facts/thumbnails.parquet"


def thumbnails_of(manifest: Manifest, wanted: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """The pixels of the thumbnails of those records that have one, by record id; none where an instance keeps no facts."""
    import io

    import numpy as np
    from PIL import Image

    found: dict[str, npt.NDArray[Any]] = {}
    if manifest.file(THUMBNAILS) is None or not wanted:
        return found
    with ExitStack() as stack:
        file = opened(stack, manifest, THUMBNAILS)
        for batch in batches(file, ["record_id", "jpeg"], locations.join(manifest.location, THUMBNAILS), rows=512):
            for record_id, jpeg in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
                if record_id in wanted:
                    found[record_id] = np.asarray(Image.open(io.BytesIO(jpeg.as_py())).convert("RGB"))
    return found
