"""`plan`: what `run` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import coded, print_json, print_remarks
from refinery_beam.launch.plan import plan_with


@shared
def plan(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Say what run would do, without doing it."""
    result = plan_with(recipe, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    print(result)
    print_remarks(options, notes=result.notes, warnings=coded(result.warnings))
