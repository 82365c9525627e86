"""The revision of the repository that a recipe lies in. It is evidence, and no part of any key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from refinery_beam.errors import UsageError

POLICIES = ("record", "require-clean", "off")
SECONDS = 5
"""How long git may take: in a very large repository it is better to know nothing than to wait."""


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out, '' before the first one; and whether what is there differs from it: a change in the recipe's folder,
    or a recipe or plugin that the repository does not have.
    """

    commit: str
    dirty: bool


def find_revision(recipe: str, plugin_paths: Sequence[str] = ()) -> Revision | None:
    """The revision of a recipe's folder; None where that is in no repository, git is not installed, or takes too long.

    Nothing is written to the repository, and none of its hooks and monitors is run.
    """
    folder = os.path.dirname(os.path.abspath(recipe))
    # What is tracked in the folder, and whether the files that the run reads are: pictures and caches beside them need not be.
    tracked = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", ".")
    if tracked is None:
        return None
    files = [os.path.abspath(path) for path in (recipe, *plugin_paths)]
    untracked = _git(folder, "status", "--porcelain=v2", "--untracked-files=normal", "--ignored=matching", "--", *files)
    lines = tracked.splitlines()
    commit = next((line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")), "")
    dirty = any(not line.startswith("#") for line in lines) or bool(untracked)
    return Revision("" if commit == "(initial)" else commit, dirty)


def refuse_unclean(recipe: str, revision: Revision | None) -> str:
    """Under ``require-clean``: UsageError ``git-not-clean`` for a recipe whose folder has changes, or is in no repository. Where git is not
    installed nothing can be said, and no run ends because of that: gives a warning instead of ''.
    """
    if revision is None:
        if not installed():
            return "git is not installed here, so nobody can say whether the recipe's folder is clean"
        raise UsageError(
            f"{recipe} lies in no git repository", code="git-not-clean", at=recipe, remedy="commit it, or leave out --git require-clean"
        )
    if revision.dirty:
        raise UsageError(f"the folder of {recipe} differs from commit {revision.commit[:12] or 'none'}", code="git-not-clean", at=recipe)
    return ""


def installed() -> bool:
    """Whether there is a git to ask."""
    import shutil

    return shutil.which("git") is not None


def _git(folder: str, *words: str) -> str | None:
    # A repository is data: its configuration may name a program as file system monitor, and its index is not ours to refresh.
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=true", *words]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
