"""What the language has but this release does not carry out yet: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.plugins.base import DuplicatesOp
from refinery_beam.recipe import reserved
from refinery_beam.recipe.checks.context import Context, Step
from refinery_beam.recipe.load import Recipe
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin

OPTIONAL = ("SampleData", *ASSERTION_SECTIONS, *OP_SECTIONS, "Visualizations", "Sinks")
"""The sections that a recipe may leave out; of extensions check 28 says whether the plugin reads them."""

STORED_STAGES = ("post_Transformations", "post_Featurizations", "post_Augmentations", "post_OutputExpectations", "post_Visualizations")
"""Stages whose content is the stored one; ``post_pipeline`` says so by name."""

EARLY_STAGES = ("post_Splits", "post_Filters", "post_Generation")


def refuse_unexecuted(recipe: Recipe, plugin: Plugin) -> list[RefineryError]:
    """Every section, op and option the recipe uses that loads but is not executed yet, as errors of code ``not-executed-yet``.

    The plugin says what is executed: its ``sections``, ``ops`` and ``source_types``. Overlays that were not selected are not looked
    at.
    """
    c = Context(recipe, plugin)
    return [*_sections(c), *_sources(c), *_options(c), *_stages(c), *_assertions(c)]


def _no(c: Context, what: str, *path: Step, value: str | int, remedy: str = "remove it", key: bool = False) -> RecipeError:
    return RecipeError(f"{what} is not executed yet", code="not-executed-yet", at=c.recipe.at(path, key=key), value=value, remedy=remedy)


def _sections(c: Context) -> Iterator[RecipeError]:
    for section in OPTIONAL:
        if getattr(c.model, section) and section not in c.plugin.sections:
            yield _no(c, f"the section {section}", section, value=section, remedy=f"remove {section}", key=True)
    for section, i, operation in c.operations():
        if section in c.plugin.sections and operation.op in c.plugin.known and c.plugin.op(operation.op) is None:
            have = ", ".join(sorted(n for n, o in c.plugin.ops.items() if o.spec.section == section))
            remedy = f"remove {operation.name!r}" + (f"; {section} executes {have}" if have else "")
            yield _no(c, f"the op {operation.op!r}", section, i, "op", value=operation.op, remedy=remedy)


def _sources(c: Context) -> Iterator[RecipeError]:
    executed = ", ".join(sorted(c.plugin.source_types))
    for i, source in enumerate(c.model.Input.sources):
        at = ("Input", "sources", i)
        if source.type in reserved.SOURCE_TYPES and source.type not in c.plugin.source_types:
            yield _no(c, f"the source type {source.type}", *at, "type", value=source.type, remedy=f"executed: {executed}")
        elif source.target_sample_rate is not None:
            yield _no(c, "target_sample_rate", *at, "target_sample_rate", value=source.target_sample_rate)


def _options(c: Context) -> Iterator[RecipeError]:
    for i, word in enumerate(c.model.Output.format):
        if word != "parquet":
            yield _no(c, f"Output.format {word}", "Output", "format", i, value=word, remedy="write 'format: parquet'")
    if c.model.Splits.keep_duplicates_together == "near" and not any(isinstance(op, DuplicatesOp) for op in c.plugin.ops.values()):
        at, remedy = ("Splits", "keep_duplicates_together"), "write 'keep_duplicates_together: exact'"
        yield _no(c, "keep_duplicates_together: near", *at, value="near", remedy=remedy)


def _stages(c: Context) -> Iterator[RecipeError]:
    """Sinks and pictures of stages whose content is not kept."""
    for i, sink in enumerate(c.model.Sinks if "Sinks" in c.plugin.sections else ()):
        if not _as_stored(c, sink.stage, content=sink.field == c.content):
            remedy = "write 'stage: post_pipeline': what is stored"
            yield _no(c, f"a sink at {sink.stage}", "Sinks", i, "stage", value=sink.stage, remedy=remedy)
    for i, picture in enumerate(c.model.Visualizations if "Visualizations" in c.plugin.sections else ()):
        if not _as_stored(c, picture.stage, content=getattr(c.plugin.op(picture.op), "needs_pixels", True)):
            remedy = "write 'stage: post_pipeline': pictures are drawn from stored rows"
            yield _no(c, f"a picture of {picture.stage}", "Visualizations", i, "stage", value=picture.stage, remedy=remedy)


def _as_stored(c: Context, stage: str, *, content: bool) -> bool:
    """Whether the records of a stage, and their `content` if that matters, are the ones that are stored: nothing after it changes them."""
    m = c.model
    aggressive = any(a.materialization == "aggressive" for a in m.Augmentations)
    if stage in (*STORED_STAGES, "post_pipeline"):
        return not (aggressive and stage in ("post_Transformations", "post_Featurizations"))
    if stage not in EARLY_STAGES or aggressive or (content and m.Transformations):
        return False
    filtered = any("post_split" in f.stages for f in m.Filters)
    later = (filtered, bool(m.Generation))
    return not any(later[EARLY_STAGES.index(stage) :])


def _assertions(c: Context) -> Iterator[RecipeError]:
    """Kinds of assertion that the plugin does not have."""
    for section in ASSERTION_SECTIONS:
        for i, contract in enumerate(getattr(c.model, section) if section in c.plugin.sections else ()):
            kind = contract.assertion["kind"]
            if kind in reserved.ASSERTIONS and kind not in c.plugin.assertions:
                yield _no(c, f"the assertion {kind}", section, i, "assertion", "kind", value=kind)
