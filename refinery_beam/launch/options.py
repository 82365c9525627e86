"""What a caller may say of a run: every option once, with its help, its words on the command line and its environment variable.

The functions of the library take these as keywords (`keywords`), the verbs of the command line as options.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial, update_wrapper
from inspect import Parameter, Signature, signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from refinery_beam import locations
from refinery_beam.errors import UsageError
from refinery_beam.locations import StrPath
from refinery_beam.masking import mask, masked_words, remember_words
from refinery_beam.plugins.modules import PLUGIN_PATH_VARIABLE
from refinery_beam.runners.engines import Engine

P = ParamSpec("P")
First = TypeVar("First")
O = TypeVar("O", bound="Options")  # noqa: E741
R = TypeVar("R")

LOG_LEVELS = ("error", "warning", "info", "debug")
"""What is written to stderr: errors; also warnings; also remarks and progress; also what was decided on the way."""


@dataclass(frozen=True, kw_only=True)
class Help:
    """What is known of an option besides its name, type and default: ``words`` of the command line (none: the library alone has it)."""

    text: str
    words: tuple[str, ...] = ()
    metavar: str = ""
    variable: str = ""
    default: str = ""


def _from_environment(variable: str, default: Any) -> Any:
    """The value of a variable in the form of the default, which it is where the variable is not set or empty. Raises UsageError."""
    text = os.environ.get(variable, "")
    if not text:
        return default
    if isinstance(default, tuple):
        return locations.split_list(text)
    if default is not None:
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"{variable} is {text!r}",
            code="workers-range",
            at=variable,
            value=text,
            rule="a number of workers is a whole number of at least 1",
            remedy=f"set {variable} to a number, or unset it",
        ) from None


def option(default: Any, text: str, *words: str, metavar: str = "", variable: str = "", shown: str = "") -> Any:
    """A field of `Options`. With a ``variable`` the environment gives the default; ``shown`` is the default in words."""
    about = {
        "help": Help(
            text=text, words=words, metavar=metavar, variable=variable, default=shown or (default if isinstance(default, str) else "")
        )
    }
    if variable:
        return field(default_factory=partial(_from_environment, variable, default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how a recipe is carried out. What is made follows from the recipe alone, with three exceptions: `seed`, `overlays` and
    `digest`, which says what kind of digest names the content of files on stores. These enter the key of the instance.

    An option that is left out is taken from its environment variable, where it has one.
    """

    cache_root: StrPath = option(
        "cache",
        "Where instances live: a folder, or a URL like gs://bucket/x.",
        "--cache-root",
        metavar="DIR",
        variable="REFINERY_BEAM_CACHE_ROOT",
        shown="./cache",
    )
    cache_root_read: Sequence[str] = option(
        (),
        "Another cache root, which is never written: looked up after the own one, in the order given; repeatable.",
        "--cache-root-read",
        metavar="DIR",
        variable="REFINERY_BEAM_CACHE_ROOT_READ",
    )
    workers: int | None = option(
        None,
        "Threads or processes of the local engine.",
        "--workers",
        metavar="N",
        variable="REFINERY_BEAM_WORKERS",
        shown="every core",
    )
    mode: str = option("auto", "auto, threads or processes.", "--mode", metavar="MODE")
    runner: str = option(
        "direct",
        "Which engine runs the job: direct, prism, flink, spark or dataflow. Options for it stand behind --.",
        "--runner",
        metavar="NAME",
        variable="REFINERY_BEAM_RUNNER",
    )
    beam_options: Sequence[str] = option((), "Options of Beam for the runner: what stands behind -- on the command line.")
    engine: Engine | None = option(None, "The runner and its options as a value: rb.Flink(parallelism=8).")
    shared_files: bool = option(
        False, "Workers on other machines see the same files under the same paths, by a network file system or volume.", "--shared-files"
    )
    digest: str = option(
        "auto",
        "How the content of files on stores is named: auto (the store's MD5 where every file has one) or sha256.",
        "--digest",
        metavar="KIND",
    )
    seed: int | None = option(
        None, "Override the recipe's seed. It is part of the instance's identity.", "--seed", metavar="N", shown="the recipe's"
    )
    overlays: Sequence[str] = option(
        (), "Apply a named overlay of the recipe; repeatable, in order.", "--overlay", "--variant", metavar="NAME"
    )
    plugin_paths: Sequence[str] = option(
        (),
        "A .py file or a folder of them that defines plugins; repeatable.",
        "--plugin-path",
        metavar="PATH",
        variable=PLUGIN_PATH_VARIABLE,
    )
    storage_options: Sequence[str] = option(
        (),
        "An option of fsspec for a protocol, as s3.endpoint_url=http://...; for this process and the workers it starts; repeatable.",
        "--storage-option",
        metavar="PROTOCOL.NAME=VALUE",
    )
    git: str = option(
        "record",
        "What of git: record the recipe's revision in the journal, require-clean, or off.",
        "--git",
        metavar="POLICY",
    )
    log_level: str = option(
        "warning",
        "What is written to stderr: error, warning, info (remarks and progress too) or debug.",
        "--log-level",
        metavar="LEVEL",
        variable="REFINERY_BEAM_LOG_LEVEL",
        shown="info",
    )
    progress: bool = option(False, "Show progress on stderr, whatever the log level.")

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        put("cache_root", os.fspath(self.cache_root))
        for f in fields(self):
            if f.type == "Sequence[str]":
                value = getattr(self, f.name)
                # One word is meant as one, not as its letters.
                put(f.name, tuple(map(os.fspath, [value] if isinstance(value, str | os.PathLike) else value)))
        remember_words((*(f"--storage-option={word}" for word in self.storage_options), *self.beam_options))
        if self.engine is not None:
            # A runner that only the environment names gives way to the engine.
            if self.beam_options or self.runner not in (self.engine.runner, Options().runner):
                raise UsageError("an engine is given, and a runner or Beam options beside it", code="two-engines")
            put("runner", self.engine.runner)
            put("beam_options", self.engine.beam_options())

    def __repr__(self) -> str:
        # Options of stores may be secrets.
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "storage_options" and f.repr}
        values["beam_options"] = tuple(masked_words(list(self.beam_options)))
        return mask(f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})")

    @property
    def root(self) -> str:
        """The cache root, with the value of the variable that it may begin with. UsageError where that is not set."""
        return locations.expand(str(self.cache_root))

    @property
    def read_roots(self) -> tuple[str, ...]:
        """The absolute cache roots that are only read, each once, and never the own one."""
        every = dict.fromkeys(locations.absolute(locations.expand(root)) for root in self.cache_root_read)
        return tuple(root for root in every if root != locations.absolute(self.root))


