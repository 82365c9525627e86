"""Digests of files, hints that save reading them again, and one hash over all files."""
