"""Checks of InputContracts and OutputExpectations: the fields they speak of, their kinds and parameters."""

from __future__ import annotations

from refinery_beam.recipe import reserved
from refinery_beam.recipe.checks.context import Context, Finding, Findings, Step
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS
from refinery_beam.recipe.params import validated


def contract_fields_exist_at_stage(c: Context) -> Findings:
    """17: assertions speak of fields that exist at their stage."""
    for section in ASSERTION_SECTIONS:
        known = c.known_fields(before=0 if section == "InputContracts" else None)
        for i, contract in enumerate(getattr(c.model, section)):
            named: list[tuple[str, tuple[Step, ...]]] = []
            if contract.field is not None:
                named.append((contract.field, (section, i, "field")))
            fields = contract.assertion.get("fields")
            if isinstance(fields, list):
                named += [(f, (section, i, "assertion", "fields", j)) for j, f in enumerate(fields) if isinstance(f, str)]
            for name, path in named:
                if name not in known and not c.open_fields:
                    yield c.unknown(f"{section} asserts something of {name!r}, which is no field there", name, known, path)


def assertion_params(c: Context) -> Findings:
    """105: assertions are of a known kind, with the parameters it takes."""
    for section in ASSERTION_SECTIONS:
        for i, contract in enumerate(getattr(c.model, section)):
            kind = contract.assertion["kind"]
            at = (section, i, "assertion")
            if kind in reserved.ASSERTIONS and kind not in c.plugin.assertions:
                continue  # refused as not executed yet
            if kind not in c.plugin.assertions:
                yield c.unknown(f"unknown assertion kind {kind!r}", kind, c.plugin.assertions, (*at, "kind"), code="unknown-assertion")
                continue
            spec = c.plugin.assertions[kind].spec
            fields = contract.assertion.get("fields")
            if isinstance(fields, list) and c.content in fields:
                yield c.error(
                    f"{kind} does not count {c.plugin.kind.noun}",
                    (*at, "fields", fields.index(c.content)),
                    code="assertion-field",
                    value=c.content,
                    rule="records are counted by values that can be equal",
                )
            if spec.content == "no" and contract.field == c.content:
                yield c.error(
                    f"{kind} does not look at {c.plugin.kind.noun}",
                    (section, i, "field"),
                    code="assertion-field",
                    value=c.content,
                    rule=f"of {c.plugin.kind.noun}: "
                    + ", ".join(sorted(k for k, a in c.plugin.assertions.items() if a.spec.content != "no")),
                )
            if spec.output_only and section == "InputContracts":
                yield c.error(f"{kind} is for OutputExpectations", (*at, "kind"), code="assertion-section", value=kind)
            if spec.field != (contract.field is not None):
                yield c.error(
                    f"{kind} {'needs a field' if spec.field else 'takes no field'}",
                    (section, i, *([] if spec.field else ["field"])),
                    code="assertion-field",
                    value=contract.field,
                    rule=f"{kind} speaks of {'one field' if spec.field else 'records'}",
                    remedy="add 'field: name'" if spec.field else "remove field",
                )
            written = {k: v for k, v in contract.assertion.items() if k != "kind"}
            yield from (Finding("error", e) for e in validated(c.recipe, at, written, spec.params)[1])
