"""Deterministic coders for the rows that cross stages. Import this module before building or running any pipeline.

Beam pickles NamedTuples it does not know. Pickles depend on import paths and are four times slower; a registered row coder
writes the fields. Refs, of which there are as many as images, have a coder of their own.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_type_hints

from apache_beam import coders

from refinery_beam.identity import record_key
from refinery_beam.planning.splits.refs import content_group
from refinery_beam.records import ByteValuesRow, DigestRow, EvidenceRow, LedgerRow, Ref, ShardRow, SinkRow, StepCountRow


def _plain(hint: Any) -> Any:
    """The hint as Beam's schemas know it: ``Optional[str]`` for ``str | None``."""
    return Union[get_args(hint)] if isinstance(hint, UnionType) else hint  # noqa: UP007


for _row in (Ref, LedgerRow, ShardRow, StepCountRow, EvidenceRow, ByteValuesRow, SinkRow, DigestRow):
    # `from __future__ import annotations` turns annotations into text, and Beam takes a field annotated with text for "any Python object":
    # it pickles the field, and an engine in Java cannot read it. So the annotations become types again here.
    _row.__annotations__.update({name: _plain(hint) for name, hint in get_type_hints(_row).items()})
    coders.registry.register_coder(_row, coders.RowCoder)

_OWN, _CONTENT = b"=", b"#"
"""Groups that are the record's own key, and that of its content."""


class RefCoder(coders.Coder):
    """Writes a ref without what follows from its record id: some 90 bytes in place of 170.

    The local engine reads Beam's own rows to shuffle them, and keeps each as Python objects. What has another coder it keeps as bytes.
    """

    def __init__(self) -> None:
        self._rows = coders.RowCoder.from_type_hint(Ref, coders.registry)

    def encode(self, value: Ref) -> bytes:
        """The bytes of a ref."""
        key, path, group = value.key, value.path, value.group
        known = key == record_key(value.record_id)
        slim = value._replace(
            key=b"" if known else key,
            path="" if path == _path_of(value.record_id) else path,
            group=_OWN if group == key else _CONTENT if group == content_group(value.digest) else group,
        )
        encoded: bytes = self._rows.encode(slim)
        return encoded

    def decode(self, encoded: bytes) -> Ref:
        """The ref of `encode`."""
        ref = Ref(*self._rows.decode(encoded))
        key = ref.key or record_key(ref.record_id)
        group = key if ref.group == _OWN else content_group(ref.digest) if ref.group == _CONTENT else ref.group
        return ref._replace(key=key, path=ref.path or _path_of(ref.record_id), group=group)

    def is_deterministic(self) -> bool:
        """Yes: equal refs have equal bytes."""
        return True

    def to_type_hint(self) -> type:
        """The type of refs."""
        return Ref

    def __eq__(self, other: object) -> bool:
        return type(other) is RefCoder

    def __hash__(self) -> int:
        return hash(RefCoder)

    def __reduce__(self) -> tuple[Any, ...]:
        return RefCoder, ()


def _path_of(record_id: str) -> str:
    """The path of a file below its source, as nearly all record ids state it."""
    return record_id.partition("/")[2]


coders.registry.register_coder(Ref, RefCoder)

ROW_TYPES = (Ref, LedgerRow, ShardRow, StepCountRow, EvidenceRow, ByteValuesRow, SinkRow, DigestRow)
