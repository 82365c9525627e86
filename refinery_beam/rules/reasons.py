"""Ledger reasons: why a record did not come out."""

from __future__ import annotations

from refinery_beam.rules.rule import Reason

REASONS = {
    "truncated": Reason("the file ends early"),
    "not_an_image": Reason("its content is no image"),
    "empty_file": Reason("no byte"),
    "damaged": Reason("an image whose data does not decode"),
    "unsupported_format": Reason("a format that `Input.limits.formats` does not list"),
    "unsupported_mode": Reason("pixels with no agreed 8-bit form"),
    "too_many_pixels": Reason("the header asks for more than `max_pixels`"),
    "too_large_file": Reason("more than `max_bytes`"),
    "unreadable": Reason("the file cannot be read", "check the file's permissions"),
    "out_of_vocabulary": Reason("a value that `categorical_encode` did not learn"),
    "vocabulary_too_large": Reason("more values than a vocabulary or its dtype holds"),
    "kills_worker": Reason("whatever works on it crashes, each time (only under `quarantine`; else `poison-record`)"),
    "label_missing": Reason("no label in the table"),
    "wrong_size": Reason("an image of another size than an operation takes"),
    "not_finite": Reason("an operation gave a number that is not finite"),
    "schema:FIELD": Reason("the value does not fit `Output.record_schema`", "correct Output.record_schema or the operations of the split"),
    "contract:KIND": Reason("it breaks an input contract of that kind (only under `quarantine`)"),
    "sink_path": Reason("its values make no path for a sink's file"),
    "filtered": Reason("a filter took it out", "", asked_for=True),
    "duplicate": Reason("another record of its kind stays; the detail names it", "", asked_for=True),
    "unassigned": Reason("no split took it", "", asked_for=True),
}
"""Words with a colon stand for a family: ``schema:label`` is one of ``schema:FIELD``."""


def reason_of(word: str) -> Reason:
    """What is said of a reason. One that is not listed, such as a plugin's own, has no meaning here, and the usual remedy."""
    family, colon, _ = word.partition(":")
    known = {name.partition(":")[0]: reason for name, reason in REASONS.items() if ":" in name} if colon else REASONS
    return known.get(family, Reason(""))
