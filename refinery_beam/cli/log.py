"""`log` and `log show`: the runs of the cache root."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from refinery_beam.amounts import size_in_words
from refinery_beam.cli.ls import ago
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, Facts, Table, Words, display, next_command, print_json, print_remarks, print_text
from refinery_beam.cli.output import show as print_blocks

app = typer.Typer(
    invoke_without_command=True, add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)

Failed = Annotated[bool, typer.Option("--failed", help="Only runs that failed, were interrupted, or died.")]
Running = Annotated[bool, typer.Option("--running", help="Only runs that have not ended, as far as anybody knows.")]
Since = Annotated[str, typer.Option("--since", metavar="TIME", help="Only what is younger: a date or time in UTC, or 90m, 12h, 7d.")]
Recipe = Annotated[str, typer.Option("--recipe", metavar="NAME", help="Only runs of a recipe, by its name or file.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", help="How many at most; 0 for all.")]
Run = Annotated[str, typer.Argument(help="The id of a run, or the beginning of it.")]
Text = Annotated[bool, typer.Option("--recipe", help="Print the recipe as the run read it, and nothing else.")]


@app.callback()
@shared
def log(
    *,
    failed: Failed = False,
    running: Running = False,
    since: Since = "",
    recipe: Recipe = "",
    limit: Limit = 20,
    options: Options,
) -> None:
    """List the newest runs of the cache root; `log show RUN` says everything of one."""
    if options.goes_on:
        return
    # A door: the other verbs read no journal.
    from refinery_beam.launch.history.log import log_with

    found = log_with(options.settings(), failed=failed, running=running, since=since, recipe=recipe, limit=limit)
    if options.json:
        print_json(found.to_dict())
        return
    if not found:
        print_blocks("no runs")
    else:
        now = datetime.now(UTC)
        print_blocks(Table(("run", "when", "recipe", "status", "records", "seconds", "key"), [_line(e.values, now) for e in found]))
        next_command(options, "log", "show", str(found[0].values["run"]))
    print_remarks(options, warnings=[f"{found.unreadable} files of the journal cannot be read"] if found.unreadable else [])


@app.command("show")
@shared
def show(run: Run, *, recipe: Text = False, options: Options) -> None:
    """Print everything that the journal knows of a run."""
    from refinery_beam.errors import UsageError
    from refinery_beam.launch.history.log import log_show_with

    entry = log_show_with(run, options.settings())
    if recipe:
        if not entry.recipe_text:
            raise UsageError(f"the journal does not hold the recipe of {entry.run}", code="unknown-run", value=run)
        if options.json:
            print_json({"contract": CONTRACT, "run": entry.run, "recipe_text": entry.recipe_text})
        else:
            print_text(entry.recipe_text)
    elif options.json:
        print_json({"contract": CONTRACT, **entry.to_dict()})
    else:
        left_out = ("recipe_text", "event_id", "journal")
        print_blocks(Facts([(name, Words(_said(name, value))) for name, value in entry.values.items() if name not in left_out]))
        if entry.status in ("built", "hit", "opened") and "key" in entry.values:
            next_command(options, "status", str(entry.values["key"]))
        elif entry.recipe_text:
            next_command(options, "rerun", entry.run)


def _line(values: dict[str, Any], now: datetime) -> tuple[str, ...]:
    what = values.get("recipe", "") if values["event"].startswith("run:") else values["event"]
    about = values.get("error") or values.get("facts", {}).get("tag")
    status = values.get("status", "") + (f": {about}" if about else "")
    records = f"{values['records_out']:,}" if "records_out" in values else "-"
    seconds = f"{values['seconds']:,.1f}" if "seconds" in values else "-"
    return (values["run"], ago(values["time"], now), what or "-", status, records, seconds, values.get("key", "-"))


def _said(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    if name in ("peak_memory", "bytes"):
        return size_in_words(value)
    if isinstance(value, dict):
        return "  ".join(f"{k} {display(str(v))}" for k, v in value.items())
    if isinstance(value, list):
        return "  ".join(display(" ".join(map(str, v)) if isinstance(v, list) else str(v)) for v in value)
    return display(str(value).lower() if isinstance(value, bool) else str(value))
