"""The Slurm launcher, submitted to a stand-in for `sbatch` that treats the script as Slurm does: reads its options, copies it, runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.testing import images

ROOT = Path(__file__).parents[2]
JOB = ROOT / "launchers/slurm/job.sh"

SBATCH = """#!{python}
import os, re, shutil, signal, subprocess, sys, time

words, options = sys.argv[1:], {{}}
while words and words[0].startswith("--"):
    name, _, value = words.pop(0)[2:].partition("=")
    options[name] = value
script, *arguments = words
for line in open(script):
    if found := re.match(r"#SBATCH --([a-z-]+)=(.*)", line):
        options.setdefault(*found.groups())
spool = os.path.join({spool!r}, "slurm_script")
shutil.copy(script, spool)
environment = {{**os.environ, "SLURM_CPUS_PER_TASK": options["cpus-per-task"], "SLURM_JOB_ID": "42"}}
with open(options["output"].replace("%j", "42"), "w") as log:
    job = subprocess.Popen(["/bin/bash", spool, *arguments], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    if "time" in options:
        target, name, _ = re.match(r"(B):(\\w+)@(\\d+)", options["signal"]).groups()
        while not os.path.exists({marker!r}):
            time.sleep(0.1)
        job.send_signal(getattr(signal, "SIG" + name))
    code = job.wait()
print("Submitted batch job 42")
open(os.path.join({spool!r}, "exit"), "w").write(str(code))
"""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment whose `sbatch` is the stand-in; its folder is `spool`."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "spool").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(SBATCH.format(python=sys.executable, spool=str(tmp_path / "spool"), marker=str(tmp_path / "begun")))
    sbatch.chmod(0o755)
    images.class_folders(tmp_path / "photos", classes=("circle", "square"), per_class=6, size=(16, 16))
    (tmp_path / "recipe.yaml").write_text(
        "schema_version: 3\nplugin: image_classification\nInput: {sources: [{name: photos, type: image_folder, path: photos}]}\n"
        "Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}\n"
        "Labels: {field: label, source: {kind: direct}}\nSplits: {ratios: {train: 0.5, test: 0.5}}\n"
    )
    return {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "REFINERY_BEAM": f"{sys.executable} -m refinery_beam",
    }


def submit(folder: Path, environment: dict[str, str], *options: str) -> tuple[int, str]:
    """The exit code of the job and its log."""
    command = ["sbatch", *options, str(JOB), "recipe.yaml", "--cache-root", "cache", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "Submitted batch job 42\n"
    return int((folder / "spool" / "exit").read_text()), (folder / "refinery-beam-42.log").read_text()


@pytest.mark.slow
def test_a_job_runs_with_the_cores_it_was_given(tmp_path: Path, slurm: dict[str, str]) -> None:
    code, log = submit(tmp_path, slurm, "--cpus-per-task=2")
    assert code == 0 and '"status": "built"' in log
    assert rb.open_instance(tmp_path / "recipe.yaml", cache_root=tmp_path / "cache").counts == {"train": 6, "test": 6}
    assert rb.journal(cache_root=tmp_path / "cache").column("workers").to_pylist() == [2]


def test_the_exit_code_is_that_of_the_run(tmp_path: Path, slurm: dict[str, str]) -> None:
    (tmp_path / "recipe.yaml").write_text("schema_version: 3\n")
    assert submit(tmp_path, slurm)[0] == 1


def test_the_time_limit_is_an_interrupt(tmp_path: Path, slurm: dict[str, str]) -> None:
    """Slurm's signal reaches the run itself, which ends as after Ctrl-C."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(
        f"import time\nimport PIL.Image as I\nplain = I.open\ndef slow(*a, **k):\n    open({str(tmp_path / 'begun')!r}, 'w').close()\n"
        "    time.sleep(0.5)\n    return plain(*a, **k)\nI.open = slow\n"
    )
    slurm["PYTHONPATH"] = f"{tmp_path / 'hook'}{os.pathsep}{ROOT}"
    code, log = submit(tmp_path, slurm, "--time=0:10")
    assert code == 130 and "nothing was promoted" in log
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))
