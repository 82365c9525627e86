"""The verbs, by what one wants to do: the first page of the help, and where each verb lives. A verb's module is imported when it is
asked for, and imports what it calls when it is called: help and completion are for somebody who waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ENGINE = ("workers", "mode", "runner", "shared_files")
MEANING = ("seed", "overlays", "digest")


@dataclass(frozen=True)
class Entry:
    """One verb: the module of `refinery_beam.cli` with its function (of the same name, unless `function` says), what it does in one line,
    and which of the shared options its own help explains in full.
    """

    name: str
    summary: str
    module: str = ""
    function: str = ""
    explained: tuple[str, ...] = ()
    takes_beam_options: bool = False


GROUPS: dict[str, tuple[Entry, ...]] = {
    "Prepare a dataset": (
        Entry("init", "Write a recipe for a folder of images."),
        Entry("validate", "Check a recipe without reading an image.", explained=("overlays",)),
        Entry("plan", "Say what run would do, without doing it.", explained=MEANING),
        Entry("why", "Say why run would find the instance, or build it.", explained=MEANING),
        Entry("run", "Prepare the dataset, or find it.", explained=(*ENGINE, *MEANING), takes_beam_options=True),
        Entry("rerun", "Run again what a run or an instance was made from, and compare.", explained=ENGINE, takes_beam_options=True),
        Entry("materialize", "The same as run.", module="run", function="run", explained=(*ENGINE, *MEANING), takes_beam_options=True),
    ),
    "Look at it": (
        Entry("status", "Say what the cache holds for a recipe."),
        Entry("inspect", "Say what is in an instance: overview, records, one record, ledger."),
        Entry("report", "Make the page report.html of an instance again."),
        Entry("diff", "Say what differs between two instances, or two recipes."),
        Entry("drift", "Say how far the labels and facts of two instances are apart."),
        Entry("draw", "Draw the pictures of a recipe."),
    ),
    "Prove it, keep it": (
        Entry("verify", "Hash every file of an instance again; --repair makes damaged ones anew."),
        Entry("log", "List the runs of the cache, or say everything of one.", function="app"),
        Entry("ls", "List the instances of the cache."),
        Entry("tag", "Give an instance a name.", module="ls"),
        Entry("untag", "Take a name away.", module="ls"),
        Entry("clean", "Free the disk: by recipe, age, number or a size budget."),
    ),
    "Set up": (
        Entry("check", "Check this machine: Python, codecs, plugins, engines, cache, disks.", explained=ENGINE, takes_beam_options=True),
        Entry("doctor", "The same as check.", module="check", function="check", explained=ENGINE, takes_beam_options=True),
        Entry("schema", "Print the JSON Schema of recipes, for editors."),
        Entry("completion", "Complete verbs, options and values in bash, zsh and fish."),
    ),
}


def entries() -> Iterator[Entry]:
    """Every verb, in the order of the first page of the help."""
    for group in GROUPS.values():
        yield from group


def entry_of(name: str) -> Entry | None:
    """The verb of a name."""
    return next((entry for entry in entries() if entry.name == name), None)
