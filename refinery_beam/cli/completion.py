"""`completion`: what a shell needs to complete verbs, options, values of options and paths."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Annotated, Any

import typer

from refinery_beam.cli.offers import words_of
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, Line, display, print_json, print_text, show
from refinery_beam.errors import UsageError, did_you_mean

VARIABLE = "_REFINERY_BEAM_COMPLETE"
"""Set by the shell's function when it asks for completions."""

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")

Install = Annotated[bool, typer.Option("--install", help="Write the script to where the shell reads it when it starts.")]


@shared
def completion(
    shell: Annotated[
        str, typer.Argument(help="bash, zsh, fish or powershell; default the one this runs in.", autocompletion=words_of(SHELLS))
    ] = "",
    *,
    install: Install = False,
    options: Options,
) -> None:
    """Print the script that completes the command line in a shell, or install it with --install."""
    scripts = _scripts()
    known = shell or _running_in()
    if known not in SHELLS:
        raise UsageError(
            f"there is no completion for the shell {known!r}" if known else "which shell this runs in is not known",
            code="usage",
            rule="completion is there for bash, zsh, fish and powershell",
            remedy=did_you_mean(known, SHELLS) if known else "name it: refinery-beam completion bash",
        )
    if install:
        _, path = scripts.install(shell=known, prog_name="refinery-beam", complete_var=VARIABLE)
        if options.json:
            print_json({"contract": CONTRACT, "shell": known, "path": str(path)})
        else:
            show(Line(f"{known} completes refinery-beam from its next start on: {display(str(path))}", "good"))
        return
    script = scripts.get_completion_script(prog_name="refinery-beam", complete_var=VARIABLE, shell=known)
    if options.json:
        print_json({"contract": CONTRACT, "shell": known, "script": script})
    else:
        print_text(script)


def prepare_completion(environment: MutableMapping[str, str]) -> None:
    """Make the option parser answer the shell's function: its classes for shells are there, and an option that bash has parted from its
    value at ``=`` is an option and a value.
    """
    _scripts().completion_init()
    if "COMP_WORDS" in environment and "COMP_CWORD" in environment:
        words, at = environment["COMP_WORDS"].split("\n"), int(environment["COMP_CWORD"])
        parted = [k for k, word in enumerate(words) if word == "=" and 0 < k <= at and words[k - 1].startswith("--")]
        environment["COMP_WORDS"] = "\n".join(word for k, word in enumerate(words) if k not in parted)
        # On the sign itself, the word that is completed is the empty one behind it.
        environment["COMP_CWORD"] = str(at - len(parted) + (1 if at in parted else 0))


def _scripts() -> Any:
    """Typer's scripts and classes for shells, which it does not export to type checkers."""
    from typer import completion as scripts

    return scripts


def _running_in() -> str:
    """The shell that started this process, else the person's own."""
    try:
        from shellingham import detect_shell

        return str(detect_shell()[0])
    except (ImportError, RuntimeError, OSError):  # it cannot tell
        return os.path.basename(os.environ.get("SHELL", ""))
