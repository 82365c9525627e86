"""`verify --repair`: makes what is damaged in an instance again from the raw data, and leaves the rest alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from refinery_beam import locations
from refinery_beam.cache import FileEntry, Manifest, VerifyReport, lookup_at
from refinery_beam.cache.manifest import MANIFEST_NAME, RECIPE_NAME, ManifestDamage, parse_manifest
from refinery_beam.cache.stores.local import store_of
from refinery_beam.cache.verify import NotRepaired, broken_files
from refinery_beam.errors import RefineryError, StoreError
from refinery_beam.launch.own_recipe import own_of
from refinery_beam.launch.prepare import Prepared, prepare
from refinery_beam.launch.report import PAGE, page_of
from refinery_beam.launch.roots import is_own
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath

if TYPE_CHECKING:
    from refinery_beam.crashes.poison import Poison
    from refinery_beam.launch.mended import Mended

ROUNDS = 3
"""A table of a sink comes first, then the files that it lists."""

STRANGER = "it is not in the manifest: nothing is known of it, so it is left for you to move or remove"
NO_MANIFEST = "the manifest says what an instance holds, and cannot be repaired from itself"


def repaired(target: StrPath, location: str, report: VerifyReport, settings: Settings, again: partial[VerifyReport]) -> VerifyReport:
    """Repair the instance at `location`, of which `report` says what is damaged; gives the report of verifying it `again`.

    `target` is what the user named: a recipe, or the instance. Never raises for what cannot be repaired: the report says why.
    """
    done: list[str] = []
    why: dict[str, str] = {}
    manifest = _manifest(location)
    try:
        if not is_own(settings, location):
            raise StoreError("it lies in a cache root that is only read", code="not-repairable", at=location)
        prepared = _prepared(target, location, settings, manifest)
        if manifest is None:
            _rebuild(prepared)
            done.append(MANIFEST_NAME)
        else:
            _repair(prepared, manifest, done, why)
            _draw(prepared, manifest)
    except RefineryError as error:
        reason = "; ".join(one.message for one in error.errors())
        broken = [MANIFEST_NAME] if manifest is None else [entry.path for entry in broken_files(manifest)]
        why |= dict.fromkeys(broken, reason)
    after = again()
    left = {finding.path for finding in after.findings}
    for finding in after.findings:
        why.setdefault(finding.path, STRANGER if finding.code == "unlisted" else "it was not made again")
    return replace(
        after,
        repaired=tuple(sorted(set(done) - left)),
        not_repaired=tuple(NotRepaired(path, why[path]) for path in sorted(why) if path in left),
    )


def _manifest(location: str) -> Manifest | None:
    """The manifest, if it can be believed, whatever has become of the files."""
    try:
        text = store_of(location).read(locations.join(location, MANIFEST_NAME))
        return parse_manifest(text, location=location) if text is not None else None
    except (StoreError, ManifestDamage):
        return None


def _prepared(target: StrPath, location: str, settings: Settings, manifest: Manifest | None) -> Prepared:
    """The recipe of the instance, with its raw data. Raises RefineryError where it is not that of the instance."""
    named, own = str(target), None
    if locations.is_folder(named):
        if manifest is None:
            remedy = "verify --repair its recipe instead, which builds the instance again"
            raise StoreError(f"{NO_MANIFEST}: {remedy}", code="not-repairable", at=location, remedy=remedy)
        named = locations.join(location, RECIPE_NAME)
        entry = manifest.file(RECIPE_NAME)
        if entry is None or locations.is_url(named) or any(one.path == RECIPE_NAME for one in broken_files(manifest)):
            raise StoreError(
                "the recipe in the instance cannot be used: name the recipe it was made of instead", code="not-repairable", at=location
            )
        own = own_of(manifest, settings)
    prepared = prepare(named, settings, own=own)
    if manifest is not None and not manifest.is_of(prepared.key.recipe_hash, prepared.key.input_hash, prepared.key.seed):
        parts = {
            "the recipe or the codecs of this machine": prepared.key.recipe_hash != manifest.recipe_hash,
            "the files": prepared.key.input_hash != manifest.input_hash,
            "the seed": prepared.key.seed != manifest.seed,
        }
        other = " and ".join(name for name, differs in parts.items() if differs)
        raise StoreError(f"what it was made of is not there any more: {other} differ", code="not-repairable", at=location)
    return prepared


def _repair(prepared: Prepared, manifest: Manifest, done: list[str], why: dict[str, str]) -> None:
    from refinery_beam.launch.build.build import carried_out

    for _ in range(ROUNDS):
        broken = [entry for entry in broken_files(manifest) if entry.path not in why]
        if not broken:
            return
        mended = carried_out(prepared, partial(_mend, prepared, manifest, broken))
        done += mended.done
        why |= mended.why


def _mend(prepared: Prepared, manifest: Manifest, broken: list[FileEntry], poison: Poison) -> Mended:
    from refinery_beam.runners.quiet import import_beam

    import_beam(talk=prepared.settings.debug)
    # Imported after the fork, because it imports Beam.
    from refinery_beam.launch.build.mend import mend

    return mend(prepared, manifest, broken, poison)


def _rebuild(prepared: Prepared) -> None:
    from refinery_beam.launch.build.build import build

    build(prepared)


def _draw(prepared: Prepared, manifest: Manifest) -> None:
    """Draw the recipe's pictures and the page again: nothing lists them, so nothing says whether they are whole."""
    if lookup_at(manifest.location).manifest is None:
        return
    if prepared.recipe.model.Visualizations:
        from refinery_beam.launch.pictures import INDEX, draw_pictures

        drawn = [f"{one.name}.png" for one in prepared.recipe.model.Visualizations if one.mode == "reporting"]
        for name in (INDEX, *drawn):
            _clear(locations.join(manifest.location, "report", "pictures", name))
        draw_pictures(prepared.recipe, prepared.plugin, manifest, prepared.settings)
    _clear(locations.join(manifest.location, PAGE))
    page_of(prepared.recipe, manifest, prepared.settings)


def _clear(location: str) -> None:
    """Remove a file, or whatever has its name."""
    if not locations.is_url(location) and os.path.isdir(location) and not os.path.islink(location):
        shutil.rmtree(location, ignore_errors=True)
    else:
        locations.remove(location)
