"""Checks of how rows are stored: dtypes and encodings."""

from __future__ import annotations

from refinery_beam.errors import did_you_mean
from refinery_beam.recipe.checks.context import Context, Findings

DTYPES = (
    *("str", "bytes", "bool", "int", "float", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "list[str]", "list[int64]", "list[float64]"),
)


def output_options(c: Context) -> Findings:
    """109: dtypes are known words, and the encoding suits format and schema."""
    output = c.model.Output
    for name, declared in output.record_schema.items():
        if declared.dtype not in DTYPES:
            yield c.error(
                f"unknown dtype {declared.dtype!r}",
                "Output",
                "record_schema",
                name,
                "dtype",
                code="unknown-dtype",
                value=declared.dtype,
                rule="dtypes: " + ", ".join(DTYPES),
                remedy=did_you_mean(declared.dtype, DTYPES),
            )
    image = output.record_schema.get("image")
    at = ("Output", "encoding")
    if output.encoding is None:
        return
    if image is None:
        yield c.warning(
            "an encoding is given, but no image is stored",
            *at,
            code="encoding-unused",
            value=output.encoding,
            rule="the encoding is that of the field 'image'",
            remedy="add image to Output.record_schema, or remove encoding",
        )
        return
    if output.encoding == "tensor" and (image.shape is None or None in image.shape):
        yield c.error(
            "encoding: tensor needs a fixed image shape",
            *at,
            code="encoding-shape",
            value=output.encoding,
            rule="a tensor column holds arrays of one shape",
            remedy="declare the whole shape in Output.record_schema.image, or write 'encoding: png'",
        )
    if output.encoding in ("png", "jpeg", "webp") and image.dtype != "uint8":
        yield c.error(
            f"encoding: {output.encoding} cannot hold {image.dtype} pixels",
            *at,
            code="encoding-dtype",
            value=output.encoding,
            rule="image files hold uint8 pixels",
            remedy="write 'encoding: tensor', or declare the image as uint8",
        )
    if output.encoding == "source":
        for section, i, operation in c.operations("Transformations"):
            spec = c.spec(section, operation)
            if spec is not None and spec.pixel_altering:
                yield c.error(
                    f"encoding: source stores the files untouched, but {operation.name!r} changes pixels",
                    *at,
                    code="encoding-source",
                    value=output.encoding,
                    rule=f"source is legal only when no op changes pixels ({c.recipe.place((section, i))})",
                    remedy="choose another encoding, or remove the operation",
                )
    if "quality" in output.model_fields_set and output.encoding not in ("jpeg", "webp"):
        yield c.warning(
            f"quality has no effect with encoding: {output.encoding}",
            "Output",
            "quality",
            code="quality-unused",
            value=output.quality,
            rule="quality belongs to jpeg and webp",
            remedy="remove it",
        )
