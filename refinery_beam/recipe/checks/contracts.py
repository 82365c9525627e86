"""Checks of InputContracts and OutputExpectations: the fields they speak of, their kinds and parameters."""

from __future__ import annotations

from typing import Any

from refinery_beam.errors import did_you_mean
from refinery_beam.recipe.checks.context import Context, Finding, Findings, Step
from refinery_beam.recipe.checks.stored import DTYPES
from refinery_beam.recipe.params import model_errors

# kind -> (takes a field: yes, no, or either; parameters: name -> (type, required); for OutputExpectations only)
ASSERTIONS: dict[str, tuple[bool | None, dict[str, tuple[str, bool]], bool]] = {
    "record_count_in_range": (False, {"min": ("int", False), "max": ("int", False)}, False),
    "required_field": (True, {}, False),
    "dtype_equals": (True, {"expected": ("text", True)}, False),
    "value_range": (True, {"min": ("number", False), "max": ("number", False)}, False),
    "distributional": (True, {"reference": ("mapping", True), "distance": ("text", True), "max": ("number", True)}, False),
    "split_record_counts": (False, {"counts": ("counts", True)}, True),
    "per_class_count_per_split": (True, {"per_class": ("int", True), "tolerance": ("int", False)}, True),
    "count_by_field": (True, {"value_per_key": ("int", True)}, False),
    "count_by_fields": (False, {"fields": ("texts", True), "value_per_combination": ("int", True)}, False),
    "shape_equals": (True, {"value": ("ints", True)}, False),
    "value_in_set": (True, {"value": ("list", True)}, False),
    "per_class_count_equals": (True, {"value": ("int", True)}, False),
}


_EXPECTED = ("int", "float", "bool", "str", "bytes", *(d for d in DTYPES if d[-1].isdigit()))
_WORDS = {
    "int": "a whole number of at least 0",
    "number": "a number",
    "text": "text",
    "texts": "a list of field names",
    "ints": "a list of whole numbers",
    "list": "a list",
    "counts": "a mapping of splits to whole numbers",
    "mapping": "a mapping",
}


def contract_fields_exist_at_stage(c: Context) -> Findings:
    """17: assertions speak of fields that exist at their stage."""
    for section in ("InputContracts", "OutputExpectations"):
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
                    yield c.error(
                        f"{section} asserts something of {name!r}, which is no field there",
                        *path,
                        code="unknown-field-name",
                        value=name,
                        rule=f"fields: {', '.join(known)}",
                        remedy=did_you_mean(name, known),
                    )


