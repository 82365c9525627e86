"""`diff`: what differs between two instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Block, Line, Table, Words, display, next_command, print_json, print_remarks, show

if TYPE_CHECKING:
    from refinery_beam.inspection.values import ValueChange
    from refinery_beam.launch.diff_result import DiffResult, RecordDiff

Limit = Annotated[int | None, typer.Option(metavar="N", help="How many records are named of each kind, 0 for all. [default: 20]")]
Content = Annotated[bool, typer.Option("--content/--no-content", help="Whether stored content is compared, which reads all of it.")]
Html = Annotated[
    str | None, typer.Option(metavar="FILE", help="Also write a page with pictures side by side, one file that loads nothing.")
]

FIELDS = 60
"""Fields of recipes and fitted numbers that are listed; --json has all."""


@shared
def diff(
    a: Annotated[str, typer.Argument(help="An instance's directory or URL, or a recipe.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    *,
    limit: Limit = None,
    content: Content = True,
    html: Html = None,
    options: Options,
) -> None:
    """Say what differs: recipes, files, records by split and label, what rows hold, fitted statistics, and how far facts moved."""
    from refinery_beam.launch.diff import diff_with

    result = diff_with(a, b, options.settings(), limit=limit, content=content)
    written = None
    if html is not None:
        from refinery_beam.launch.diff_page import write_diff_page

        written = write_diff_page(result, html)
    if options.json:
        print_json(result.to_dict() | ({"html": written} if written else {}))
        return
    show(*blocks(result))
    if written:
        show(Line(f"wrote {display(written)}", "good"))
    print_remarks(options, notes=result.notes)
    if not result.same and html is None and result.instances is not None:
        next_command(options, "diff", a, b, "--html", "diff.html")


def blocks(result: DiffResult) -> list[Block]:
    """What `diff` says to a person."""
    from refinery_beam.launch.diff_result import WORDS, telling

    found: list[Block] = [Line(str(result), "good" if result.same else "warning")]
    found += _values("recipe", result.recipe, len(result.recipe))
    if any(count.a != count.b for count in result.counts):
        counts = [(c.split, "all" if c.label is None else c.label, c.a, c.b) for c in result.counts if c.a != c.b]
        found += [Line(""), Line("counts", "strong"), Table(("split", "label", "a", "b"), counts)]
    for kind, records in result.records.items():
        if records.total:
            found += [Line(""), Line(f"{WORDS[kind]}: {records.total:,}", "strong"), _table(kind, records)]
            if records.total > len(records.first):
                found.append(Line(f"{records.total - len(records.first):,} more: --limit 0 names all", "quiet"))
    if result.through_steps:
        found += [Line(""), Line(f"{result.through_steps:,} rows of equal files hold other content, because the steps differ", "strong")]
    found += _values("fitted statistics", telling(result.statistics), len(result.statistics))
    found += _values("versions", result.identity, len(result.identity))
    if result.moved:
        moved = Table(("what", "mean in a", "mean in b", "moved by"), [tuple(map(Words, m)) for m in result.moved])
        found += [Line(""), Line("drift", "strong"), moved]
    return found


def _values(title: str, changes: Sequence[ValueChange], total: int) -> list[Block]:
    if not changes:
        return []
    rows = [(change.at, _short(change.a), _short(change.b)) for change in changes[:FIELDS]]
    more = [Line(f"{total - len(rows):,} more: --json has all", "quiet")] if total > len(rows) else []
    return [Line(""), Line(title, "strong"), Table(("field", "a", "b"), rows), *more]


def _table(kind: str, changes: RecordDiff) -> Table:
    """The records of one kind, with what is of interest of them."""
    first = changes.first
    if kind == "renamed":
        return Table(("a", "b"), [(c.a, c.b) for c in first])
    if kind == "relabelled":
        return Table(("record", "label a", "label b", "split"), [(c.b or c.a, c.label_a, c.label_b, c.split_b or c.split_a) for c in first])
    if kind == "moved":
        return Table(("record", "split a", "split b", "label"), [(c.b or c.a, c.split_a, c.split_b, c.label_b) for c in first])
    return Table(("record", "label", "split"), [(c.b or c.a, c.label_b or c.label_a, c.split_b or c.split_a) for c in first])


def _short(value: Any) -> Any:
    if isinstance(value, bool):
        return Words(str(value).lower())
    if value is None:
        return Words("null")
    if isinstance(value, float):
        return Words(repr(value))
    if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
        return Words(f"[{', '.join(f'{one:.6g}' for one in value)}]")
    return value if isinstance(value, str | int) else str(value)
