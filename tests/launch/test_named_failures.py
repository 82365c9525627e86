"""Under ``on_error: fail`` the run stops at the first bad file, and names every one that was found by then."""

from __future__ import annotations

from refinery_beam.errors import DataError, ErrorGroup
from refinery_beam.launch.build.failures import NAMED, named


def errors(count: int) -> list[DataError]:
    return [DataError(f"truncated: file {k}", code="truncated", at=f"/data/{k:03d}.png") for k in range(count)]


def test_one_is_itself_and_many_are_named_and_counted() -> None:
    (one,) = errors(1)
    assert named([one]) is one
    few = named(errors(3))
    assert isinstance(few, ErrorGroup) and [e.at for e in few.errors()] == ["/data/000.png", "/data/001.png", "/data/002.png"]
    many = named(errors(NAMED + 31)).errors()
    assert len(many) == NAMED
    assert many[-1].message == "truncated: file 19; and 31 more errors like these by then"
