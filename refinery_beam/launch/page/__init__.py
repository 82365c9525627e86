"""Gathers what report.html shows, from the files of an instance. `reporting.page` renders it."""
