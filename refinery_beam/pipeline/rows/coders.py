"""Deterministic coders for the rows that cross stages. Import this module before building or running any pipeline.

Beam pickles NamedTuples it does not know. Pickles depend on import paths and are four times slower; a registered row coder
writes the fields.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_type_hints

from apache_beam import coders
from apache_beam.coders.coder_impl import CallbackCoderImpl
from apache_beam.coders.coders import FastCoder

from refinery_beam.job.interned import current_table, interned_refs
from refinery_beam.records import ByteValuesRow, DigestRow, EvidenceRow, LedgerRow, Ref, ShardRow, SinkRow, StepCountRow


def _plain(hint: Any) -> Any:
    """The hint as Beam's schemas know it: ``Optional[str]`` for ``str | None``."""
    return Union[get_args(hint)] if isinstance(hint, UnionType) else hint  # noqa: UP007


for _row in (Ref, LedgerRow, ShardRow, StepCountRow, EvidenceRow, ByteValuesRow, SinkRow, DigestRow):
    # `from __future__ import annotations` turns annotations into text, and Beam takes a field annotated with text for "any Python object":
    # it pickles the field, and an engine in Java cannot read it. So the annotations become types again here.
    _row.__annotations__.update({name: _plain(hint) for name, hint in get_type_hints(_row).items()})
    coders.registry.register_coder(_row, coders.RowCoder)


class RefCoder(FastCoder):
    """Writes refs as a row coder does, under a name of its own.

    The local engine reads Beam's own rows to shuffle them, and keeps each as Python objects. What has another coder it keeps as bytes: few,
    where all of its work is done in this process. `table` is the number of the job's table then, else 0; see `interned`.
    """

    def __init__(self, table: int | None = None) -> None:
        self._table = current_table() if table is None else table

    def _create_impl(self) -> Any:
        if self._table:
            table = interned_refs(self._table)
            return CallbackCoderImpl(table.encode, table.decode)
        return coders.RowCoder.from_type_hint(Ref, coders.registry).get_impl()

    def is_deterministic(self) -> bool:
        """Yes: equal refs have equal bytes."""
        return True

    def to_type_hint(self) -> type:
        """The type of refs."""
        return Ref

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RefCoder) and other._table == self._table

    def __hash__(self) -> int:
        return hash(RefCoder)

    def __reduce__(self) -> tuple[Any, ...]:
        return RefCoder, (self._table,)


coders.registry.register_coder(Ref, RefCoder)

ROW_TYPES = (Ref, LedgerRow, ShardRow, StepCountRow, EvidenceRow, ByteValuesRow, SinkRow, DigestRow)
