"""Assertions over refs, content and rows, as plain functions.

Every record leaves *evidence*: small counts that add up in any grouping, and the first few failing records by record key. `judge` turns the
whole evidence into verdicts. The values that a reader computes are known only after the deferred tail is fitted. So for an assertion about
these values a record leaves the set of its byte values (`byte_values_of`), and `TailView` applies the tail to the 256 byte values later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ParamSpec, TypeVar

from refinery_beam.errors import DataError, display
from refinery_beam.identity import canonical_bytes, record_key
from refinery_beam.planning.contracts import ContractStep
from refinery_beam.planning.nodes import Chain, Plan
from refinery_beam.plugins.base import BadRecord, Content, DatasetAssertion, Facts, Plugin, Verdict, call_plugin
from refinery_beam.record.byte_values import TableOf, byte_value_counts, byte_values_of, reader_values, values_at
from refinery_beam.records import ByteValuesRow, EvidenceRow, LedgerRow, Ref, known_fields

P = ParamSpec("P")
R = TypeVar("R")

NAMED = 10
"""How many failing records a message names."""


CHECKED, FAILED = "checked", "failed"


Tally = dict[tuple[int, str], tuple[int, str]]
"""{(contract, key): (count, JSON list of [record id, detail])}."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One assertion, judged. ``records`` are the named failing records, each with its fault; ``quarantined`` counts the failing records in
    the ledger.
    """

    step: ContractStep
    verdict: Verdict
    records: tuple[tuple[str, str], ...] = ()
    quarantined: int = 0

    @property
    def gates(self) -> bool:
        """Whether it stops the run."""
        return not self.verdict.passed and self.step.severity == "error" and not self.quarantined

    def text(self) -> str:
        """The failure in one line."""
        about = f" of {self.step.field!r}" if self.step.field else ""
        return f"{self.step.section}: {self.step.kind}{about} does not hold: {self.verdict.message}"

    def error(self) -> DataError:
        """The error with which a failed assertion stops the run."""
        return DataError(
            self.text(),
            code="contract",
            at=self.step.at,
            value=self.step.kind,
            asked=", ".join((f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in sorted(self.step.params.items()) if v is not None)),
        )


class Contracts:
    """A plan's assertions with their kinds resolved. Safe to use from several threads."""

    def __init__(self, plan: Plan, plugin: Plugin) -> None:
        self.plan = plan
        self._field, self._byte_values = plugin.kind.field, plugin.kind.byte_values
        self._known: list[tuple[int, ContractStep, Any, Any]] = []
        for i, step in enumerate(plan.contracts):
            kind: Any = plugin.assertions[step.kind]
            self._known.append((i, step, kind, kind.spec.params.model_validate(dict(step.params))))
        here = [entry for entry in self._known if entry[1].section == "InputContracts"]
        self.on_refs = [e for e in here if not e[1].on_content]
        self.arriving = [e for e in here if e[1].on_content]
        after = [e for e in self._known if e[1].section == "OutputExpectations"]
        self.leaving = [e for e in after if not e[2].spec.fact]
        self.on_facts = [e for e in after if e[2].spec.fact]
        self.quarantines = plan.on_error == "quarantine"

    # -- evidence ---------------------------------------------------------------------------------------------------------------

    def of_ref(self, ref: Ref, tally: Tally) -> LedgerRow | None:
        """Add the evidence of a ref to `tally`. Gives the ledger row if a broken contract removes the record, else None."""
        values = known_fields(ref, self.plan.label_field)
        row = None
        for entry in self.on_refs:
            bad = self._observe(entry, ref, "", values, tally)
            if bad and self.quarantines and entry[1].severity == "error" and row is None:
                broken = _violation(entry[1], bad)
                row = LedgerRow(ref.record_id, "", broken.stage, broken.op, broken.reason, broken.detail)
        return row

    def admit(self, content: Content) -> None:
        """Raise BadRecord for decoded content that breaks an input contract, where such records are quarantined."""
        for _, step, kind, params in self.arriving:
            if isinstance(kind, DatasetAssertion):
                continue  # no single record breaks it
            if step.severity == "error" and (bad := _said(step, kind.offence, content, params)):
                raise _violation(step, bad)

    def of_content(self, ref: Ref, content: Content, tally: Tally) -> None:
        """Add the evidence of decoded content to `tally`."""
        for entry in self.arriving:
            self._observe_content(entry, ref, content, tally)

    def _observe_content(self, entry: tuple[int, ContractStep, Any, Any], ref: Ref, content: Content, tally: Tally) -> None:
        if self._byte_values and isinstance(entry[2], DatasetAssertion):
            _count_byte_values(tally, entry[0], ref.split, content)
        else:
            self._observe(entry, ref, ref.split, {self._field: content}, tally)

    def of_row(self, ref: Ref, known: Mapping[str, Any], content: Content, chain: Chain, tally: Tally) -> ByteValuesRow | None:
        """Add the evidence of a finished row to `tally`. Gives the byte values of its content if an assertion needs the deferred tail."""
        waits = False
        for entry in self.leaving:
            step, kind = entry[1], entry[2]
            if not step.on_content:
                self._observe(entry, ref, ref.split, known, tally)
            elif self._byte_values and chain.deferred and not isinstance(kind, DatasetAssertion):
                if kind.spec.content == "values":
                    waits = True
                else:
                    self._observe_content(entry, ref, _form(content, chain.deferred[-1].out.dtype), tally)
            else:
                self._observe_content(entry, ref, content, tally)
        return ByteValuesRow(ref.record_id, ref.split, byte_values_of(content)) if waits else None

    def of_byte_values(self, row: ByteValuesRow, table: Any, tally: Tally) -> None:
        """Add the evidence of the values that a reader computes, from a record's byte values and the tail's `table` (256, channels)."""
        values = values_at(row.byte_values, table)
        for i, step, kind, params in self.leaving:
            if step.on_content and kind.spec.content == "values" and not isinstance(kind, DatasetAssertion):
                _count(tally, i, CHECKED)
                if bad := _said(step, kind.offence, values, params):
                    _count(tally, i, FAILED, row.record_id, bad)

    def of_fact(self, entry: tuple[int, ContractStep, Any, Any], record_id: str, value: str, tally: Tally) -> None:
        """Add the evidence of a fact, a decimal, of one record, about one assertion of `on_facts`."""
        i, step, kind, params = entry
        _count(tally, i, CHECKED)
        if bad := _said(step, kind.offence, value, params):
            _count(tally, i, FAILED, record_id, bad)

    def _observe(self, entry: tuple[int, ContractStep, Any, Any], ref: Ref, split: str, values: Mapping[str, Any], tally: Tally) -> str:
        i, step, kind, params = entry
        if isinstance(kind, DatasetAssertion):
            inputs = [values.get(name) for name in kind.fields(step.field, params)]
            key = _said(step, kind.key, split, inputs, params)
            if key is not None:
                _count(tally, i, key_text(key))
            return ""
        value = values.get(step.field or "")
        if value is None and (not kind.spec.sees_missing or self._unlabeled(step, ref)):
            return ""
        _count(tally, i, CHECKED)
        bad: str = _said(step, kind.offence, value, params)
        if bad:
            _count(tally, i, FAILED, ref.record_id, bad)
        return bad

    def _unlabeled(self, step: ContractStep, ref: Ref) -> bool:
        return step.field == self.plan.label_field and ref.partition in self.plan.unlabeled

    # -- verdicts ---------------------------------------------------------------------------------------------------------------

    def early(self) -> list[int]:
        """The assertions that can stop a run before anything is decoded: assertions of severity error about refs that need no other
        instance.
        """
        return [
            i
            for i, step, kind, _ in self.on_refs
            if step.severity == "error" and not step.compares and (isinstance(kind, DatasetAssertion) or not self.quarantines)
        ]

    def judge(
        self,
        tally: Tally,
        *,
        only: Sequence[int] | None = None,
        ledger: Iterable[LedgerRow] = (),
        comparisons: Mapping[int, Sequence[tuple[Any, int]]] | None = None,
        tail: TableOf = lambda split, channels: None,
    ) -> list[Outcome]:
        """Every assertion's outcome (or those of `only`), in the plan's order. `comparisons` are the counts of values in the instances that
        assertions compare with; `tail` gives the readers' values for stored byte values.
        """
        by_contract: dict[int, dict[str, tuple[int, str]]] = {}
        for (i, key), entry in tally.items():
            by_contract.setdefault(i, {})[key] = entry
        gone: dict[str, list[LedgerRow]] = {}
        for row in ledger:
            if row.reason.startswith("contract:"):
                gone.setdefault(row.op, []).append(row)
        found = []
        for i, step, kind, params in self._known:
            if only is not None and i not in only:
                continue
            evidence = by_contract.get(i, {})
            if isinstance(kind, DatasetAssertion):
                facts = Facts(self.plan.split.splits, self.plan.unlabeled_splits, (comparisons or {}).get(i))
                counts = [(json.loads(key), count) for key, (count, _) in sorted(evidence.items())]
                if step.on_content and self._byte_values:
                    view = tail if step.section == "OutputExpectations" else (lambda split, channels: None)
                    counts = _counted_pixels(evidence, kind, params, view)
                verdict = _said(step, kind.judge, counts, params, facts)
                found.append(Outcome(step=step, verdict=verdict._replace(message="" if verdict.passed else verdict.message)))
                continue
            allowed = params.max_fraction if kind.spec.fact else 0.0
            found.append(_of_records(step, evidence, gone.get(step.name, []), allowed=allowed))
        return found


