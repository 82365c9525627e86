"""Which stratum a record counts in and which split it gets: plain functions, against sorting."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import DataError
from refinery_beam.planning.nodes import SplitPlan
from refinery_beam.planning.splits.quotas import cumulative, largest_remainder, weights
from refinery_beam.planning.splits.strata import QuotaCuts, by_rank, cut, divide, group_position, outside, stratify, stratum_of, tag_split
from refinery_beam.records import Ref, with_tag
from support.plans import bare_plan, make_ref

HALVES = SplitPlan(mode="ratios", splits=("a", "b"), ratios=(("a", 0.5), ("b", 0.5)), seed=3)
RATIOS = st.sampled_from([(0.7, 0.2, 0.1), (0.5, 0.5), (0.34, 0.33, 0.33), (0.5, 0.0, 0.3), (0.25,), (1.0,)])


def ratios_of(values: tuple[float, ...], **more: object) -> SplitPlan:
    ratios = tuple((f"s{i}", value) for i, value in enumerate(values))
    return SplitPlan(mode="ratios", splits=tuple(name for name, _ in ratios), ratios=ratios, **more)  # type: ignore[arg-type]


@given(sizes=st.dictionaries(st.text(max_size=3), st.sets(st.binary(min_size=3, max_size=3), min_size=1, max_size=40)), values=RATIOS)
def test_the_cut_is_what_sorting_gives(sizes: dict[str, set[bytes]], values: tuple[float, ...]) -> None:
    positions = sorted((stratum, position) for stratum, members in sizes.items() for position in members)
    counts = {stratum: len(members) for stratum, members in sizes.items()}
    found = cut(positions, counts, QuotaCuts(ratios_of(values)))
    assert found.keys() == sizes.keys()
    for stratum, members in sizes.items():
        ends = cumulative(largest_remainder(len(members), weights(values)))
        assert found[stratum] == [sorted(members)[end - 1] if end else b"" for end in ends]


@given(
    labels=st.lists(st.sampled_from(["cat", "dog", "owl"]), min_size=1, max_size=60),
    values=RATIOS,
    seed=st.integers(0, 3),
    grouped=st.booleans(),
)
def test_every_stratum_gets_its_quotas_in_whole_groups(labels: list[str], values: tuple[float, ...], seed: int, grouped: bool) -> None:
    """Groups of up to three records of one label, so that a group is in one stratum."""
    split = ratios_of(values, seed=seed, stratify_by="label")
    refs = [make_ref(i, label=label) for i, label in enumerate(labels)]
    if grouped:
        refs = [ref._replace(group=f"{ref.label}{i // 3}".encode()) for i, ref in enumerate(refs)]
    members = sorted(refs, key=lambda ref: (ref.group, ref.key))
    done = list(divide(members, bare_plan(split)))
    assert [ref._replace(split="") for ref in done] == members, "nothing is lost, and nothing else changes"
    groups = {(ref.label, ref.group, ref.split) for ref in done}
    assert len(groups) == len({ref.group for ref in refs})
    for label in set(labels):
        whole = [group for group in groups if group[0] == label]
        quotas = dict(zip(split.splits, largest_remainder(len(whole), weights(values)), strict=True))
        quotas[""] = len(whole) - sum(quotas.values())
        assert Counter(group[2] for group in whole) == Counter({name: n for name, n in quotas.items() if n})


def test_a_group_counts_where_its_first_member_does() -> None:
    plan = bare_plan(replace(HALVES, stratify_by="label"))
    members = [make_ref(0, label="dog"), make_ref(1, label="cat"), make_ref(2, label="cat")]
    assert [(stratum, first) for stratum, first, _ in stratify(members, plan)] == [('"dog"', True), ('"dog"', False), ('"dog"', False)]


def test_records_that_the_ratios_are_not_about_pass_through() -> None:
    plan = bare_plan(replace(HALVES, applies_to="train"))
    members = [make_ref(i, partition=partition, group=b"one") for i, partition in enumerate(("test", "train", "train"))]
    assert [first for _, first, _ in stratify(members, plan)] == [False, True, False], "the first of those they are about counts"
    (first, second, third) = (ref.split for ref in divide(members, plan))
    assert first == "test" and second == third == "a"


def test_numbers_and_text_are_strata_of_their_own() -> None:
    plan = bare_plan(replace(HALVES, stratify_by="site"))
    sites = ('{"site":1}', '{"site":"1"}', '{"site":null}', "", '{"site":true}')
    assert [stratum_of(make_ref(0, fields=fields), plan) for fields in sites] == ["1", '"1"', "null", "null", "true"]
    assert stratum_of(make_ref(0), bare_plan(HALVES)) == ""


def test_rank_falls_into_the_quota_that_ends_at_or_behind_it() -> None:
    ref = make_ref(7)
    here = group_position(ref, HALVES)
    assert here[8:] == ref.group and len(here) == 40
    before, behind = b"\x00" * 40, b"\xff" * 40
    for cuts, split in (([here, behind], "a"), ([before, here], "b"), ([b"", here], "b"), ([before, before], "")):
        assert by_rank(ref, "", bare_plan(HALVES), {"": cuts}).split == split


def test_the_seed_moves_records() -> None:
    refs = sorted((make_ref(i) for i in range(40)), key=lambda ref: ref.key)
    one, same, other = ([ref.split for ref in divide(refs, bare_plan(replace(HALVES, seed=seed)))] for seed in (1, 1, 2))
    assert one == same != other and Counter(one) == Counter(other) == {"a": 20, "b": 20}


def tagged(*tags: str) -> Ref:
    ref = make_ref(0)
    for tag in tags:
        ref = with_tag(ref, tag)
    return ref


def test_tags_decide_for_those_without_the_tag() -> None:
    split = replace(HALVES, tag="main")
    assert outside(tagged("main"), split) is None and tag_split(tagged("main", "probe"), "main") is None
    found = [outside(tagged(*tags), split) for tags in (("probe",), ())]
    assert [ref.split if ref else None for ref in found] == ["probe", ""]
    with pytest.raises(DataError, match="has the tags other, probe") as caught:
        tag_split(tagged("other", "probe"), "main")
    assert (caught.value.code, caught.value.at) == ("two-tags", "s/0000.png")


def test_partitions_decide_for_those_of_another() -> None:
    split = replace(HALVES, applies_to="train")
    assert outside(make_ref(0, partition="train"), split) is None
    other = outside(make_ref(0, partition="test"), split)
    assert other is not None and other.split == "test"
    assert outside(make_ref(0, partition="test"), HALVES) is None
