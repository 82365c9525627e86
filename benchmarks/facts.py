"""What facts cost: the pass that writes shards with `Output.facts` on and off, in one process, taking turns.

usage: facts.py [--images DIR] [--draw N] [--size N] [--repeat N] [--threads N] [--profile]

DIR holds one folder a class; without it (and without REFINERY_BENCH_IMAGES), pictures are drawn. Every turn writes one shard of all files:
read, check, decode, resize to SIZE, encode, write. The least of all turns counts for either: what else the machine does only adds to it.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.splits.refs import make_refs
from refinery_beam.record.prepared import Crew
from refinery_beam.record.shard import write_shard
from refinery_beam.record.worker import Worker
from refinery_beam.records import Ref
from refinery_beam.testing import images

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: photos, type: image_folder, path: {images} }}] }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output:
  record_schema:
    image: {{ dtype: uint8, shape: [{size}, {size}, 3] }}
    label: {{ dtype: str }}
  facts: {facts}
Splits: {{ ratios: {{ train: 1.0 }} }}
Transformations:
  - {{ name: resize, op: resize, params: {{ size: {size}, method: bilinear }}, splits: [train] }}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=os.environ.get("REFINERY_BENCH_IMAGES"))
    parser.add_argument("--draw", type=int, default=500, help="how many pictures to draw when there is no folder (500)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="show where the time of one thread goes, with facts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folder = args.images or work / "images"
        if not args.images:
            images.class_folders(folder, per_class=-(-args.draw // 3), size=(500, 375), formats=("jpg",))
        recipes = {facts: RECIPE.format(images=Path(folder).resolve(), size=args.size, facts=facts) for facts in ("on", "off")}
        workers = {facts: ready(text, work / facts) for facts, text in recipes.items()}
        if args.profile:
            profile = cProfile.Profile()
            profile.runcall(written, workers["on"], work / "on", 1, facts=True)
            pstats.Stats(profile).sort_stats("tottime").print_stats(30)
            return
        for facts, made in workers.items():
            written(made, work / facts, args.threads, facts=facts == "on")  # files and code get warm
        turns = []
        for turn in range(args.repeat):
            order = ("on", "off") if turn % 2 else ("off", "on")
            turns.append({facts: written(workers[facts], work / facts, args.threads, facts=facts == "on") for facts in order})
        count = len(workers["on"][1])
        for number, name in enumerate(("seconds", "processor time")):
            on, off = (min(turn[facts][number] for turn in turns) * 1000 / count for facts in ("on", "off"))
            print(f"{name}: {off:.3f} ms a record without facts, {on:.3f} with: {100 * (on / off - 1):+.1f}%")


def ready(text: str, work: Path) -> tuple[Worker, list[Ref]]:
    """A worker for a recipe, and the refs of all its files, in train."""
    work.mkdir()
    recipe = work / "recipe.yaml"
    recipe.write_text(text, encoding="utf-8")
    prepared = prepare(recipe, Settings(cache_root=str(work / "cache")))
    refs, _ = make_refs(prepared.index, prepared.plan, prepared.plugin)
    return Worker(prepared.plan), [ref._replace(split="train") for ref in refs]


def written(made: tuple[Worker, list[Ref]], work: Path, threads: int, *, facts: bool) -> tuple[float, float]:
    """Seconds, and seconds of processor time, of one shard of all records."""
    worker, refs = made
    with tempfile.TemporaryDirectory(dir=work) as scratch, ThreadPoolExecutor(threads) as pool:
        target = f"{scratch}/facts" if facts else ""
        os.makedirs(f"{scratch}/facts")
        wall, cpu = time.perf_counter(), time.process_time()
        write_shard(
            worker,
            refs,
            {},
            split="train",
            shard=0,
            shards=1,
            folder=f"{scratch}/dataset",
            scratch=scratch,
            crew=Crew(pool=pool if threads > 1 else None, threads=threads),
            facts=target,
        )
        return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
