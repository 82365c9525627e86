"""`status` and `verify`: what the cache holds for a recipe, what an instance directory is, and whether every byte of it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from refinery_beam import locations
from refinery_beam.cache import Found, Manifest, VerifyReport, lookup_at
from refinery_beam.cache import verify as verify_instance
from refinery_beam.cache.manifest import SELECTION_NAME
from refinery_beam.errors import StoreError
from refinery_beam.index import Selection
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.own_recipe import instance_named
from refinery_beam.launch.prepare import Prepared, prepare
from refinery_beam.launch.run import CONTRACT, said
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.discovery import read_plugin_paths
from refinery_beam.reading.recorded import read_listed
from refinery_beam.recipe import digest_of_recipe


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """What the cache holds: a ``hit``, a ``miss``, or a ``damaged`` instance, of which `damage` says what is wrong.

    `key` is that of the recipe that was asked for, empty where an instance was. Of a recipe, `selection` is what listing its sources
    leaves out now (of an instance, `to_dict` says what was left out then), and `selection_warnings` (code, message) what of it somebody
    will miss.
    """

    path: str
    manifest: Manifest | None
    damage: str | None = None
    key: dict[str, Any] = field(default_factory=dict)
    selection: Selection | None = None
    selection_warnings: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> Literal["hit", "miss", "damaged"]:
        """In one word."""
        return "hit" if self.manifest is not None else "damaged" if self.damage else "miss"

    def to_dict(self) -> dict[str, Any]:
        """The object `status --json` prints (contract 1): the keys of `run --json` that make sense."""
        body: dict[str, Any] = {"contract": CONTRACT, "status": self.status, "instance": self.path, **self.key}
        if self.manifest is not None:
            raw = self.manifest.raw
            body |= {name: raw[name] for name in ("recipe_hash", "input_hash", "seed", "logical_digest", "files_digest")}
            body |= {"counts": {split: raw["counts"][split] for split in raw["splits"]}, "ledger": raw["ledger"]}
        elif self.damage:
            body["damage"] = self.damage
        if self.manifest is not None or self.selection is not None:
            body["warnings"] = said(self.warnings)
        selection = self.selection.to_dict() if self.selection is not None else _stored_selection(self.manifest)
        return body | ({"selection": selection} if selection is not None else {})

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """(code, message): those of the instance, and of what listing leaves out."""
        stored = self.manifest.warnings if self.manifest is not None else ()
        return (*((w["code"], w["message"]) for w in stored), *self.selection_warnings)


def _stored_selection(manifest: Manifest | None) -> Any:
    """What listing left out when an instance was built, as its annex says; None where it keeps none."""
    if manifest is None or manifest.file(SELECTION_NAME) is None:
        return None
    return json.loads(read_listed(manifest, SELECTION_NAME))


@dataclass(frozen=True, kw_only=True, repr=False)
class VerifyOptions(Options):
    """`Options`, and how much `verify` reads."""

    deep: bool = option(False, "Also read every row again and prove the digests of rows.")


@keywords(Options)
def status(target: StrPath, options: Options) -> StatusResult:
    """Say whether the instance of a recipe is there and what it holds, or what a directory or URL of an instance is. Builds nothing.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.status("recipe.yaml").status                                  # doctest: +SKIP
    'miss'
    """
    return status_with(target, Settings.of(options))


def status_with(target: StrPath, settings: Settings) -> StatusResult:
    """`status` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        location, found, prepared = _found(target, settings)
    if prepared is not None:
        return StatusResult(
            path=location,
            manifest=found.manifest,
            damage=found.damage,
            key={"recipe_hash": prepared.key.recipe_hash, "input_hash": prepared.key.input_hash, "seed": prepared.key.seed},
            selection=prepared.index.selection,
            selection_warnings=prepared.index.selection_warnings,
        )
    if found.manifest is None:
        raise StoreError(
            f"this folder is not a complete instance: {(found.damage or 'it is empty').replace(location, 'it')}",
            code="not-an-instance",
            at=location,
        )
    return StatusResult(path=location, manifest=found.manifest, damage=found.damage)


@keywords(VerifyOptions)
def verify(target: StrPath, options: VerifyOptions) -> VerifyReport:
    """Hash every file of an instance again and compare: the instance of a recipe, or the one at a directory or URL. With ``deep`` read
    every row too. The report is false where something does not hold.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.verify("recipe.yaml", deep=True).ok                           # doctest: +SKIP
    True
    """
    return verify_with(target, Settings.of(options), deep=options.deep)


def verify_with(target: StrPath, settings: Settings, *, deep: bool = False) -> VerifyReport:
    """`verify` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        return _verify_with(target, settings, deep=deep)


def _verify_with(target: StrPath, settings: Settings, *, deep: bool) -> VerifyReport:
    named = instance_named(target, settings)
    if named is not None:
        location = named
        if not _is_instance(location):
            raise StoreError(
                "this folder is not an instance: it has no manifest.json",
                code="not-an-instance",
                at=location,
                rule="verify takes a recipe, or a folder that `run` named as an instance",
                remedy="refinery-beam status RECIPE names the instance of a recipe",
            )
    else:
        location, found, _ = _found(target, settings)
        if found == (None, None):
            raise StoreError(
                f"{target} has no instance in {settings.root}",
                code="no-instance",
                at=location,
                remedy=f"refinery-beam run {target}",
            )
    code = read_plugin_paths(settings.plugin_paths)
    return verify_instance(location, deep=deep, recipe_digest=partial(digest_of_recipe, code=code), code=code)


def _found(target: StrPath, settings: Settings) -> tuple[str, Found, Prepared | None]:
    """Where the instance is, what is there, and the recipe, if it is one."""
    location = instance_named(target, settings)
    if location is not None:
        settings.check()
        return location, lookup_at(location), None
    prepared = prepare(target, settings)
    found = prepared.lookup()
    return prepared.location if found.manifest is None else found.manifest.location, found, prepared


def _is_instance(location: str) -> bool:
    """Whether a folder is, or was, an instance: no advice must ever be to remove a folder of photos."""
    inside = {"manifest.json", "dataset"} & set(locations.names(location))
    return bool(inside) or location.split("/")[-4:-3] == ["instances"]
