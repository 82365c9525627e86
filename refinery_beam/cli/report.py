"""`report`: the page of an instance, made again from the instance alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.browser import open_page
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_json, print_remarks


@shared
def report(
    target: Annotated[str, typer.Argument(help="An instance's directory or URL, or its recipe.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the page there instead.", metavar="FILE")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    options: Options,
) -> None:
    """Make the page report.html of an instance again, from the instance alone. Nothing is built."""
    # A door: the other verbs render nothing.
    from refinery_beam.launch.report import report_with

    result = report_with(target, options.settings(), output=output)
    notes = open_page(result.page) if show else ()
    if options.json:
        print_json({"contract": CONTRACT, "report": result.page, "bytes": result.bytes, "instance": result.instance})
        return
    print(f"report    {result.page}")
    print_remarks(options, notes=notes)
