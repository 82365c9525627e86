"""`status`: what the cache holds for a recipe, or what an instance directory is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refinery_beam.amounts import size_in_words
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Block, Cell, Facts, Line, Words, coded, display, next_command, print_json, show

if TYPE_CHECKING:
    from refinery_beam.launch.status import StatusResult


@shared
def status(target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")], *, options: Options) -> None:
    """Say whether the instance of a recipe is there, and what it holds. Exit code 0 whether it is or not."""
    from refinery_beam.launch.status import status_with

    result = status_with(target, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    show(*blocks(result))
    next_command(options, "verify" if result.status == "hit" else "run", target)


def blocks(result: StatusResult) -> list[Block]:
    """What `status` says to a person."""
    listed = result.selection.lines() if result.selection is not None else []
    warnings = [Line(f"  {line}", "warning") for line in coded(result.warnings)]
    if result.manifest is None:
        head = [Line(f"miss: {display(result.path)} does not exist yet", "warning")]
        if result.damage:
            head = [Line(f"damaged: {result.damage}", "bad"), Line("  remedy: run the recipe again to rebuild it")]
        return [*head, *map(Line, listed), *warnings]
    raw, files = result.manifest.raw, result.manifest.files
    facts: list[tuple[str, Cell]] = [
        ("instance", result.path),
        ("recipe", raw["recipe_hash"]),
        ("input", raw["input_hash"]),
        ("seed", Words(str(raw["seed"]))),
        ("rows", raw["logical_digest"]),
        ("files", f"{len(files):,}, {size_in_words(sum(f.bytes for f in files))}"),
        *[(split, f"{raw['counts'][split]:,} records") for split in raw["splits"]],
        ("ledger", ", ".join(f"{n:,} {reason}" for reason, n in raw["ledger"].items()) or "empty"),
        *[("selection", Words(line)) for line in listed],
        ("warnings", len(warnings) or "none"),
    ]
    return [Line("hit", "good"), Facts(facts), *warnings]
