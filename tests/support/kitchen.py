"""Reads the suite's recipes and runs them. A recipe says in its first lines, behind ``#:``, what must come out:

about          one sentence
rows           which capabilities of the language it shows (`test_capabilities.py` has the list)
overlays       overlays to run with; first: a recipe that is run before
counts         records by split; labels: by split and label; labels_all: by label; ids_any: all ids
law            record ids of every split by `law.splits`; lowest: record ids that a filter keeps, by `law.lowest`
ledger         records by reason; warnings: codes; generated: records by op; augmented: variants
fields         columns; files: how many files a pattern finds; sample: sampled records by split
    pictures       names of those that are drawn
statistics     which fitted numbers are recomputed with Pillow and integers; check: a function of `checks.py`
same_as        the recipe whose instance it finds; differs_from: the recipe whose instance it is not
refused        before anything is read: the error's code, and the text that stands at its line and column
fails          while it runs: the error's code, and a word of its message
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.run import run_with
from refinery_beam.testing.engine import hostile
from support.sets import draw_all

TESTS = Path(__file__).parents[1]
RECIPES = TESTS / "compat" / "recipes"


@functools.cache
def expectations(name: str) -> dict[str, Any]:
    """What the head of a recipe says."""
    lines = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head: dict[str, Any] = {}
    for line in lines:
        if not line.startswith("#: "):
            break
        key, _, value = line[3:].partition(": ")
        head[key] = value if key == "about" else yaml.safe_load(value)
    return head


NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@dataclass
class Kitchen:
    """A folder of images and recipes, and a cache that every recipe shares: equal recipes must meet there."""

    root: Path
    done: dict[str, RunResult] = field(default_factory=dict)

    @classmethod
    def stocked(cls, root: Path) -> Kitchen:
        """A kitchen in `root`, with every image set drawn and every recipe beside them."""
        draw_all(root)
        for recipe in RECIPES.glob("*.yaml"):
            (root / recipe.name).write_bytes(recipe.read_bytes())
        return cls(root)

    def cook(self, name: str) -> RunResult:
        """Run a recipe, at most once."""
        if name not in self.done:
            head = expectations(name)
            if "first" in head:
                self.cook(head["first"])
            settings = Settings(
                cache_root=str(self.root / "cache"),
                overlays=tuple(head.get("overlays", ())),
                workers=1,
                runner_factory=hostile(NAMES.index(name)),
            )
            self.done[name] = run_with(self.root / f"{name}.yaml", settings)
        return self.done[name]

    def files(self, folder: str, source: str) -> dict[str, Path]:
        """Record ids and files of an `image_folder` source."""
        found = sorted(p for p in (self.root / folder).glob("*/*") if p.is_file())
        return {f"{source}/{p.parent.name}/{p.name}": p for p in found}


def rows(result: RunResult) -> dict[str, dict[str, Any]]:
    """Every stored row by record id, with its split; read by PyArrow alone."""
    found = {}
    for split in result.counts:
        for row in pq.read_table(f"{result.path}/dataset/{split}", partitioning=None).to_pylist():
            assert row["record_id"] not in found
            found[row["record_id"]] = {**row, "split": split}
    return found


def exists(node: str) -> bool:
    """Whether ``folder/file.py::function`` is a test of this package."""
    path, _, function = node.partition("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return any(isinstance(n, ast.FunctionDef) and n.name == function and function.startswith("test_") for n in tree.body)
