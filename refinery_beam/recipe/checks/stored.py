"""Checks of how rows are stored: dtypes and encodings."""

from __future__ import annotations

from refinery_beam.dtypes import WORDS
from refinery_beam.plugins.base import ArrayType
from refinery_beam.recipe.checks.context import Context, Findings
from refinery_beam.recipe.params import decode_policy, validated


def output_options(c: Context) -> Findings:
    """109: dtypes are known words, and the encoding suits format and schema."""
    output = c.model.Output
    for name, declared in output.record_schema.items():
        if declared.dtype not in WORDS:
            yield c.unknown(
                f"unknown dtype {declared.dtype!r}",
                declared.dtype,
                WORDS,
                ("Output", "record_schema", name, "dtype"),
                code="unknown-dtype",
            )
    kind, at = c.plugin.kind, ("Output", "encoding")
    content = output.record_schema.get(kind.field)
    if content is None and output.row_group_bytes is not None:
        message, row_groups = f"row_group_bytes is given, but no {kind.field or 'content'} is stored", ("Output", "row_group_bytes")
        yield c.warning(message, row_groups, code="row-groups-unused", value=output.row_group_bytes, field=kind.field or "content")
    if output.encoding is None:
        return
    encoding = c.plugin.encodings.get(output.encoding)
    if encoding is None:
        message, what = f"unknown encoding {output.encoding!r}", f"encodings of {kind.noun}"
        yield c.unknown(message, output.encoding, c.plugin.encodings, at, code="bad-value", what=what)
        return
    if content is None:
        yield c.warning(
            f"an encoding is given, but no {kind.field} is stored", at, code="encoding-unused", value=output.encoding, field=kind.field
        )
        return
    unknown = kind.decoded(decode_policy(c.recipe, c.plugin)).shape if _policy_holds(c) else ()
    type = ArrayType(content.dtype, tuple(content.shape) if content.shape is not None else tuple(None for _ in unknown))
    refusal = encoding.refuse(type)
    if refusal is not None:
        yield c.error(refusal.message, at, code=refusal.code, value=output.encoding, rule=refusal.rule, remedy=refusal.remedy)
    if encoding.from_source:
        for section, i, operation in c.operations("Transformations"):
            spec = c.spec(section, operation)
            if spec is not None and spec.pixel_altering:
                yield c.error(
                    f"encoding: {encoding.name} stores the files untouched, but {operation.name!r} changes their content",
                    at,
                    code="encoding-source",
                    value=output.encoding,
                    encoding=encoding.name,
                    op_at=c.recipe.at((section, i)),
                )
    if "quality" in output.model_fields_set and encoding.lossless:
        yield c.warning(
            f"quality has no effect with encoding: {encoding.name}", ("Output", "quality"), code="quality-unused", value=output.quality
        )


def _policy_holds(c: Context) -> bool:
    return not validated(c.recipe, ("Input", "decode"), c.model.Input.decode, c.plugin.kind.policy)[1]
