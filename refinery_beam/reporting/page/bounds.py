"""How much of everything the page shows. What is left out is counted, and the file that has it all is named.

The page is at most `PAGE_BYTES`, whatever the number of records, classes, splits and losses, and however long their names.
"""

from __future__ import annotations

PAGE_BYTES = 10 << 20
"""The most bytes of a page: a test renders one that reaches every other bound."""

PICTURE_BYTES = 2 << 20
"""The most bytes of all pictures of records, before they are written as text (which makes them a third larger)."""

DRAWN_BYTES = 1 << 20
"""The most bytes of all pictures that Visualizations drew; one that is larger than its share is shown smaller."""

NAME_CHARACTERS = 120
"""Of a longer name the beginning and the end are shown."""

TEXT_CHARACTERS = 300
"""Of a longer message or detail likewise."""

RECIPE_CHARACTERS = 40_000
"""Of a longer recipe the beginning is shown."""

SPLITS = 8
"""Splits with a column of their own; the others are in manifest.json."""

CLASSES = 1_000
"""Classes in the table; of more those with the most records."""

STRIPS = 100
"""Classes in tables of properties."""

TILES = 600
"""Pictures in the grid of samples."""

LEDGER_ROWS = 300
"""Records of the ledger that are listed: those that the recipe did not ask to lose come first."""

ROWS = 60
"""Rows of every other table, and remarks of every list."""

VALUES = 12
"""Values of a property that are listed by name."""

EXAMPLES = 12
"""Records, groups or pairs shown for each finding."""

SHORTCUTS = 16
"""Properties that tell the label."""

GROUP = 6
"""Records of a group of duplicates."""
