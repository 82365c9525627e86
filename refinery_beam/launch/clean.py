"""`clean`: frees the disk of a cache root from what nobody needs, and says what stays and why."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.cleaning.found import find_items
from refinery_beam.cache.cleaning.policy import Decision, Item, Policy, decide
from refinery_beam.cache.cleaning.remove import remove_item
from refinery_beam.cache.instances import list_instances
from refinery_beam.cache.journal import note_event
from refinery_beam.cache.journal.compact import compact_journal
from refinery_beam.errors import StoreError, UsageError, raise_all
from refinery_beam.launch.cached import name_of
from refinery_beam.launch.options import Options, option
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings

GRACE, GRACE_ON_A_STORE = "1h", "1d"
"""How long an instance is safe after its last use: a file that is open on a disk stays readable, an object that is removed does not."""

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g|t|)(i?)b?", re.I)


@dataclass(frozen=True, kw_only=True, repr=False)
class CleanOptions(Options):
    """`Options`, and what is to go. Without any of them: what dead runs left."""

    recipe: str | None = option(None, "Only instances of this recipe, by its name as ls shows it.", "--recipe", metavar="NAME")
    older_than: str | None = option(None, "Only what was not used for so long: 90m, 36h, 30d, 8w.", "--older-than", metavar="AGE")
    keep: int | None = option(None, "Keep the N newest instances of every recipe.", "--keep", metavar="N")
    max_size: str | None = option(
        None, "Remove the least recently used until the cache root has at most this size: 200GB, 1.5TB.", "--max-size", metavar="SIZE"
    )
    everything: bool = option(False, "Every instance that has no tag.", "--everything")
    orphans: bool = option(False, "What dead runs left, beside the instances that are named too.", "--orphans")
    grace: str | None = option(
        None,
        "Instances that were used within it stay: 0, 15m, 1h.",
        "--grace",
        metavar="AGE",
        shown=f"{GRACE} on a disk, {GRACE_ON_A_STORE} on a store",
    )
    yes: bool = option(False, "Remove it. Without this nothing is changed.", "--yes")


@dataclass(frozen=True, kw_only=True)
class CleanResult:
    """What `clean` removed (`done`), or would remove, and what stays although it was asked for, each with its reason.

    `bytes` are those that go, `left` those that remain below the root. `over` is how many of these are more than ``max_size`` allows.
    """

    root: str
    done: bool
    removed: tuple[Item, ...] = ()
    kept: tuple[Decision, ...] = ()
    left: int = 0
    over: int = 0

    @property
    def bytes(self) -> int:
        """The bytes that go."""
        return sum(item.bytes for item in self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The object `clean --json` prints (contract 1)."""
        return {
            "contract": CONTRACT,
            "status": "cleaned" if self.done else "dry-run",
            "root": self.root,
            "removed": [_facts(item) for item in self.removed],
            "kept": [{**_facts(one.item), "reason": one.reason} for one in self.kept],
            "bytes": self.bytes,
            "left": self.left,
            "over": self.over,
        }


def _facts(item: Item) -> dict[str, Any]:
    used = item.used.isoformat() if item.used is not None else None
    return {
        "kind": item.kind,
        "name": item.name,
        "location": item.location,
        "recipe": item.recipe,
        "bytes": item.bytes,
        "used": used,
        "tags": list(item.tags),
    }


def clean(**options: Any) -> CleanResult:
    """Remove what is asked for from the cache root: instances by recipe, age, number or a size budget, and what dead runs left. Options are
    those of `CleanOptions`; without ``yes`` nothing is changed, and the result says what would be.

    Never goes: what a run is at work on, what has a tag, what another instance that stays imports, and what was used within ``grace``.
    UsageError for a length or a size that cannot be read; StoreError for a root that cannot be changed.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.clean(max_size="200GB").bytes                                 # doctest: +SKIP
    91268055040
    """
    given = CleanOptions(**{name: value for name, value in options.items() if value is not None})
    return clean_with(Settings.of(given), given)


