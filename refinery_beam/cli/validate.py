"""`validate`: every static check of a recipe, by number and name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_failure, print_json
from refinery_beam.errors import ErrorGroup
from refinery_beam.launch.prepare import check_recipe


@shared
def validate(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Check a recipe without reading any image. Exit code 1 when a check fails."""
    _, _, checks, errors = check_recipe(recipe, options.settings())
    passed, skipped = (sum(c.status in words for c in checks) for words in (("pass", "warn"), ("skip",)))
    if options.json:
        listed = [{"number": c.number, "name": c.name, "status": c.status, "errors": [e.to_dict() for e in c.errors]} for c in checks]
        print_json(
            {"contract": CONTRACT, "status": "invalid" if errors else "valid", "checks": listed, "errors": [e.to_dict() for e in errors]}
        )
    else:
        for check in checks:
            if options.verbose or check.status in ("fail", "warn"):
                print(f"{check.status:5} {check.number:3} {check.name}")
        for check in checks:
            if check.status == "warn" and not options.quiet:
                for error in check.errors:
                    typer.echo(f"warning: {error.render()}", err=True)
        if errors:
            print_failure(ErrorGroup(errors), as_json=False)
        found = f"{len(errors)} error{'s' if len(errors) > 1 else ''}; " if errors else ""
        unmade = f", {skipped} not made" if skipped else ""
        print(f"{'invalid' if errors else 'valid'}: {found}{passed} of {len(checks)} checks passed{unmade}")
    if errors:
        raise typer.Exit(1)
