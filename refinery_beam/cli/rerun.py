"""`rerun`: what a run or an instance was made from, here and now."""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import coded, next_command, print_json, print_remarks, show
from refinery_beam.cli.run import summary

Target = Annotated[str, typer.Argument(help="The id of a run, or an instance: directory, URL, tag, beginning of its key.")]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", metavar="KIND", help="Drift that is allowed: inputs, packages, codecs or code; repeatable.")
]


@shared
def rerun(target: Target, *, allow: Allow = None, options: Options) -> None:
    """Run the same recipe text, seed, overlays and plugins again, and compare digests. What drifted since is refused unless allowed."""
    # A door: the other verbs run nothing again.
    from refinery_beam.launch.history.rerun import rerun_with

    again = rerun_with(target, options.settings(), allow=allow or ())
    if options.json:
        print_json(again.to_dict())
        return
    show(*summary(again.result), *str(again).split("\n"))
    warnings = [f"{drift.sentence} [{drift.kind}]" for drift in again.drift]
    print_remarks(options, notes=again.result.notes, warnings=[*warnings, *coded(again.result.warnings)])
    next_command(options, "verify", again.result.path)