def clean_with(settings: Settings, asked: CleanOptions) -> CleanResult:
    """`clean` with its settings in one value; what the command line calls."""
    root = locations.absolute(settings.root)
    policy = policy_of(asked, on_a_store=locations.is_url(root))
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        names = {cached.key_name: name_of(cached) for cached in list_instances(root) if cached.manifest is not None}
        if asked.recipe is not None and asked.recipe not in names.values():
            raise UsageError(
                f"no instance in {root} is of a recipe {asked.recipe!r}",
                code="unknown-recipe-name",
                value=asked.recipe,
                known=sorted({name for name in names.values() if name}) or "none",
            )
        items = find_items(root, names, datetime.now(UTC))
        decisions = decide(items, policy, datetime.now(UTC))
        removed, kept = [], [one for one in decisions if not one.remove and one.reason]
        for one in decisions:
            if not one.remove:
                continue
            reason = remove_item(root, one.item) if asked.yes else ""
            if reason:
                kept.append(Decision(one.item, remove=False, reason=reason))
            else:
                removed.append(one.item)
        gone = {id(item) for item in removed}
        left = sum(item.bytes for item in items if id(item) not in gone and item.kind != "temporary")
        if asked.yes:
            _tell_the_journal(root, removed)
    over = max(0, left - policy.max_bytes) if policy.max_bytes is not None else 0
    return CleanResult(root=root, done=asked.yes, removed=tuple(removed), kept=tuple(kept), left=left, over=over)


def policy_of(asked: CleanOptions, *, on_a_store: bool) -> Policy:
    """What the options ask for. Raises UsageError, all faults at once."""
    errors: list[UsageError] = []
    found: dict[str, Any] = {}
    grace = asked.grace if asked.grace is not None else GRACE_ON_A_STORE if on_a_store else GRACE
    for name, text, read in (
        ("older_than", asked.older_than, read_length),
        ("grace", grace, read_length),
        ("max_bytes", asked.max_size, read_size),
    ):
        if text is not None:
            try:
                found[name] = read(str(text))
            except UsageError as error:
                errors.append(error)
    if asked.keep is not None and asked.keep < 0:
        errors.append(UsageError(f"--keep {asked.keep} is not a number of instances", code="clean-option", value=asked.keep))
    raise_all(errors)
    policy = Policy(recipe=asked.recipe, keep=asked.keep, everything=asked.everything, orphans=asked.orphans, **found)
    return policy if policy.names_instances or policy.orphans else Policy(**{**vars(policy), "orphans": True})


def read_length(text: str) -> timedelta:
    """A length of time. UsageError ``clean-option``.

    >>> read_length("36h"), read_length("1.5d"), read_length("0")
    (datetime.timedelta(days=1, seconds=43200), datetime.timedelta(days=1, seconds=43200), datetime.timedelta(0))
    """
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None or (not match[2] and float(match[1])):
        raise UsageError(
            f"{text!r} is not a length of time", code="clean-option", value=text, rule="a number and one of s, m, h, d, w", remedy="30d"
        )
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        return timedelta.max


def read_size(text: str) -> int:
    """A size in bytes. UsageError ``clean-option``.

    >>> read_size("200GB"), read_size("1.5 TB"), read_size("10GiB"), read_size("0")
    (200000000000, 1500000000000, 10737418240, 0)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not a size", code="clean-option", value=text, rule="a number and one of B, kB, MB, GB, TB, KiB...", remedy="200GB"
        )
    power = " kmgt".index(match[2].lower() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def _tell_the_journal(root: str, removed: list[Item]) -> None:
    """A row of what was removed, and fewer files of journal. Neither fails a clean."""
    if removed:
        note_event(root, "clean", removed=[f"{item.kind} {item.name}" for item in removed], bytes=sum(item.bytes for item in removed))
    with suppress(OSError, StoreError):
        compact_journal(root)
