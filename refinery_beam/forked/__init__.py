"""Processes forked from the driver, which prepare small records: for those, threads of one process wait for the interpreter's lock."""
