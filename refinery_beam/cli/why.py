"""`why`: a hit or a miss, and for a miss what differs from the nearest instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import next_command, print_json, show


@shared
def why(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Say why run would find the instance or build it: what differs from the nearest one in the cache. Exit code 0 in both cases."""
    # A door: the other verbs compare nothing.
    from refinery_beam.launch.reasons.why import why_with

    result = why_with(recipe, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    show(*str(result).split("\n"))
    next_command(options, "status" if result.status == "hit" else "run", str(recipe))
