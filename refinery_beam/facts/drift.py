"""How the splits of a dataset differ from one another, and how two datasets do: the document of report/drift.json, and its comparison.

Everything is kept as exact counts, so that any two documents can be compared later: labels as they are; byte values of channels as they
are; values of texts (the most frequent ones); and numbers in bins of five significant bits, `low_end` of a value being its bin, with their
exact sum. Distances (`plugins.distances`) are exact, and printed with `DIGITS` digits:

* labels and texts: ``l_infinity``, the greatest difference between two shares; ``jensen_shannon``, from 0 for equal to 1 for disjoint ones
* channels and numbers: ``wasserstein``, how far values have to move on average, in the unit of the fact (bytes of 0 to 255 for channels)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any

from refinery_beam.plugins.distances import distance, fractions_of
from refinery_beam.plugins.fact_columns import DERIVED, arrays, fixed

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

VERSION = 1
"""``schema_version`` of the document."""

DIGITS = 4

MOST_PAIRS = 45
"""Pairs of splits whose distances are in the document: those of ten splits."""

NOTES = (
    "numbers are counted in bins of five significant bits, named by their low end, in units of 1/scale",
    "channels are counted on pictures reduced to at most 64 pixels a side",
)

_BITS = 5


def low_end(value: int) -> int:
    """The low end of the bin of a whole number: its five most significant bits. Numbers below 32 have bins of their own.

    >>> low_end(31), low_end(33), low_end(1000)
    (31, 32, 992)
    """
    if value < 0:
        return -low_end(-value)
    shift = max(0, value.bit_length() - _BITS)
    return value >> shift << shift


def low_ends(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`low_end` of an array."""
    import numpy as np

    shift = np.maximum(np.frexp(np.abs(values).astype(np.float64))[1] - _BITS, 0).astype(np.int64)
    ends: npt.NDArray[Any] = np.sign(values) * (np.abs(values) >> shift << shift)
    return ends


class Summary:
    """The numbers of the facts of some records: counts by bin, exact sums, and how many records have none. Joined in any grouping."""

    def __init__(self) -> None:
        self.bins: dict[str, Counter[int]] = {}
        self.sums: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()

    def add(self, table: pa.Table, names: Iterable[str]) -> None:
        """The records of a table of facts."""
        import numpy as np

        for name, (values, there) in arrays(table, names).items():
            ends, counts = np.unique(low_ends(values[there]), return_counts=True)
            known = self.bins.setdefault(name, Counter())
            for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
                known[end] += count
            self.sums[name] += int(values[there].sum())
            self.missing[name] += int((~there).sum())

    def join(self, other: Summary) -> None:
        """Add what another has."""
        for name, bins in other.bins.items():
            self.bins.setdefault(name, Counter()).update(bins)
        self.sums.update(other.sums)
        self.missing.update(other.missing)

    def as_document(self, scales: Mapping[str, int]) -> dict[str, Any]:
        """For drift.json."""
        return {
            name: {
                "scale": scales.get(name, 1),
                "records": sum(bins.values()),
                "missing": self.missing[name],
                "sum": self.sums[name],
                "bins": [[end, bins[end]] for end in sorted(bins)],
            }
            for name, bins in self.bins.items()
            if bins
        }


def numbers_of(schema: pa.Schema, *, signature: str) -> list[str]:
    """The facts whose numbers are summarized: every whole number but a signature and an orientation, and the derived ones."""
    import pyarrow as pa

    stored = [f.name for f in schema if pa.types.is_integer(f.type) and f.type != pa.int8() and f.name != signature]
    return [*stored, *(name for name, d in DERIVED.items() if all(need in stored for need in d.needs))]


