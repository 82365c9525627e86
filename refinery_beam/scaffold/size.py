"""The size that pictures are resized to."""

from __future__ import annotations

import os

from refinery_beam.plugins.base import BadRecord
from refinery_beam.scaffold.survey import Folder, images_kind

_TRIED = 50


def usual_size(top: Folder, path: str) -> int:
    """A side: 224, or less where the first readable picture below a path is smaller; a multiple of 16."""
    kind = images_kind()
    begin = path.rstrip("/") + "/"
    inside = [folder for folder in top.walk() if (folder.path.rstrip("/") + "/").startswith(begin)]
    for location in [os.path.join(folder.path, name) for folder in inside for name in folder.images[:3]][:_TRIED]:
        try:
            with open(location, "rb") as file:
                header = kind.header(file.read(), kind.policy(), kind.limits())
        except (OSError, BadRecord):
            continue
        return max(16, min(224, int(min(header["width"], header["height"])) // 16 * 16))
    return 224
