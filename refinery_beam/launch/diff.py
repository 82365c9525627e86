"""`diff`: what differs between two instances, or between two recipes where one of them was not run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.errors import RefineryError, StoreError, UsageError
from refinery_beam.inspection.compare import RecordChanges, compare_records
from refinery_beam.inspection.values import ABSENT, ValueChange, value_changes
from refinery_beam.launch.diff_result import CountChange, DiffResult, RecordDiff
from refinery_beam.launch.drift import drift_of
from refinery_beam.launch.opening import open_instance
from refinery_beam.launch.options import Options, keywords_of_two, option
from refinery_beam.launch.own_recipe import instance_named, is_gone
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.discovery import find_plugin, read_plugin_paths
from refinery_beam.reading.faults import unreadable
from refinery_beam.reading.instance import Instance
from refinery_beam.recipe import Recipe, load_recipe
from refinery_beam.recipe.canonical import full_model

LIMIT = 20
"""Records that are named of each kind of difference, unless it is said."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DiffOptions(Options):
    """`Options`, and how much is compared."""

    limit: int | None = option(None, f"How many records are named of each kind of difference; {LIMIT} if it is not said, 0 for all.")
    content: bool = option(True, "Whether stored content is compared, which reads all of it.")


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One of the two: the recipe, and its instance where there is one."""

    name: str
    recipe: Recipe
    instance: Instance | None
    notes: tuple[str, ...] = ()

    @property
    def opened(self) -> Instance:
        """The instance, which callers know to be there."""
        assert self.instance is not None
        return self.instance

    @property
    def manifest(self) -> Manifest:
        """What the instance says of itself."""
        return self.opened.manifest


@keywords_of_two(DiffOptions)
def diff(a: StrPath, b: StrPath, options: DiffOptions) -> DiffResult:
    """Say what differs between two instances, each named by its directory or URL or by its recipe: the recipes field by field, the files
    that went in, the records by id, split and label, what rows hold, the fitted statistics, and how far labels, channels and facts moved.
    Of a recipe that was not run the recipe alone is compared. Memory is bounded, however many records there are. The result is true where
    nothing differs.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> [change.b for change in rb.diff("old.yaml", "new.yaml").records["added"].first]    # doctest: +SKIP
    ['photos/cat/new.jpg']
    """
    return diff_with(a, b, Settings.of(options), limit=options.limit, content=options.content)


def diff_with(a: StrPath, b: StrPath, settings: Settings, *, limit: int | None = None, content: bool = True) -> DiffResult:
    """`diff` with its settings in one value; what the command line calls."""
    if limit is not None and limit < 0:
        raise UsageError(f"--limit {limit} is below none", code="limit-range", value=limit)
    with locations.put_in_words():
        one, other = _side(a, settings), _side(b, settings)
        recipe = tuple(value_changes(_fields(one, settings), _fields(other, settings)))
        notes = (*one.notes, *other.notes)
        result = DiffResult(a=one.name, b=other.name, recipe=recipe, notes=notes)
        if one.instance is None or other.instance is None:
            return result
        return _compared(result, one, other, LIMIT if limit is None else limit or (1 << 62), content)


def _compared(result: DiffResult, one: _Side, other: _Side, limit: int, content: bool) -> DiffResult:
    """The result with what the two instances differ in."""
    a, b = one.manifest, other.manifest
    notes = list(result.notes)
    alike = content and a.image_field is not None and b.image_field is not None
    if alike and _stored_as(a) != _stored_as(b):
        notes.append(f"content is stored as {_stored_as(a)} and as {_stored_as(b)}, so rows are compared without it")
        alike = False
    found = compare_records(a, b, limit=limit, content=alike, same_steps=_steps(a) == _steps(b))
    statistics = tuple(value_changes(_statistics(one.opened), _statistics(other.opened)))
    return replace(
        result,
        identity=tuple(value_changes(_identity(a), _identity(b))),
        counts=tuple(_counts(a, b)),
        records=_records(found),
        through_steps=found.through_steps,
        content_compared=alike,
        statistics=statistics,
        drift=drift_of(one.opened, other.opened),
        notes=(*notes, *found.notes),
        instances=(one.opened, other.opened),
    )


def _side(target: StrPath, settings: Settings) -> _Side:
    """What a word of the command line names."""
    location = instance_named(target, settings)
    opening = {
        name: getattr(settings, name)
        for name in ("cache_root", "seed", "overlays", "plugin_paths", "storage_options", "digest", "workers", "log_level")
    }
    if location is not None:
        instance = open_instance(location, **opening)
        return _Side(name=instance.path, recipe=_recipe_in(instance.path), instance=instance)
    recipe = load_recipe(target, overlays=settings.overlays, seed=settings.seed)
    name = os.fspath(target)
    try:
        return _Side(name=name, recipe=recipe, instance=open_instance(target, **opening))
    except StoreError as error:
        if error.code != "instance-missing":
            raise
        return _Side(name=name, recipe=recipe, instance=None, notes=(f"{name} has no instance, so the recipes alone are compared",))
    except RefineryError as error:
        if not is_gone(error):
            raise
        return _Side(
            name=name, recipe=recipe, instance=None, notes=(f"the raw data of {name} are not here, so the recipes alone are compared",)
        )


def _recipe_in(location: str) -> Recipe:
    path = locations.join(location, RECIPE_NAME)
    try:
        return load_recipe(path, text=locations.read(path).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def _fields(side: _Side, settings: Settings) -> dict[str, Any]:
    """A recipe field by field, defaults written out, without where data lies: that is not what data is."""
    recipe = side.recipe
    body = full_model(recipe, find_plugin(recipe.model.plugin, paths=read_plugin_paths(settings.plugin_paths)))
    body["seed"] = recipe.seed
    for name in ("schema_version", "overlays"):
        body.pop(name, None)
    for source in body["Input"]["sources"]:
        del source["path"]
        if source["label_from"] is not None:
            del source["label_from"]["path"]
    return body


def _identity(manifest: Manifest) -> dict[str, Any]:
    """What else decides bytes: versions of ops, plugins and packages, and what codecs do."""
    raw = manifest.raw
    return {
        "op versions": raw.get("op_versions", {}),
        "plugin": raw.get("plugin", {}),
        "codec fingerprint": str(raw.get("codec_fingerprint", ""))[:16],
        "refinery-beam": raw.get("refinery_beam"),
        "environment": raw.get("environment", {}),
    }


def _steps(manifest: Manifest) -> Any:
    """Everything that makes stored content of a file: equal for two instances that do the same to it."""
    raw = manifest.raw
    steps = raw.get("replay", {}).get("steps", [])
    fitted = [entry.sha256 for step in steps if step.get("statistics") and (entry := manifest.file(step["statistics"])) is not None]
    made = (raw.get("augmentations"), raw.get("generation"), raw.get("op_versions"), raw.get("codec_fingerprint"), manifest.seed)
    return (raw.get("replay", {}).get("decode"), steps, fitted, made, raw.get("output", {}).get("quality"))


def _stored_as(manifest: Manifest) -> str:
    """The type and encoding of stored content, in words."""
    about: Mapping[str, Any] = manifest.schema.get(manifest.image_field or "", {})
    shape = about.get("shape")
    return f"{about.get('dtype')}{list(shape) if shape else ''} {manifest.encoding}"


def _counts(a: Manifest, b: Manifest) -> Iterator[CountChange]:
    """Records by split, and by label where they differ."""
    for split in dict.fromkeys([*a.splits, *b.splits]):
        yield CountChange(split=split, label=None, a=a.counts.get(split), b=b.counts.get(split))
        mine, theirs = (side.raw.get("classes", {}).get(split, {}) for side in (a, b))
        for label in sorted({*mine, *theirs}):
            if mine.get(label, 0) != theirs.get(label, 0):
                yield CountChange(split=split, label=label, a=mine.get(label, 0), b=theirs.get(label, 0))


def _records(found: RecordChanges) -> dict[str, RecordDiff]:
    return {kind: RecordDiff(total=changes.total, first=tuple(changes.first)) for kind, changes in found.kinds.items()}


def _statistics(instance: Instance) -> dict[str, Any]:
    """The numbers of every fitted statistic; of long lists (histograms) a digest, which differs where they do."""
    return {name: _floats(instance.statistics(name)) for name in instance.statistics_names}


def _floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _floats(one) for key, one in value.items()}
    if isinstance(value, list) and len(value) > 16:
        return f"{len(value)} values, {hashlib.sha256(repr(value).encode()).hexdigest()[:8]}"
    return [_floats(one) for one in value] if isinstance(value, list) else value


__all__ = ["ABSENT", "DiffOptions", "ValueChange", "diff", "diff_with"]
