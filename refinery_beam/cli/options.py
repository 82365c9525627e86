"""The options every verb shares, made from `launch.options.Options`. They may stand before or after the verb; what stands after wins."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from refinery_beam.cli.offers import VALUES
from refinery_beam.errors import Interrupted, UsageError
from refinery_beam.launch.options import LOG_LEVELS, Help
from refinery_beam.launch.options import Options as LibraryOptions

if TYPE_CHECKING:
    from refinery_beam.launch.settings import Settings

HELP: dict[str, Help] = {f.name: f.metadata["help"] for f in fields(LibraryOptions) if f.metadata["help"].words}
"""The options of the library that the command line has too."""

OF_THE_KEY = ("cache_root", "seed", "overlays", "plugin_paths", "digest")
"""Options that say which instance of a recipe is meant."""


class Call(NamedTuple):
    """A command line: its words, and the options of Beam behind ``--``."""

    words: tuple[str, ...] = ()
    beam_options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Options:
    """The shared options of one call: those of the library that were ``given``, and how results are printed."""

    given: Mapping[str, Any]
    json: bool = False
    debug: bool = False
    verbose: bool = False
    no_color: bool = False
    command: tuple[str, ...] = ()
    goes_on: bool = False
    """Whether a verb of its own follows, as `show` behind `log`, and does the work."""

    @property
    def quiet(self) -> bool:
        """Whether remarks are left out."""
        return self._level not in ("info", "debug")

    @property
    def warns(self) -> bool:
        """Whether warnings are shown."""
        return self._level != "error"

    def over(self, earlier: Options | None) -> Options:
        """These options, with what they leave out taken from those that stood before the verb."""
        if earlier is None:
            return self
        flags = {name: getattr(self, name) or getattr(earlier, name) for name in ("json", "debug", "verbose", "no_color")}
        return Options(given={**earlier.given, **self.given}, command=earlier.command, **flags)

    def settings(self) -> Settings:
        """The execution context of the call."""
        # A door: help and completion need the options, and nothing behind them.
        from refinery_beam.launch.settings import Settings

        return Settings(
            **{**self.given, "log_level": self._level},
            command=self.command,
            debug=self.debug,
            forked=not self.debug,  # whose traceback would not come out of the child
        )

    def of_the_key(self) -> list[str]:
        """Those of the options, as words of a command line, that say which instance of a recipe is meant."""
        found = []
        for name in OF_THE_KEY:
            given = self.given.get(name)
            word = HELP[name].words[0]
            for value in given if isinstance(given, list | tuple) else [] if given is None else [given]:
                found += [word, str(value)]
        return found

    @property
    def _level(self) -> str:
        # A person at a terminal reads more than a program that calls the library.
        level = self.given.get("log_level") or os.environ.get(HELP["log_level"].variable) or HELP["log_level"].default
        return str(level)


def shared(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb ``verb(..., *, options)`` all the shared options as its own, and hand them over as one `Options`."""

    @functools.wraps(verb)
    def wrapper(*args: Any, ctx: typer.Context, **values: Any) -> None:
        mine = _options(values)
        # A verb behind this one, as in `log show`, finds the options that stood before it.
        ctx.obj = replace(mine.over(ctx.obj), goes_on=ctx.invoked_subcommand is not None)
        try:
            verb(*args, **values, options=ctx.obj)
        except KeyboardInterrupt as error:
            # Caught here: the option parser would make an exit code of it, without a word.
            raise Interrupted("interrupted: nothing was promoted", code="interrupted") from error

    return _signed(wrapper, verb)


def before_the_verb(callback: Callable[..., None]) -> Callable[..., None]:
    """Give the program's own callback all the shared options; verbs find them as `Options` in the context."""

    @functools.wraps(callback)
    def wrapper(*, ctx: typer.Context, **values: Any) -> None:
        ctx.obj = _options(values, call=ctx.obj or Call())
        callback(**values)

    return _signed(wrapper, callback)


def _options(values: dict[str, Any], *, call: Call | None = None) -> Options:
    """The shared options, taken out of what was parsed."""
    taken = {p.name: values.pop(p.name) for p in _PARAMETERS}
    # None, False and an empty list are options that do not stand there.
    given = {name: taken[name] for name in HELP if taken[name] is not None and taken[name] is not False and taken[name] != []}
    quiet, verbose = taken["quiet"], taken["verbose"]
    if (quiet or verbose) and "log_level" in given:
        raise UsageError(
            "-q, -v and --log-level say the same thing",
            code="usage",
            rule="-q is --log-level warning, -v is --log-level debug; levels are " + ", ".join(LOG_LEVELS),
            remedy="give one of them",
        )
    if quiet or verbose:
        given["log_level"] = "warning" if quiet else "debug"
    if call is not None and call.beam_options:
        given["beam_options"] = call.beam_options
    verbose = verbose or given.get("log_level") == "debug"
    flags = {name: taken[name] for name in ("json", "debug", "no_color")}
    return Options(given=given, verbose=verbose, command=call.words if call is not None else (), **flags)


def _signed(wrapper: Callable[..., None], function: Callable[..., None]) -> Callable[..., None]:
    """`wrapper` with the signature of `function`, the context before it and the shared options behind."""
    own = inspect.signature(function, eval_str=True)
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.parameters.values() if p.name != "options"]
    wrapper.__signature__ = inspect.Signature([_CONTEXT, *kept, *_PARAMETERS])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in wrapper.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return wrapper


def _of_the_library() -> list[inspect.Parameter]:
    """The options of the library as the option parser wants them: absent is None, False or no list."""
    types = get_type_hints(LibraryOptions)
    parsed: dict[Any, Any] = {bool: bool, int | None: int | None, Sequence[str]: list[str] | None}
    return [
        _parameter(name, parsed.get(types[name], str | None), typer.Option(*about.words, **_details(name, about)))
        for name, about in HELP.items()
    ]


def _details(name: str, about: Help) -> dict[str, Any]:
    values = VALUES.get(name)
    return {"metavar": about.metavar or None, "help": _said(about), **({"autocompletion": values} if values else {})}


def _said(about: Help) -> str:
    """The help of an option, with its variable and its default."""
    facts = [about.variable, f"default: {about.default}" if about.default else ""]
    said = "; ".join(fact for fact in facts if fact)
    return f"{about.text} [{said}]" if said else about.text


def _parameter(name: str, type: Any, option: Any) -> inspect.Parameter:
    default = False if type is bool else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[type, option])


SHARED = frozenset(word for about in HELP.values() for word in about.words) | {"--json", "--verbose", "--quiet", "--no-color", "--debug"}
"""The words of the options that every verb has."""

_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

_PARAMETERS = [
    *_of_the_library(),
    _parameter("json", bool, typer.Option("--json", help="Print one JSON object on stdout.")),
    _parameter("verbose", bool, typer.Option("--verbose", "-v", help="Say more on stderr: --log-level debug.")),
    _parameter("quiet", bool, typer.Option("--quiet", "-q", help="No progress, no remarks: --log-level warning.")),
    _parameter("no_color", bool, typer.Option("--no-color", help="No colours on a terminal. [NO_COLOR]")),
    _parameter("debug", bool, typer.Option("--debug", help="Show the traceback of an error.")),
]
