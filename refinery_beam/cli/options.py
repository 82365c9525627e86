"""The options every verb shares. They may stand before or after the verb; what stands after wins."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from typing import Annotated, Any

import typer

from refinery_beam.errors import Interrupted
from refinery_beam.launch.settings import Settings

CACHE_ROOT_VARIABLE = "REFINERY_BEAM_CACHE_ROOT"
PLUGIN_PATH_VARIABLE = "REFINERY_BEAM_PLUGIN_PATH"
DEFAULT_CACHE_ROOT = "cache"

CacheRoot = Annotated[
    str | None,
    typer.Option(
        "--cache-root",
        metavar="DIR",
        help=f"Where instances live: a folder, or a URL like gs://bucket/x. [{CACHE_ROOT_VARIABLE}; default: ./cache]",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Threads or processes of the local engine. [default: every core]")
]
Mode = Annotated[str | None, typer.Option("--mode", metavar="MODE", help="auto, threads or processes. [default: auto]")]
Runner = Annotated[
    str | None,
    typer.Option(
        "--runner",
        metavar="NAME",
        help="Which engine runs the job: direct, prism, flink, spark or dataflow. Options for it stand behind --. [default: direct]",
    ),
]
SharedFiles = Annotated[
    bool,
    typer.Option(
        "--shared-files", help="Workers on other machines see the same files under the same paths, by a network file system or volume."
    ),
]
Digest = Annotated[
    str | None,
    typer.Option(
        "--digest",
        metavar="KIND",
        help="How the content of files on stores is named: auto (the store's MD5 where every file has one) or sha256. [default: auto]",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Override the recipe's seed. It is part of the instance's identity.")]
Overlay = Annotated[
    list[str] | None,
    typer.Option("--overlay", "--variant", metavar="NAME", help="Apply a named overlay of the recipe; repeatable, in order."),
]
PluginPath = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin-path", metavar="PATH", help=f"A .py file or a folder of them that defines plugins; repeatable. [{PLUGIN_PATH_VARIABLE}]"
    ),
]
StorageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="PROTOCOL.NAME=VALUE",
        help="An option of fsspec for a protocol, as s3.endpoint_url=http://...; for this process and the workers it starts; repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no remarks; results and errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The shared options of one call."""

    cache_root: CacheRoot = None
    workers: Workers = None
    mode: Mode = None
    runner: Runner = None
    shared_files: SharedFiles = False
    digest: Digest = None
    seed: Seed = None
    overlay: Overlay = None
    plugin_path: PluginPath = None
    storage_option: StorageOption = None
    json: Json = False
    verbose: Verbose = False
    quiet: Quiet = False
    debug: Debug = False
    beam_options: tuple[str, ...] = ()

    def over(self, earlier: Options | None) -> Options:
        """These options, with what they leave out taken from those that stood before the verb."""
        if earlier is None:
            return self
        return Options(**{f.name: getattr(self, f.name) or getattr(earlier, f.name) for f in fields(self)} | self._zeros(earlier))

    def settings(self) -> Settings:
        """The execution context of the call."""
        return Settings(
            cache_root=self.cache_root or os.environ.get(CACHE_ROOT_VARIABLE) or DEFAULT_CACHE_ROOT,
            overlays=tuple(self.overlay or ()),
            plugin_paths=self.plugin_paths(),
            storage_options=tuple(self.storage_option or ()),
            seed=self.seed,
            workers=self.workers,
            mode=self.mode or "auto",
            runner=self.runner or "direct",
            shared_files=self.shared_files,
            digest=self.digest or "auto",
            beam_options=self.beam_options,
            progress=not self.quiet,
            debug=self.debug,
            forked=not self.debug,  # whose traceback would not come out of the child
            say=(lambda text: typer.echo(text, err=True)) if self.verbose and not self.quiet else None,
        )

    def plugin_paths(self) -> tuple[str, ...]:
        """``--plugin-path`` as given, else the variable's, which holds them as PATH does."""
        if self.plugin_path:
            return tuple(self.plugin_path)
        return tuple(p for p in os.environ.get(PLUGIN_PATH_VARIABLE, "").split(os.pathsep) if p)

    def _zeros(self, earlier: Options) -> dict[str, int | None]:
        """0 is a seed and a (refused) number of workers, not an absent option."""
        pairs = ((name, getattr(self, name), getattr(earlier, name)) for name in ("seed", "workers"))
        return {name: mine if mine is not None else before for name, mine, before in pairs}


def shared(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb ``verb(..., *, options)`` all the shared options as its own, and hand them over as one `Options`."""

    @functools.wraps(verb)
    def wrapper(*args: Any, ctx: typer.Context, **values: Any) -> None:
        mine = Options(**{f.name: values.pop(f.name) for f in _typed()})
        try:
            verb(*args, **values, options=mine.over(ctx.obj))
        except KeyboardInterrupt as error:
            # Caught here: the option parser would make an exit code of it, without a word.
            raise Interrupted("interrupted: nothing was promoted", code="interrupted", remedy="run again to start over") from error

    return _signed(wrapper, verb)


def before_the_verb(callback: Callable[..., None]) -> Callable[..., None]:
    """Give the program's own callback all the shared options; verbs find them as `Options` in the context."""

    @functools.wraps(callback)
    def wrapper(*, ctx: typer.Context, **values: Any) -> None:
        ctx.obj = Options(**{f.name: values.pop(f.name) for f in _typed()}, beam_options=tuple(ctx.obj or ()))
        callback(**values)

    return _signed(wrapper, callback)


def _signed(wrapper: Callable[..., None], function: Callable[..., None]) -> Callable[..., None]:
    """`wrapper` with the signature of `function`, the context before it and the shared options behind."""
    own = inspect.signature(function, eval_str=True)
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.parameters.values() if p.name != "options"]
    wrapper.__signature__ = inspect.Signature([_CONTEXT, *kept, *_parameters()])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in wrapper.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return wrapper


def _parameters() -> list[inspect.Parameter]:
    kinds = inspect.get_annotations(Options, eval_str=True)
    return [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=kinds[f.name]) for f in _typed()]


def _typed() -> list[Field[Any]]:
    """The options that are options; what stands behind ``--`` is cut off before the line is parsed."""
    return [f for f in fields(Options) if f.name != "beam_options"]


_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
