"""`verify`: is every byte of an instance what its manifest says?"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from refinery_beam import locations
from refinery_beam.cache import verify as verify_instance
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import print_json
from refinery_beam.errors import StoreError
from refinery_beam.launch.prepare import digest_of_recipe, prepare
from refinery_beam.plugins.discovery import read_plugin_paths

Deep = Annotated[bool, typer.Option("--deep", help="Also read every row again and prove the digests of rows.")]


@shared
def verify(
    target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")], *, deep: Deep = False, options: Options
) -> None:
    """Hash every file of an instance again and compare. Exit code 3 when something does not hold."""
    named = locations.is_url(target) or os.path.isdir(target)
    if named:
        locations.use_options(options.storage_option or ())
    location = locations.absolute(target) if named else _location_of(Path(target), options)
    if named and not _is_instance(location):
        raise StoreError(
            "this folder is not an instance: it has no manifest.json",
            code="not-an-instance",
            at=location,
            rule="verify takes a recipe, or a folder that `run` named as an instance",
            remedy="refinery-beam status RECIPE names the instance of a recipe",
        )
    report = verify_instance(
        location,
        deep=deep,
        recipe_digest=partial(digest_of_recipe, plugin_paths=options.plugin_paths()),
        code=read_plugin_paths(options.plugin_paths()),
    )
    if options.json:
        print_json({"contract": 1, "status": "verified" if report.ok else "damaged", "instance": location, **report.to_dict()})
    else:
        for finding in report.findings:
            print(f"{finding.code}: {finding.path}: {finding.message}")
        word = "verified" if report.ok else "damaged"
        print(f"{word}: {report.files_checked:,} files, {report.bytes_checked / 1e6:,.1f} MB, {report.records_checked:,} records")
        if not report.ok:
            print(f"  remedy: remove {location} and run its recipe again")
    if not report.ok:
        raise typer.Exit(3)


def _is_instance(location: str) -> bool:
    """Whether a folder is, or was, an instance: `verify` must not advise anybody to remove a folder of photos."""
    inside = {"manifest.json", "dataset"} & set(locations.names(location))
    return bool(inside) or location.split("/")[-4:-3] == ["instances"]


def _location_of(recipe: Path, options: Options) -> str:
    prepared = prepare(recipe, options.settings())
    if prepared.lookup() == (None, None):
        raise StoreError(
            f"{recipe} has no instance in {prepared.settings.cache_root}",
            code="no-instance",
            at=prepared.location,
            rule="verify checks an instance that is there",
            remedy=f"refinery-beam run {recipe}",
        )
    return prepared.location
