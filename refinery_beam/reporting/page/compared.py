"""How the splits of an instance differ, as the page shows it. Made of report/drift.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from refinery_beam.reporting.page import bounds

MOVED = 4
"""Facts that are named of a pair of splits: those that moved farthest, by their mean."""


class Pair(NamedTuple):
    """Two splits: the distances of their labels ('-' for none), and the facts that moved farthest, each with how far."""

    one: str
    other: str
    l_infinity: str
    jensen_shannon: str
    moved: Sequence[tuple[str, str]]


def compared_view(drift: Mapping[str, Any], splits: Sequence[str]) -> list[Pair]:
    """The variable `compared` of the template: the pairs of splits, in their order."""
    pairs = [(a, b) for a in splits for b in splits if f"{a},{b}" in drift.get("distances", {})]
    found = []
    for a, b in pairs[: bounds.ROWS]:
        distances = drift["distances"][f"{a},{b}"]
        labels, facts = distances["labels"], distances.get("facts", {})
        moved = [(name, entry["wasserstein"]) for name, entry in facts.items() if float(entry["wasserstein"])]
        moved.sort(key=lambda pair: (-float(pair[1]) / _mean(drift, pair[0], a, b), pair[0]))
        found.append(Pair(a, b, labels["l_infinity"] or "-", labels["jensen_shannon"] or "-", moved[:MOVED]))
    return found


def _mean(drift: Mapping[str, Any], name: str, a: str, b: str) -> float:
    """The mean of a fact over two splits, for the order of lines only."""
    facts = [drift["feature_summary"][split]["facts"][name] for split in (a, b)]
    records: int = sum(fact["records"] for fact in facts) * facts[0]["scale"]
    total: int = sum(fact["sum"] for fact in facts)
    return max(1e-9, float(abs(total)) / max(1, records))
