"""The report's section about the sample and the sinks."""

from __future__ import annotations

from refinery_beam.reporting.facts import ReportFacts


def sample_and_sinks_section(facts: ReportFacts) -> str:
    """The sample and the sinks, in a few lines."""
    lines = []
    if sample := facts.sample:
        counts = ", ".join(f"{split} {n:,}" for split, n in sample["counts"].items())
        selector = sample["selector"]
        size = f"n={selector['n']}" if selector["n"] is not None else f"fraction={selector['fraction']}"
        lines.append(f"Sample ({selector['kind']}, {size}, seed {selector['seed']}): {counts}.")
    for name, sink in facts.sinks.items():
        lines.append(f"Sink `{name}`: {sink['files']:,} files, {sink['bytes']:,} bytes, listed in `{sink['table']}`.")
    return "## Beside the dataset\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""
