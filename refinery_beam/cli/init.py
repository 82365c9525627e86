"""`init`: write a recipe for a folder of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Line, coded, display, next_command, print_json, print_remarks, show, tell
from refinery_beam.errors import UsageError

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the recipe is written. [default: recipe.yaml]")]
Input = Annotated[Path | None, typer.Option("--input", "-i", metavar="DIR", help="The same as naming the folder.")]
LabelColumn = Annotated[str, typer.Option("--label-column", metavar="NAME", help="The column of the label table that holds the labels.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]


@shared
def init(
    folder: Annotated[Path | None, typer.Argument(help="The folder of images.")] = None,
    *,
    given: Input = None,
    output: Output = Path("recipe.yaml"),
    force: Force = False,
    label_column: LabelColumn = "",
    options: Options,
) -> None:
    """Write a recipe for a folder: class folders, a folder with a label table, or train/, val/ and test/."""
    source = folder or given
    if source is None:
        raise UsageError(
            "init needs a folder of images", code="usage", rule="refinery-beam init FOLDER", remedy="name the folder your images are in"
        )
    from refinery_beam.launch.init import init as write_recipe

    result = write_recipe(source, output=output, force=force, label_column=label_column, plugin_paths=options.settings().plugin_paths)
    if options.json:
        print_json(result.to_dict())
        return
    schema = os.path.basename(result.schema)
    show(Line(f"{result.layout}: wrote {display(str(output))} and {display(schema)} in the same folder", "good"))
    if not options.quiet:
        width = max((len(display(remark.path)) for remark in result.remarks), default=0)
        for remark in result.remarks:
            tell(f"  {remark.verdict:5}  {display(remark.path).ljust(width)}  {remark.why}")
    print_remarks(options, warnings=coded(result.warnings))
    next_command(options, "run", str(output))
