"""Small plugins as text, and recipes that use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HALVE = '''
from collections.abc import Mapping
from typing import Any

from refinery_beam.plugins.base import ArrayType, Extension, LoaderFile, OpSpec, Params
from refinery_beam.plugins.image_classification.pixels import as_array

from ._amount import AMOUNT


class HalveParams(Params):
    by: int = 2


class Halve:
    spec = OpSpec(
        name="halve", section="Transformations", version=3, params=HalveParams, summary="Divide every value.", pixel_altering=True
    )

    def infer(self, before: ArrayType, params: HalveParams) -> ArrayType:
        return before

    def apply(self, pixels: Any, params: HalveParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Any:
        return as_array(pixels) // params.by + AMOUNT


class PpmFolder:
    """Folders of P6 files."""

    source_type = "ppm_folder"
    version = 2

    def files(self, root: str) -> list[LoaderFile]:
        from pathlib import Path

        found = Path(root).glob("*/*.rawppm")
        return [LoaderFile(p.relative_to(root).as_posix(), label=p.parent.name) for p in found]

    def decode(self, data: bytes, *, mode: str) -> Any:
        import numpy as np

        magic, size, depth, body = data.split(b"\\n", 3)
        if magic != b"P6":
            raise ValueError("no P6 file")
        width, height = (int(n) for n in size.split())
        return np.frombuffer(body, np.uint8).reshape(height, width, 3)


PLUGIN = Extension(name="halving", version=1, ops=[Halve()], loaders=[PpmFolder()])
'''


@pytest.fixture
def halving(tmp_path: Path) -> Path:
    """A folder of a plugin of two modules: the op `halve` and the loader `ppm_folder`."""
    folder = tmp_path / "plugin_folder"
    folder.mkdir()
    (folder / "halving.py").write_text(HALVE)
    (folder / "_amount.py").write_text("AMOUNT = 1\n")
    return folder


Cli = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in a process of its own: (exit code, JSON on stdout, stderr)."""

    def call(*arguments: object, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
        command = [sys.executable, "-m", "refinery_beam", *map(str, arguments), "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, timeout=200
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr

    return call
