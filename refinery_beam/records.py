"""The rows that cross stages: frozen, of plain types, about 1 KB at most, and never holding pixels.

`pipeline.coders` registers them with Beam's deterministic row coder; this module knows no Beam. Optional text is the empty string rather
than None where "absent" and "empty" mean the same, which keeps the coder simple.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from refinery_beam.rules.reasons import REASONS

TAGS_FIELD = "sample_per_class_tags"
"""The record field that holds the tags of sampling filters, a list of text; empty where there are none."""


UNASSIGNED = "unassigned"
"""The reason, and the pseudo split, of records that ratios summing to less than one leave over."""

ASKED_FOR = frozenset(word for word, reason in REASONS.items() if reason.asked_for)
"""Ledger reasons that the recipe asked for. Every other reason is a bad record: it is listed, and counts against max_bad_fraction."""


class Ref(NamedTuple):
    """A record reference: everything that is known of a record except its content. In prose "ref".

    ``key`` is `identity.record_key` of ``record_id``. ``source`` is the index into ``Plan.sources`` and ``path`` the file's path below that
    source, exactly as stored there (``record_id`` holds its NFC form), so an absolute location never enters a row. ``digest`` is the raw
    content digest in the index, of the kind ``kind`` (``sha256`` or ``md5``); a worker that reads other bytes reports
    ``changed_during_run``. ``fields`` is canonical JSON of the record's other metadata (sidecar columns, metadata featurizations) or ''.
    ``lineage`` is canonical JSON of how a generated record is made from its parent file, or ''. ``group`` is the group that splits never
    divide; ``split`` is '' until splits are made. ``tags`` is canonical JSON of the list of tags that sampling filters put on the record,
    in their order, or ''.
    """

    record_id: str
    key: bytes
    source: int
    path: str
    size: int
    digest: bytes
    label: str | None
    partition: str
    group: bytes
    split: str
    fields: str
    lineage: str
    tags: str = ""
    kind: str = "sha256"


class LedgerRow(NamedTuple):
    """One record that did not come out, and why. ``reason`` is one of the stable words of docs/errors.md; ``detail`` holds no
    machine paths.
    """

    record_id: str
    split: str
    stage: str
    op: str
    reason: str
    detail: str


class DigestRow(NamedTuple):
    """The result of reading one file: its SHA-256 in hex, or '' with the ``reason`` why there is none. ``path`` is below its source."""

    path: str
    digest: str
    reason: str
    detail: str


class ShardRow(NamedTuple):
    """What one written shard proves about itself. ``file`` is its staging name; ``labels`` is canonical JSON {label: records}, ``notes`` is
    what the decoder noted of its records (`plugins.notes`).
    """

    split: str
    shard: int
    shards: int
    records: int
    file: str
    bytes: int
    sha256: str
    rows_digest: str
    labels: str
    notes: str = ""


class StepCountRow(NamedTuple):
    """How many records one step kept or lost in a split ('' before splits are made; ``kind`` 'kept', 'lost'), made, or replaced
    ('generated', 'replaced').
    """

    split: str
    step: str
    kind: str
    records: int


class EvidenceRow(NamedTuple):
    """The counts of some records for one assertion (its position in the plan). Record kinds: ``key`` is 'checked' or 'failed', and
    ``records`` a JSON list of [record id, detail] of the first failing ones by record key. Dataset kinds: ``key`` is the canonical JSON key
    counted.
    """

    contract: int
    key: str
    amount: int
    records: str


class ByteValuesRow(NamedTuple):
    """Which of the 256 byte values occur in one stored 8-bit image: 256 bits a channel, packed into 32 bytes."""

    record_id: str
    split: str
    byte_values: bytes


class SinkRow(NamedTuple):
    """One file that a sink wrote. ``path`` is below ``sinks/<sink>/``."""

    sink: str
    path: str
    record_id: str
    bytes: int
    sha256: str


def read_fields(ref: Ref) -> dict[str, Any]:
    """The metadata mapping of a ref; empty when it has none."""
    return json.loads(ref.fields) if ref.fields else {}


def write_fields(fields: Mapping[str, Any]) -> str:
    """Canonical JSON for ``Ref.fields``; '' for an empty mapping."""
    from refinery_beam.identity import canonical_bytes

    return canonical_bytes(dict(fields)).decode() if fields else ""


def read_tags(ref: Ref) -> list[str]:
    """The tags of a ref, in the order in which filters added them."""
    return json.loads(ref.tags) if ref.tags else []


def with_tag(ref: Ref, tag: str) -> Ref:
    """The ref with one more tag; the same ref if it has the tag already."""
    from refinery_beam.identity import canonical_bytes

    tags = read_tags(ref)
    return ref if tag in tags else ref._replace(tags=canonical_bytes([*tags, tag]).decode())


def known_fields(ref: Ref, label_field: str) -> dict[str, Any]:
    """A record's values by field name, without its content: all that filters, assertions and featurizations of metadata may read."""
    own = {"record_id": ref.record_id, "path": ref.path, "partition": ref.partition or None}
    return {**own, **read_fields(ref), TAGS_FIELD: read_tags(ref), label_field: ref.label}


def field_value(ref: Ref, name: str, label_field: str) -> Any:
    """One value of `known_fields`, without computing the others; None where there is none."""
    if name == label_field:
        return ref.label
    if name in ("record_id", "path"):
        return getattr(ref, name)
    if name == "partition":
        return ref.partition or None
    return read_tags(ref) if name == TAGS_FIELD else read_fields(ref).get(name)
