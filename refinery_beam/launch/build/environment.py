"""The facts about this machine that can matter to bytes; stored in every manifest."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Any

from refinery_beam.job.versions import RECORDED, package_version


def environment(codecs: Mapping[str, str]) -> dict[str, Any]:
    """Python, platform, package versions and the versions of the kind's codecs. Nothing that differs between two equal machines: no host,
    user, path or time.
    """
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": {name: package_version(name) or "" for name in RECORDED},
        "codecs": dict(codecs),
    }
