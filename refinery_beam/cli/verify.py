"""`verify`: is every byte of an instance what its manifest says?"""

from __future__ import annotations

from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import print_json
from refinery_beam.launch.status import verify_with

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
    report = verify_with(target, options.settings(), deep=deep, repair=repair)
    word = "verified" if report.ok else "damaged"
    if options.json:
        print_json({"contract": 1, "status": word, "instance": report.instance, **report.to_dict()})
    else:
        for path in report.repaired:
            print(f"repaired: {path}")
        for left in report.not_repaired:
            print(f"not repaired: {left.path}: {left.reason}")
        for finding in report.findings:
            print(f"{finding.code}: {finding.path}: {finding.message}")
        print(f"{word}: {report.files_checked:,} files, {report.bytes_checked / 1e6:,.1f} MB, {report.records_checked:,} records")
        if not report.ok:
            how = "remove" if repair else "refinery-beam verify --repair makes damaged files again; or remove"
            print(f"  remedy: {how} {report.instance} and run its recipe again")
    if not report.ok:
        raise typer.Exit(3)
