"""`drift`: how two instances differ in labels, channels and facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refinery_beam.errors import display
from refinery_beam.facts.drift import compare
from refinery_beam.launch.html_table import html_table
from refinery_beam.launch.opening import opened
from refinery_beam.launch.options import Options, keywords_of_two
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.reading.instance import Instance
from refinery_beam.reading.recorded import read_statistics

DRIFT = "report/drift.json"


@dataclass(frozen=True, kw_only=True)
class DriftResult:
    """How instance `b` differs from instance `a`. `drift` has under ``splits`` for ``all`` and for each split of both: ``records`` of each,
    and the distances of ``labels``, ``values`` (of texts), ``channels`` and ``facts``; ``missing`` says what could not be compared.
    """

    a: str
    b: str
    drift: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The object `drift --json` prints."""
        return {"contract": CONTRACT, "a": self.a, "b": self.b, **self.drift}

    def __str__(self) -> str:
        """What `drift` says to a person."""
        lines = [f"a  {display(self.a)}", f"b  {display(self.b)}"]
        for split, found in self.drift["splits"].items():
            lines += ["", f"{display(split)}: {found['records'][0]:,} records in a, {found['records'][1]:,} in b", *_words(found)]
        for name in ("a", "b"):
            if only := self.drift[f"only_in_{name}"]:
                lines.append(f"splits only in {name}: {', '.join(map(display, only))}")
        return "\n".join([*lines, *(f"missing: {text}" for text in self.drift["missing"])])

    def _repr_html_(self) -> str:
        """A table for each split: what moved, its means, and how far."""
        tables = []
        for split, found in self.drift["splits"].items():
            labels, (first, second) = found["labels"], found["records"]
            rows = [("labels", "", "", _of_shares(labels))] if labels["l_infinity"] is not None else []
            rows += [(name, "", "", _of_shares(shares)) for name, shares in found["values"].items() if shares["l_infinity"] is not None]
            rows += [(name, *moved["mean"], moved["wasserstein"]) for name, moved in (*found["channels"].items(), *found["facts"].items())]
            tables.append(html_table((split, "a", "b", "moved by"), rows, f"{split}: {first:,} records in a, {second:,} in b"))
        return f"<div>{''.join(tables)}</div>"


@keywords_of_two(Options)
def drift(a: StrPath, b: StrPath, options: Options) -> DriftResult:
    """How two instances differ, each named by its directory or URL, or by the recipe that made it.

    Reads only report/drift.json of both, or where an instance has none, because an older release made it, the labels in its manifest;
    ``missing`` of the result says so. StoreError as `open_instance`.

    ::

        found = drift("cache/instances/a/...", "cache/instances/b/...")
        found.drift["splits"]["all"]["labels"]["jensen_shannon"]
    """
    return drift_with(a, b, Settings.of(options))


def drift_with(a: StrPath, b: StrPath, settings: Settings) -> DriftResult:
    """`drift`, with the execution context of the call."""
    one, other = opened(a, settings), opened(b, settings)
    return DriftResult(a=one.path, b=other.path, drift=drift_of(one, other))


def drift_of(a: Instance, b: Instance) -> dict[str, Any]:
    """How two opened instances differ, as `DriftResult.drift` has it."""
    return compare(_document(a), _document(b))


def _document(instance: Instance) -> dict[str, Any]:
    """The document of an instance; one without features where it has no drift.json."""
    manifest = instance.manifest
    if manifest.file(DRIFT) is not None:
        return read_statistics(manifest, DRIFT)
    raw = manifest.raw
    splits = {split: {"record_count": raw["counts"][split], "class_distribution": raw["classes"].get(split)} for split in raw["splits"]}
    return {"splits": splits, "feature_summary": {}}


def _of_shares(shares: dict[str, Any]) -> str:
    return f"shares differ by at most {shares['l_infinity']}, Jensen-Shannon distance {shares['jensen_shannon']}"


_SHOWN = 8
"""Facts that are shown of one split: those that moved farthest, by their mean."""


def _words(found: dict[str, Any]) -> list[str]:
    labels = found["labels"]
    lines = []
    if labels["l_infinity"] is not None:
        lines.append(f"  labels    {_of_shares(labels)}")
    for name in ("a", "b"):
        if only := labels[f"only_in_{name}"]:
            lines.append(f"  labels    only in {name}: {', '.join(map(display, only))}")
    for name, shares in found["values"].items():
        if shares["l_infinity"] not in (None, "0.0000"):
            lines.append(f"  {name}  {_of_shares(shares)}")
    for name, moved in found["channels"].items():
        lines.append(f"  {name}  mean {moved['mean'][0]} in a, {moved['mean'][1]} in b, moved by {moved['wasserstein']}")
    ranked = sorted(found["facts"].items(), key=lambda pair: (-_relative(pair[1]), pair[0]))
    for name, moved in ranked[:_SHOWN]:
        lines.append(f"  {name}  mean {moved['mean'][0]} in a, {moved['mean'][1]} in b, moved by {moved['wasserstein']}")
    return lines


def _relative(moved: dict[str, Any]) -> float:
    """How far a fact moved, by the greater of its means. Only for the order of lines."""
    return float(moved["wasserstein"]) / max(1e-9, *(abs(float(mean)) for mean in moved["mean"]))
