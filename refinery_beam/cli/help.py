"""How help reads, and how the program finds a verb: the first page groups the verbs by task, a verb's page has its own options first."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from refinery_beam.cli.options import HELP, SHARED
from refinery_beam.cli.verbs import GROUPS, Entry, entries, entry_of
from refinery_beam.errors import UsageError, did_you_mean


class VerbPage(TyperCommand):
    """A verb: its arguments, its own options and those of the shared ones that matter most to it; of the others only the words."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of options."""
        _write_options(self, ctx, formatter)


class GroupPage(TyperGroup):
    """A verb with verbs of its own, such as `log` with `log show`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of options, and the verbs."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class FirstPage(TyperGroup):
    """The program: its verbs by task, then the options that every verb has."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs and the options."""
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(entry.name, entry.summary) for entry in group])
        records: dict[bool, list[Any]] = {True: [], False: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                records[bool(SHARED & set(parameter.opts))].append(record)
        with formatter.section("Options of every verb, before or after it"):
            formatter.write_dl(records[True])
        with formatter.section("Options"):
            formatter.write_dl(records[False])

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs."""
        return [entry.name for entry in entries()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb as help and completion of the first word see it: its name and what it does. Nothing is imported for it."""
        entry = entry_of(cmd_name)
        return None if entry is None else TyperCommand(entry.name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that the command line calls, with its options. Raises UsageError ``usage``, which names the closest one."""
        entry = entry_of(args[0])
        if entry is None:
            if ctx.resilient_parsing:
                return None, None, args[1:]
            known = [e.name for e in entries()]
            raise UsageError(
                f"there is no verb {args[0]!r}",
                code="usage",
                rule="refinery-beam VERB [OPTIONS] ...",
                remedy=did_you_mean(args[0], known),
            )
        return entry.name, _loaded(entry), args[1:]


def _write_options(page: Any, ctx: Any, formatter: Any) -> None:
    """Arguments and own options in full; of shared ones those that matter most to the verb in full, of the others only the words."""
    entry = entry_of(str(page.name))
    explained = {word for name in (entry.explained if entry else ()) for word in HELP[name].words}
    arguments, own, shared = [], [], []
    for parameter in page.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append(record)
        elif SHARED & set(parameter.opts) and not explained & set(parameter.opts):
            shared.append(record)
        else:
            own.append(record)
    for title, records in (("Arguments", arguments), ("Options", own)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)
    with formatter.section("Options of every verb, which refinery-beam --help explains"):
        for line in _lines([words for words, _ in shared], formatter.width - formatter.current_indent):
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _lines(words: list[str], width: int) -> list[str]:
    """The words in lines of at most `width`, each word whole."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 3 + len(word) > width:
            lines.append("")
        lines[-1] += f"   {word}" if lines[-1] else word
    return lines


def _loaded(entry: Entry) -> Any:
    module = import_module(f"refinery_beam.cli.{entry.module or entry.name}")
    function = getattr(module, entry.function or entry.name)
    if isinstance(function, typer.Typer):
        # A verb with verbs of its own.
        function.info.cls = GroupPage
        for below in function.registered_commands:
            below.cls = VerbPage
        group = typer.main.get_command(function)
        group.name = entry.name
        return group
    program = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    program.command(entry.name, cls=VerbPage)(function)
    command = typer.main.get_command(program)
    command.name = entry.name
    return command
