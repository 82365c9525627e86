"""The journal: the runs of a cache root, with their times, users, recipes and ends.

``schema``       the columns
``one_row``      a Parquet file of one row, written without PyArrow, which a hit does not import
``write``        what a run writes: at most two files, one when it begins to build and one when it ends
``read``         all of it as a table
``compact``      many files become one, beside runs that write
``old_lines``    the journals of earlier releases, lines of JSON

The journal is evidence, never truth: no hit, miss or verification reads it, and it may be deleted. Everything that must not enter an
instance (time, host, pid, user, runner, workers) is here. Secrets are not: see `refinery_beam.masking`.
"""

from refinery_beam.cache.journal.write import RunJournal, note_event

__all__ = ["RunJournal", "note_event"]
