"""What `clean` decides: properties of a pure function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.cache.cleaning.policy import Item, Policy, decide

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = [f"{i:x}" * 16 + "-" + "a" * 16 + "-0" for i in range(10)]
ages = st.none() | st.integers(0, 100).map(lambda days: NOW - timedelta(days=days))


@st.composite
def roots(draw: st.DrawFn) -> list[Item]:
    items = [
        Item(
            kind="instance",
            name=name,
            location=name,
            bytes=draw(st.integers(0, 100)),
            recipe=draw(st.sampled_from("abc")),
            built=draw(ages),
            used=draw(ages),
            tags=draw(st.sampled_from([(), (), (), ("v1",)])),
            parents=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))),
            running=draw(st.sampled_from([False, False, False, True])),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]
    for kind in draw(st.lists(st.sampled_from(["parts", "attempt", "trash", "objects", "temporary"]), max_size=4)):
        items.append(
            Item(kind=kind, name="x", location="x", bytes=draw(st.integers(0, 100)), used=draw(ages), running=draw(st.booleans()))  # type: ignore[arg-type]
        )
    return items


policies = st.builds(
    Policy,
    recipe=st.none() | st.sampled_from("abc"),
    older_than=st.none() | st.integers(0, 100).map(lambda d: timedelta(days=d)),
    keep=st.none() | st.integers(0, 3),
    max_bytes=st.none() | st.integers(0, 500),
    everything=st.booleans(),
    orphans=st.booleans(),
    grace=st.integers(0, 30).map(lambda d: timedelta(days=d)),
)


@settings(max_examples=150, deadline=None)
@given(roots(), policies)
def test_the_law(items: list[Item], policy: Policy) -> None:
    decisions = decide(items, policy, NOW)
    assert [one.item for one in decisions] == items
    gone = [one.item for one in decisions if one.remove]
    kept = [one.item for one in decisions if not one.remove]
    needed = {parent for item in kept if item.kind == "instance" for parent in item.parents if parent != item.name}
    for item in gone:
        assert not item.running and not item.tags
        if item.kind == "instance":
            assert policy.names_instances and item.name not in needed
            assert policy.recipe in (None, item.recipe)
            assert item.used is None or NOW - item.used >= policy.grace
        if policy.older_than is not None and item.kind != "temporary":
            assert item.used is not None and NOW - item.used > policy.older_than
    assert all(one.reason == "" for one in decisions if one.remove)
    if policy.keep:
        for recipe in "abc":
            every = [i for i in items if i.kind == "instance" and i.recipe == recipe]
            assert len([i for i in kept if i.kind == "instance" and i.recipe == recipe]) >= min(policy.keep, len(every))
    if policy.max_bytes is not None:
        counted = [i for i in items if i.kind != "temporary"]
        size = sum(i.bytes for i in counted)
        assert size > policy.max_bytes or not [i for i in gone if i.kind != "temporary"]
        left = sum(i.bytes for i in kept if i.kind != "temporary")
        # Nothing goes that need not: with the last one back it would not fit.
        if gone and left <= policy.max_bytes:
            assert any(left + i.bytes > policy.max_bytes for i in gone if i.kind != "temporary") or all(i.kind == "temporary" for i in gone)


@given(roots())
def test_a_budget_takes_the_least_recently_used(items: list[Item]) -> None:
    free = [Item(**{**vars(i), "parents": (), "tags": (), "running": False}) for i in items if i.kind == "instance"]
    decisions = decide(free, Policy(max_bytes=sum(i.bytes for i in free) // 2), NOW)
    ever = datetime(1970, 1, 1, tzinfo=UTC)
    gone = [one.item.used or ever for one in decisions if one.remove]
    stay = [one.item.used or ever for one in decisions if not one.remove]
    assert not gone or not stay or max(gone) <= min(stay)


def test_without_a_question_instances_stay() -> None:
    items = [Item(kind="instance", name=NAMES[0], location="x", bytes=1)]
    assert not any(one.remove for one in decide(items, Policy(orphans=True), NOW))


def test_reasons() -> None:
    old = NOW - timedelta(days=9)
    items = [
        Item(kind="instance", name=NAMES[0], location="x", used=old, tags=("v1", "v2")),
        Item(kind="instance", name=NAMES[1], location="x", used=NOW),
        Item(kind="instance", name=NAMES[2], location="x", used=old, running=True),
        Item(kind="instance", name=NAMES[3], location="x", used=old),
        Item(kind="instance", name=NAMES[4], location="x", used=NOW, parents=(NAMES[3],)),
        Item(kind="instance", name=NAMES[5], location="x", used=old),
    ]
    decisions = decide(items, Policy(everything=True, grace=timedelta(hours=1)), NOW)
    assert [one.reason for one in decisions] == [
        "it has the tag v1, v2",
        "it was used within the last 1h",
        "a run of it is at work",
        f"{NAMES[4]} borrows from it or was compared with it",
        "it was used within the last 1h",
        "",
    ]
    assert [one.remove for one in decisions] == [False] * 5 + [True]
