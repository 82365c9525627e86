"""`status`: what the cache holds for a recipe, or what an instance directory is."""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import coded, print_json, rows
from refinery_beam.launch.status import StatusResult, status_with


@shared
def status(target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")], *, options: Options) -> None:
    """Say whether the instance of a recipe is there, and what it holds. Exit code 0 whether it is or not."""
    result = status_with(target, options.settings())
    if options.json:
        print_json(result.to_dict())
    else:
        print(words(result))


def words(result: StatusResult) -> str:
    """What `status` says to a person."""
    listed = result.selection.lines() if result.selection is not None else []
    warnings = [f"  {line}" for line in coded(result.warnings)]
    if result.manifest is None:
        head = f"miss: {result.path} does not exist yet"
        if result.damage:
            head = f"damaged: {result.damage}\n  remedy: run the recipe again to rebuild it"
        return "\n".join([head, *listed, *warnings])
    raw, files = result.manifest.raw, result.manifest.files
    lines = [
        ("instance", result.path),
        ("recipe", raw["recipe_hash"]),
        ("input", raw["input_hash"]),
        ("seed", raw["seed"]),
        ("rows", raw["logical_digest"]),
        ("files", f"{len(files):,}, {sum(f.bytes for f in files) / 1e6:,.1f} MB"),
        *[(split, f"{raw['counts'][split]:,} records") for split in raw["splits"]],
        ("ledger", ", ".join(f"{n:,} {reason}" for reason, n in raw["ledger"].items()) or "empty"),
        *[("left out", line) for line in listed],
        ("warnings", len(warnings) or "none"),
    ]
    return "\n".join(["hit", rows([(name, value) for name, value in lines]), *warnings])
