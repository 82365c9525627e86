"""The commands of docs/stores.md, with a bucket that is there in place of the one that is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.recipes import write_recipe

pytestmark = pytest.mark.stores

PAGE = (Path(__file__).parents[2] / "docs/stores.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_runs(bucket: str, class_folders: Path, tmp_path: Path) -> None:
    write_recipe(class_folders, tmp_path)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines() if not line.startswith("pip ")]
    assert len(lines) == 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        command = line.replace("gs://my-bucket", bucket)
        assert command != line
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "'train': 25" in done.stdout
