"""report.md as a whole: the sections of every report, and those about contracts, the sample and sinks."""

from __future__ import annotations

from refinery_beam.reporting.contracts import contracts_section
from refinery_beam.reporting.facts import ReportFacts
from refinery_beam.reporting.markdown import render_report
from refinery_beam.reporting.sample_and_sinks import sample_and_sinks_section


def report_text(facts: ReportFacts) -> str:
    """The text of report.md."""
    return render_report(facts, sections=[contracts_section(facts.expectations, facts.messages), sample_and_sinks_section(facts)])
