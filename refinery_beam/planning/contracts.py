"""The assertions of a plan, and how a recipe becomes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from refinery_beam.errors import RecipeError, RefineryError, did_you_mean
from refinery_beam.plugins.base import DatasetAssertion, FeaturizeOp, Plugin
from refinery_beam.plugins.fact_columns import DERIVED
from refinery_beam.recipe import Recipe

COMPARED = "imported"
"""Replaces the location of an instance in a plan, whose identity has no locations; the recipe side of the key has the instance's key."""


@dataclass(frozen=True, kw_only=True)
class ContractStep:
    """One assertion. ``at`` is its position in the recipe, no part of a key; ``compares``: it compares with another instance;
    ``on_content``: it reads the content of records.
    """

    section: Literal["InputContracts", "OutputExpectations"]
    index: int
    field: str | None
    kind: str
    version: int
    params: Mapping[str, Any]
    severity: Literal["error", "warning"]
    at: str = ""
    compares: bool = False
    on_content: bool = False

    @property
    def name(self) -> str:
        """How ledger and messages call it."""
        return f"{self.section}[{self.index}]"

    def identity(self) -> list[Any]:
        return [self.section, self.field, self.kind, self.version, dict(self.params), self.severity]


def build_contracts(recipe: Recipe, plugin: Plugin, errors: list[RefineryError]) -> tuple[ContractStep, ...]:
    """The assertions of both sections, in the recipe's order. Kinds and parameters have been checked."""
    late = {f.output_field: f.name for f in recipe.model.Featurizations if _from_pixels(plugin, f.op)}
    found = []
    for section in ("InputContracts", "OutputExpectations"):
        for i, contract in enumerate(getattr(recipe.model, section)):
            kind = contract.assertion["kind"]
            assertion = plugin.assertions.get(kind)
            if assertion is None:
                continue  # check 105 has said so
            written = {k: v for k, v in contract.assertion.items() if k != "kind"}
            params = assertion.spec.params.model_validate(written).model_dump(mode="json", exclude_none=True)
            comparison = params.get("reference")
            compares = isinstance(comparison, dict) and comparison.get("instance") is not None
            if compares:
                params = {**params, "reference": {**params["reference"], "instance": COMPARED}}
            if assertion.spec.fact:
                errors += _check_fact(recipe, plugin, params["fact"], (section, i, "assertion", "fact"))
            names = [contract.field, *(params.get("fields") or ())]
            if section == "InputContracts" and (made := [n for n in names if n in late]):
                errors.append(
                    RecipeError(
                        f"InputContracts asserts something of {made[0]!r}, which {late[made[0]]!r} makes of pixels later",
                        code="unknown-field-name",
                        at=recipe.at((section, i)),
                        value=made[0],
                        rule="input contracts speak of what comes in",
                        remedy="move it to OutputExpectations",
                    )
                )
            found.append(
                ContractStep(
                    section=section,
                    index=i,
                    field=contract.field,
                    kind=kind,
                    version=assertion.spec.version,
                    params=params,
                    severity=contract.severity,
                    at=recipe.at((section, i)),
                    compares=compares,
                    on_content=bool(plugin.kind.field) and contract.field == plugin.kind.field,
                )
            )
    return tuple(found)


def check_tails(plugin: Plugin, contracts: Sequence[ContractStep], chains: Mapping[str, Any], errors: list[RefineryError]) -> None:
    """Refuse, by name, assertions about the values of a deferred tail that does not start from 8-bit values: others are too many."""
    if not plugin.kind.byte_values:
        return  # such content is observed record by record
    others = [c for c in chains.values() if plugin.kind.accumulator(c.stored) is None]
    tails = [c for c in others if c.deferred]
    noun, field = plugin.kind.noun, plugin.kind.field
    for step in contracts:
        if not step.on_content or step.section != "OutputExpectations":
            continue
        assertion = plugin.assertions[step.kind]
        if others and isinstance(assertion, DatasetAssertion):
            errors.append(
                RecipeError(
                    f"{step.kind} cannot count the values of {others[0].stored.dtype} {noun}",
                    code="assertion-field",
                    at=step.at,
                    value=step.kind,
                    rule="values are counted by their 256 levels, and what readers make of them is derived from that",
                    remedy=f"declare the {field} as uint8, as it is before normalize, mean_subtract and cast: readers see the same",
                )
            )
        elif tails and assertion.spec.content == "values":
            errors.append(
                RecipeError(
                    f"{step.kind} of content that readers make from {tails[0].stored.dtype} {noun} is not executed yet",
                    code="not-executed-yet",
                    at=step.at,
                    value=step.kind,
                    rule="what a reader sees is derived from the 256 levels of 8-bit values",
                    remedy=f"declare in Output.record_schema.{field} what holds after the last transformation",
                )
            )


def _check_fact(recipe: Recipe, plugin: Plugin, fact: str, path: tuple[Any, ...]) -> list[RecipeError]:
    """What is wrong with a fact that an assertion names: there are none, or none of that name."""
    if recipe.model.Output.facts == "off":
        return [
            RecipeError(
                f"an expectation speaks of the fact {fact!r}, and Output.facts is off",
                code="unknown-field-name",
                at=recipe.at(path),
                value=fact,
                rule="facts are there where Output.facts is on",
                remedy="leave 'facts: off' out",
            )
        ]
    kind = plugin.kind
    types = {"bytes": "int64", **kind.fact_types, **(kind.measures.types if kind.measures is not None else {})}
    numbers = [name for name, dtype in types.items() if dtype != "str"]
    known = [*numbers, *(name for name, derived in DERIVED.items() if all(need in numbers for need in derived.needs))]
    if fact in known:
        return []
    return [
        RecipeError(
            f"{plugin.kind.noun} have no fact {fact!r}",
            code="unknown-field-name",
            at=recipe.at(path),
            value=fact,
            rule="a fact is a number of facts/records.parquet, or derived from these",
            remedy=did_you_mean(fact, known),
        )
    ]


def _from_pixels(plugin: Plugin, name: str) -> bool:
    op = plugin.op(name)
    return isinstance(op, FeaturizeOp) and op.needs_pixels
