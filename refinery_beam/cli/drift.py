"""`drift`: how two instances differ."""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import next_command, print_json, show


@shared
def drift(
    a: Annotated[str, typer.Argument(help="An instance's directory or URL, or a recipe that has one.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    *,
    options: Options,
) -> None:
    """Compare the labels, channels and facts of two instances. Reads no image. Exit code 0 however far they are apart."""
    from refinery_beam.launch.drift import drift_with

    result = drift_with(a, b, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    show(*str(result).split("\n"))
    next_command(options, "diff", a, b)
