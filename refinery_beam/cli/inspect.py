"""`inspect`: what is in a finished instance."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refinery_beam.cli import offers
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Block, Facts, Line, Table, display, next_command, print_json, print_remarks, show

if TYPE_CHECKING:
    from refinery_beam.launch.inspect_result import InspectResult, InspectTable

Split = Annotated[str | None, typer.Option(metavar="NAME", help="Records of this split.", autocompletion=offers.splits)]
Label = Annotated[str | None, typer.Option(metavar="LABEL", help="Records with this label.")]
Where = Annotated[
    str | None, typer.Option(metavar="CONDITION", help="Records that it holds for, as \"sharpness < 10 and format = 'jpeg'\".")
]
Record = Annotated[str | None, typer.Option(metavar="ID", help="One record: its facts, and a strip of pictures with --out.")]
View = Annotated[str | None, typer.Option(metavar="NAME", help="A picture of the recipe's Visualizations.", autocompletion=offers.pictures)]
Ledger = Annotated[bool, typer.Option("--ledger", help="The records that did not come out, and why.")]
Limit = Annotated[int | None, typer.Option(metavar="N", help="How many rows are listed, 0 for all. [default: 20]")]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Where the pictures are written, as one PNG: of a record, of listed records, of the ledger, of a view."
    ),
]


@shared
def inspect(
    target: Annotated[str, typer.Argument(help="An instance's directory or URL, or a recipe that was run.")],
    *,
    split: Split = None,
    label: Label = None,
    where: Where = None,
    record: Record = None,
    view: View = None,
    ledger: Ledger = False,
    limit: Limit = None,
    out: Out = None,
    options: Options,
) -> None:
    """Say what is in an instance: an overview; records by split, label or condition; one record; a view; or the ledger."""
    from refinery_beam.launch.inspect import InspectOptions, inspect_with

    asked = InspectOptions(split=split, label=label, where=where, record=record, view=view, ledger=ledger, limit=limit, out=out)
    result = inspect_with(target, asked, options.settings())
    if options.json:
        print_json(result.to_dict())
        return
    show(*blocks(result))
    print_remarks(options, notes=result.notes)
    if result.kind == "overview":
        next_command(options, "inspect", target, "--split", next(iter(_splits(result)), "train"))
    elif result.kind == "records" and result.records:
        next_command(options, "inspect", target, "--record", str(result.records[0]["record_id"]), "--out", "strip.png")
    elif result.kind == "record":
        next_command(options, "inspect", target)


def blocks(result: InspectResult) -> list[Block]:
    """What `inspect` says to a person."""
    found: list[Block] = []
    if result.facts and result.kind != "records":
        found.append(Facts([(name, _cell(value)) for name, value in result.facts]))
    for table in result.tables:
        if table.rows:
            found.append(Table(table.columns, [[_cell(value) for value in row] for row in table.rows]))
        if result.kind == "records":
            of = dict(result.facts)["of"]
            found.append(
                Line(f"{table.total:,} of {of:,} records" + (f"; the first {len(table.rows):,} are listed" if _cut(table) else ""))
            )
        elif _cut(table):
            found.append(
                Line(f"{table.total - len(table.rows):,} more {'classes' if result.kind == 'overview' else 'rows'}: --limit 0 lists all")
            )
    if result.path is not None:
        found.append(Line(f"wrote {display(result.path)}", "good"))
    return found


def _splits(result: InspectResult) -> list[str]:
    return list(result.tables[0].columns[1:]) if result.tables else []


def _cut(table: InspectTable) -> bool:
    return len(table.rows) < table.total


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | Decimal | bool | None) else str(value)
