"""Runs whose decodes are counted, and that are killed at one of them: what a run that goes on does not do again can be counted too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HOOK = """\
import os, signal, sys, time
import PIL.Image as I
plain = I.open
def opening(*a, **k):
    handle = os.open(os.environ["DECODES"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(handle, b".")
    count = os.fstat(handle).st_size
    os.close(handle)
    if count == int(os.environ.get("DIE_AT", "0")):
        # What is left of the run ends with its driver.
        os.kill(int(os.environ["DRIVER"]), getattr(signal, os.environ.get("DIE_OF", "SIGKILL")))
        time.sleep(60)
    return plain(*a, **k)
if "refinery_beam" in " ".join(sys.orig_argv):
    I.open = opening
    os.environ.setdefault("DRIVER", str(os.getpid()))
"""


class Counted:
    """A recipe and a cache root whose runs are counted in a folder of its own."""

    def __init__(self, recipe: Path, root: str, folder: Path) -> None:
        self.recipe, self.root, self.folder = recipe, root, folder
        (folder / "hook").mkdir(parents=True, exist_ok=True)
        (folder / "hook" / "sitecustomize.py").write_text(HOOK)

    def run(self, *more: str, die_at: int = 0, die_of: str = "SIGKILL", **environment: str) -> tuple[int, dict[str, object], int]:
        """Run to the end, whatever it is; gives the exit code, what was printed, and how many files were decoded."""
        counts = self.folder / "decodes"
        counts.unlink(missing_ok=True)
        python = f"{self.folder / 'hook'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        variables = {"PYTHONPATH": python, "DECODES": str(counts), "DIE_AT": str(die_at), "DIE_OF": die_of, **environment}
        command = [sys.executable, "-m", "refinery_beam", "run", str(self.recipe), "--cache-root", self.root, "--json", *more]
        process = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **variables}, start_new_session=True, timeout=200, check=False
        )
        assert "Traceback" not in process.stderr, process.stderr
        body = json.loads(process.stdout) if process.stdout else {}
        return process.returncode, body, counts.stat().st_size if counts.exists() else 0
