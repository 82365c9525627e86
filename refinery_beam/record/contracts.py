"""Assertions over references, content and rows, as plain functions.

Every record leaves *evidence*: small counts that add up in any grouping, and the first few failing records by record key. `judge` turns the
whole evidence into verdicts. What a reader sees of an image is known only when the deferred tail is fitted, so a record whose assertion
speaks of those values leaves the set of its levels (`levels_of`), and the tail is applied to the 256 levels later (`TailView`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from refinery_beam.errors import DataError, display
from refinery_beam.identity import canonical_bytes, record_key
from refinery_beam.planning.contracts import ContractStep
from refinery_beam.planning.nodes import Chain, Plan
from refinery_beam.plugins.base import BadRecord, Content, DatasetAssertion, Facts, Plugin, Verdict, call_plugin
from refinery_beam.record.byte_values import TableOf, level_counts, levels_of, seen_values, values_at
from refinery_beam.records import EvidenceRow, LedgerRow, LevelsRow, Ref, known_fields

P = ParamSpec("P")
R = TypeVar("R")

NAMED = 10
"""How many failing records are named."""


CHECKED, FAILED = "checked", "failed"


Tally = dict[tuple[int, str], tuple[int, str]]
"""{(contract, key): (count, JSON list of [record id, detail])}."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One assertion, judged. ``records`` are the named failing records with what is wrong; ``quarantined`` counts those in the ledger."""

    step: ContractStep
    verdict: Verdict
    records: tuple[tuple[str, str], ...] = ()
    quarantined: int = 0

    @property
    def gates(self) -> bool:
        """Whether it stops the run."""
        return not self.verdict.passed and self.step.severity == "error" and not self.quarantined

    def text(self) -> str:
        """What does not hold, in a line."""
        about = f" of {self.step.field!r}" if self.step.field else ""
        return f"{self.step.section}: {self.step.kind}{about} does not hold: {self.verdict.message}"

    def error(self) -> DataError:
        """The error that a failed assertion stops the run with."""
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
        self.references = [e for e in here if not e[1].on_content]
        self.arriving = [e for e in here if e[1].on_content]
        self.leaving = [e for e in self._known if e[1].section == "OutputExpectations"]
        self.quarantines = plan.on_error == "quarantine"

    # -- evidence ---------------------------------------------------------------------------------------------------------------

    def of_reference(self, ref: Ref, tally: Tally) -> LedgerRow | None:
        """Add what a reference says to `tally`; the ledger row of one that goes for it."""
        values = known_fields(ref, self.plan.label_field)
        row = None
        for entry in self.references:
            bad = self._see(entry, ref, "", values, tally)
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
        """Add what decoded content says to `tally`."""
        for entry in self.arriving:
            self._see_content(entry, ref, content, tally)

    def _see_content(self, entry: tuple[int, ContractStep, Any, Any], ref: Ref, content: Content, tally: Tally) -> None:
        if self._byte_values and isinstance(entry[2], DatasetAssertion):
            _count_levels(tally, entry[0], ref.split, content)
        else:
            self._see(entry, ref, ref.split, {self._field: content}, tally)

    def of_row(self, ref: Ref, known: Mapping[str, Any], content: Content, chain: Chain, tally: Tally) -> LevelsRow | None:
        """Add what a finished row says to `tally`. The byte values of its content, if an assertion must wait for the deferred tail."""
        waits = False
        for entry in self.leaving:
            step, kind = entry[1], entry[2]
            if not step.on_content:
                self._see(entry, ref, ref.split, known, tally)
            elif self._byte_values and chain.deferred and not isinstance(kind, DatasetAssertion):
                if kind.spec.content == "values":
                    waits = True
                else:
                    self._see_content(entry, ref, _form(content, chain.deferred[-1].out.dtype), tally)
            else:
                self._see_content(entry, ref, content, tally)
        return LevelsRow(ref.record_id, ref.split, levels_of(content)) if waits else None

    def of_levels(self, row: LevelsRow, table: Any, tally: Tally) -> None:
        """Add what the values a reader sees say, from a record's levels and what the tail makes of every level (256, channels)."""
        values = values_at(row.levels, table)
        for i, step, kind, params in self.leaving:
            if step.on_content and kind.spec.content == "values" and not isinstance(kind, DatasetAssertion):
                _count(tally, i, CHECKED)
                if bad := _said(step, kind.offence, values, params):
                    _count(tally, i, FAILED, row.record_id, bad)

    def _see(self, entry: tuple[int, ContractStep, Any, Any], ref: Ref, split: str, values: Mapping[str, Any], tally: Tally) -> str:
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
        """The assertions that can stop a run before anything is decoded: errors about references that need no other instance."""
        return [
            i
            for i, step, kind, _ in self.references
            if step.severity == "error" and not step.imports and (isinstance(kind, DatasetAssertion) or not self.quarantines)
        ]

    def judge(
        self,
        tally: Tally,
        *,
        only: Sequence[int] | None = None,
        ledger: Iterable[LedgerRow] = (),
        references: Mapping[int, Sequence[tuple[Any, int]]] | None = None,
        tail: TableOf = lambda split, channels: None,
    ) -> list[Outcome]:
        """Every assertion's outcome (or those of `only`), in the plan's order. `references` are the counts of imported distributions, and
        `tail` is what readers make of stored levels.
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
                facts = Facts(self.plan.split.splits, self.plan.unlabeled, (references or {}).get(i))
                counts = [(json.loads(key), count) for key, (count, _) in sorted(evidence.items())]
                if step.on_content and self._byte_values:
                    view = tail if step.section == "OutputExpectations" else (lambda split, channels: None)
                    counts = _counted_pixels(evidence, kind, params, view)
                verdict = _said(step, kind.judge, counts, params, facts)
                found.append(Outcome(step=step, verdict=verdict._replace(message="" if verdict.passed else verdict.message)))
                continue
            found.append(_of_records(step, evidence, gone.get(step.name, [])))
        return found


def _said(step: ContractStep, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What an assertion says. PluginFailed if it raises."""
    return call_plugin(step.name, f"assertion:{step.kind}", function, *args, **kwargs)


