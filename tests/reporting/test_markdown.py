"""What report.md says of trouble, and that no name can break out of its table."""

from __future__ import annotations

import pytest

from refinery_beam.records import ASKED_FOR, LedgerRow
from refinery_beam.reporting import ReportFacts, render_report


def report(*ledger: LedgerRow) -> str:
    return render_report(
        ReportFacts(
            plugin="image_classification 1",
            recipe_hash="a" * 64,
            input_hash="b" * 64,
            seed=0,
            logical_digest="c" * 64,
            sources=[("photos", "image_folder", 3)],
            records_in=3,
            counts={"train": 3 - len(ledger)},
            classes={"train": {"cat|dog": 1}},
            unlabeled=(),
            stored="uint8[2, 2, 3]",
            noun="images",
            encoding="tensor",
            operations=[],
            deferred=[],
            fitted={},
            ledger=ledger,
            warnings=[],
            split_rule="train 1 (exact, seed 0)",
        )
    )


def test_every_bad_record_is_listed_whatever_stage_found_it() -> None:
    text = report(
        LedgerRow("photos/small_one.png", "train", "Transformations", "crop", "wrong_size", "smaller"),
        LedgerRow("photos/b.png", "", "Filters", "some", "filtered", "random_sample"),
    )
    assert "| `photos/small_one.png` | wrong_size | smaller |" in text
    assert "photos/b.png" not in text
    assert "| filtered | Filters | some | 1 |" in text


@pytest.mark.parametrize("reason", sorted(ASKED_FOR))
def test_what_the_recipe_asked_for_is_counted_and_is_not_bad(reason: str) -> None:
    text = report(LedgerRow("photos/twin.png", "train", "Filters", "twins", reason, "as photos/first.png"))
    assert f"| {reason} | Filters | twins | 1 |" in text
    assert "Bad records" not in text and "photos/twin.png" not in text


def test_names_stay_in_their_cells() -> None:
    text = report(
        LedgerRow("photos/a|b\n.png", "train", "Input", "decode", "damaged", "x|y"),
        LedgerRow("photos/`c`.png", "train", "Input", "decode", "damaged", "z"),
    )
    assert "| `photos/a\\|b\\x0a.png` | damaged | x\\|y |" in text
    assert "| photos/\\`c\\`.png | damaged | z |" in text
    assert "| cat\\|dog | 1 |" in text


def test_the_split_rule_is_said() -> None:
    assert "## Splits\n\ntrain 1 (exact, seed 0).\n" in report()
