"""Joins the verbs, and turns errors into words and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Annotated, Any

import typer

from refinery_beam import __version__, locations
from refinery_beam.cli import output, streams
from refinery_beam.cli.completion import VARIABLE, prepare_completion
from refinery_beam.cli.help import FirstPage
from refinery_beam.cli.options import Call, before_the_verb
from refinery_beam.cli.output import Line, print_failure, print_json, show, tell, tell_text
from refinery_beam.cli.verbs import entries
from refinery_beam.errors import EnvironmentFault, Interrupted, RefineryError, UsageError, display
from refinery_beam.masking import mask, remember_words
from refinery_beam.processes import collect_rarely

app = typer.Typer(
    cls=FirstPage,
    name="refinery-beam",
    help="One YAML recipe in, one prepared, cached, provable image dataset out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"refinery-beam {__version__}")
        raise typer.Exit


@app.callback()
@before_the_verb
def _globals(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass  # typer has done what --version asks, and the shared options are in the context


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code promised for what happened."""
    if hasattr(signal, "SIGCHLD"):
        # Whoever started this may have had it ignored: the system would keep no return code of the processes of a run.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    collect_rarely()
    out = streams.guard()
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(streams.finish(out, call(given)))


def call(given: list[str]) -> int:
    """The command line as a function: prints, and returns the exit code."""
    if given[:1] == ["worker-boot"]:
        return _boot_worker(given[1:])
    if VARIABLE in os.environ:
        prepare_completion(os.environ)
    given, beam_options = _cut(given)
    as_json, output.plainly = "--json" in given, "--no-color" in given
    # Before the first word of any error.
    remember_words((*given, *beam_options))
    try:
        takers = [entry.name for entry in entries() if entry.takes_beam_options]
        if beam_options and not set(takers) & set(given):
            raise UsageError(
                f"only {', '.join(takers[:-1])} and {takers[-1]} take Beam options",
                code="beam-option",
                value=" ".join(beam_options),
                rule="refinery-beam run RECIPE --runner NAME -- --option=value ...",
                remedy="leave out the -- and what stands behind it",
            )
        with locations.put_in_words():
            code: Any = app(args=given, prog_name="refinery-beam", standalone_mode=False, obj=Call(tuple(given), tuple(beam_options)))
        return code if isinstance(code, int) else 0
    except RefineryError as error:
        failure, cause = error, error.__cause__ or error
    except KeyboardInterrupt as error:
        failure, cause = Interrupted("interrupted", code="interrupted"), error
    except (MemoryError, OSError) as error:
        failure, cause = _refused(error), error
    except Exception as error:
        if not hasattr(error, "format_message"):
            _unexpected(error, as_json=as_json, debug="--debug" in given)
            return 4
        # The option parser's own exceptions; their class moved between packages, their shape did not.
        if type(error).__name__ == "NoArgsIsHelpError":
            if not as_json:
                tell(*error.format_message().split("\n"))
                return UsageError.exit_code
            words = "a verb is missing"
        else:
            words = error.format_message()
        failure, cause = _usage(words, getattr(error, "ctx", None)), error
    if "--debug" in given:
        _print_traceback(cause)
    print_failure(failure, as_json=as_json)
    return failure.exit_code


def _boot_worker(given: list[str]) -> int:
    """What engines start; see `runners.portable.worker_boot`. Its stderr ends in a worker's log."""
    from refinery_beam.runners.portable.worker_boot import boot

    try:
        boot(given)
    except RefineryError as error:
        print_failure(error, as_json=False)
        return error.exit_code
    return 0


def _cut(given: list[str]) -> tuple[list[str], list[str]]:
    """The command line before the first ``--``, and the Beam options behind it."""
    if "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


def _refused(error: MemoryError | OSError) -> RefineryError:
    """What the operating system refuses is no bug of ours."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return EnvironmentFault("there is no memory left", code="no-memory")
    name = error.filename if error.filename is not None else ""
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return EnvironmentFault(f"{display(where)}: {reason}" if where else reason, code="system-refused", at=where, value=type(error).__name__)


def _usage(words: str, context: Any) -> UsageError:
    """The option parser's complaint, with the usage and the help of the verb it is about."""
    words = words.replace("Input should be a valid integer, unable to parse string as an integer", "not a whole number")
    command = getattr(context, "command_path", "refinery-beam")
    usage = context.get_usage().removeprefix("Usage: ") if context is not None else "refinery-beam VERB [OPTIONS] ..."
    return UsageError(words, code="usage", rule=" ".join(usage.split()), remedy=f"{command} --help")


def _print_traceback(error: BaseException) -> None:
    """The traceback of an error, which holds texts of other libraries, without secrets."""
    import traceback

    tell_text(mask("".join(traceback.format_exception(error))))


def _unexpected(error: Exception, *, as_json: bool, debug: bool) -> None:
    """A bug of ours: said as one, in one line, with the traceback on request."""
    if debug:
        _print_traceback(error)
    words = mask(f"{type(error).__name__}: {error}")
    body = {"code": "internal", "message": words, "place": "", "value": None, "rule": "", "remedy": "run again with --debug and report it"}
    if as_json:
        print_json({"contract": 1, "errors": [body]})
    else:
        tell(
            Line(f"error: this is a bug in refinery-beam: {words}", "bad"),
            "  remedy: run again with --debug and report what it prints",
        )
