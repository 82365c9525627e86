"""``python -m refinery_beam.rules`` prints the page of errors."""

from __future__ import annotations

import sys

from refinery_beam.rules.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
