"""The ways to run a recipe in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.run import run_with
from support.recipes import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a recipe with a cache of the test's own."""

    def go(recipe: Path, *, cache: str = "cache", **settings: Any) -> RunResult:
        return run_with(recipe, Settings(cache_root=str(tmp_path / cache), **settings))

    return go
