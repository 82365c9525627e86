"""`init` for tests, and settings with a cache root of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refinery_beam.launch import Settings
from refinery_beam.launch.init import InitResult
from refinery_beam.launch.init import init as write_recipe


def scaffold(folder: str, recipe: str, **options: Any) -> InitResult:
    return write_recipe(folder, output=recipe, **options)


def settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(cache_root=str(tmp_path / "cache"), **more)
