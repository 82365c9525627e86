"""`rerun`: the same recipe text, seed, overlays and plugins as a run or an instance, here and now, and whether the same comes out."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from refinery_beam import __version__, locations
from refinery_beam.cache import InstanceKey, Manifest, lookup_at
from refinery_beam.cache.instances import key_name_of, location_of
from refinery_beam.cache.journal.ask import newest_rows
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.errors import DataError, EngineError, EnvironmentFault, RefineryError, StoreError, UsageError, did_you_mean, raise_all
from refinery_beam.job.versions import RECORDED, package_version
from refinery_beam.launch.history.log import find_run
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.own_recipe import instance_named, known_variables
from refinery_beam.launch.prepare import GivenText, Prepared
from refinery_beam.launch.reasons.inputs import input_differences
from refinery_beam.launch.reasons.why import version_differences
from refinery_beam.launch.roots import readable_roots
from refinery_beam.launch.run import CONTRACT, RunResult, run_recipe
from refinery_beam.launch.settings import Settings
from refinery_beam.reading.recorded import read_listed

KINDS = ("inputs", "packages", "codecs", "code")
"""What may have drifted: the files, the packages that decide bytes, what the codecs do, and the versions of ops, laws and plugins."""

_COLUMNS = [
    *("run", "status", "recipe_path", "recipe_text", "overlays", "seed_option", "digest", "plugin_paths"),
    *("recipe_hash", "input_hash", "seed", "key", "logical_digest", "files_digest", "packages", "python", "package", "codecs"),
]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What is not as it was: ``kind`` is one of `KINDS`."""

    kind: Literal["inputs", "packages", "codecs", "code"]
    sentence: str
    before: Any = None
    after: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Its form in `rerun --json`."""
        return {"kind": self.kind, "before": self.before, "after": self.after, "sentence": self.sentence}


@dataclass(frozen=True, kw_only=True)
class RerunResult:
    """What came of it: ``built`` or ``hit``, the `result`, the drift that was allowed, and whether rows and files have the digests of
    before (None where what was run again gave no dataset).
    """

    of: str
    result: RunResult = field(repr=False)
    drift: tuple[Drift, ...] = ()
    same_rows: bool | None = None
    same_files: bool | None = None

    @property
    def status(self) -> str:
        """built or hit."""
        return self.result.status

    def to_dict(self) -> dict[str, Any]:
        """The object `rerun --json` prints (contract 1): that of `run`, and what was compared."""
        compared = {"of": self.of, "same_rows": self.same_rows, "same_files": self.same_files, "drift": [d.to_dict() for d in self.drift]}
        return {**self.result.to_dict(), "contract": CONTRACT, **compared}

    def __str__(self) -> str:
        words = {True: "equal", False: "differ", None: "there are none to compare with"}
        return f"digests of rows: {words[self.same_rows]}; of files: {words[self.same_files]}"


@dataclass(frozen=True, kw_only=True, repr=False)
class RerunOptions(Options):
    """`Options`, and which drift is allowed."""

    allow: Sequence[str] = option((), f"A kind of drift that is allowed: {', '.join(KINDS)}; repeatable.")


@dataclass(frozen=True, kw_only=True)
class _Before:
    """What is run again: a recipe and how it was run, and what was recorded of it. ``manifest`` is that of the instance, if it is there."""

    name: str
    path: str
    given: GivenText
    settings: Settings
    facts: Mapping[str, Any]
    manifest: Manifest | None


@keywords(RerunOptions)
def rerun(target: str, options: RerunOptions) -> RerunResult:
    """Run again what a run (its id, or the beginning of it) or an instance (directory, URL, tag, beginning of its key) was made from: the
    same recipe text, seed, overlays, kind of digest and plugin paths. With another ``cache_root`` it is built anew, and the digests say
    whether the same came out.

    What drifted since is refused unless it is allowed: ``rerun-drift``, a DataError for inputs and an EnvironmentFault for packages, codecs
    and code. UsageError ``unknown-run``; EngineError ``nondeterminism`` where nothing drifted and yet other rows came out.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> again = rb.rerun("train-v3", cache_root="/tmp/fresh", cache_root_read="cache")  # doctest: +SKIP
    >>> again.status, again.same_rows                                    # doctest: +SKIP
    ('built', True)
    """
    return rerun_with(target, Settings.of(options), allow=options.allow)


def rerun_with(target: str, settings: Settings, *, allow: Sequence[str] = ()) -> RerunResult:
    """`rerun` with its settings in one value; what the command line calls."""
    for word in allow:
        if word not in KINDS:
            raise UsageError(
                f"there is no drift called {word!r}", code="unknown-drift", value=word, known=KINDS, remedy=did_you_mean(word, KINDS)
            )
    drift: list[Drift] = []

    def agreed(prepared: Prepared) -> None:
        drift.extend(find_drift(prepared, before))
        raise_all(_refused(d, target) for d in drift if d.kind not in allow)

    with locations.put_in_words():
        locations.use_options(settings.storage_options)
        before = _before(target, settings)
        result = run_recipe(before.path, before.settings, verb="rerun", given=before.given, agreed=agreed)
    facts = before.facts
    rows, files = (
        None if not facts.get(name) else facts[name] == getattr(result.manifest, name) for name in ("logical_digest", "files_digest")
    )
    if rows is False and not drift:
        raise EngineError(
            f"{target} gave other rows, although nothing drifted",
            code="nondeterminism",
            at=result.path,
            value=result.manifest.logical_digest,
            remedy="look for an op that draws from something else than its seed; verify --deep of both names the rows",
        )
    return RerunResult(of=before.name, result=result, drift=tuple(drift), same_rows=rows, same_files=files)


def find_drift(prepared: Prepared, before: _Before) -> list[Drift]:
    """What is not as it was recorded."""
    facts, manifest = before.facts, before.manifest
    found: list[Drift] = []
    if facts.get("input_hash") and facts["input_hash"] != prepared.key.input_hash:
        sentences = ["the files are not those of before; which ones differ is not known, since the instance is gone"]
        if manifest is not None:
            has_table = any(s.label_from is not None for s in prepared.recipe.model.Input.sources)
            differences, notes = input_differences(manifest, prepared.index, has_table=has_table)
            sentences = [*(d.sentence for d in differences), *notes] or sentences
        values = {"before": facts["input_hash"], "after": prepared.key.input_hash}
        found += [Drift(kind="inputs", sentence=sentence, **values) for sentence in sentences]
    was = {"python": facts.get("python"), "refinery-beam": facts.get("package"), **(facts.get("packages") or {})}
    now = {"python": platform.python_version(), "refinery-beam": __version__, **{n: package_version(n) or "" for n in RECORDED}}
    found += [
        Drift(kind="packages", sentence=f"{name} is {now[name] or 'missing'} here, and was {version}", before=version, after=now[name])
        for name, version in was.items()
        if version and name in now and now[name] != version
    ]
    decodes = prepared.plan.decodes or prepared.plan.selects_by_files
    if decodes and facts.get("codecs") and facts["codecs"] != prepared.fingerprint:
        values = {"before": facts["codecs"], "after": prepared.fingerprint}
        found.append(Drift(kind="codecs", sentence="the codecs of this machine give other results than those of before", **values))
    if facts.get("recipe_hash") and facts["recipe_hash"] != prepared.key.recipe_hash:
        parts = [d for d in version_differences(prepared, manifest.raw) if d.part != "codec"] if manifest is not None else []
        found += [Drift(kind="code", sentence=d.sentence, before=d.before, after=d.after) for d in parts]
        if not found:
            sentence = "this release means something else by the recipe than the one that ran it"
            found.append(Drift(kind="code", sentence=sentence, before=facts["recipe_hash"], after=prepared.key.recipe_hash))
    return found


def _refused(drift: Drift, target: str) -> RefineryError:
    kind = DataError if drift.kind == "inputs" else EnvironmentFault
    return kind(drift.sentence, code="rerun-drift", at=target, kind=drift.kind)


def _before(target: str, settings: Settings) -> _Before:
    """What a target was made from. The journal knows how it was run; without it the recipe in the instance is what it was."""
    location = instance_named(target, settings)
    runs = {root: entry for root in (settings.root, *readable_roots(settings)) if (entry := find_run(root, target)) is not None}
    if location is not None and runs:
        raise UsageError(f"{target} begins a key and the id of a run", code="ambiguous-run", value=target, known="all of either")
    if location is None and not runs:
        raise UsageError(f"{target} names no run and no instance", code="unknown-run", value=target)
    if location is None:
        entry = next(iter(runs.values()))
        row = dict(entry.values)
        if not row.get("recipe_text") or not row.get("recipe_path"):
            raise StoreError(f"the journal does not hold the recipe of {entry.run}", code="rerun-no-recipe", at=target, value=entry.run)
        manifest = _manifest(row.get("recipe_hash"), row.get("input_hash"), row.get("seed"), settings)
        return _of_run(entry.run, row, manifest, settings)
    found = lookup_at(location).manifest
    if found is None:
        raise StoreError(f"there is no whole instance at {location}", code="instance-missing", at=location)
    return _of_instance(target, found, settings)


def _of_instance(target: str, manifest: Manifest, settings: Settings) -> _Before:
    at = key_name_of(manifest.location)
    key_name = InstanceKey(manifest.recipe_hash, manifest.input_hash, manifest.seed).name
    recorded = {
        **{name: getattr(manifest, name) for name in ("recipe_hash", "input_hash", "seed", "logical_digest", "files_digest")},
        "packages": manifest.raw.get("environment", {}).get("packages", {}),
        "python": manifest.raw.get("environment", {}).get("python"),
        "package": manifest.raw.get("refinery_beam"),
        "codecs": manifest.raw.get("codec_fingerprint"),
    }
    for root in dict.fromkeys([*([at[0]] if at else []), settings.root]):
        for row in newest_rows(root, key_name, _COLUMNS):
            if row["status"] == "built" and row["recipe_text"] and row["recipe_path"]:
                decoded = {n: json.loads(row[n]) if row[n] else [] for n in ("overlays", "plugin_paths")}
                return _of_run(target, {**row, **decoded, **recorded}, manifest, settings)
    path = locations.join(manifest.location, RECIPE_NAME)
    if manifest.file(RECIPE_NAME) is None:
        raise StoreError(f"{manifest.location} lists no {RECIPE_NAME}", code="rerun-no-recipe", at=manifest.location, value=RECIPE_NAME)
    given = GivenText(text=read_listed(manifest, RECIPE_NAME).decode(), variables=known_variables(manifest, settings))
    # The text has its overlays and its seed in it.
    again = replace(settings, overlays=(), seed=None)
    return _Before(name=target, path=path, given=given, settings=again, facts=recorded, manifest=manifest)


def _of_run(name: str, row: Mapping[str, Any], manifest: Manifest | None, settings: Settings) -> _Before:
    again = replace(
        settings,
        overlays=tuple(row.get("overlays") or ()),
        seed=row.get("seed_option"),
        digest=row.get("digest") or settings.digest,
        plugin_paths=tuple(settings.plugin_paths or row.get("plugin_paths") or ()),
    )
    variables = known_variables(manifest, settings) if manifest is not None else {}
    given = GivenText(text=str(row["recipe_text"]), variables=variables)
    return _Before(name=name, path=str(row["recipe_path"]), given=given, settings=again, facts=row, manifest=manifest)


def _manifest(recipe_hash: Any, input_hash: Any, seed: Any, settings: Settings) -> Manifest | None:
    """The instance of a key, wherever a root has it."""
    if not (recipe_hash and input_hash) or seed is None:
        return None
    key = InstanceKey(recipe_hash, input_hash, seed)
    for root in (settings.root, *readable_roots(settings)):
        manifest = lookup_at(location_of(root, key.name)).manifest
        if manifest is not None and manifest.is_of(recipe_hash, input_hash, seed):
            return manifest
    return None
