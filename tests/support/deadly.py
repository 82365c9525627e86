"""What deaths of workers are tried with: a recipe, pictures whose decoding ends the process, and the hook by which it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RECIPE = """\
schema_version: 3
plugin: image_classification
Input:
  sources: [{{name: photos, type: image_folder, path: {path}}}]
  on_error: {on_error}
  max_bad_fraction: 0.1
Output:
  record_schema: {{image: {{dtype: {dtype}, shape: [24, 24, 3]}}, label: {{dtype: str}}}}
  shard_records: {shard_records}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.8, test: 0.2}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 24, method: lanczos}}, splits: [train, test]}}
"""

NORMALIZE = "  - {name: normalize, op: normalize, fit_source: train, splits: [train, test]}\n"

# Decoding a file whose bytes hold this word ends the process, as a defect in a codec would.
HOOK = """\
import ctypes, os, signal, sys
import PIL.Image as I
plain = I.open
def opening(file, *a, **k):
    data = file.getvalue() if hasattr(file, "getvalue") else b""
    if b"SEGFAULT" in data:
        ctypes.string_at(0)
    if b"KILL-ONCE" in data and not os.path.exists(os.environ["DIED"]):
        open(os.environ["DIED"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(file, *a, **k)
I.open = opening
"""


def spoil(photos: Path, word: bytes, number: int = 3) -> str:
    """Append a word to one picture, which stays readable; its record id."""
    file = sorted(photos.rglob("*.*"))[number]
    file.write_bytes(file.read_bytes() + word)
    return f"photos/{file.relative_to(photos)}"


IN_THE_BACKGROUND = ("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""What a script's `&` does to a command that follows: it ignores SIGINT."""


def start(
    photos: Path, *more: str, on_error: str = "fail", before: Sequence[str] = (), shard_records: int = 5, floats: bool = False
) -> subprocess.Popen[str]:
    """A run over some pictures. `floats` are normalized, with statistics that take a pass of their own."""
    folder = photos.parent
    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    recipe = folder / "recipe.yaml"
    text = RECIPE.format(path=photos, on_error=on_error, shard_records=shard_records, dtype="float32" if floats else "uint8")
    recipe.write_text(text + NORMALIZE * floats)
    run = ["run", str(recipe), "--cache-root", str(folder / "cache"), "--json", *more]
    command = [*before, sys.executable, "-m", "refinery_beam", *run]
    environment = {"DIED": str(folder / "died"), **os.environ, "PYTHONPATH": str(folder / "hook")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, object]]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out)
