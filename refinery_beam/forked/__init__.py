"""Processes forked from the driver, which prepare records: threads of one process would wait for the interpreter's lock."""
