"""How rows are stored: the fields a recipe declares, with the types the plan makes of them, and their encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.errors import RecipeError, RefineryError, closest
from refinery_beam.plan.choices import tags_schema
from refinery_beam.plan.nodes import FieldStep, OutputPlan
from refinery_beam.plugins.base import (
    TAGS_FIELD,
    FieldType,
)
from refinery_beam.recipe import Recipe

METADATA_FIELDS = ("record_id", "path", "partition")


def build_output(
    recipe: Recipe,
    fields: Sequence[FieldStep],
    splits: Sequence[str],
    image_field: str | None,
    chains: Mapping[str, Any],
    output_type: Any,
    errors: list[RefineryError],
    children: Sequence[str] = (),
) -> OutputPlan:
    """What a stored row looks like. What cannot be is added to `errors`; `children` are fields that only made records have."""
    out = recipe.model.Output
    made = {f.field: set(f.splits) for f in fields}
    listed: list[tuple[str, FieldType]] = []
    sidecar = _sidecar_fields(recipe)
    errors += tags_schema(recipe)
    for name, schema in out.record_schema.items():
        place = recipe.place(("Output", "record_schema", name))
        if name == image_field:
            stored = output_type
            listed.append((name, FieldType(stored.dtype, stored.shape)))
            continue
        if name in made and (missing := [s for s in splits if s not in made[name]]):
            errors.append(
                RecipeError(
                    f"field {name!r} is declared for every row but its featurization does not run on {', '.join(missing)}",
                    code="schema-reachable",
                    place=place,
                    value=name,
                    rule="every stored row has every field of Output.record_schema",
                    remedy="add the splits to the featurization, or drop the field from the schema",
                )
            )
        elif name not in {*made, *children, *METADATA_FIELDS, TAGS_FIELD, recipe.model.Labels.field} and not sidecar:
            meant = closest(name, {"image", *METADATA_FIELDS, recipe.model.Labels.field, *made} - set(out.record_schema))
            errors.append(
                RecipeError(
                    f"nothing makes the field {name!r} that Output.record_schema declares",
                    code="schema-reachable",
                    place=place,
                    value=name,
                    rule="fields: image, record_id, path, partition, label, sample_per_class_tags, sidecar columns, "
                    "featurization outputs, generation tags",
                    remedy=f"did you mean {meant!r}?" if meant else "drop it from the schema, or add the featurization that makes it",
                )
            )
        listed.append((name, FieldType(schema.dtype, None if schema.shape is None else tuple(schema.shape))))
    encoding: str | None = out.encoding
    if image_field is None:
        encoding = "none"
    elif encoding is None:
        encoding = "tensor" if output_type.fixed else "png"
    assert encoding is not None
    if image_field is not None:
        _check_encoding(recipe, encoding, output_type, chains, errors)
    return OutputPlan(
        fields=tuple(listed),
        image_field=image_field,
        encoding=encoding,
        quality=int(out.quality) if out.quality is not None else 95,
        shard_records=out.shard_records,
        shard_bytes=out.shard_bytes,
    )


def _sidecar_fields(recipe: Recipe) -> bool:
    return any(s.label_from is not None for s in recipe.model.Input.sources)


def _check_encoding(recipe: Recipe, encoding: str, stored: Any, chains: Mapping[str, Any], errors: list[RefineryError]) -> None:
    place = recipe.place(("Output", "encoding") if recipe.model.Output.encoding else ("Output", "record_schema", "image"))

    def refuse(message: str, rule: str, remedy: str) -> None:
        errors.append(RecipeError(message, code="output-options", place=place, value=encoding, rule=rule, remedy=remedy))

    if recipe.model.Output.encoding is None and not stored.fixed and stored.dtype != "uint8":
        refuse(
            f"the stored image is {stored}: without one shape for all it is no tensor, and without 8-bit values no image file",
            "images of one shape are stored as tensors, 8-bit images of any shape as PNG",
            "give all images one shape (resize, center_crop, pad; Output.record_schema.image), or declare what holds before the operations "
            "that make it " + stored.dtype,
        )
    elif encoding == "tensor" and not stored.fixed:
        refuse(
            f"encoding tensor needs one shape for all records, but the stored image is {stored}",
            "a tensor column has a fixed number of bytes a row",
            "add a resize, center_crop or pad of fixed size, declare the shape in Output.record_schema.image, or use encoding: png",
        )
    elif encoding in ("png", "jpeg", "webp"):
        channels = 1 if len(stored.shape) == 2 else stored.shape[2]
        allowed = {"png": (1, 3, 4), "jpeg": (1, 3), "webp": (3,)}[encoding]
        if stored.dtype != "uint8" or (channels is not None and channels not in allowed):
            refuse(
                f"encoding {encoding} stores 8-bit images with {' or '.join(map(str, allowed))} channels, but the stored image is {stored}",
                "image codecs hold 8-bit pixels",
                "declare dtype uint8 in Output.record_schema.image (normalize is then applied when reading), or use encoding: tensor",
            )
    elif encoding == "source":
        foreign = [s.name for s in recipe.model.Input.sources if s.type not in ("image_folder", "image_flat", "image_tree")]
        if foreign:
            refuse(
                f"encoding source keeps the original bytes of {foreign[0]!r}, which only its loader can read",
                "source is legal for the built-in source types",
                "use encoding: png or tensor",
            )
        eager = [s.name for c in chains.values() for s in c.eager]
        if eager:
            refuse(
                f"encoding source keeps the original bytes, but {', '.join(sorted(set(eager)))} changes the pixels",
                "source is legal only when no op changes what is stored",
                "use encoding: png or tensor",
            )
