"""`draw`: the pictures of a recipe, those for exploration too."""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli import offers
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, Facts, next_command, print_json, print_remarks, show


@shared
def draw(
    target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Pictures to draw; default all of the recipe.", autocompletion=offers.pictures)
    ] = None,
    *,
    options: Options,
) -> None:
    """Draw the recipe's Visualizations from its instance, which a run has made. Nothing is built."""
    # A door: the other verbs draw nothing.
    from refinery_beam.launch.pictures import draw_with

    result = draw_with(target, options.settings(), names=names or ())
    if options.json:
        print_json({"contract": CONTRACT, "pictures": dict(result.pictures), "notes": list(result.notes)})
        return
    show(Facts(list(result.pictures.items())))
    print_remarks(options, notes=result.notes)
    next_command(options, "inspect", target)
