"""Tables as people have them: the one reader of label tables, whoever asks (checks, the join, `init`).

`open_table` gives columns and rows of CSV and its relatives, JSON lines and Parquet. What it assumes is in ``Table.notes``; what it cannot
read it names for what it is, with the line and the remedy, in a `TableFault`. No other exception leaves this room.
"""

from refinery_beam.tables.contents import LIMIT
from refinery_beam.tables.faults import TableFault
from refinery_beam.tables.ids import IdForm, find_form, natural_key
from refinery_beam.tables.read import Table, open_table

__all__ = ["LIMIT", "IdForm", "Table", "TableFault", "find_form", "natural_key", "open_table"]
