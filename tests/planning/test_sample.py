"""The sample of a plan: how many it takes, and of which splits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.identity import derive_seed
from refinery_beam.planning.sample import SamplePlan
from support.plans import plan_of


def sample(**words: object) -> SamplePlan:
    return SamplePlan(**{"n": None, "fraction": None, "kind": "uniform", "splits": (), "seed": 0, **words})  # type: ignore[arg-type]


@pytest.mark.parametrize(("records", "taken"), [(0, 0), (4, 4), (5, 5), (99, 5)])
def test_a_number_or_all_there_are(records: int, taken: int) -> None:
    assert sample(n=5).quota(records) == taken


@given(percent=st.integers(0, 100), records=st.integers(0, 10**9))
def test_a_fraction_is_its_decimal_rounded_down(percent: int, records: int) -> None:
    assert sample(fraction=repr(percent / 100)).quota(records) == int(Decimal(percent) * records / 100)


def test_a_selector_becomes_a_sample() -> None:
    plan = plan_of(seed=7, sample="{selector: {fraction: 0.3, kind: per_class, splits: [test], seed: {from: master}}}")
    assert plan.sample == sample(fraction="0.3", kind="per_class", splits=("test",), seed=derive_seed(7, "SampleData"))
    assert plan.sample is not None and plan.sample.identity() == [None, "0.3", "per_class", ["test"], plan.sample.seed]
    every = plan_of(sample="{selector: {n: 2}}").sample
    assert every is not None and (every.n, every.fraction, every.splits) == (2, None, ("train", "test"))
    assert plan_of().sample is None
