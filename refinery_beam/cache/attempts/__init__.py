"""Attempts at an instance: where unfinished work lies, and which run is alive to finish it."""
