"""`run`: make the instance of a recipe, or find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refinery_beam import locations
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Block, Facts, Line, Words, coded, display, next_command, print_json, print_remarks, show

if TYPE_CHECKING:
    from refinery_beam.launch.run import RunResult

HEADS = {"built": "built", "hit": "hit, nothing to do", "opened": "opened, without its raw data"}


@shared
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    *,
    opens: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    options: Options,
) -> None:
    """Prepare the dataset of a recipe, or find it in the cache."""
    from refinery_beam.cli.browser import open_page
    from refinery_beam.launch.run import run_with

    result = run_with(recipe, options.settings())
    notes = (*result.notes, *(open_page(result.page) if opens else ()))
    if options.json:
        print_json(result.to_dict())
        return
    show(*summary(result))
    print_remarks(options, notes=notes, warnings=coded(result.warnings))
    next_command(options, "inspect", str(recipe))


def summary(result: RunResult) -> list[Block]:
    """What a run says to a person."""
    raw = result.manifest.raw
    records = sum(result.counts.values())
    blocks: list[Block] = [
        Line(f"{HEADS[result.status]}: {records:,} records in {result.seconds:.1f} s", "good"),
        Facts([("instance", result.path)]),
        Facts(list(result.counts.items()), indent=2, numbers=True),
    ]
    facts: list[tuple[str, Words]] = []
    if raw["ledger"]:
        lost = ", ".join(f"{count:,} {reason}" for reason, count in raw["ledger"].items())
        facts.append(("ledger", Words(f"{lost}  (report/ledger.parquet)")))
    if result.reused:
        facts.append(("reused", Words(f"{_reused(result)}  (an earlier run had finished them)")))
    if result.pictures:
        folder = locations.parent(next(iter(result.pictures.values())))
        facts.append(("pictures", Words(f"{display(folder)}  ({', '.join(result.pictures)})")))
    facts.append(("digest", Words(raw["logical_digest"][:16])))
    if result.page:
        facts.append(("report", Words(display(result.page))))
    return [*blocks, Facts(facts, width=8)]


def _reused(result: RunResult) -> str:
    shards = sum(1 for entry in result.manifest.files if entry.split is not None)
    found = result.reused
    said = [f"{found.shards:,} of {shards:,} shards, {found.records:,} records"] if found.shards else []
    said += [f"statistics of {found.fit_records:,} records"] if found.fit_records else []
    return "; ".join(said)
