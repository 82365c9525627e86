from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

FAR_PAST = 1_500_000_000


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a file below tmp_path (text or bytes; default: bytes made of its own name), old enough for the hint cache."""

    def write(name: str, content: bytes | str | None = None, *, old: bool = True) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = name.encode("utf-8", "surrogateescape") if content is None else content
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        if old:
            os.utime(path, (FAR_PAST, FAR_PAST))
        return path

    return write