def _violation(step: ContractStep, detail: str) -> BadRecord:
    """A record that breaks an input contract and goes to the ledger for it."""
    return BadRecord(f"contract:{step.kind}", f"{step.field} {detail}", stage="InputContracts", op=step.name)


def _of_records(step: ContractStep, evidence: Mapping[str, tuple[int, str]], gone: Sequence[LedgerRow]) -> Outcome:
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
    return Outcome(step=step, verdict=Verdict(not failed, observed, message), records=tuple(named), quarantined=quarantined)


def _counted_pixels(evidence: Mapping[str, tuple[int, str]], kind: Any, params: Any, view: TableOf) -> list[tuple[list[Any], int]]:
    """What a dataset assertion counts, from the counts of levels."""
    found: dict[str, int] = {}
    for split, value, count in seen_values(evidence, view):
        key = kind.key(split, [value], params)
        if key is not None:
            found[key_text(key)] = found.get(key_text(key), 0) + count
    return [(json.loads(key), count) for key, count in sorted(found.items())]


def merged(a: tuple[int, str], b: tuple[int, str]) -> tuple[int, str]:
    """Two pieces of evidence under one key as one: counts added, of the named records the first by record key."""
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


def _count_levels(tally: Tally, contract: int, split: str, array: Any) -> None:
    for key, count in level_counts(split, array):
        known = tally.get((contract, key))
        tally[contract, key] = (count if known is None else known[0] + count, "[]")


def _form(array: Any, dtype: str) -> Any:
    """An array of the shape of one, with the dtype a reader sees and no values of its own."""
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
