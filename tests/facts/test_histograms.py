"""Histograms of parts joined in any grouping are those of everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.facts import histograms
from refinery_beam.facts.histograms import Histograms
from refinery_beam.identity import rank

Line = tuple[bool, str | None, str, int, list[int]]


def lines_of(found: Histograms) -> list[Line]:
    return [(*line[:4], line.counts.tolist()) for line in found]


def counted(records: Sequence[tuple[str | None, int]]) -> Histograms:
    found = Histograms(seed=1)
    labels = list(dict.fromkeys(label for label, _ in records))
    counts = np.zeros((len(labels), 256), np.int64)
    for label, value in records:
        counts[labels.index(label), value] += 1
    found.add(labels, {"grey": counts}, {"grey": [sum(one == label for one, _ in records) for label in labels]} if labels else {"grey": []})
    return found


RECORDS = st.lists(st.tuples(st.sampled_from([None, "", "a", "b"]), st.integers(0, 255)), max_size=30)


@given(parts=st.lists(RECORDS, min_size=1, max_size=4), back=st.booleans())
def test_parts_in_any_order_make_the_whole(parts: list[list[tuple[str | None, int]]], back: bool) -> None:
    joined = Histograms(seed=1)
    for part in reversed(parts) if back else parts:
        for line in counted(part):
            joined.join(line)
    whole = counted([record for part in parts for record in part])
    assert [line for line in lines_of(joined) if line[3]] == [line for line in lines_of(whole) if line[3]]
    records = [record for part in parts for record in part]
    for whole_split, label, _, number, counts in lines_of(joined):
        values = [value for one, value in records if whole_split or one == label]
        assert (number, counts) == (len(values), np.bincount(values, minlength=256).tolist() if values else [0] * 256)


def test_of_more_classes_those_of_least_rank_have_lines_of_their_own() -> None:
    labels = [f"class {n}" for n in range(1_000)]
    ones = np.ones((1, 256), np.int64)
    forward, backward = Histograms(seed=7), Histograms(seed=7)
    for found, order in ((forward, labels), (backward, labels[::-1])):
        for label in order:
            found.add([label], {"grey": ones}, {"grey": [1]})
    assert lines_of(forward) == lines_of(backward)
    kept = [line.label or "" for line in forward if not line.whole]
    assert sorted(kept) == sorted(sorted(labels, key=lambda label: rank("histogram", 7, "class", label.encode()))[: histograms.CLASSES])
    (whole,) = (line for line in forward if line.whole)
    assert (whole.records, whole.counts.tolist()) == (1_000, [1_000] * 256)
