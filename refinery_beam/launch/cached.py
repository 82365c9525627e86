"""`ls`, `tag` and `untag`: what the cache roots hold, and names for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from refinery_beam import locations
from refinery_beam.cache import note_event
from refinery_beam.cache.instances import CachedInstance, key_name_of, list_instances, short_key
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.cache.tags import check_tag_name, no_such_tag, read_tag, read_tags, write_tag
from refinery_beam.errors import StoreError, UsageError, did_you_mean, display
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.own_recipe import instance_named
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.roots import readable_roots
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.recipe.load import recipe_name

SORTS = ("used", "built", "size", "records", "recipe", "key")
"""What `ls` can sort by; times, sizes and counts greatest first."""

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class InstanceInfo:
    """One line of `ls`: an instance, the cache root it lies in, and the name of its recipe ('' where the instance does not say)."""

    recipe: str
    root: str
    own: bool
    cached: CachedInstance

    @property
    def path(self) -> str:
        """The absolute directory or URL."""
        return self.cached.location

    @property
    def key(self) -> str:
        """The key as people write it; every verb that takes an instance takes it."""
        return short_key(self.cached.key_name)

    @property
    def counts(self) -> dict[str, int]:
        """Records by split; empty for a damaged instance."""
        return {} if self.cached.manifest is None else dict(self.cached.manifest.counts)

    def to_dict(self) -> dict[str, Any]:
        """The object in `ls --json` (contract 1)."""
        c = self.cached
        body: dict[str, Any] = {
            "status": "damaged" if c.manifest is None else "hit",
            "instance": c.location,
            "root": self.root,
            "own": self.own,
            "recipe": self.recipe,
            "key": self.key,
        }
        if c.manifest is not None:
            raw = c.manifest.raw
            body |= {name: raw[name] for name in ("recipe_hash", "input_hash", "seed", "logical_digest", "files_digest")}
        else:
            body["damage"] = c.damage
        times = {name: None if t is None else t.isoformat() for name, t in (("built", c.built), ("used", c.used))}
        return {**body, **times, "bytes": c.bytes, "counts": self.counts, "tags": list(c.tags)}


@dataclass(frozen=True, kw_only=True)
class InstanceList(Sequence[InstanceInfo]):
    """What `ls` found, a sequence in the order that was asked for. `to_dict` is what `ls --json` prints."""

    found: tuple[InstanceInfo, ...] = ()

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: Any) -> Any:
        return self.found[index]

    def __iter__(self) -> Iterator[InstanceInfo]:
        return iter(self.found)

    @property
    def bytes(self) -> int:
        """The sizes of all together."""
        return sum(one.cached.bytes for one in self.found)

    def to_dict(self) -> dict[str, Any]:
        """The object `ls --json` prints (contract 1)."""
        return {"contract": CONTRACT, "instances": [one.to_dict() for one in self.found], "bytes": self.bytes}


@dataclass(frozen=True, kw_only=True, repr=False)
class ListOptions(Options):
    """`Options`, and the order of the list."""

    sort: str = option("used", "used, built, size, records, recipe or key.", "--sort", metavar="BY")


@dataclass(frozen=True, kw_only=True)
class TagResult:
    """What a tag is now: ``tagged`` or ``moved`` (`before` is what it was), ``unchanged``, or ``removed``; `instance` is where it leads."""

    status: Literal["tagged", "moved", "unchanged", "removed"]
    tag: str
    instance: str
    before: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object `tag --json` and `untag --json` print (contract 1)."""
        return {"contract": CONTRACT, "status": self.status, "tag": self.tag, "instance": self.instance, "before": self.before}


@dataclass(frozen=True, kw_only=True, repr=False)
class TagOptions(Options):
    """`Options`, and the name."""

    name: str = option("", "The name.")
    move: bool = option(False, "The name may be that of another instance, which then loses it.")


def ls(**options: Any) -> InstanceList:
    """The instances of the cache roots, the last used first; ``sort`` is another order. Options are those of `ListOptions`.

    Checks of each that its files are there with their sizes; nothing is hashed, and nothing is changed.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> [(one.recipe, one.key, one.counts) for one in rb.ls()]           # doctest: +SKIP
    [('cats', '3fa985b1-8c11a0e2-0', {'train': 2800, 'val': 600, 'test': 600})]
    """
    given = ListOptions(**{name: value for name, value in options.items() if value is not None})
    return ls_with(Settings.of(given), sort=given.sort)