def document(
    *,
    plugin: str,
    recipe_hash: str,
    counts: Mapping[str, int],
    classes: Mapping[str, Mapping[str, int]],
    unlabeled: Sequence[str],
    features: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """report/drift.json. `features` of a split: ``facts`` (`Summary.as_document`), ``values`` (texts: counts by value) and ``channels``
    (counts by channel); {} without facts.
    """
    splits = {
        split: {
            "record_count": number,
            "class_distribution": None if split in unlabeled else dict(classes.get(split, {})),
            "note": "skipped: unlabeled" if split in unlabeled else None,
        }
        for split, number in counts.items()
    }
    body: dict[str, Any] = {
        "schema_version": VERSION,
        "plugin": plugin,
        "recipe_hash": recipe_hash,
        "splits": splits,
        "feature_summary": {split: dict(features.get(split, {})) for split in counts if features.get(split)},
        "notes": list(NOTES) if features else ["the recipe leaves facts out, so only labels are compared"],
    }
    pairs = list(combinations(counts, 2))[:MOST_PAIRS]
    body["distances"] = {f"{a},{b}": _distances(_of(body, a), _of(body, b)) for a, b in pairs}
    return body


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """How two documents differ: under ``all`` all splits together, and each split that both have."""
    both = [split for split in a["splits"] if split in b["splits"]]
    found = {"all": _compared(_of(a, None), _of(b, None))}
    found |= {split: _compared(_of(a, split), _of(b, split)) for split in both}
    return {
        "version": VERSION,
        "splits": found,
        "only_in_a": [split for split in a["splits"] if split not in both],
        "only_in_b": [split for split in b["splits"] if split not in both],
        "missing": [
            f"{name} has no summary of its facts, so only labels are compared"
            for name, body in (("a", a), ("b", b))
            if not body.get("feature_summary")
        ],
    }


def _of(body: Mapping[str, Any], split: str | None) -> dict[str, Any]:
    """The counts of a split, or of all splits together: labels, texts, channels, facts."""
    splits = list(body["splits"]) if split is None else [split]
    labels: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {}
    channels: dict[str, Counter[int]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for one in splits:
        labels.update(body["splits"][one]["class_distribution"] or {})
        summary = body.get("feature_summary", {}).get(one, {})
        for name, counts in summary.get("values", {}).items():
            values.setdefault(name, Counter()).update(counts)
        for name, line in summary.get("channels", {}).items():
            channels.setdefault(name, Counter()).update({i: n for i, n in enumerate(line) if n})
        for name, fact in summary.get("facts", {}).items():
            known = facts.setdefault(name, {"scale": fact["scale"], "bins": Counter(), "sum": 0, "records": 0})
            known["bins"].update(dict(fact["bins"]))
            known["sum"] += fact["sum"]
            known["records"] += fact["records"]
    records = sum(body["splits"][one]["record_count"] for one in splits)
    return {"records": records, "labels": labels, "values": values, "channels": channels, "facts": facts}


def _distances(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"labels": _shares(a["labels"], b["labels"])}
    found["values"] = {name: _shares(a["values"][name], b["values"][name]) for name in a["values"] if name in b["values"]}
    found["channels"] = {
        name: {"wasserstein": _moved(a["channels"][name], b["channels"][name], 1)} for name in a["channels"] if name in b["channels"]
    }
    found["facts"] = {
        name: {"wasserstein": _moved(a["facts"][name]["bins"], b["facts"][name]["bins"], a["facts"][name]["scale"])}
        for name in a["facts"]
        if name in b["facts"] and a["facts"][name]["scale"] == b["facts"][name]["scale"]
    }
    return found


def _compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    found = {"records": [a["records"], b["records"]], **_distances(a, b)}
    for name, entry in found["facts"].items():
        entry["mean"] = [fixed(x["facts"][name]["sum"], x["facts"][name]["records"] * x["facts"][name]["scale"]) for x in (a, b)]
    for name, entry in found["channels"].items():
        entry["mean"] = [_mean(x["channels"][name]) for x in (a, b)]
    found["labels"]["only_in_a"] = sorted(name for name in a["labels"] if name not in b["labels"])[:20]
    found["labels"]["only_in_b"] = sorted(name for name in b["labels"] if name not in a["labels"])[:20]
    return found


def _mean(counts: Mapping[int, int]) -> str:
    return fixed(sum(value * count for value, count in counts.items()), sum(counts.values()))


def _shares(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, str | None]:
    """The distances between two distributions of words; None where one of them is empty."""
    if not sum(a.values()) or not sum(b.values()):
        return {"l_infinity": None, "jensen_shannon": None}
    p, q = fractions_of(a), fractions_of(b)
    return {name: _printed(distance(name, p, q)) for name in ("l_infinity", "jensen_shannon")}


def _moved(a: Mapping[int, int], b: Mapping[int, int], scale: int) -> str:
    """The Wasserstein distance of counted numbers. Over a common denominator, so that only whole numbers are added."""
    first, second = sum(a.values()), sum(b.values())
    values = sorted({*a, *b})
    gap = area = 0
    for i, value in enumerate(values[:-1]):
        gap += a.get(value, 0) * second - b.get(value, 0) * first
        area += abs(gap) * (values[i + 1] - value)
    return fixed(area, first * second * scale, DIGITS)


def _printed(value: Any) -> str:
    exact = Fraction(value)
    return fixed(exact.numerator, exact.denominator, DIGITS)
