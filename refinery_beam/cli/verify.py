"""`verify`: is every byte of an instance what its manifest says?"""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import print_json
from refinery_beam.launch.status import verify_with

Deep = Annotated[bool, typer.Option("--deep", help="Also read every row again and prove the digests of rows.")]


@shared
def verify(
    target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")], *, deep: Deep = False, options: Options
) -> None:
    """Hash every file of an instance again and compare. Exit code 3 when something does not hold."""
    report = verify_with(target, options.settings(), deep=deep)
    word = "verified" if report.ok else "damaged"
    if options.json:
        print_json({"contract": 1, "status": word, "instance": report.instance, **report.to_dict()})
    else:
        for finding in report.findings:
            print(f"{finding.code}: {finding.path}: {finding.message}")
        print(f"{word}: {report.files_checked:,} files, {report.bytes_checked / 1e6:,.1f} MB, {report.records_checked:,} records")
        if not report.ok:
            print(f"  remedy: remove {report.instance} and run its recipe again")
    if not report.ok:
        raise typer.Exit(3)
