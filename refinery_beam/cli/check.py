"""`check`: whether this machine can do what a run needs."""

from __future__ import annotations

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Line, Table, Words, next_command, print_json, show

STYLES = {"ok": "good", "absent": "quiet", "warning": "warning", "broken": "bad"}


@shared
def check(*, options: Options) -> None:
    """Check Python, codecs, plugins, engines, the cache root and disks. Exit code 3 when something that a run needs is broken, 0 when only
    optional things are absent. With --runner and --cache-root: whether a run with them could work.
    """
    from refinery_beam.launch.check import check_with

    result = check_with(options.settings())
    if options.json:
        print_json(result.to_dict())
    else:
        shown = [row for row in result.rows if not options.quiet or row.state in ("broken", "warning")]
        if shown:
            rows = [(Words(row.state), Words(row.kind), row.thing, Words(row.fact), Words(row.remedy)) for row in shown]
            show(Table(("state", "kind", "thing", "found", "remedy"), rows, styles=STYLES))
        show(Line(str(result), "good" if result.ok else "bad"))
        if result.ok:
            next_command(options, "init", "my-images")
    if not result.ok:
        raise typer.Exit(3)
