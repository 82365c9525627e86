"""What the template writes down: rows and words made of the facts of a page, within its bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.records import ASKED_FOR
from refinery_beam.reporting.opening import snippets, torch_snippet
from refinery_beam.reporting.page import bounds
from refinery_beam.reporting.page.compared import compared_view
from refinery_beam.reporting.page.findings import findings_view
from refinery_beam.reporting.page.funnel import funnel
from refinery_beam.reporting.page.model import PageFacts
from refinery_beam.reporting.page.words import plain, shortened
from refinery_beam.rules.reasons import reason_of

_LIBRARIES = {"refinery-beam": "refinery_beam", "Hugging Face `datasets`": "datasets", "PyArrow": "pyarrow"}


def view(facts: PageFacts) -> dict[str, Any]:
    """The variables of the template."""
    report = facts.report
    splits = list(report.counts)
    shown = splits[: bounds.SPLITS]
    found = findings_view(facts)
    return {
        "title": plain(", ".join(name for name, _, _ in report.sources) or "Instance", 80),
        "total": sum(report.counts.values()),
        "splits": shown,
        "more_splits": len(splits) - len(shown),
        "tint": {split: f"s{i % 6}" for i, split in enumerate(splits)},
        "snippets": _snippets(facts),
        "recipe": shortened_recipe(facts.recipe),
        "funnel": funnel(report, facts.ledger),
        "classes": _classes(facts, shown),
        "tiles": _tiles(facts, shown),
        "ledger": _ledger(facts),
        "contracts": _contracts(facts),
        "fitted": _fitted(facts),
        "findings": found,
        "compared": compared_view(facts.drift, splits),
        "selection": _selection(facts.selection),
        "environment": _environment(facts),
        "warnings": [(code, message) for code, message in report.warnings if code not in found["codes"]][: bounds.ROWS],
    }


def shortened_recipe(text: str) -> str:
    """The recipe, of a long one its beginning."""
    if len(text) <= bounds.RECIPE_CHARACTERS:
        return text
    return text[: bounds.RECIPE_CHARACTERS] + f"\n# ... {len(text) - bounds.RECIPE_CHARACTERS:,} more characters are in recipe.yaml\n"


def _snippets(facts: PageFacts) -> list[tuple[str, str]]:
    """(library, code): what stands before `path` in the text of the page is filled in by its script."""
    if facts.opening is None:
        return [("refinery_beam", "import refinery_beam\n\ndata = refinery_beam.open_instance(path)")]
    ours, *theirs = snippets(facts.opening)
    found = [ours, torch_snippet(facts.opening), *theirs]
    return [
        (_LIBRARIES.get(one.library, one.library), "\n".join(shortened(line, bounds.TEXT_CHARACTERS) for line in one.lines))
        for one in found
    ]


def _classes(facts: PageFacts, splits: Sequence[str]) -> dict[str, Any]:
    """Rows (label, records by split, records in all), in the order of labels; of too many classes those with the most records."""
    by_split = {split: counts for split, counts in facts.report.classes.items() if split not in facts.report.unlabeled}
    totals: dict[str, int] = {}
    for counts in by_split.values():
        for label, records in counts.items():
            totals[label] = totals.get(label, 0) + records
    ranked = sorted(totals, key=lambda label: (-totals[label], label))
    kept = sorted(ranked[: bounds.CLASSES])
    return {
        "rows": [(label, {split: by_split.get(split, {}).get(label, 0) for split in splits}, totals[label]) for label in kept],
        "number": len(totals),
        "more": len(totals) - len(kept),
        "largest": (ranked[0], totals[ranked[0]]) if ranked else None,
        "smallest": (ranked[-1], totals[ranked[-1]]) if ranked else None,
        "most": totals[ranked[0]] if ranked else 0,
        "sizes": sorted(totals.values(), reverse=True),
        "absent": {split: missing for split in by_split if (missing := sum(1 for label in totals if not by_split[split].get(label)))},
    }


def _tiles(facts: PageFacts, splits: Sequence[str]) -> dict[str, Any]:
    shown = [record for record in facts.samples if record.record_id in facts.pictures][: bounds.TILES]
    labels = sorted({record.label for record in shown})
    return {
        "groups": [(label, [record for record in shown if record.label == label]) for label in labels],
        "splits": [split for split in splits if any(record.split == split for record in shown)],
        "number": len(shown),
    }


def _ledger(facts: PageFacts) -> dict[str, Any]:
    causes: dict[tuple[str, str, str], int] = {}
    for _, stage, op, reason, records in facts.ledger.causes:
        causes[reason, stage, op] = causes.get((reason, stage, op), 0) + records
    rows = [(*key, records, key[0] in ASKED_FOR, reason_of(key[0]).meaning) for key, records in sorted(causes.items())]
    listed = facts.ledger.rows[: bounds.LEDGER_ROWS]
    return {
        "causes": rows[: bounds.ROWS],
        "bad": sum(row[3] for row in rows if not row[4]),
        "asked": sum(row[3] for row in rows if row[4]),
        "rows": listed,
        "more": facts.ledger.total - len(listed),
        "pictures": any(row.record_id in facts.pictures for row in listed),
    }


def _contracts(facts: PageFacts) -> list[dict[str, Any]]:
    found = []
    for entry, message in zip(facts.report.expectations[: bounds.ROWS], facts.report.messages, strict=False):
        observed = ", ".join(f"{key} {_short(value)}" for key, value in sorted(entry["observed"].items()) if value not in (None, []))
        lost = entry.get("quarantined")
        found.append(
            {
                "section": entry["section"],
                "kind": entry["kind"],
                "field": entry["field"] or "",
                "params": ", ".join(f"{key} {_short(value)}" for key, value in sorted(entry["params"].items()) if value is not None),
                "severity": entry["severity"],
                "verdict": "holds" if entry["passed"] else f"{lost:,} in the ledger" if lost else "does not hold",
                "good": entry["passed"],
                "said": message or observed,
            }
        )
    return found


def _fitted(facts: PageFacts) -> list[dict[str, Any]]:
    found = []
    for name, statistics in list(facts.report.fitted.items())[: bounds.ROWS]:
        channels = statistics.get("channels") or [{}] * len(statistics.get("mean", []))
        keys = [key for key in ("mean", "std") if key in statistics]
        integers = [key for key in ("min", "max", "count") if any(key in channel for channel in channels)]
        if channels:
            rows = [
                [str(i), *(f"{statistics[key][i]:.4f}" for key in keys), *(f"{channel.get(key, 0):,}" for key in integers)]
                for i, channel in enumerate(channels[:16])
            ]
            head = ["channel", *keys, *("values" if key == "count" else key for key in integers)]
        else:
            head = ["", ""]
            rows = [[str(key), _short(value)] for key, value in sorted(statistics.items())][: bounds.ROWS]
        found.append({"name": name, "head": head, "rows": rows})
    return found


def _selection(selection: Mapping[str, Any]) -> dict[str, Any]:
    """What listing left out. Names in selection.json are made visible already."""
    rows = []
    for source in selection.get("sources", ()):
        for kind in source.get("kinds", ()):
            folders = [(one["folder"], one["count"], list(one["examples"])[:3]) for one in kind["folders"][:3]]
            rows.append(
                (source["source"], kind["kind"], kind["count"], folders, len(kind["folders"]) - len(folders) + kind["more_folders"])
            )
        for bare in source.get("bare_class_folders", ()):
            holds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(bare["holds"].items())) or "nothing"
            rows.append((source["source"], "class folder without a file", 0, [(bare["folder"], 0, [f"holds {holds}"])], 0))
    return {"rows": rows[: bounds.ROWS], "left_out": sum(source.get("left_out", 0) for source in selection.get("sources", ()))}


def _environment(facts: PageFacts) -> list[tuple[str, str]]:
    environment = facts.environment
    rows = [("refinery-beam", facts.release)] if facts.release else []
    rows += [(key, str(environment[key])) for key in ("implementation", "python", "platform") if key in environment]
    for group in ("packages", "codecs"):
        rows += [(name, str(version)) for name, version in sorted(environment.get(group, {}).items())]
    return rows[: bounds.ROWS]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return shortened(text, 160)
