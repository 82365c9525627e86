"""`draw`: the pictures of a recipe, those for exploration too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_json
from refinery_beam.errors import StoreError
from refinery_beam.launch.prepare import prepare


@shared
def draw(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    names: Annotated[list[str] | None, typer.Argument(help="Pictures to draw; default all of the recipe.")] = None,
    *,
    options: Options,
) -> None:
    """Draw the recipe's Visualizations from its instance, which a run has made. Nothing is built."""
    # A door: the other verbs draw nothing.
    from refinery_beam.launch.pictures import draw_pictures

    prepared = prepare(recipe, options.settings())
    found = prepared.lookup()
    if found.manifest is None:
        raise StoreError(
            f"{recipe} has no instance below {options.settings().cache_root}",
            code="instance-missing",
            at=str(recipe),
            value=prepared.location,
            rule="pictures are drawn from stored rows",
            remedy=f"refinery-beam run {recipe}",
        )
    drawn = draw_pictures(prepared, found.manifest, exploration=True, names=names or ())
    if options.json:
        print_json({"contract": CONTRACT, "pictures": dict(drawn.pictures), "notes": list(drawn.notes)})
        return
    for name, path in drawn.pictures.items():
        print(f"{name}  {path}")
    if not options.quiet:
        for note in drawn.notes:
            typer.echo(f"note: {note}", err=True)
