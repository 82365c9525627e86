"""What a plan does beside the dataset itself: assertions, a sample, files a record. Tiny frozen nodes, and how a recipe becomes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from refinery_beam.errors import RecipeError, RefineryError, did_you_mean
from refinery_beam.plugins.base import DatasetAssertion, FeaturizeOp, FieldType, Plugin
from refinery_beam.recipe import Recipe, section_seed

IMAGE = "image"
IMPORTED = "imported"
"""Stands for the location of an instance, which is no part of what a plan is; its key is in the recipe side of the instance key."""

TOKEN = re.compile(r"\{([^{}|]*)(?:\|([a-z]+))?\}")


@dataclass(frozen=True, kw_only=True)
class ContractStep:
    """One assertion. ``place`` is where it stands in the recipe, no part of a key; ``imports``: it compares with an instance."""

    section: Literal["InputContracts", "OutputExpectations"]
    index: int
    field: str | None
    kind: str
    version: int
    params: Mapping[str, Any]
    severity: Literal["error", "warning"]
    place: str = ""
    imports: bool = False

    @property
    def name(self) -> str:
        """How ledger and messages call it."""
        return f"{self.section}[{self.index}]"

    @property
    def on_pixels(self) -> bool:
        """Whether it looks at images."""
        return self.field == IMAGE

    def identity(self) -> list[Any]:
        return [self.section, self.field, self.kind, self.version, dict(self.params), self.severity]


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """A sample of the final records: `n` of each stratum, or `fraction` (an exact decimal text) of it, rounded down."""

    n: int | None
    fraction: str | None
    kind: Literal["uniform", "per_class"]
    splits: tuple[str, ...]
    seed: int

    def quota(self, records: int) -> int:
        """How many of `records` records are taken.

        >>> SamplePlan(n=None, fraction="0.1", kind="uniform", splits=(), seed=0).quota(29)
        2
        """
        return min(self.n, records) if self.n is not None else int(Fraction(self.fraction or "0") * records)

    def identity(self) -> list[Any]:
        return [self.n, self.fraction, self.kind, list(self.splits), self.seed]


@dataclass(frozen=True, kw_only=True)
class SinkStep:
    """One file a record: `field` as a PNG image or a float32 NumPy array, below ``sinks/<name>/``, named by the template."""

    name: str
    field: str
    format: Literal["png_per_record", "npy_per_record"]
    template: str
    splits: tuple[str, ...]

    def identity(self) -> list[Any]:
        return [self.name, self.field, self.format, self.template, list(self.splits)]


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
            reference = params.get("reference")
            imports = isinstance(reference, dict) and reference.get("instance") is not None
            if imports:
                params = {**params, "reference": {**params["reference"], "instance": IMPORTED}}
            names = [contract.field, *(params.get("fields") or ())]
            if section == "InputContracts" and (made := [n for n in names if n in late]):
                errors.append(
                    RecipeError(
                        f"InputContracts asserts something of {made[0]!r}, which {late[made[0]]!r} makes of pixels later",
                        code="unknown-field-name",
                        place=recipe.place((section, i)),
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
                    place=recipe.place((section, i)),
                    imports=imports,
                )
            )
    return tuple(found)


def check_tails(
    recipe: Recipe, plugin: Plugin, contracts: Sequence[ContractStep], chains: Mapping[str, Any], errors: list[RefineryError]
) -> None:
    """Refuse, by name, assertions about the values of a deferred tail that does not start from 8-bit pixels: they have too many levels."""
    tails = [c for c in chains.values() if c.deferred and c.stored.dtype != "uint8"]
    others = [c for c in chains.values() if c.stored.dtype != "uint8"]
    for step in contracts:
        counted = step.on_pixels and isinstance(plugin.assertions[step.kind], DatasetAssertion)
        if others and counted and step.section == "OutputExpectations":
            errors.append(
                RecipeError(
                    f"{step.kind} cannot count the values of {others[0].stored.dtype} pixels",
                    code="assertion-field",
                    place=step.place,
                    value=step.kind,
                    rule="pixels are counted by their 256 levels, and what readers make of them is derived from that",
                    remedy="declare the image as uint8, as it is before normalize, mean_subtract and cast: readers see the same",
                )
            )
            continue
        if tails and step.section == "OutputExpectations" and step.on_pixels and plugin.assertions[step.kind].spec.pixels == "values":
            errors.append(
                RecipeError(
                    f"{step.kind} of an image that readers make from {tails[0].stored.dtype} pixels is not executed yet",
                    code="not-executed-yet",
                    place=step.place,
                    value=step.kind,
                    rule="what a reader sees is derived from the 256 levels of 8-bit pixels",
                    remedy="declare in Output.record_schema.image what holds after the last transformation",
                )
            )


def build_sample(recipe: Recipe, splits: Sequence[str]) -> SamplePlan | None:
    """The sample the recipe asks for, or None."""
    data = recipe.model.SampleData
    if data is None:
        return None
    s = data.selector
    return SamplePlan(
        n=s.n,
        fraction=None if s.fraction is None else repr(float(s.fraction)),
        kind=s.kind,
        splits=tuple(x for x in splits if s.splits is None or x in s.splits),
        seed=section_seed(recipe, s.seed, "SampleData"),
    )


def build_sinks(
    recipe: Recipe, splits: Sequence[str], fields: Mapping[str, FieldType], image: Any, errors: list[RefineryError]
) -> tuple[SinkStep, ...]:
    """The sinks of a recipe; `fields` are the known types of stored fields and `image` the type of stored pixels."""
    found = []
    for i, sink in enumerate(recipe.model.Sinks):
        problem = _sink_problem(sink, fields, image)
        if problem:
            errors.append(
                RecipeError(
                    f"the sink {sink.name!r} {problem}",
                    code="sink-field",
                    place=recipe.place(("Sinks", i, "field")),
                    value=sink.field,
                    rule="png_per_record writes 8-bit images of 1, 3 or 4 channels; npy_per_record writes images and fields of numbers",
                    remedy="name another field or format",
                )
            )
        for j, name in enumerate(sink.splits or ()):
            if name not in splits:
                errors.append(
                    RecipeError(
                        f"unknown split {name!r}",
                        code="unknown-split",
                        place=recipe.place(("Sinks", i, "splits", j)),
                        value=name,
                        rule="defined splits: " + ", ".join(splits),
                        remedy=did_you_mean(name, splits),
                    )
                )
        wanted = tuple(s for s in splits if sink.splits is None or s in sink.splits)
        found.append(SinkStep(name=sink.name, field=sink.field, format=sink.format, template=sink.path_template, splits=wanted))
    return tuple(found)


def _sink_problem(sink: Any, fields: Mapping[str, FieldType], image: Any) -> str:
    if sink.field == IMAGE:
        if image is None:
            return "has no image to write"
        if sink.format == "npy_per_record":
            return ""
        channels = 1 if len(image.shape) == 2 else image.shape[2]
        if image.dtype != "uint8" or channels not in (None, 1, 3, 4):
            return f"would write PNG files of {image}"
        return ""
    if sink.format == "png_per_record":
        return f"would write PNG files of {sink.field!r}, which is no image"
    declared = fields.get(sink.field)
    if declared is None or declared.dtype.rstrip("0123456789") not in ("int", "uint", "float"):
        return f"would write arrays of {sink.field!r}, which is not declared as numbers"
    return ""


def _from_pixels(plugin: Plugin, name: str) -> bool:
    op = plugin.op(name)
    return isinstance(op, FeaturizeOp) and op.needs_pixels
