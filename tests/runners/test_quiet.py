"""Beam is imported in the background, and a process that forks waits for it."""

from __future__ import annotations

import subprocess
import sys


def test_the_import_ends_before_a_fork() -> None:
    program = """\
import sys, threading
from refinery_beam.crashes.forked_run import can_fork
from refinery_beam.runners.quiet import begin_import, end_import
begin_import()
begin_import()
assert not can_fork()
end_import()
end_import()
assert can_fork() and "apache_beam" in sys.modules and "refinery_beam.pipeline.translate" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
