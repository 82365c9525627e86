"""How many bad records a run may have: exactly the fraction, and not one more."""

from __future__ import annotations

import pytest

from refinery_beam.errors import DataError
from refinery_beam.planning.budget import check_budget
from refinery_beam.planning.nodes import SplitPlan
from refinery_beam.records import LedgerRow
from support.plans import bare_plan

SPLIT = SplitPlan(mode="partition", splits=("train",))


def lost(number: int, reason: str = "truncated") -> LedgerRow:
    return LedgerRow(f"s/{number}.png", "train", "Input", "decode", reason, f"byte {number}")


def test_the_fraction_itself_is_within_it() -> None:
    check_budget(bare_plan(SPLIT, max_bad_fraction=0.25), 8, [lost(0), lost(1)])
    check_budget(bare_plan(SPLIT, max_bad_fraction=0.0), 8, [])
    check_budget(bare_plan(SPLIT, max_bad_fraction=1.0), 2, [lost(0), lost(1)])


def test_what_the_recipe_asked_for_is_not_bad() -> None:
    asked = [lost(n, reason) for n, reason in enumerate(("filtered", "duplicate", "unassigned"))]
    check_budget(bare_plan(SPLIT, max_bad_fraction=0.0), 8, asked)


def test_one_more_is_refused_with_the_first_five() -> None:
    ledger = [*(lost(n) for n in range(4)), lost(4, "not_an_image"), lost(5), lost(6), lost(7, "filtered")]
    with pytest.raises(DataError) as caught:
        check_budget(bare_plan(SPLIT, max_bad_fraction=0.25), 8, ledger, at="recipe.yaml:3:1")
    error = caught.value
    assert error.message == (
        "7 of 8 records are bad (1 not_an_image, 6 truncated): s/0.png: truncated: byte 0; s/1.png: truncated: byte 1; "
        "s/2.png: truncated: byte 2; s/3.png: truncated: byte 3; s/4.png: not_an_image: byte 4; and 2 more"
    )
    assert (error.code, error.at, error.value) == ("too-many-bad-records", "recipe.yaml:3:1", 7 / 8)
    assert "at most 0.25 of the records" in error.rule
