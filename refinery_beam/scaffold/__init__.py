"""`init`: looks at a folder, and writes a recipe for what is there, or says which choice is yours.

`survey` lists names, `evidence` reads tables, `layouts` decides, `text` writes. What was taken and what was left, and why, is part of the
answer.
"""

from refinery_beam.scaffold.facts import FolderFacts, Remark, SourceFacts, Table
from refinery_beam.scaffold.layouts import inspect_folder
from refinery_beam.scaffold.survey import first_pictures
from refinery_beam.scaffold.text import SCHEMA_FILE, recipe_text
from refinery_beam.scaffold.write import refuse_existing, schema_text, write_files

__all__ = [
    "SCHEMA_FILE",
    "FolderFacts",
    "Remark",
    "SourceFacts",
    "Table",
    "first_pictures",
    "inspect_folder",
    "recipe_text",
    "refuse_existing",
    "schema_text",
    "write_files",
]
