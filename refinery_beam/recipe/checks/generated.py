"""The fields of generated records: a part of check 14."""

from __future__ import annotations

from refinery_beam.plugins.base import GenerateOp
from refinery_beam.recipe.checks.context import Context, Findings
from refinery_beam.recipe.model_ops import FieldSchema, GenerationStep


def generation_fields(c: Context, index: int, step: GenerationStep) -> Findings:
    """The inputs of a generation are fields; its tag fields are in the schema where the recipe names them, with the type a tag has, and
    take no other field's name.
    """
    known = c.known_fields()
    for j, name in enumerate(step.inputs):
        if name not in known and not c.open_fields:
            yield c.unknown(
                f"{step.name!r} reads {name!r}, which is no field", name, known, ("Generation", index, "inputs", j), what="fields here"
            )
    op = c.plugin.op(step.op)
    params, _ = c.params("Generation", index, step)
    if params is None or not isinstance(op, GenerateOp):
        return
    schema = c.model.Output.record_schema
    taken = {*c.loader_fields, c.label, *c.sidecar_fields, *(f.output_field for f in c.model.Featurizations)}
    for word, name in op.fields(params).items():
        at = ("Generation", index, *(("params", "tag_fields") if "tag_fields" in step.params else ("op",)))
        wanted = op.field_type(word)
        if name in taken:
            yield c.error(
                f"the tag {word} of {step.name!r} would overwrite the field {name!r}",
                at,
                code="generation-schema",
                value=name,
                rule="tags are fields of their own",
                remedy="give it another name: tag_fields: {" + f"{step.name}_{word}: {word}" + "}",
            )
        elif name not in schema and "tag_fields" in step.params:
            yield c.error(
                f"{step.name!r} tags records with {name!r}, which is not in Output.record_schema",
                at,
                code="generation-schema",
                value=name,
                rule="the tag fields that a recipe names are stored, so the schema declares them",
                remedy=f"add '{name}: {{dtype: {wanted.dtype}}}' to Output.record_schema",
            )
        elif name in schema and not _fits(schema[name], wanted.dtype):
            yield c.error(
                f"Output.record_schema declares {name!r} as {schema[name].dtype}, the tag {word} is {wanted.dtype}",
                ("Output", "record_schema", name),
                code="generation-schema",
                value=schema[name].dtype,
                rule="a tag has its own type",
                remedy=f"write 'dtype: {wanted.dtype}'",
            )


def _fits(declared: FieldSchema, wanted: str) -> bool:
    if declared.shape is not None:
        return False
    if wanted == "int64":
        return "int" in declared.dtype
    return declared.dtype in {"str": ("str", "string"), "uint64": ("uint64",)}.get(wanted, (wanted,))
