"""`run`: make the instance of a recipe, or find it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam import locations
from refinery_beam.cli.browser import open_page
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import coded, print_json, print_remarks, rows
from refinery_beam.launch.run import RunResult, run_with


@shared
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    *,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    options: Options,
) -> None:
    """Prepare the dataset of a recipe, or find it in the cache."""
    result = run_with(recipe, options.settings())
    notes = (*result.notes, *(open_page(result.page) if show else ()))
    if options.json:
        print_json(result.to_dict())
        return
    print(summary(result))
    print_remarks(options, notes=notes, warnings=coded(result.warnings))


def summary(result: RunResult) -> str:
    """What a run says to a person."""
    raw = result.manifest.raw
    records = sum(result.counts.values())
    head = {"built": "built", "hit": "hit, nothing to do", "opened": "opened, without its raw data"}
    lines = [f"{head[result.status]}: {records:,} records in {result.seconds:.1f} s", f"instance  {result.path}"]
    lines.append(rows([(f"  {split}", f"{count:,}") for split, count in result.counts.items()]))
    if raw["ledger"]:
        lost = ", ".join(f"{count:,} {reason}" for reason, count in raw["ledger"].items())
        lines.append(f"ledger    {lost}  (report/ledger.parquet)")
    if result.reused:
        lines.append(f"reused    {_reused(result)}  (an earlier run had finished them)")
    if result.pictures:
        folder = locations.parent(next(iter(result.pictures.values())))
        lines.append(f"pictures  {folder}  ({', '.join(result.pictures)})")
    lines.append(f"digest    {raw['logical_digest'][:16]}")
    if result.page:
        lines.append(f"report    {result.page}")
    return "\n".join(lines)


def _reused(result: RunResult) -> str:
    shards = sum(1 for entry in result.manifest.files if entry.split is not None)
    found = result.reused
    said = [f"{found.shards:,} of {shards:,} shards, {found.records:,} records"] if found.shards else []
    said += [f"statistics of {found.fit_records:,} records"] if found.fit_records else []
    return "; ".join(said)
