"""Albums of parts joined in any order are the album of everything, and bounded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.facts.album import A_CLASS, CLASSES, LOST, Album, LostAlbum, Picture, ranked
from refinery_beam.identity import rank, record_key

Records = Sequence[tuple[str, str | None]]

RECORDS = st.dictionaries(st.text(max_size=3), st.sampled_from([None, "", "a", "b", "c"]), max_size=60).map(lambda d: list(d.items()))


def album_of(records: Records, *, seed: int = 3, trim: bool = True) -> Album:
    album = Album(seed=seed)
    for record_id, label in records:
        album.add(record_key(record_id), record_id, label, record_id)
    if trim:
        album.trim()
    return album


def plainly(records: Records, *, seed: int = 3) -> list[str]:
    """What the module's docstring says, word by word."""
    labels = sorted(
        {label for _, label in records}, key=lambda label: (rank("thumbnail", seed, "class", (label or "").encode()), label or "")
    )
    found = []
    for label in sorted(labels, key=lambda label: (label is not None, label or "")):
        c = labels.index(label) + 1
        members = sorted((r for r, one in records if one == label), key=lambda r: rank("thumbnail", seed, "record", record_key(r)))
        found += [r for p, r in enumerate(members, 1) if p <= A_CLASS and p * c <= CLASSES]
    return found


@given(records=RECORDS, cuts=st.lists(st.integers(0, 60), max_size=4), back=st.booleans(), trims=st.booleans())
def test_parts_in_any_order_make_the_whole(records: Records, cuts: list[int], back: bool, trims: bool) -> None:
    edges = [0, *sorted(cuts), 60]
    parts = [album_of(records[a:b], trim=trims) for a, b in itertools.pairwise(edges)]
    joined = Album(seed=3)
    for part in reversed(parts) if back else parts:
        for picture in part:
            joined.join(picture)
        if trims:
            joined.trim()
    joined.trim()
    assert [p.record_id for p in joined] == [p.record_id for p in album_of(records)] == plainly(records)


@settings(max_examples=1, deadline=None)
@given(seed=st.just(5))
def test_two_thousand_classes_are_bounded(seed: int) -> None:
    records = [(f"{label}/{n}", f"class {label}") for label in range(2_000) for n in range(9)]
    kept = [p.record_id for p in album_of(records, seed=seed)]
    assert kept == plainly(records, seed=seed)
    assert len(kept) == sum(min(A_CLASS, CLASSES // c) for c in range(1, 2_001)) < 3 * CLASSES + 128 * A_CLASS
    assert album_of(records, seed=seed + 1) is not None
    assert {p.record_id for p in album_of(records, seed=seed + 1)} != set(kept), "another seed shows other pictures"


@given(keys=st.lists(st.integers(0, 1 << 20), unique=True, max_size=200), data=st.randoms(use_true_random=False))
def test_the_ledger_shows_its_least_keys(keys: list[int], data: object) -> None:
    album = LostAlbum()
    for key in keys:
        album.join(Picture(0, key.to_bytes(32, "big"), str(key), None, None, "damaged"))
    assert [int(p.record_id) for p in album] == sorted(keys)[:LOST]


@given(records=RECORDS, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_bounds_leave_out_only_what_no_album_takes(records: Records, sizes: list[int]) -> None:
    """Batch by batch: what lies beyond the bounds of an album is dropped before it comes to it, and the album is the same."""
    album, dropped, start = Album(seed=3), 0, 0
    for size in itertools.cycle(sizes):
        batch = records[start : start + size]
        bounds = album.bounds({label for _, label in batch})
        for record_id, label in batch:
            picture = ranked(3, record_key(record_id), record_id, label, record_id)
            if label in bounds and picture[:2] >= bounds[label]:
                dropped += 1
            else:
                album.join(picture)
        album.trim()
        start += size
        if start >= len(records):
            break
    assert [p.record_id for p in album] == plainly(records)
    assert dropped <= max(0, len(records) - A_CLASS)


def test_a_full_class_has_bounds() -> None:
    records = [(f"a/{n}", "a") for n in range(100)]
    album = album_of(records)
    ((label, bound),) = album.bounds(["a", "b"]).items()
    taken = set(plainly(records))
    assert label == "a" and bound == max(ranked(3, record_key(r), r, "a", r)[:2] for r in taken)
