"""Attempts at an instance: unfinished work, and the runs that are alive to finish it."""
