"""report.html: made after every run that lacks it, and by `report` from the instance alone. It is listed in no manifest.

A page carries its key in its first bytes (`reporting.page_key`): one that is there under its key is not made again, so a hit stays a hit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.cache.stores.local import store_error
from refinery_beam.errors import RefineryError
from refinery_beam.launch.opening import location_of
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.own_recipe import find_own
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.discovery import read_plugin_paths
from refinery_beam.reading.recorded import open_recorded
from refinery_beam.recipe import Recipe, load_recipe
from refinery_beam.reporting.page_key import HEAD_BYTES, key_in, page_key

PAGE = "report/report.html"


@dataclass(frozen=True)
class ReportResult:
    """The page of an instance: its absolute path or URL, its size in bytes, and the instance it is of."""

    page: str
    bytes: int
    instance: str


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportOptions(Options):
    """`Options`, and where `report` writes."""

    output: StrPath | None = option(None, "Where the page is written; left out, report/report.html in the instance.")


@keywords(ReportOptions)
def report(target: StrPath, options: ReportOptions) -> ReportResult:
    """Make the page report.html of an instance again: of its directory or URL, or of the recipe that made it. Reads nothing but the
    instance, and one raw file where that is still there. Nothing is built.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.report("cache/instances/.../0", output="page.html").page      # doctest: +SKIP
    '/home/me/page.html'

    Raises StoreError where there is no instance (``instance-missing``), where it is damaged, or where the page cannot be written.
    """
    return report_with(target, Settings.of(options), output=options.output)


def report_with(target: StrPath, settings: Settings, *, output: StrPath | None = None) -> ReportResult:
    """`report` with its settings in one value; what the command line calls."""
    settings.check()
    with locations.put_in_words():
        manifest = open_recorded(location_of(target, settings), plugin_paths=settings.plugin_paths).manifest
        location = locations.join(manifest.location, PAGE) if output is None else locations.absolute(os.fspath(output))
        text = _rendered(manifest, settings, raw_sources(manifest, settings))
        try:
            if output is None:
                locations.make_folder(locations.parent(location))
            locations.write(location, text)
        except OSError as error:
            raise store_error(error, "write the page to", location) from error
        return ReportResult(location, len(text), manifest.location)


def page_of(recipe: Recipe, manifest: Manifest, settings: Settings) -> tuple[str, tuple[str, ...]]:
    """The location of the page of an instance, which is made if it is not there as it should be; and notes. The location is '' where it
    could not be made: the dataset is there all the same. Imports nothing when the page is there.
    """
    location = locations.join(manifest.location, PAGE)
    try:
        if _head_key(location) == page_key(manifest.raw, _picture_keys(manifest)):
            return location, ()
        text = _rendered(manifest, settings, _sources(recipe))
        locations.make_folder(locations.parent(location))
        locations.write(location, text)
    except (RefineryError, OSError, ValueError) as error:
        if settings.debug:
            raise
        return "", (f"the page {PAGE} is not made: {getattr(error, 'message', error)}",)
    return location, ()


def get_ready() -> None:
    """Import what a page needs and compile its template: a process that waits for another one has the time."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet

    from refinery_beam.launch.page.gather import page_facts  # noqa: F401
    from refinery_beam.reporting.page.render import page_template

    pa.array([])  # PyArrow looks for pandas when it makes its first array of a list, and imports it where it is installed
    page_template()


def raw_sources(manifest: Manifest, settings: Settings) -> dict[str, str]:
    """Where the sources of an instance lie, by their names, as far as this machine knows it."""
    path = locations.join(manifest.location, RECIPE_NAME)
    try:
        own = None if locations.is_url(path) else find_own(path, settings)
        return _sources(load_recipe(path, text=locations.read(path).decode(), variables=own.variables if own is not None else None))
    except (RefineryError, OSError, UnicodeDecodeError):
        return {}


def _sources(recipe: Recipe) -> dict[str, str]:
    found = {}
    for source in recipe.model.Input.sources:
        try:
            found[source.name] = recipe.resolve(source.path)
        except RefineryError:
            continue  # its variable is not set here
    return found


def _rendered(manifest: Manifest, settings: Settings, sources: Mapping[str, str]) -> bytes:
    # Imported only now: a page that is there needs no template.
    from refinery_beam.launch.page.gather import page_facts
    from refinery_beam.reporting.page import render_page

    settings.tell("rendering report.html")
    keys = _picture_keys(manifest)
    folder = locations.join(manifest.location, "report", "pictures")
    facts = page_facts(
        manifest,
        key=page_key(manifest.raw, keys),
        pictures={name: locations.join(folder, f"{name}.png") for name in sorted(keys)},
        sources=sources,
        code=read_plugin_paths(settings.plugin_paths),
    )
    return render_page(facts).encode()


def _head_key(location: str) -> str | None:
    try:
        with locations.opened(location) if locations.is_url(location) else locations.open_plain(location) as file:
            return key_in(file.read(HEAD_BYTES))
    except OSError:
        return None


def _picture_keys(manifest: Manifest) -> dict[str, str]:
    """The keys of the pictures that are drawn, by name."""
    try:
        found = json.loads(locations.read(locations.join(manifest.location, "report", "pictures", "pictures.json")))
    except (OSError, ValueError):
        return {}
    return {str(name): str(key) for name, key in found.items()} if isinstance(found, dict) else {}
