"""The report's section about what the facts say: quality, duplicates, labels, shortcuts. Made of facts/findings.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.reporting.markdown import _cell, _code, _table

LISTED = 20
"""Records, groups or pairs that the report lists of one finding."""


def findings_section(found: Mapping[str, Any]) -> str:
    """The section; '' where there are no findings to tell of, as without facts."""
    if not found:
        return ""
    return "\n".join(part for part in ("## Findings\n", _quality(found), _alike(found), _shortcuts(found)) if part)


def _quality(found: Mapping[str, Any]) -> str:
    rows, parts = [], []
    for word, flag in found["quality"].items():
        said = "" if flag["of_interest"] or not flag["records"] else " (too many to be odd)"
        rows.append((word.replace("_", " "), _cell(flag["rule"]), f"{flag['records']:,}{said}", f"{flag['measured']:,}"))
        if flag["first"]:
            listed = [(_code(r["record_id"]), r["split"], _cell(r["label"] or ""), r["value"]) for r in flag["first"][:LISTED]]
            parts.append(
                f"\n#### {word.replace('_', ' ').capitalize()}\n\nThey {flag['what']}; {flag['remedy']}.\n\n"
                + _table(("record", "split", "label", flag["fact"]), listed)
                + _more(flag["records"], len(listed))
            )
    return "### Quality\n\n" + _table(("finding", "rule", "records", "of"), rows) + "".join(parts) if rows else ""


def _alike(found: Mapping[str, Any]) -> str:
    rows = []
    text = ""
    for kind, words in (("exact", "the same bytes"), ("near", "pictures that look alike")):
        groups, conflicts = found["duplicates"][kind], found["label_conflicts"][kind]
        numbers = (groups["groups"], groups["records"], groups["crossing"], conflicts["pairs"])
        rows.append((words, *(f"{n:,}" for n in numbers)))
        if groups["leaks"]:
            text += f"\n#### In several splits: {words}\n\n" + _groups(groups["leaks"], groups["crossing"])
        if conflicts["first"]:
            text += f"\n#### With different labels: {words}\n\n" + _groups(conflicts["first"], conflicts["pairs"])
    return "### Duplicates\n\n" + _table(("", "groups", "records", "in several splits", "pairs with different labels"), rows) + text


def _groups(groups: Sequence[Sequence[Mapping[str, Any]]], number: int) -> str:
    lines = [
        (
            " ".join(_code(r["record_id"]) for r in group),
            ", ".join(dict.fromkeys(r["split"] for r in group)),
            ", ".join(dict.fromkeys(_cell(r["label"] or "") for r in group)),
        )
        for group in groups[:LISTED]
    ]
    return _table(("records", "splits", "labels"), lines) + _more(number, len(lines))


def _shortcuts(found: Mapping[str, Any]) -> str:
    if not found["shortcuts"]:
        return ""
    rows = []
    for one in found["shortcuts"]:
        on = f"{_percent(one['accuracy'])} ({_percent(one['most_frequent'])})" if one["accuracy"] is not None else "-"
        rows.append((_cell(one["words"]), f"{one['values']:,}", one["cramers_v"], on))
    said = "".join(f"\n- {_cell(one['sentence'])}" for one in found["shortcuts"] if one["warned"])
    first = found["shortcuts"][0]
    head = f"What is not the picture, and how much it tells of the label. Guesses are fitted on {_cell(first['fitted_on'])}"
    tried = f" and tried on {_cell(first['measured_on'])}; in brackets, guessing the most frequent label" if first["measured_on"] else ""
    head += f"{tried}.\n\n"
    return "### Shortcuts\n\n" + head + _table(("property", "values", "Cramér's V", "right"), rows) + (said + "\n" if said else "")


def _percent(share: str) -> str:
    whole, _, rest = share.partition(".")
    digits = (whole + rest.ljust(4, "0")[:4]).lstrip("0").rjust(3, "0")
    return f"{digits[:-2]}.{digits[-2:]}%"


def _more(number: int, listed: int) -> str:
    return f"\n{number - listed:,} more are in facts/flagged.parquet.\n" if number > listed else ""
