"""Does the driver grow with the number of images? Its peak memory and the size of the job graph, for indexes of several sizes.

usage: scale.py [--records N ...] [--quotas N ...] [--filtered N ...] [--classes N ...]

Each size is a process of its own. It makes up a listing (class folders, digests, one content in fifty twice, so that groups matter), and
from there does what a run does before its engine starts: sort, group, find duplicates, hash the input, divide into splits, write index
parts, translate. `--quotas` divides that many refs by exact quotas within each number of classes and writes nothing; `--filtered` takes
one class out of that many and a tenth of the others first, so that the local engine has to cut, and deals the rest into shards; `--table`
rounds a table of that many strata. Peaks are those of the process and all that it starts. A first row without records shows what Python,
Beam and PyArrow take by themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from measuring import measured

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: { sources: [{ name: photos, type: image_folder, path: . }] }
Labels: { field: label, source: { kind: direct } }
Output:
  record_schema:
    image: { dtype: uint8, shape: [224, 224, 3] }
    label: { dtype: str }
Splits: { ratios: { train: 0.7, val: 0.15, test: 0.15 }, stratify_by: label }
Transformations:
  - { name: resize, op: resize, params: { size: 224, method: bilinear }, splits: [train, val, test] }
  - { name: normalize, op: normalize, fit_source: train, splits: [train, val, test] }
"""
FILTER = """\
Filters:
  - { name: most, op: filter_by_label, params: { labels: [class_0001], action: exclude } }
  - { name: nine_tenths, op: random_sample, params: { fraction: 0.9 } }
"""
CLASSES = 1000


def paths(records: int, classes: int = CLASSES) -> Iterator[str]:
    """Names as cameras give them, in the order of no folder."""
    for number in range(records):
        yield f"class_{number % classes:04d}/holiday_{number % 97:02d}/IMG_{number:09d}.jpeg"


def content(number: int) -> bytes:
    """A digest; every fiftieth file has the content of the one before."""
    return hashlib.sha256(b"%d" % (number - 1 if number % 50 == 1 else number)).digest()


def driver(records: int, _: int, folder: str) -> dict[str, Any]:
    """What a run does before its engine starts."""
    import apache_beam as beam

    from refinery_beam.index import Source, build
    from refinery_beam.index.digests.digest_files import Digested
    from refinery_beam.index.labels.label_rules import Given, Labelling
    from refinery_beam.index.listing.layout import Layout
    from refinery_beam.index.listing.sources import Sieve
    from refinery_beam.job.index_parts import write_index
    from refinery_beam.job.job import Job
    from refinery_beam.pipeline.translate import translate
    from refinery_beam.planning.build import build_plan
    from refinery_beam.planning.splits.refs import make_refs
    from refinery_beam.plugins.discovery import find_plugin
    from refinery_beam.recipe import load_recipe

    recipe_file = Path(folder) / "recipe.yaml"
    recipe_file.write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(recipe_file)
    plugin = find_plugin("image_classification")
    plan = build_plan(recipe, plugin, roots=["/nowhere"])
    os.makedirs(f"{folder}/index")
    index_bytes = 0
    if records:
        sieve = Sieve(Source(name="photos", type="image_tree", root="/nowhere"), Layout("{label}/*/{file}"), scratch=folder)
        for path in paths(records):
            sieve.add(path, 110_000)
        listing = sieve.listing()
        index = build.assemble(
            [listing],
            [Labelling(lambda k, file: Given(file.label))],
            lambda listed: (Digested(file, content(int(file.path[-14:-5]))) for file in listed.files),
            scratch=folder,
        )
        refs, grouped = make_refs(index, plan, plugin)
        write_index(f"{folder}/index", refs, count=records)
        assert grouped == (index.repeats.records > 0) and len(index.entries) == records
        index_bytes = sum(f.stat().st_size for f in Path(folder, "index").iterdir())
    job = Job(plan=plan, instance="/nowhere/instance", work=folder, threads=1, records=records, shard_records=1000, grouped=True)
    pipeline = beam.Pipeline(runner="FnApiRunner")
    translate(pipeline, job)
    graph = len(pipeline.to_runner_api().SerializeToString())
    return {"graph": graph, "index": index_bytes}


def listed_refs(records: int, classes: int) -> Iterator[Any]:
    """Refs as the driver makes them."""
    from refinery_beam.identity import record_key
    from refinery_beam.records import Ref

    for path in paths(records, classes):
        key = record_key(path)
        yield Ref(path, key, 0, path, 110_000, key, path.partition("/")[0], "", key, "", "", "")


def table(strata: int, _: int, folder: str) -> dict[str, Any]:
    """Nothing but the rounding of a table, strata of 1 to 200 groups by three splits."""
    from refinery_beam.planning.splits.quotas import weights
    from refinery_beam.planning.splits.table import controlled_rounding

    counts = {f"class_{i}": 1 + i * i % 200 for i in range(strata)}
    totals = [sum(column) for column in zip(*controlled_rounding(counts, weights([0.7, 0.15, 0.15])).values(), strict=True)]
    assert all(abs(got - sum(counts.values()) * share) < 1 for got, share in zip(totals, weights([0.7, 0.15, 0.15]), strict=True))
    return {"counts": dict(zip(("train", "val", "test"), totals, strict=True))}


