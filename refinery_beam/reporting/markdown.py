"""report.md: plain Markdown, readable as text, the same bytes for the same instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refinery_beam.records import ASKED_FOR
from refinery_beam.reporting.facts import ReportFacts

LEDGER_LINES = 20
CLASS_LINES = 200


def render_report(facts: ReportFacts, *, sections: Sequence[str] = ()) -> str:
    """The report as Markdown text ending in a newline; `sections` stand between statistics and ledger."""
    parts = [
        _title(facts),
        _inputs(facts),
        _step_counts(facts),
        _splits(facts),
        _operations(facts),
        _fitted(facts),
        *sections,
        _ledger(facts),
        _remarks("Warnings", [f"`{code}`: {message}" for code, message in facts.warnings]),
    ]
    return "\n".join(part for part in parts if part)


def _title(facts: ReportFacts) -> str:
    rows = [
        ("Recipe", f"`{facts.recipe_hash}`"),
        ("Input", f"`{facts.input_hash}`"),
        ("Seed", str(facts.seed)),
        ("Rows", f"`{facts.logical_digest}`"),
        ("Plugin", facts.plugin),
    ]
    lost = len(facts.ledger)
    made, gone = sum(facts.generated.values()), sum(facts.replaced.values())
    grown = f"{made:,} made of them, {gone:,} replaced, " if facts.generated else ""
    summary = f"{facts.records_in:,} records in, {grown}{sum(facts.counts.values()):,} out, {lost:,} in the ledger."
    return "# Instance report\n\n" + summary + "\n\n" + _table(("", ""), rows)


def _inputs(facts: ReportFacts) -> str:
    rows = [(name, kind, f"{files:,}") for name, kind, files in facts.sources]
    return "## Inputs\n\n" + _table(("source", "type", "files"), rows)


def _step_counts(facts: ReportFacts) -> str:
    if not facts.generated:
        return ""
    rows = [(_cell(name), f"{made:,}", f"{facts.replaced.get(name, 0):,}") for name, made in facts.generated.items()]
    return "## Made records\n\n" + _table(("step", "made", "replaced"), rows)


def _splits(facts: ReportFacts) -> str:
    total = sum(facts.counts.values())
    rows = []
    for split, count in facts.counts.items():
        note = " *(unlabeled)*" if split in facts.unlabeled else ""
        rows.append((split + note, f"{count:,}", f"{100 * count / total:.1f}%" if total else "-"))
    rule = f"{_cell(facts.split_rule)}.\n\n" if facts.split_rule else ""
    text = "## Splits\n\n" + rule + _table(("split", "records", "share"), rows)
    if facts.split_totals:
        asked = [(split, f"{t['ratio']:g}", f"{t['asked']:,.1f}", f"{t['got']:,}") for split, t in facts.split_totals.items()]
        text += "\n### Asked and got\n\nRecords when splits were made.\n\n" + _table(("split", "ratio", "asked", "got"), asked)
    labelled = {s: c for s, c in facts.classes.items() if s not in facts.unlabeled}
    labels = sorted({label for counts in labelled.values() for label in counts})
    if not labels:
        return text
    splits = list(labelled)
    table = [(_cell(label), *[f"{labelled[s].get(label, 0):,}" for s in splits]) for label in labels[:CLASS_LINES]]
    text += "\n### Classes\n\n" + _table(("label", *splits), table)
    if len(labels) > CLASS_LINES:
        text += f"\n{len(labels) - CLASS_LINES:,} more classes are in manifest.json.\n"
    return text


def _operations(facts: ReportFacts) -> str:
    rows = []
    for section, name, op, params, splits in facts.operations:
        shown = ", ".join(f"{k}={_value(v)}" for k, v in sorted(params.items()) if v is not None)
        when = "when reading" if name in facts.deferred else "stored"
        rows.append((section, name, op, shown, ", ".join(splits), when if section == "Transformations" else ""))
    stored = (
        f"Stored {facts.noun}: {facts.stored}, encoding {facts.encoding}." if facts.encoding != "none" else f"No {facts.noun} are stored."
    )
    if not rows:
        return f"## Operations\n\n{stored}\n"
    return f"## Operations\n\n{stored}\n\n" + _table(("section", "name", "op", "parameters", "splits", "applied"), rows)


def _fitted(facts: ReportFacts) -> str:
    if not facts.fitted:
        return ""
    text = "## Fitted statistics\n"
    for name, statistics in facts.fitted.items():
        rows = []
        channels = statistics.get("channels") or [{}] * len(statistics.get("mean", []))
        if not channels:
            # Statistics of another form than values a channel.
            text += f"\n### {name}\n\n" + _table(("", ""), [(_cell(k), _cell(_value(v)[:200])) for k, v in sorted(statistics.items())])
            continue
        for i, channel in enumerate(channels):
            floats = [f"{statistics[key][i]!r}" if key in statistics else "" for key in ("mean", "std")]
            integers = [str(channel.get(key, "")) for key in ("min", "max", "count")]
            rows.append((str(i), *floats, *integers))
        text += f"\n### {name}\n\n" + _table(("channel", "mean", "std", "min", "max", "values"), rows)
    return text


def _ledger(facts: ReportFacts) -> str:
    if not facts.ledger:
        return "## Ledger\n\nEvery record came out.\n"
    counts: dict[tuple[str, str, str], int] = {}
    for row in facts.ledger:
        key = (row.reason, row.stage, row.op)
        counts[key] = counts.get(key, 0) + 1
    text = "## Ledger\n\n" + _table(("reason", "stage", "op", "records"), [(*key, f"{n:,}") for key, n in sorted(counts.items())])
    # Losses that the recipe asked for are no bad records; all others are, whatever stage found them.
    bad = [row for row in facts.ledger if row.reason not in ASKED_FOR]
    if bad:
        shown = [(_code(r.record_id), r.reason, _cell(r.detail)) for r in bad[:LEDGER_LINES]]
        text += "\n### Bad records\n\n" + _table(("record", "reason", "detail"), shown)
        if len(bad) > LEDGER_LINES:
            text += f"\n{len(bad) - LEDGER_LINES:,} more are in report/ledger.parquet.\n"
    return text


def _remarks(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """A name as code, where only bars must be escaped; one that holds a backtick as plain text."""
    if "`" in text:
        return _cell(text)
    return "`" + "".join("\\|" if c == "|" else c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + "`"


def _cell(text: str) -> str:
    """Text that came from file names and labels, kept from breaking out of its table cell."""
    return "".join("\\" + c if c in "|`*_<>[]\\" else c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