def keywords(
    options: Callable[P, O],
) -> Callable[[Callable[[First, O], R]], Callable[Concatenate[First, P], R]]:
    """Turn ``verb(target, options)`` into ``verb(target, **options)``, with the fields of the class as keywords that `help` and editors
    know by name, type and default."""

    def wrap(verb: Callable[[First, O], R]) -> Callable[Concatenate[First, P], R]:
        own = signature(verb)
        target = next(iter(own.parameters.values()))

        def call(*args: Any, **given: Any) -> R:
            # The target may be named too, and None is an option that is left out.
            first = args if args or target.name not in given else (given.pop(target.name),)
            if len(first) != 1:
                raise TypeError(f"{verb.__name__}() takes one argument, {target.name}, and options by name")
            return verb(first[0], options(**{name: value for name, value in given.items() if value is not None}))  # type: ignore[call-arg]

        update_wrapper(call, verb)
        call.__doc__ = f"{inspect.cleandoc(verb.__doc__ or '')}\n\nOptions\n-------\n{_described(options)}"
        call.__signature__ = Signature([target, *_named(options)], return_annotation=own.return_annotation)  # type: ignore[attr-defined]
        return call

    return wrap


def keywords_of_two(
    options: Callable[P, O],
) -> Callable[[Callable[[First, First, O], R]], Callable[Concatenate[First, First, P], R]]:
    """As `keywords`, for a verb that takes two targets: ``verb(a, b, options)`` into ``verb(a, b, **options)``."""

    def wrap(verb: Callable[[First, First, O], R]) -> Callable[Concatenate[First, First, P], R]:
        own = signature(verb)
        targets = list(own.parameters.values())[:2]

        def call(*args: Any, **given: Any) -> R:
            named = [given.pop(target.name) for target in targets[len(args) :] if target.name in given]
            both = (*args, *named)
            if len(both) != 2:
                raise TypeError(f"{verb.__name__}() takes two arguments, {targets[0].name} and {targets[1].name}, and options by name")
            return verb(*both, options(**{name: value for name, value in given.items() if value is not None}))  # type: ignore[call-arg]

        update_wrapper(call, verb)
        call.__doc__ = f"{inspect.cleandoc(verb.__doc__ or '')}\n\nOptions\n-------\n{_described(options)}"
        call.__signature__ = Signature([*targets, *_named(options)], return_annotation=own.return_annotation)  # type: ignore[attr-defined]
        return call

    return wrap


def _named(options: Any) -> list[Parameter]:
    """The fields of the class as keywords."""
    return [Parameter(f.name, Parameter.KEYWORD_ONLY, default=_Shown(_default(f)), annotation=f.type) for f in fields(options)]


def _described(options: Any) -> str:
    """A line for each option: what it says, and its environment variable."""
    about: list[tuple[str, Help]] = [(f.name, f.metadata["help"]) for f in fields(options)]
    return "\n".join(f"{name}: {help.text}" + (f" [{help.variable}]" if help.variable else "") for name, help in about)


class _Shown:
    """A default as `help` shows it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _default(one: Any) -> str:
    factory = one.default_factory
    return repr(factory.args[1]) if isinstance(factory, partial) else repr(one.default)
