"""Runs on every engine, and what must come out of them all."""

from __future__ import annotations

from pathlib import Path

from refinery_beam.launch.run import RunResult, run_with
from refinery_beam.launch.settings import Settings
from refinery_beam.testing.engine import hostile


def settings(name: str, **more: object) -> Settings:
    plain = {"processes": {"workers": 2, "mode": "processes"}, "hostile bundles": {"runner_factory": hostile(3), "mode": "threads"}}
    return Settings(**{"workers": 2, **plain.get(name, {"runner": name}), **more})  # type: ignore[arg-type]


def same(result: RunResult, expected: RunResult, reported: list[tuple[str, str, float, int]], name: str) -> None:
    reported.append((name, result.manifest.raw["files_digest"], result.seconds, sum(result.counts.values())))
    assert result.status == "built"
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(expected.path) / "manifest.json").read_bytes()
    made, wanted = (_facts(Path(one.path)) for one in (result, expected))
    assert set(wanted) >= {"records.parquet", "thumbnails.parquet", "histograms.parquet", "findings.json", "flagged.parquet", "drift.json"}
    assert made == wanted
    assert not list(Path(result.path).parents[3].glob("staging/*-*-*-*"))


def _facts(instance: Path) -> dict[str, bytes]:
    """Everything that was measured, as it lies on disk: a manifest states what was meant to be written."""
    return {path.name: path.read_bytes() for path in (*(instance / "facts").iterdir(), instance / "report" / "drift.json")}


def manifest_of_a_hostile_run(seed: int, recipe: Path, folder: Path) -> bytes:
    result = run_with(recipe, settings("hostile bundles", runner_factory=hostile(seed), cache_root=str(folder / f"cache{seed}")))
    return (Path(result.path) / "manifest.json").read_bytes()
