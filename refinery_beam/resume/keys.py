"""The names of parts: digests of everything that the bytes of a part follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refinery_beam.identity import value_digest
from refinery_beam.records import Ref

RESUME_VERSION = 1
"""The form of parts and of their names. A part of another form is not found."""


def law_of(recipe_hash: str, seed: int, environment: Mapping[str, Any]) -> str:
    """A digest of what all parts of a run follow from: the recipe's side of the key (recipe, laws, versions of ops, storage, what codecs
    do, plugins' sources, borrowed statistics), the seed, and the packages and codecs of this machine.

    The input's side of the key is not in it: the records of a part are in the part's own name, digest by digest.
    """
    return value_digest("resume-law", [RESUME_VERSION, recipe_hash, seed, _plain(environment)])


def part_key(
    law: str, kind: str, parts: Sequence[Any], refs: Iterable[Ref], merged: Mapping[str, bytes], poison: Iterable[tuple[str, str]]
) -> str:
    """The digest that names a part: `kind` and `parts` say which (``shard``, split, number...), `refs` are its records in any order,
    `merged` the accumulators of the statistics applied to them, and `poison` the (record id, reason) pairs that workers refuse.
    """
    how = dict(poison)
    records = hashlib.sha256()
    for ref in sorted(refs, key=lambda ref: ref.key):
        # A tuple of text, bytes and integers: its repr has one reading, and costs a third of JSON.
        records.update(repr((*ref, how.get(ref.record_id))).encode("utf-8", "surrogatepass"))
    statistics = [[name, hashlib.sha256(data).hexdigest()] for name, data in sorted(merged.items())]
    return value_digest("resume-part", [law, kind, list(parts), records.hexdigest(), statistics])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
