"""`verify`: is every byte of an instance what its manifest says?"""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.amounts import size_in_words
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Line, display, next_command, print_json, show, shown_name

Deep = Annotated[bool, typer.Option("--deep", help="Also read every row again and prove the digests of rows.")]
Repair = Annotated[bool, typer.Option("--repair", help="Make what is damaged again from the raw data, and leave the rest alone.")]


@shared
def verify(
    target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")],
    *,
    deep: Deep = False,
    repair: Repair = False,
    options: Options,
) -> None:
    """Hash every file of an instance again and compare. Exit code 3 when something does not hold, or could not be repaired."""
    from refinery_beam.launch.status import verify_with

    report = verify_with(target, options.settings(), deep=deep, repair=repair)
    word = "verified" if report.ok else "damaged"
    if options.json:
        print_json({"contract": 1, "status": word, "instance": report.instance, **report.to_dict()})
    else:
        show(*(Line(f"repaired: {shown_name(path)}", "good") for path in report.repaired))
        show(*(Line(f"not repaired: {shown_name(left.path)}: {left.reason}", "bad") for left in report.not_repaired))
        show(*(Line(f"{finding.code}: {shown_name(finding.path)}: {finding.message}", "bad") for finding in report.findings))
        counted = f"{report.files_checked:,} files, {size_in_words(report.bytes_checked)}, {report.records_checked:,} records"
        show(Line(f"{word}: {counted}", "good" if report.ok else "bad"))
        if report.ok:
            next_command(options, "status", target)
        else:
            how = "remove" if repair else "refinery-beam verify --repair makes damaged files again; or remove"
            show(f"  remedy: {how} {display(report.instance)} and run its recipe again")
    if not report.ok:
        raise typer.Exit(3)