def _said(step: ContractStep, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of an assertion. Raises PluginFailed if it raises."""
    return call_plugin(step.name, f"assertion:{step.kind}", function, *args, **kwargs)


def _violation(step: ContractStep, detail: str) -> BadRecord:
    """The BadRecord for a record that breaks an input contract."""
    return BadRecord(f"contract:{step.kind}", f"{step.field} {detail}", stage="InputContracts", op=step.name)


def _of_records(step: ContractStep, evidence: Mapping[str, tuple[int, str]], gone: Sequence[LedgerRow], *, allowed: float = 0.0) -> Outcome:
    """The outcome by the evidence of single records, of which a share is `allowed` to fail."""
    checked = evidence.get(CHECKED, (0, "[]"))[0]
    failed, listed = evidence.get(FAILED, (0, "[]"))
    named = [(record_id, detail) for record_id, detail in json.loads(listed)]
    quarantined = len(gone)
    if step.on_content and gone:
        # Records that went to the ledger for their pixels left no evidence: they are counted from there.
        named = sorted([(r.record_id, r.detail.removeprefix(f"{step.field} ")) for r in gone], key=lambda n: record_key(n[0]))[:NAMED]
        checked, failed = checked + quarantined, quarantined
    some = "; ".join(f"{display(record_id)} {detail}" for record_id, detail in named)
    more = f"; and {failed - len(named)} more" if failed > len(named) else ""
    message = f"{failed} of {checked} records: {some}{more}" if failed else ""
    observed = {"checked": checked, "failed": failed, "records": [record_id for record_id, _ in named]}
    passed = failed <= Fraction(repr(allowed)) * checked
    return Outcome(step=step, verdict=Verdict(passed, observed, message), records=tuple(named), quarantined=quarantined)


def _counted_pixels(evidence: Mapping[str, tuple[int, str]], kind: Any, params: Any, view: TableOf) -> list[tuple[list[Any], int]]:
    """The counts of a dataset assertion, from the counts of byte values."""
    found: dict[str, int] = {}
    for split, value, count in reader_values(evidence, view):
        key = kind.key(split, [value], params)
        if key is not None:
            found[key_text(key)] = found.get(key_text(key), 0) + count
    return [(json.loads(key), count) for key, count in sorted(found.items())]


def merged(a: tuple[int, str], b: tuple[int, str]) -> tuple[int, str]:
    """Merge two pieces of evidence under one key: add the counts, and keep the first named records by record key."""
    if a[1] == "[]" or b[1] == "[]":
        return a[0] + b[0], b[1] if a[1] == "[]" else a[1]
    both = {tuple(pair) for pair in (*json.loads(a[1]), *json.loads(b[1]))}
    first = sorted(both, key=lambda pair: (record_key(pair[0]), pair[1]))[:NAMED]
    return a[0] + b[0], canonical_bytes([list(pair) for pair in first]).decode()


def add_rows(rows: Iterable[EvidenceRow]) -> Tally:
    """Evidence rows as one tally."""
    tally: Tally = {}
    for row in rows:
        key, entry = (row.contract, row.key), (row.amount, row.records)
        tally[key] = merged(tally[key], entry) if key in tally else entry
    return tally


def rows_of(tally: Tally) -> list[EvidenceRow]:
    """A tally as rows, sorted."""
    return [EvidenceRow(contract, key, *entry) for (contract, key), entry in sorted(tally.items())]


def join(tally: Tally, other: Tally) -> None:
    """Add another tally."""
    for key, entry in other.items():
        tally[key] = merged(tally[key], entry) if key in tally else entry


def key_text(key: Sequence[Any]) -> str:
    """A counted key as canonical JSON. Long text is cut and carries its digest, so that a row stays small."""
    return canonical_bytes([_small(value) for value in key]).decode()


def _count(tally: Tally, contract: int, key: str, record_id: str = "", detail: str = "") -> None:
    entry = (1, canonical_bytes([[record_id, detail[:80]]]).decode() if record_id else "[]")
    known = tally.get((contract, key))
    tally[contract, key] = entry if known is None else merged(known, entry)


def _count_byte_values(tally: Tally, contract: int, split: str, array: Any) -> None:
    for key, count in byte_value_counts(split, array):
        known = tally.get((contract, key))
        tally[contract, key] = (count if known is None else known[0] + count, "[]")


def _form(array: Any, dtype: str) -> Any:
    """An array with the shape of another and the dtype that a reader gets; its values mean nothing."""
    import numpy as np

    return np.broadcast_to(np.zeros((), dtype), array.shape)


def _small(value: Any) -> Any:
    from refinery_beam.identity import digest

    if isinstance(value, str) and len(value) > 200:
        return f"{value[:120]}…{digest('evidence', value).hex()[:32]}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return _small(value.hex())
    if isinstance(value, list | tuple):
        return [_small(v) for v in value]
    return value
