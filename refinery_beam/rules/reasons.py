"""Ledger reasons: why a record did not come out."""

from __future__ import annotations

from refinery_beam.rules.rule import Reason

REASONS = {
    "truncated": Reason("the file ends early"),
    "not_an_image": Reason("its content is no image"),
    "empty_file": Reason("no byte"),
    "damaged": Reason("an image whose data does not decode"),
    "unsupported_format": Reason(
        "a format that `Input.limits.formats` does not list", "add it to Input.limits.formats, convert the file, or leave it out"
    ),
    "unsupported_mode": Reason("pixels with no agreed 8-bit form"),
    "too_many_pixels": Reason("the header asks for more than `max_pixels`", "raise Input.limits.max_pixels, or leave the file out"),
    "too_large_file": Reason("more than `max_bytes`", "raise Input.limits.max_bytes, or leave the file out"),
    "unreadable": Reason("the file cannot be read", "check the file's permissions"),
    "out_of_vocabulary": Reason(
        "a value that `categorical_encode` did not learn", "set its oov to index or ignore, or add the value to its vocabulary"
    ),
    "vocabulary_too_large": Reason(
        "more values than a vocabulary or its dtype holds", "declare a larger output_dtype, or encode another field"
    ),
    "kills_worker": Reason("whatever works on it crashes, each time (only under `quarantine`; else `poison-record`)"),
    "label_missing": Reason("no label in the table", "add its row to the label table, or leave the file out"),
    "bad_name": Reason("the file name is not valid UTF-8", "rename the file"),
    "wrong_size": Reason("an image of another size than an operation takes", "resize before that operation, or leave the file out"),
    "not_finite": Reason("an operation gave a number that is not finite", "correct the operation's parameters"),
    "schema:FIELD": Reason("the value does not fit `Output.record_schema`", "correct Output.record_schema or the operations of the split"),
    "contract:KIND": Reason("it breaks an input contract of that kind (only under `quarantine`)", "mend the file, or correct the contract"),
    "sink_path": Reason("its values make no path for a sink's file", "correct the sink's path_template"),
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