def quotas(records: int, classes: int, folder: str) -> dict[str, Any]:
    """Exact quotas of groups within classes, as the driver cuts them."""
    from refinery_beam.planning.build import build_plan
    from refinery_beam.planning.splits.strata import divide
    from refinery_beam.plugins.discovery import find_plugin
    from refinery_beam.recipe import load_recipe
    from refinery_beam.sorting import Again

    recipe_file = Path(folder) / "recipe.yaml"
    recipe_file.write_text(RECIPE, encoding="utf-8")
    plan = build_plan(load_recipe(recipe_file), find_plugin("image_classification"), roots=["/nowhere"])

    counts = Counter(ref.split for ref in divide(Again(lambda: listed_refs(records, classes)), plan, grouped=False, scratch=folder))
    assert sum(counts.values()) == records and counts[""] == 0
    return {"counts": dict(counts)}


def filtered(records: int, classes: int, folder: str) -> dict[str, Any]:
    """Exact quotas within classes behind two filters, as the local engine cuts them, and the shards of what is left."""
    import apache_beam as beam

    from refinery_beam.job.index_parts import write_index
    from refinery_beam.job.job import WORK_FOLDERS, Job
    from refinery_beam.pipeline.filters import carried_out
    from refinery_beam.pipeline.rows.read_index import DealGroups, ReadGroups
    from refinery_beam.pipeline.split import LEDGER, AssignSplits
    from refinery_beam.pipeline.write import in_shards
    from refinery_beam.planning.build import build_plan
    from refinery_beam.plugins.discovery import find_plugin
    from refinery_beam.recipe import load_recipe
    from refinery_beam.runners.local import plan_local_workers, run_local

    recipe_file = Path(folder) / "recipe.yaml"
    recipe_file.write_text(RECIPE + FILTER, encoding="utf-8")
    plan = build_plan(load_recipe(recipe_file), find_plugin("image_classification"), roots=["/nowhere"])
    for name in WORK_FOLDERS:
        os.makedirs(f"{folder}/{name}")
    write_index(f"{folder}/index", listed_refs(records, classes), count=records)
    job = Job(plan=plan, instance="/nowhere", work=folder, threads=1, records=records, shard_records=1000, grouped=False)

    def build(pipeline: Any) -> None:
        kept = pipeline | "Groups" >> DealGroups(f"{folder}/index") | "Index" >> ReadGroups(f"{folder}/index")
        for step in plan.pre_filters:
            kept, _ = kept | step.name >> carried_out(job, step)
        branches = kept | "Split" >> AssignSplits(plan, grouped=False)
        _ = branches.pop(LEDGER)
        every = tuple(branches.values()) | beam.Flatten()
        _ = in_shards(every, job) | "Count" >> beam.Map(keep_count, f"{folder}/counts")

    os.makedirs(f"{folder}/counts")
    run_local(build, plan_local_workers(records), work=folder)
    counts: Counter[str] = Counter()
    for path in Path(folder, "counts").iterdir():
        counts[path.name.partition("-")[0]] += int(path.read_text())
    assert sum(counts.values()) == (records - records // classes) * 9 // 10, counts
    return {"counts": counts}


def keep_count(group: tuple[tuple[str, int, int], Iterable[Any]], folder: str) -> None:
    (split, shard, _), refs = group
    Path(folder, f"{split}-{shard}").write_text(str(sum(1 for _ in refs)))


KINDS = {"driver": driver, "table": table, "quotas": quotas, "filtered": filtered}


def in_process(kind: str, records: int, classes: int = CLASSES) -> dict[str, Any]:
    turn = measured([sys.executable, __file__, "--measure", kind, str(records), str(classes)])
    if turn.failed:
        raise SystemExit(turn.failed)
    return {**json.loads(turn.last), **turn._asdict()}


def main() -> None:
    parser = argparse.ArgumentParser(description="The driver's memory and the job graph, by number of images.")
    parser.add_argument("--records", type=int, nargs="*", default=[1_000, 100_000, 1_000_000], help="sizes of indexes")
    parser.add_argument("--table", type=int, nargs="*", default=[100_000, 1_000_000], help="strata of tables to round")
    parser.add_argument("--quotas", type=int, nargs="*", default=[100_000, 10_000_000], help="references to divide")
    parser.add_argument(
        "--filtered", type=int, nargs="*", default=[100_000, 300_000, 1_000_000], help="references to filter, divide and deal"
    )
    parser.add_argument("--classes", type=int, nargs="*", default=[CLASSES, 100_000], help="classes of what is divided")
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "N", "CLASSES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        kind, records, classes = args.measure
        with tempfile.TemporaryDirectory(prefix="refinery-scale-") as folder:
            print(json.dumps(KINDS[kind](int(records), int(classes), folder)))
        return
    print(f"{'references':>12}{'driver peak MB':>16}{'graph bytes':>13}{'index MB':>10}{'seconds':>9}")
    for records in [0, *args.records]:
        row = in_process("driver", records)
        print(f"{records:12,}{row['peak_mb']:16.0f}{row['graph']:13,}{row['index'] / 1e6:10.1f}{row['seconds']:9.1f}", flush=True)
    for strata in args.table:
        row = in_process("table", strata)
        print(f"\ncontrolled rounding: {strata:,} strata, peak {row['peak_mb']:.0f} MB, {row['seconds']:.1f} s", flush=True)
    for kind, counts, where in (
        ("quotas", args.quotas, "in the driver"),
        ("filtered", args.filtered, "behind filters, dealt into shards, in the local engine"),
    ):
        for count in counts:
            for classes in args.classes:
                row = in_process(kind, count, classes)
                print(f"\nexact quotas {where}: {count:,} references, {classes:,} classes, ", end="")
                print(f"peak {row['peak_mb']:.0f} MB, {row['seconds']:.0f} s, {row['cpu']:.0f} s of processors")
                print("  " + ", ".join(f"{name} {number:,}" for name, number in sorted(row["counts"].items())), flush=True)


if __name__ == "__main__":
    main()
