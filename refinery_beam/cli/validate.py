"""`validate`: every static check of a recipe, by number and name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Line, next_command, print_failure, print_json, print_remarks, show
from refinery_beam.errors import ErrorGroup

STYLES = {"fail": "bad", "warn": "warning", "pass": "good", "skip": "quiet"}


@shared
def validate(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Check a recipe without reading any image. Exit code 1 when a check fails."""
    from refinery_beam.launch.validate import validate_with

    result = validate_with(recipe, options.settings())
    if options.json:
        print_json(result.to_dict())
    else:
        shown = [check for check in result.checks if options.verbose or check.status in ("fail", "warn")]
        show(*(Line(f"{check.status:5} {check.number:3} {check.name}", STYLES.get(check.status, "")) for check in shown))
        print_remarks(options, warnings=[warning.render() for warning in result.warnings])
        if result.errors:
            print_failure(ErrorGroup(result.errors), as_json=False)
        show(Line(str(result), "good" if result.valid else "bad"))
        if result.valid:
            next_command(options, "plan", str(recipe))
    if not result.valid:
        raise typer.Exit(1)