def ls_with(settings: Settings, *, sort: str = "used") -> InstanceList:
    """`ls` with its settings in one value; what the command line calls."""
    if sort not in SORTS:
        raise UsageError(f"ls cannot sort by {sort!r}", code="unknown-sort", value=sort, known=SORTS, remedy=did_you_mean(sort, SORTS))
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        roots = [(locations.absolute(settings.root), True), *((root, False) for root in readable_roots(settings))]
        found = [
            InstanceInfo(recipe=name_of(cached), root=root, own=own, cached=cached)
            for root, own in roots
            for cached in list_instances(root)
        ]
    orders: dict[str, Any] = {
        "used": lambda one: -(one.cached.used or _EVER).timestamp(),
        "built": lambda one: -(one.cached.built or _EVER).timestamp(),
        "size": lambda one: -one.cached.bytes,
        "records": lambda one: -sum(one.counts.values()),
        "recipe": lambda one: one.recipe,
        "key": lambda one: one.cached.key_name,
    }
    return InstanceList(found=tuple(sorted(found, key=orders[sort])))


def name_of(cached: CachedInstance) -> str:
    """The name of the recipe that made an instance, as its own recipe says; '' where it says none, as releases before this did."""
    try:
        head = locations.read(locations.join(cached.location, RECIPE_NAME))[:200]
    except OSError:
        return ""
    return recipe_name("", head)


@keywords(TagOptions)
def tag(target: StrPath, options: TagOptions) -> TagResult:
    """Give an instance a name, which every verb that takes an instance understands from then on, and `clean` keeps.

    The target is an instance (directory, URL, tag, beginning of its key) or a recipe whose instance is there. The tag lies in the cache
    root of the instance. UsageError ``tag-name``, and ``tag-exists`` for the name of another instance without ``move``; StoreError
    ``instance-missing``, and ``tag-moved`` where somebody else moved it at the same moment.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.tag("recipe.yaml", name="train-v3").status                    # doctest: +SKIP
    'tagged'
    >>> rb.open_instance("train-v3")                                     # doctest: +SKIP
    """
    return tag_with(target, options.name, Settings.of(options), move=options.move)


def tag_with(target: StrPath, name: str, settings: Settings, *, move: bool = False) -> TagResult:
    """`tag` with its settings in one value; what the command line calls."""
    name = check_tag_name(name)
    with locations.put_in_words():
        location = _location(target, settings)
        root, key_name = _in_own_root(location, settings)
        before = read_tag(root, name)
        was = before.key_name
        if was == key_name:
            return TagResult(status="unchanged", tag=name, instance=location, before=was)
        if was is not None and not move:
            raise UsageError(f"the tag {name!r} is that of {short_key(was)}", code="tag-exists", value=name)
        write_tag(root, name, key_name, after=before)
        _note(settings, root, "tag", status="tagged" if was is None else "moved", tag=name, key=key_name, before=was)
    return TagResult(status="tagged" if was is None else "moved", tag=name, instance=location, before=was)


@keywords(Options)
def untag(name: str, options: Options) -> TagResult:
    """Take a name away from its instance, which stays. UsageError ``tag-missing``.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.untag("train-v3").status                                      # doctest: +SKIP
    'removed'
    """
    return untag_with(name, Settings.of(options))


def untag_with(name: str, settings: Settings) -> TagResult:
    """`untag` with its settings in one value; what the command line calls."""
    name = check_tag_name(name)
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        root = locations.absolute(settings.root)
        before = read_tag(root, name)
        if before.key_name is None:
            raise no_such_tag(name, [*read_tags(root)])
        write_tag(root, name, None, after=before)
        _note(settings, root, "untag", status="removed", tag=name, key=before.key_name)
    return TagResult(status="removed", tag=name, instance="", before=before.key_name)


def _note(settings: Settings, root: str, event: str, **facts: Any) -> None:
    """Put a tag into the journal, and warn where that cannot be written."""
    problem = note_event(root, event, verb=event, **facts)
    if problem:
        settings.warn(f"the journal could not be written: {problem}")


def _location(target: StrPath, settings: Settings) -> str:
    """Where the instance of a target is; one that is not there cannot be named."""
    location = instance_named(target, settings)
    if location is not None:
        return location
    manifest = prepare(target, settings).lookup().manifest
    if manifest is None:
        raise StoreError(
            f"there is no instance of it in {display(settings.root)}",
            code="instance-missing",
            at=str(target),
            rule="a tag is the name of an instance that is there",
            remedy=f"refinery-beam run {target}",
        )
    return manifest.location


def _in_own_root(location: str, settings: Settings) -> tuple[str, str]:
    """(root, key name) of an instance in the own cache root. UsageError ``tag-elsewhere`` for a copy, or one in a root that is only
    read.
    """
    at = key_name_of(location)
    root = locations.absolute(settings.root)
    if at is None or locations.absolute(at[0]) != root:
        raise UsageError(f"{location} does not lie in the cache root {root}", code="tag-elsewhere", at=location, value=root)
    return root, at[1]
