"""What the language has but this release does not carry out yet: refused by name, never ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.recipe import reserved
from refinery_beam.recipe.checks.context import Context, Finding, Step
from refinery_beam.recipe.load import Recipe

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin

OPTIONAL = (
    "SampleData",
    "InputContracts",
    "Filters",
    "Generation",
    "Transformations",
    "Augmentations",
    "Featurizations",
    "OutputExpectations",
    "Visualizations",
    "Sinks",
    "extensions",
)


def refuse_unexecuted(recipe: Recipe, plugin: Plugin) -> list[RefineryError]:
    """Every section, op and option the recipe uses that loads but is not executed yet, as errors of code ``not-executed-yet``.

    What is executed is told by the plugin: its ``sections``, ``ops`` and ``source_types``. Overlays that were not selected are not looked
    at.
    """
    c = Context(recipe, plugin)
    return [f.error for f in _findings(c) if f.error is not None]


def _no(c: Context, what: str, *path: Step, remedy: str = "remove it", value: Any = None, key: bool = False) -> Finding:
    error = RecipeError(
        f"{what} is not executed yet",
        code="not-executed-yet",
        place=c.recipe.place(path, key=key),
        value=value,
        rule="this release reads the whole language and carries out a part of it; the rest is refused, not ignored",
        remedy=remedy,
    )
    return Finding("error", error)


def _findings(c: Context) -> list[Finding]:
    found: list[Finding] = []
    for section in OPTIONAL:
        if section == "extensions":
            continue  # check 28 refuses those that the plugin does not list
        if getattr(c.model, section) and section not in c.plugin.sections:
            found.append(_no(c, f"the section {section}", section, remedy=f"remove {section}", value=section, key=True))
    for section, i, operation in c.operations():
        if section not in c.plugin.sections:
            continue
        if operation.op in c.plugin.known and c.plugin.op(operation.op) is None:
            have = sorted(n for n, o in c.plugin.ops.items() if o.spec.section == section)
            found.append(
                _no(
                    c,
                    f"the op {operation.op!r}",
                    section,
                    i,
                    "op",
                    remedy=f"remove {operation.name!r}" + (f"; {section} executes {', '.join(have)}" if have else ""),
                    value=operation.op,
                )
            )
    found += _sources(c)
    found += _options(c)
    found += _beside(c)
    return found


STORED_STAGES = ("post_Transformations", "post_Featurizations", "post_Augmentations", "post_OutputExpectations", "post_Visualizations")
"""Stages whose pixels are the stored ones; ``post_pipeline`` says so by name."""


def _beside(c: Context) -> list[Finding]:
    """Sinks and pictures of stages whose pixels are not kept, and kinds of assertion that the plugin does not have."""
    found: list[Finding] = []
    for i, sink in enumerate(c.model.Sinks if "Sinks" in c.plugin.sections else ()):
        if not _as_stored(c, sink.stage, pixels=sink.field == c.content):
            remedy = "write 'stage: post_pipeline': the pixels that are stored"
            found.append(_no(c, f"a sink at {sink.stage}", "Sinks", i, "stage", remedy=remedy, value=sink.stage))
    for i, picture in enumerate(c.model.Visualizations if "Visualizations" in c.plugin.sections else ()):
        if not _as_stored(c, picture.stage, pixels=getattr(c.plugin.op(picture.op), "needs_pixels", True)):
            remedy = "write 'stage: post_pipeline': pictures are drawn from stored rows"
            found.append(_no(c, f"a picture of {picture.stage}", "Visualizations", i, "stage", remedy=remedy, value=picture.stage))
    for section in ("InputContracts", "OutputExpectations"):
        for i, contract in enumerate(getattr(c.model, section) if section in c.plugin.sections else ()):
            kind = contract.assertion["kind"]
            if kind in reserved.ASSERTIONS and kind not in c.plugin.assertions:
                found.append(_no(c, f"the assertion {kind}", section, i, "assertion", "kind", value=kind))
    return found


EARLY_STAGES = ("post_Splits", "post_Filters", "post_Generation")


def _as_stored(c: Context, stage: str, *, pixels: bool) -> bool:
    """Whether the records of a stage, and their `pixels` if those matter, are the ones that are stored: nothing after it changes them."""
    m = c.model
    aggressive = any(a.materialization == "aggressive" for a in m.Augmentations)
    if stage in (*STORED_STAGES, "post_pipeline"):
        return not (aggressive and stage in ("post_Transformations", "post_Featurizations"))
    if stage not in EARLY_STAGES or aggressive or (pixels and m.Transformations):
        return False
    filtered = any("post_split" in f.stages for f in m.Filters)
    later = (filtered, bool(m.Generation))
    return not any(later[EARLY_STAGES.index(stage) :])


def _sources(c: Context) -> list[Finding]:
    found: list[Finding] = []
    executed = ", ".join(sorted(c.plugin.source_types))
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if source.type in reserved.SOURCE_TYPES and source.type not in c.plugin.source_types:
            found.append(_no(c, f"the source type {source.type}", *at, "type", remedy=f"executed: {executed}", value=source.type))
        elif source.target_sample_rate is not None:
            found.append(_no(c, "target_sample_rate", *at, "target_sample_rate", value=source.target_sample_rate))
    return found


def _options(c: Context) -> list[Finding]:
    found: list[Finding] = []
    output, splits = c.model.Output, c.model.Splits
    for i, word in enumerate(output.format):
        if word != "parquet":
            found.append(_no(c, f"Output.format {word}", "Output", "format", i, remedy="write 'format: parquet'", value=word))
    if splits.keep_duplicates_together == "near" and not any(getattr(op, "kind", "") == "duplicates" for op in c.plugin.ops.values()):
        remedy = "write 'keep_duplicates_together: exact'"
        found.append(_no(c, "keep_duplicates_together: near", "Splits", "keep_duplicates_together", remedy=remedy, value="near"))
    return found
