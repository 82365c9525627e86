"""The report of an instance: input, output, fitted statistics, lost records. Byte-stable: no time, host, path or worker count."""

from refinery_beam.reporting.facts import ReportFacts, facts_of_manifest
from refinery_beam.reporting.ledger import write_ledger
from refinery_beam.reporting.markdown import render_report
from refinery_beam.reporting.report import report_text

__all__ = ["ReportFacts", "facts_of_manifest", "render_report", "report_text", "write_ledger"]
