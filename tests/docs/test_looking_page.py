"""The tables of docs/looking.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from refinery_beam.facts.flags import rule_text
from refinery_beam.facts.shortcuts import GAIN, LEAST_TELLS, LEAST_V, SURE, TELLS
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.fact_columns import DERIVED
from refinery_beam.record.facts import fact_types

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "looking.md").read_text(encoding="utf-8")
KIND = find_plugin("image_classification").kind


def rows(section: str) -> list[list[str]]:
    part = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return cells[2:]


def test_every_fact_is_described() -> None:
    named = [name for row in rows("Facts") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted([*fact_types(KIND), "bytes"])
    units = {name: row[1] for row in rows("Facts") for name in re.findall(r"`(\w+)`", row[0])}
    assert KIND.measures is not None
    for name, scale in KIND.measures.scales.items():
        assert units[name].removesuffix(" %") == f"1/{scale}", name
    assert all(f"`{name}`" in PAGE for name in DERIVED)


def test_the_limits_are_those_of_the_code() -> None:
    assert KIND.measures is not None
    rules = [*KIND.measures.rules, *KIND.measures.outliers]
    units = {**KIND.measures.scales, **{name: derived.scale for name, derived in DERIVED.items()}}
    assert [(word.replace(" ", "_"), rule.strip("`"), source) for word, rule, source in rows("Quality")] == [
        (rule.word, rule_text(rule, units), rule.source) for rule in rules
    ]


def test_a_shortcut_is_what_the_page_says() -> None:
    text = " ".join(PAGE.split("\n## Shortcuts\n")[1].split("\n## ")[0].split())
    assert (GAIN * 100, SURE, LEAST_V * 10, TELLS * 10, LEAST_TELLS) == (10, 3, 3, 9, 10)
    assert "better by ten points and by three standard deviations and V is at least 0.3" in text
    assert "at least nine in ten records of the label have it" in text and "a label of at least ten records" in text
    assert KIND.measures is not None
    for word in ("format", "mode", "size", "orientation", "quality", "tables", "camera", "day"):
        assert word in text and any(word in words for words in KIND.measures.properties.values())
