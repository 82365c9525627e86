"""The report of an instance: input, output, fitted statistics, lost records. Byte-stable: no time, host, path or worker count."""

from refinery_beam.reporting.ledger import write_ledger
from refinery_beam.reporting.markdown import ReportFacts, render_report

__all__ = ["ReportFacts", "render_report", "write_ledger"]
