"""`report`: the page of an instance, made again from the instance alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, Facts, next_command, print_json, print_remarks, show


@shared
def report(
    target: Annotated[str, typer.Argument(help="An instance's directory or URL, or its recipe.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the page there instead.", metavar="FILE")] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    options: Options,
) -> None:
    """Make the page report.html of an instance again, from the instance alone. Nothing is built."""
    from refinery_beam.cli.browser import open_page
    from refinery_beam.launch.report import report_with

    result = report_with(target, options.settings(), output=output)
    notes = open_page(result.page) if opens else ()
    if options.json:
        print_json({"contract": CONTRACT, "report": result.page, "bytes": result.bytes, "instance": result.instance})
        return
    show(Facts([("report", result.page)], width=8))
    print_remarks(options, notes=notes)
    if not opens:
        next_command(options, "inspect", target)
