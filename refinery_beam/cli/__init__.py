"""The command line: verbs that parse, call and print. No logic lives here; `main` is the console script."""

from refinery_beam.cli.app import main

__all__ = ["main"]
