"""Checks of Visualizations: stages, splits and fields that exist."""

from __future__ import annotations

from refinery_beam.plugins.pictures import PictureOp
from refinery_beam.recipe.checks.context import Context, Findings


def visualization_well_formed(c: Context) -> Findings:
    """11: a picture shows a stage that exists, splits that exist, and pixels only where images are stored."""
    for i, v in enumerate(c.model.Visualizations):
        section = v.stage.removeprefix("post_")
        if section not in ("pipeline", "Splits") and not getattr(c.model, section):
            yield c.error(
                f"{v.name!r} draws {v.stage}, but {section} is empty", ("Visualizations", i, "stage"), code="empty-stage", value=v.stage
            )
        splits = v.params.get("splits")
        for j, name in enumerate(splits if isinstance(splits, list | tuple) else ()):
            if name not in c.split_names and not c.split_layouts:
                yield c.unknown_split(
                    f"{v.name!r} draws the split {name!r}, which there is not", name, ("Visualizations", i, "params", "splits", j)
                )
        op = c.plugin.op(v.op)
        if isinstance(op, PictureOp) and op.needs_pixels and c.content not in c.model.Output.record_schema:
            yield c.error(
                f"{v.name!r} draws {c.plugin.kind.noun}, and none are stored",
                ("Visualizations", i, "op"),
                code="picture-without-image",
                value=v.op,
                content=c.content,
            )


def visualization_group_by_resolvable(c: Context) -> Findings:
    """25: pictures group by a field that exists."""
    known = c.known_fields()
    for i, v in enumerate(c.model.Visualizations):
        name = v.params.get("group_by")
        if isinstance(name, str) and name not in known and not c.open_fields:
            yield c.unknown(f"{v.name!r} groups by {name!r}, which is no field", name, known, ("Visualizations", i, "params", "group_by"))