def assertion_params(c: Context) -> Findings:
    """105: assertions are of a known kind, with the parameters it takes."""
    for section in ("InputContracts", "OutputExpectations"):
        for i, contract in enumerate(getattr(c.model, section)):
            kind = contract.assertion["kind"]
            at = (section, i, "assertion")
            kinds = list(dict.fromkeys((*ASSERTIONS, *c.plugin.assertions)))
            if kind not in kinds:
                yield c.error(
                    f"unknown assertion kind {kind!r}",
                    *at,
                    "kind",
                    code="unknown-assertion",
                    value=kind,
                    rule="kinds: " + ", ".join(kinds),
                    remedy=did_you_mean(kind, kinds),
                )
                continue
            spec = c.plugin.assertions[kind].spec if kind in c.plugin.assertions else None
            fields = contract.assertion.get("fields")
            if isinstance(fields, list) and c.content in fields:
                yield c.error(
                    f"{kind} does not count {c.plugin.kind.noun}",
                    *at,
                    "fields",
                    fields.index(c.content),
                    code="assertion-field",
                    value=c.content,
                    rule="records are counted by values that can be equal",
                    remedy="name another field",
                )
            if spec is not None and spec.content == "no" and contract.field == c.content:
                yield c.error(
                    f"{kind} does not look at {c.plugin.kind.noun}",
                    section,
                    i,
                    "field",
                    code="assertion-field",
                    value=c.content,
                    rule=f"of {c.plugin.kind.noun}: "
                    + ", ".join(sorted(k for k, a in c.plugin.assertions.items() if a.spec.content != "no")),
                    remedy="name another field",
                )
            if kind in ASSERTIONS:
                needs_field, params, late = ASSERTIONS[kind]
            else:
                assert spec is not None
                needs_field, params, late = spec.field, {}, spec.output_only
            if late and section == "InputContracts":
                yield c.error(
                    f"{kind} is for OutputExpectations",
                    *at,
                    "kind",
                    code="assertion-section",
                    value=kind,
                    rule="input contracts are checked before splits are made",
                    remedy="move it to OutputExpectations",
                )
            if needs_field is not None and needs_field != (contract.field is not None):
                yield c.error(
                    f"{kind} {'needs a field' if needs_field else 'takes no field'}",
                    section,
                    i,
                    *([] if needs_field else ["field"]),
                    code="assertion-field",
                    value=contract.field,
                    rule=f"{kind} speaks of {'one field' if needs_field else 'records'}",
                    remedy="add 'field: name'" if needs_field else "remove field",
                )
            found = list(_parameters(c, at, contract.assertion, kind, params)) if kind in ASSERTIONS else []
            yield from found
            if spec is not None and not found:
                written = {k: v for k, v in contract.assertion.items() if k != "kind"}
                yield from (Finding("error", e) for e in model_errors(c.recipe, at, written, spec.params))


def _parameters(c: Context, at: tuple[Step, ...], given: dict[str, Any], kind: str, params: dict[str, tuple[str, bool]]) -> Findings:
    for name in given:
        if name != "kind" and name not in params:
            yield c.error(
                f"{kind} has no parameter {name!r}",
                *at,
                name,
                key=True,
                code="unknown-field",
                value=name,
                rule=f"{kind} takes {', '.join(params) or 'no parameters'}",
                remedy=did_you_mean(name, params) if params else "remove it",
            )
    for name, (what, required) in params.items():
        if name not in given:
            if required:
                yield c.error(
                    f"{kind} lacks {name!r}", *at, code="missing-field", rule=f"{name!r} is {_WORDS[what]}", remedy=f"add '{name}:'"
                )
        elif not _fits(given[name], what) or (name == "expected" and given[name] not in _EXPECTED):
            yield c.error(
                f"{name} of {kind} must be {_WORDS[what]}" if name != "expected" else f"unknown dtype {given[name]!r}",
                *at,
                name,
                code="bad-type",
                value=str(given[name]),
                rule=f"{name!r} is {_WORDS[what]}" if name != "expected" else "a dtype word",
                remedy=did_you_mean(str(given[name]), _EXPECTED) if name == "expected" else "change the value",
            )
    if {"min", "max"} <= set(params):
        low, high = given.get("min"), given.get("max")
        if low is None and high is None:
            yield c.error(
                f"{kind} has neither min nor max",
                *at,
                code="missing-field",
                rule="a range has at least one end",
                remedy="add 'min:' or 'max:'",
            )
        elif _fits(low, "number") and _fits(high, "number") and low > high:  # type: ignore[operator]
            yield c.error(
                f"min {low} is above max {high}",
                *at,
                "min",
                code="bad-value",
                value=low,
                rule="min is at most max",
                remedy="swap them",
            )


def _fits(value: Any, what: str) -> bool:
    if what == "int":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if what == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if what == "text":
        return isinstance(value, str)
    if what == "mapping":
        return isinstance(value, dict)
    if what == "counts":
        return isinstance(value, dict) and all(_fits(v, "int") for v in value.values())
    if not isinstance(value, list):
        return False
    inner = {"texts": "text", "ints": "int"}.get(what)
    return inner is None or (bool(value) and all(_fits(v, inner) for v in value))
