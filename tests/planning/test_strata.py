"""Which stratum a record counts in and which split it gets: plain functions, against sorting."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import DataError, ErrorGroup
from refinery_beam.planning.nodes import SplitPlan
from refinery_beam.planning.splits.cells import cell_key, cell_quotas, read_cell
from refinery_beam.planning.splits.quotas import cumulative, weights
from refinery_beam.planning.splits.strata import (
    by_rank,
    cut,
    divide,
    group_position,
    outside,
    quota_ends,
    split_laws,
    standing,
    stratum_of,
    tag_split,
)
from refinery_beam.records import Ref, with_tag
from support.plans import bare_plan, make_ref

HALVES = SplitPlan(mode="ratios", splits=("a", "b"), ratios=(("a", 0.5), ("b", 0.5)), seed=3)
RATIOS = st.sampled_from([(0.7, 0.2, 0.1), (0.5, 0.5), (0.34, 0.33, 0.33), (0.5, 0.0, 0.3), (0.25,), (1.0,)])


def ratios_of(values: tuple[float, ...], **more: object) -> SplitPlan:
    ratios = tuple((f"s{i}", value) for i, value in enumerate(values))
    return SplitPlan(mode="ratios", splits=tuple(name for name, _ in ratios), ratios=ratios, **more)  # type: ignore[arg-type]


@given(sizes=st.dictionaries(st.text(max_size=3), st.sets(st.binary(min_size=3, max_size=3), min_size=1, max_size=40)), values=RATIOS)
def test_the_cut_is_what_sorting_gives(sizes: dict[str, set[bytes]], values: tuple[float, ...]) -> None:
    cells = {cell_key(stratum, 1): members for stratum, members in sizes.items()}
    positions = sorted((cell, position) for cell, members in cells.items() for position in members)
    counts = {cell: len(members) for cell, members in cells.items()}
    found = cut(positions, quota_ends(counts, ratios_of(values, allow_empty=True)))
    assert found.keys() == cells.keys()
    quotas = cell_quotas(counts, weights(values))
    for cell, members in cells.items():
        ends = cumulative(quotas[cell])[: len(values)]
        assert found[cell] == [sorted(members)[end - 1] if end else b"" for end in ends]


@given(
    labels=st.lists(st.sampled_from(["cat", "dog", "owl"]), min_size=1, max_size=60),
    values=RATIOS,
    seed=st.integers(0, 3),
    grouped=st.booleans(),
)
def test_every_stratum_gets_its_quotas_in_whole_groups(labels: list[str], values: tuple[float, ...], seed: int, grouped: bool) -> None:
    """Groups of up to three records of one label, so that a group is in one stratum."""
    split = ratios_of(values, seed=seed, stratify_by="label", allow_empty=True)
    refs = [make_ref(i, label=label) for i, label in enumerate(labels)]
    if grouped:
        refs = [ref._replace(group=f"{ref.label}{i // 3}".encode()) for i, ref in enumerate(refs)]
    members = sorted(refs, key=lambda ref: (ref.group, ref.key))
    done = list(divide(members, bare_plan(split), grouped=grouped))
    assert [ref._replace(split="") for ref in done] == members, "nothing is lost, and nothing else changes"
    groups = {(ref.label, ref.group, ref.split) for ref in done}
    assert len(groups) == len({ref.group for ref in refs})
    shares = dict(zip(split.splits, weights(values), strict=True))
    for name, share in shares.items():
        assert abs(sum(group[2] == name for group in groups) - len(groups) * share) < 1
        for label in set(labels):
            whole = [group for group in groups if group[0] == label]
            assert abs(sum(group[2] == name for group in whole) - len(whole) * share) < 1


def test_a_group_stands_where_its_first_member_does() -> None:
    plan = bare_plan(replace(HALVES, stratify_by="label"))
    stands = standing([make_ref(0, label="dog"), make_ref(1, label="cat"), make_ref(2, label="cat")], plan)
    assert stands is not None
    assert (read_cell(stands.cell), stands.moment, stands.record_id) == (('"dog"', 3), b"", "s/0000.png")
    assert stands.position == group_position(make_ref(0), HALVES)


def test_groups_of_several_sizes_come_near_the_records_asked_for() -> None:
    """Forty groups of one and four of ten: groups within one, and records nearer than by whole groups of ten."""
    refs = [make_ref(i, group=b"big%d" % (i // 10) if i < 40 else None) for i in range(80)]
    split = ratios_of((0.5, 0.25, 0.25), seed=5)
    for seed in range(5):
        done = list(divide(sorted(refs, key=lambda ref: (ref.group, ref.key)), bare_plan(replace(split, seed=seed))))
        assert Counter(ref.split for ref in done) == {"s0": 40, "s1": 20, "s2": 20}
        assert Counter(name for _, name in {(ref.group, ref.split) for ref in done}) == {"s0": 22, "s1": 11, "s2": 11}


def test_a_split_that_gets_nothing_is_refused() -> None:
    split = ratios_of((0.7, 0.15, 0.15))
    with pytest.raises(DataError, match=r"no record comes to the split 's2': its share of 3 is 0\.45") as caught:
        quota_ends({cell_key("", 1): 3}, split)
    assert (caught.value.code, caught.value.value) == ("empty-split", "s2")
    assert "allow_empty: true" in caught.value.remedy
    with pytest.raises(ErrorGroup) as both:
        quota_ends({cell_key("", 1): 1}, split)
    assert [error.value for error in both.value.errors()] == ["s1", "s2"]
    assert quota_ends({cell_key("", 1): 3}, replace(split, allow_empty=True)) == {"1 ": [2, 3, 3]}
    assert quota_ends({cell_key("", 1): 3}, ratios_of((1.0, 0.0))) == {"1 ": [3, 3]}, "a ratio of 0 asks for it"
    assert quota_ends({}, split) == {}, "why nothing is left is another error"


def test_the_laws_of_splits_are_part_of_the_key() -> None:
    assert split_laws(HALVES) == {"splits:exact": 2}
    assert split_laws(replace(HALVES, method="ordered", order_by="day")) == {"splits:ordered": 1}
    assert split_laws(replace(HALVES, method="hash")) == {}
    assert split_laws(SplitPlan(mode="partition", splits=("a",))) == {}


DAYS = replace(HALVES, method="ordered", order_by="day")


def days(*values: object, groups: bool = False) -> list[Ref]:
    refs = [make_ref(i, fields=json.dumps({"day": value})) for i, value in enumerate(values)]
    return [ref._replace(group=b"g%d" % (i // 2)) for i, ref in enumerate(refs)] if groups else refs


def ordered(refs: list[Ref], split: SplitPlan = DAYS) -> list[str]:
    done = {ref.record_id: ref.split for ref in divide(sorted(refs, key=lambda ref: (ref.group, ref.key)), bare_plan(split))}
    return [done[ref.record_id] for ref in refs]


def test_an_ordered_split_cuts_the_order_of_a_field() -> None:
    assert ordered(days(9, 10, 2, 1)) == ["b", "b", "a", "a"]
    assert ordered(days("9", "10", "2", "1.5")) == ["b", "b", "a", "a"], "text that is a number counts as one"
    assert ordered(days("2020-03-01", "2019-12-31T23:00", "2020-01-01", "2020-03-01T00:01")) == ["b", "a", "a", "b"]
    assert ordered(days("b", "a", "B", "ä")) == ["b", "a", "a", "b"], "text goes by code points"
    assert ordered(days(3, 1, 2, 4), replace(DAYS, ratios=(("a", 0.25), ("b", 0.25)))) == ["", "a", "b", ""]


@given(values=st.lists(st.integers(-3, 3), min_size=2, max_size=30), seed=st.integers(0, 3))
def test_ties_of_an_order_are_cut_exactly(values: list[int], seed: int) -> None:
    split = replace(DAYS, seed=seed, allow_empty=True)
    found = ordered(days(*values), split)
    assert found.count("a") == -(-len(values) // 2)
    assert max(v for v, s in zip(values, found, strict=True) if s == "a") <= min(v for v, s in zip(values, found, strict=True) if s == "b")


def test_a_group_is_ordered_by_its_last_record() -> None:
    """So no record of the first split comes after a group of the second."""
    assert ordered(days(1, 9, 2, 3, groups=True)) == ["b", "b", "a", "a"]


def test_a_group_of_two_kinds_is_refused() -> None:
    """Though its last member alone would decide where it stands."""
    refs = [ref._replace(group=b"one") for ref in days(1, "x", 2)]
    with pytest.raises(DataError, match=r"'day' has numbers \(s/0000.png\), text \(s/0001.png\)"):
        standing(refs, bare_plan(DAYS))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        *(((1, value), "order-missing") for value in (None, " ", True, ["x"])),
        *((values, "order-mixed") for values in ((1, "x"), ("2020-01-01", 2020), ("2020-01-01T00:00Z", "2020-01-01"))),
        *((values, "order-date") for values in (("03/01/2020", "04/01/2020"), ("1.2.20", "x"))),
    ],
)
def test_values_without_a_common_order_are_refused(values: tuple[object, ...], code: str) -> None:
    with pytest.raises(DataError) as caught:
        ordered(days(*values))
    assert caught.value.code == code and caught.value.at in ("s/0000.png", "s/0001.png")
    assert caught.value.rule and caught.value.remedy


def test_records_that_the_ratios_are_not_about_pass_through() -> None:
    plan = bare_plan(replace(HALVES, applies_to="train", allow_empty=True))
    members = [make_ref(i, partition=partition, group=b"one") for i, partition in enumerate(("test", "train", "train"))]
    stands = standing(members, plan)
    assert stands is not None and (stands.record_id, read_cell(stands.cell)) == ("s/0001.png", ("", 2)), "those they are about count"
    assert standing(members[:1], plan) is None
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
        assert by_rank(ref, "1 ", b"", bare_plan(HALVES), {"1 ": cuts}).split == split


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
