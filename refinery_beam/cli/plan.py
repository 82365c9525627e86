"""`plan`: what `run` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import coded, next_command, print_json, print_remarks, show


@shared
def plan(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Say what run would do, without doing it."""
    from refinery_beam.launch.plan import plan_with

    result = plan_with(recipe, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    show(*str(result).split("\n"))
    print_remarks(options, notes=result.notes, warnings=coded(result.warnings))
    next_command(options, "run" if result.status == "miss" else "status", str(recipe))
