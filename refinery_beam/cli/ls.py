"""`ls`, `tag` and `untag`: what the cache holds, and names for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from refinery_beam.amounts import size_in_words
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import Block, Line, Table, Words, display, next_command, print_json, show
from refinery_beam.launch.cached import SORTS, InstanceList, TagResult, ls_with, tag_with, untag_with

Sort = Annotated[str, typer.Option("--sort", metavar="BY", help=f"{', '.join(SORTS[:-1])} or {SORTS[-1]}.")]
Target = Annotated[str, typer.Argument(help="An instance (directory, URL, tag, beginning of its key), or a recipe.")]
Name = Annotated[str, typer.Argument(help="The name.")]
Move = Annotated[bool, typer.Option("--move", help="The name may be that of another instance, which then loses it.")]


@shared
def ls(*, sort: Sort = "used", options: Options) -> None:
    """List the instances of the cache roots: recipe, key, age, last use, size, records, tags."""
    found = ls_with(options.settings(), sort=sort)
    if options.json:
        print_json(found.to_dict())
    else:
        show(*blocks(found))
        if found:
            next_command(options, "status", found[0].key)


@shared
def tag(target: Target, name: Name, *, move: Move = False, options: Options) -> None:
    """Give an instance a name, which every verb that takes an instance understands."""
    _print(tag_with(target, name, options.settings(), move=move), options)


@shared
def untag(name: Name, *, options: Options) -> None:
    """Take a name away from its instance, which stays."""
    _print(untag_with(name, options.settings()), options)


def blocks(found: InstanceList) -> list[Block]:
    """What `ls` says to a person."""
    if not found:
        return [Line("no instances")]
    now = datetime.now(UTC)
    lines = []
    for one in found:
        c = one.cached
        counts = "  ".join(f"{split} {count:,}" for split, count in one.counts.items()) or "damaged"
        tags = ", ".join(c.tags) + ("" if one.own else f"{' ' if c.tags else ''}({one.root})")
        lines.append((one.recipe or "-", one.key, ago(c.built, now), ago(c.used, now), size_in_words(c.bytes), Words(counts), tags))
    total = f"{len(found)} instance{'s' if len(found) > 1 else ''}, {size_in_words(found.bytes)}"
    return [Table(("recipe", "key", "built", "used", "size", "records", "tags"), lines), Line(total)]


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, in the largest unit that fits.

    >>> ago(datetime(2030, 1, 1, 9, tzinfo=UTC), datetime(2030, 1, 3, 10, tzinfo=UTC)), ago(None, datetime.now(UTC))
    ('2 days ago', '-')
    """
    if moment is None:
        return "-"
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count := seconds // length:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _print(result: TagResult, options: Options) -> None:
    if options.json:
        print_json(result.to_dict())
    elif result.status == "removed":
        show(f"removed: {display(result.tag)} is the name of nothing")
        next_command(options, "ls")
    else:
        was = f", and was {display(str(result.before))}" if result.status == "moved" else ""
        show(Line(f"{result.status}: {display(result.tag)} is {display(str(result.instance))}{was}", "good"))
        next_command(options, "status", result.tag)
