"""What the numbered checks say of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refinery_beam.plugins.base import Plugin
from refinery_beam.recipe import CheckResult, load_recipe, run_checks


def outcome(text: str, folder: Path, plugin: Plugin, **options: Any) -> dict[int, CheckResult]:
    path = folder / "r.yaml"
    path.write_text(text)
    return {r.number: r for r in run_checks(load_recipe(path), plugin, **options)}


def failing(results: dict[int, CheckResult]) -> list[int]:
    return [n for n, r in results.items() if r.status == "fail"]
