"""Checks of where things lie: locations that exist, and a cache that is no part of what is read."""

from __future__ import annotations

import os
import re

from refinery_beam import locations
from refinery_beam.errors import RefineryError, closest
from refinery_beam.recipe.checks.context import Context, Finding, Findings


def paths_exist(c: Context) -> Findings:
    """101: local locations exist and are of the right kind; variables in locations are set."""
    for i, source in enumerate(c.model.Input.sources):
        yield from _location(c, source.path, ("Input", "sources", i, "path"), folder=c.arrangement(source) != "file")
        if source.label_from is not None:
            yield from _location(c, source.label_from.path, ("Input", "sources", i, "label_from", "path"), folder=False)


def output_inside_source(c: Context) -> Findings:
    """107: the cache does not lie inside what is read."""
    if c.cache_root is None:
        return
    for i, source in enumerate(c.model.Input.sources):
        try:
            meets = locations.inside(c.cache_root, c.recipe.resolve(source.path))
        except RefineryError:
            continue
        if meets:
            yield c.error(
                f"the cache root {c.cache_root!r} lies inside the source {source.name!r}",
                ("Input", "sources", i, "path"),
                code="output-inside-source",
                value=source.path,
            )


def _location(c: Context, location: str, path: tuple[str | int, ...], *, folder: bool) -> Findings:
    try:
        resolved = c.recipe.resolve(location)
    except RefineryError as error:
        error.at = c.recipe.at(path)
        yield Finding("error", error)
        return
    if "://" in resolved:
        return
    exists = os.path.isdir(resolved) if folder else os.path.exists(resolved)
    if not exists:
        other = os.path.exists(resolved)
        # The resolved form is shown only where no variable went into it.
        shown = "" if "${env:" in location else f" (that is {resolved})"
        yield c.error(
            f"{location!r}{shown} {'is not a folder' if other else locations.why_absent(resolved)}",
            path,
            code="path-not-a-folder" if other else "path-missing",
            value=location,
            remedy=_unexpanded(location) or _neighbour(location, resolved) or None,
        )


def _unexpanded(location: str) -> str:
    """What to write instead of what a shell would expand: a recipe is read by no shell."""
    if location == "~" or location.startswith("~/"):
        return f"~ is not expanded in a recipe; write ${{env:HOME}}{location[1:]}"
    found = re.match(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", location)
    if found:
        return f"shell variables are not expanded in a recipe; write ${{env:{found[1]}}}{location[found.end() :]}"
    if re.match(r"[A-Za-z]:[\\/]", location) and os.name != "nt":
        return "this is a path of Windows; name the folder as this machine has it, such as /mnt/c/..."
    return ""


def _neighbour(location: str, resolved: str) -> str:
    """The path with its last part as it is really spelt, if something beside it has such a name."""
    folder, name = os.path.split(resolved.rstrip("/"))
    try:
        meant = closest(name, [n for n in os.listdir(folder) if n != name])
    except OSError:
        return ""
    if meant is None:
        return ""
    return f"did you mean {os.path.join(os.path.dirname(location.rstrip('/')), meant)!r}?"
