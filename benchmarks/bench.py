"""How fast is a run? Side by side with a bare loop that does the same work, in one go, taking turns.

usage: bench.py [--images DIR] [--draw N] [--repeat N] [--workers N]

Every turn is a whole process, start-up included: the bare loop (bare_loop.py), then `refinery-beam run` into an empty cache, and at the end
runs that hit. DIR holds one folder a class; without it (and without REFINERY_BENCH_IMAGES), noisy 500 x 375 JPEGs are drawn. All files are
read once before, so that both find them in memory. The peak is the sum over a process and its children, sampled; shared pages count in
each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from refinery_beam.testing import images

HERE = Path(__file__).parent
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: photos, type: image_folder, path: {images} }}] }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output:
  record_schema:
    image: {{ dtype: uint8, shape: [224, 224, 3] }}
    label: {{ dtype: str }}
Splits: {{ ratios: {{ train: 0.7, val: 0.15, test: 0.15 }}, stratify_by: label }}
Transformations:
  - {{ name: resize, op: resize, params: {{ size: 224, method: bilinear }}, splits: [train, val, test] }}
  - {{ name: normalize, op: normalize, fit_source: train, splits: [train, val, test] }}
"""


class Turn(NamedTuple):
    seconds: float
    peak_mb: float


def family(root: int) -> list[int]:
    """A process and all its descendants, as far as /proc tells."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # gone meanwhile
    return found


def resident_mb(pids: list[int]) -> float:
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def timed(command: list[str | Path]) -> Turn:
    """Run a command to its end; its wall time and peak memory."""
    begun, peak, done = time.perf_counter(), 0.0, threading.Event()
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, resident_mb(family(process.pid)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    code = process.wait()
    seconds = time.perf_counter() - begun
    done.set()
    sampler.join()
    if code:
        sys.exit(f"{' '.join(str(part) for part in command)} ended with {code}")
    return Turn(seconds, peak)


def main() -> None:
    parser = argparse.ArgumentParser(description="refinery-beam beside a bare loop.")
    parser.add_argument("--images", type=Path, default=os.environ.get("REFINERY_BENCH_IMAGES"), help="photographs in class folders")
    parser.add_argument("--draw", type=int, default=1000, help="how many pictures to draw when there is no folder (default 1000)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--workers", type=int, help="for refinery-beam (default: its own choice)")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="refinery-bench-") as scratch:
        folder = Path(args.images).absolute() if args.images else Path(scratch) / "photos"
        if not args.images:
            print(f"drawing {args.draw} pictures of 500 x 375 ...")
            images.class_folders(folder, per_class=-(-args.draw // 3), size=(500, 375), formats=("jpg",))
        count = sum(len(f.read_bytes()) > 0 for f in sorted(folder.rglob("*.*")) if f.is_file())
        recipe = Path(scratch) / "recipe.yaml"
        recipe.write_text(RECIPE.format(images=folder), encoding="utf-8")
        options = ["--workers", str(args.workers)] if args.workers else []

        bare, ours, hits = [], [], []
        for turn in range(args.repeat):
            bare.append(timed([sys.executable, HERE / "bare_loop.py", folder, Path(scratch) / "bare.parquet"]))
            cache = ["--cache-root", Path(scratch) / f"cache-{turn}"]
            run = [sys.executable, "-m", "refinery_beam", "run", recipe, "--quiet", *cache, *options]
            ours.append(timed(run))
            print(f"turn {turn + 1}: bare loop {count / bare[-1].seconds:6.0f}, refinery-beam {count / ours[-1].seconds:6.0f} images/s")
        hits = [timed(run) for _ in range(args.repeat)]

    print(f"\n{count} images, {os.cpu_count()} cores, medians of {args.repeat}\n")
    print(f"{'':22}{'seconds':>10}{'images/s':>10}{'peak MB':>10}")
    for name, turns in (("bare loop, 2 threads", bare), ("refinery-beam run", ours), ("refinery-beam, a hit", hits)):
        seconds = statistics.median(t.seconds for t in turns)
        print(f"{name:22}{seconds:10.2f}{count / seconds:10.0f}{max(t.peak_mb for t in turns):10.0f}")
    ratio = statistics.median(b.seconds / o.seconds for b, o in zip(bare, ours, strict=True))
    print(f"\nspeed of a run, as a share of the bare loop's: {ratio:.2f}")


if __name__ == "__main__":
    main()
