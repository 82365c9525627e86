"""The sinks of a plan, files a record, and how a recipe becomes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from refinery_beam.errors import RecipeError, RefineryError, did_you_mean
from refinery_beam.plugins.base import ArrayType, FieldType, Plugin
from refinery_beam.recipe import Recipe

TOKEN = re.compile(r"\{([^{}|]*)(?:\|([a-z]+))?\}")


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


def build_sinks(
    recipe: Recipe,
    plugin: Plugin,
    splits: Sequence[str],
    fields: Mapping[str, FieldType],
    content: ArrayType | None,
    errors: list[RefineryError],
) -> tuple[SinkStep, ...]:
    """The sinks of a recipe; `fields` are the known types of stored fields and `content` the type of stored content."""
    found = []
    for i, sink in enumerate(recipe.model.Sinks):
        problem = _sink_problem(sink, plugin, fields, content)
        if problem:
            errors.append(
                RecipeError(f"the sink {sink.name!r} {problem}", code="sink-field", at=recipe.at(("Sinks", i, "field")), value=sink.field)
            )
        for j, name in enumerate(sink.splits or ()):
            if name not in splits:
                errors.append(
                    RecipeError(
                        f"unknown split {name!r}",
                        code="unknown-split",
                        at=recipe.at(("Sinks", i, "splits", j)),
                        value=name,
                        remedy=did_you_mean(name, splits),
                        known=splits,
                    )
                )
        wanted = tuple(s for s in splits if sink.splits is None or s in sink.splits)
        found.append(SinkStep(name=sink.name, field=sink.field, format=sink.format, template=sink.path_template, splits=wanted))
    return tuple(found)


def _sink_problem(sink: Any, plugin: Plugin, fields: Mapping[str, FieldType], content: ArrayType | None) -> str:
    kind = plugin.kind
    if sink.field == kind.field:
        if content is None:
            return f"has no {kind.field} to write"
        if sink.format == "npy_per_record":
            return "" if kind.byte_values else f"would write arrays of {content}"
        png = plugin.encodings.get("png")
        return f"would write PNG files of {content}" if png is None or png.refuse(content) is not None else ""
    if sink.format == "png_per_record":
        return f"would write PNG files of {sink.field!r}, which is no image"
    declared = fields.get(sink.field)
    if declared is None or declared.dtype.rstrip("0123456789") not in ("int", "uint", "float"):
        return f"would write arrays of {sink.field!r}, which is not declared as numbers"
    return ""
