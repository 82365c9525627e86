"""What this machine is, as far as it can matter to bytes; stored in every manifest."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

PACKAGES = ("apache-beam", "numpy", "pillow", "pyarrow", "pydantic", "pyyaml")


def environment() -> dict[str, Any]:
    """Python, platform, package versions and codec versions. Nothing that differs between two equal machines: no host, user,
    path or time.
    """
    from PIL import features

    codecs = {name: features.version_codec(name) or "" for name in ("jpg", "zlib", "jpg_2000", "libtiff") if features.check_codec(name)}
    if features.check_module("webp"):
        codecs["webp"] = features.version_module("webp") or ""
    if features.check_feature("libjpeg_turbo"):
        codecs["libjpeg_turbo"] = features.version_feature("libjpeg_turbo") or ""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "codecs": codecs,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
