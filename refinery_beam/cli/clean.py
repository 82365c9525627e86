"""`clean`: free the disk."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import typer

from refinery_beam.amounts import size_in_words
from refinery_beam.cache.cleaning.policy import Item
from refinery_beam.cache.instances import short_key
from refinery_beam.cli.options import HELP, Options, shared
from refinery_beam.cli.output import Block, Line, Table, display, next_command, print_json, show
from refinery_beam.launch.clean import CleanOptions, CleanResult, clean_with

_ABOUT = {f.name: f.metadata["help"] for f in fields(CleanOptions) if f.metadata["help"].words and f.name not in HELP}


def _option(name: str) -> Any:
    about = _ABOUT[name]
    text = f"{about.text} [default: {about.default}]" if about.default else about.text
    return typer.Option(*about.words, metavar=about.metavar or None, help=text)


@shared
def clean(
    *,
    recipe: Annotated[str | None, _option("recipe")] = None,
    older_than: Annotated[str | None, _option("older_than")] = None,
    keep: Annotated[int | None, _option("keep")] = None,
    max_size: Annotated[str | None, _option("max_size")] = None,
    everything: Annotated[bool, _option("everything")] = False,
    orphans: Annotated[bool, _option("orphans")] = False,
    grace: Annotated[str | None, _option("grace")] = None,
    yes: Annotated[bool, _option("yes")] = False,
    options: Options,
) -> None:
    """Remove instances by recipe, age, number or a size budget, and what dead runs left. Shows what would go; --yes removes it."""
    asked = CleanOptions(
        recipe=recipe,
        older_than=older_than,
        keep=keep,
        max_size=max_size,
        everything=everything,
        orphans=orphans,
        grace=grace,
        yes=yes,
    )
    result = clean_with(options.settings(), asked)
    if options.json:
        print_json(result.to_dict())
        return
    show(*blocks(result))
    if result.removed and not result.done:
        next_command(options, "clean", *_words(asked), "--yes")
    else:
        next_command(options, "ls")


def _words(asked: CleanOptions) -> list[str]:
    """What was asked for as words of a command line."""
    words = []
    for name, about in _ABOUT.items():
        value = getattr(asked, name)
        if value not in (None, False):
            words += [about.words[0]] if value is True else [about.words[0], str(value)]
    return words


def blocks(result: CleanResult) -> list[Block]:
    """What `clean` says to a person."""
    said: list[Block] = []
    if result.removed:
        rows = [(one.kind, one.recipe or "-", size_in_words(one.bytes), one.location) for one in result.removed]
        said.append(Table(("removed" if result.done else "would go", "recipe", "size", "where"), rows))
    said += [Line(f"kept: {_named(one.item)}: {one.reason}") for one in result.kept]
    verb = "freed" if result.done else "would free"
    said.append(Line(f"{verb} {size_in_words(result.bytes)} in {display(result.root)}; {size_in_words(result.left)} stay", "good"))
    if result.over:
        said.append(Line(f"still {size_in_words(result.over)} over the budget: the rest is needed, see above", "warning"))
    if result.removed and not result.done:
        said.append(Line("nothing was changed: --yes removes it"))
    return said


def _named(item: Item) -> str:
    """A thing as people tell it from others: several instances have a recipe of one name."""
    has_key = item.kind in ("instance", "parts", "attempt", "objects")
    return " ".join(filter(None, (item.kind, display(item.recipe), short_key(item.name) if has_key else display(item.name))))
