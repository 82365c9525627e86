"""`init`: write a recipe for a folder of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_json
from refinery_beam.errors import UsageError
from refinery_beam.scaffold import SCHEMA_FILE, scaffold

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the recipe is written. [default: recipe.yaml]")]
Input = Annotated[Path | None, typer.Option("--input", "-i", metavar="DIR", help="The same as naming the folder.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]


@shared
def init(
    folder: Annotated[Path | None, typer.Argument(help="The folder of images.")] = None,
    *,
    given: Input = None,
    output: Output = Path("recipe.yaml"),
    force: Force = False,
    options: Options,
) -> None:
    """Write a recipe for a folder: class folders, a flat folder with a label table, or train/ and test/."""
    source = folder or given
    if source is None:
        raise UsageError(
            "init needs a folder of images", code="usage", rule="refinery-beam init FOLDER", remedy="name the folder your images are in"
        )
    facts = scaffold(str(source), str(output), force=force, plugin_paths=options.plugin_paths())
    location = os.path.abspath(output)
    schema = os.path.join(os.path.dirname(location), SCHEMA_FILE)
    if options.json:
        print_json({"contract": CONTRACT, "status": "written", "recipe": location, "schema": schema, "layout": facts.layout})
        return
    print(f"{facts.layout}: wrote {output} and {SCHEMA_FILE} beside it")
    if not options.quiet:
        typer.echo(f"next: refinery-beam run {output}", err=True)
