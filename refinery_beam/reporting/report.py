"""report.md as a whole: the sections of every report, and those about contracts, the sample, sinks and findings."""

from __future__ import annotations

from refinery_beam.reporting.contracts import contracts_section
from refinery_beam.reporting.facts import ReportFacts
from refinery_beam.reporting.findings import findings_section
from refinery_beam.reporting.markdown import render_report
from refinery_beam.reporting.sample_and_sinks import sample_and_sinks_section


def report_text(facts: ReportFacts) -> str:
    """The text of report.md."""
    contracts = contracts_section(facts.expectations, facts.messages)
    return render_report(facts, sections=[contracts, sample_and_sinks_section(facts), findings_section(facts.findings)])
