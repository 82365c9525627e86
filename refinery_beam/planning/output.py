"""How rows are stored: the fields that a recipe declares, with their types in the plan, and the encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refinery_beam.errors import RecipeError, RefineryError, closest
from refinery_beam.planning.filters import tags_schema
from refinery_beam.planning.nodes import Chain, FieldStep, OutputPlan
from refinery_beam.planning.storage import storage_of
from refinery_beam.plugins.base import TAGS_FIELD, ArrayType, FieldType, Plugin
from refinery_beam.recipe import Recipe

METADATA_FIELDS = ("record_id", "path", "partition")


def build_output(
    recipe: Recipe,
    plugin: Plugin,
    fields: Sequence[FieldStep],
    splits: Sequence[str],
    chains: Mapping[str, Chain],
    stored: ArrayType | None,
    errors: list[RefineryError],
    generated: Sequence[str] = (),
) -> OutputPlan:
    """The form of stored rows. `stored` is the type of stored content, None without any. Adds to `errors`. `generated` are the fields that
    only generated and augmented records have.
    """
    out, content = recipe.model.Output, plugin.kind.field
    made = {f.field: set(f.splits) for f in fields}
    listed: list[tuple[str, FieldType]] = []
    sidecar = _sidecar_fields(recipe)
    errors += tags_schema(recipe)
    for name, schema in out.record_schema.items():
        at = recipe.at(("Output", "record_schema", name))
        if name == content and stored is not None:
            listed.append((name, FieldType(stored.dtype, stored.shape)))
            continue
        if name in made and (missing := [s for s in splits if s not in made[name]]):
            errors.append(
                RecipeError(
                    f"field {name!r} is declared for every row but its featurization does not run on {', '.join(missing)}",
                    code="schema-reachable",
                    at=at,
                    value=name,
                    remedy="add the splits to the featurization, or drop the field from the schema",
                )
            )
        elif name not in {*made, *generated, *METADATA_FIELDS, TAGS_FIELD, recipe.model.Labels.field} and not sidecar:
            meant = closest(name, {content, *METADATA_FIELDS, recipe.model.Labels.field, *made} - set(out.record_schema))
            errors.append(
                RecipeError(
                    f"nothing makes the field {name!r} that Output.record_schema declares",
                    code="schema-reachable",
                    at=at,
                    value=name,
                    rule=f"fields: {content}, record_id, path, partition, label, sample_per_class_tags, sidecar columns, "
                    "featurization outputs, generation tags",
                    remedy=f"did you mean {meant!r}?" if meant else "drop it from the schema, or add the featurization that makes it",
                )
            )
        listed.append((name, FieldType(schema.dtype, None if schema.shape is None else tuple(schema.shape))))
    word, encoding = "none", None
    if stored is not None:
        word = out.encoding or plugin.kind.encoding_of(stored)
        _check_encoding(recipe, plugin, word, stored, chains, errors)
        encoding = plugin.encoding(word)
    return OutputPlan(
        fields=tuple(listed),
        content_field=content if stored is not None else None,
        encoding=word,
        quality=int(out.quality) if out.quality is not None else 95,
        shard_records=out.shard_records,
        shard_bytes=out.shard_bytes,
        storage=storage_of(encoding, out),
        facts=out.facts != "off",
    )


def _sidecar_fields(recipe: Recipe) -> bool:
    return any(s.label_from is not None for s in recipe.model.Input.sources)


def stores_source(recipe: Recipe, plugin: Plugin) -> bool:
    """Whether a recipe asks for the untouched bytes of the source files."""
    encoding = plugin.encodings.get(recipe.model.Output.encoding or "")
    return encoding is not None and encoding.from_source


def _check_encoding(
    recipe: Recipe, plugin: Plugin, word: str, stored: ArrayType, chains: Mapping[str, Chain], errors: list[RefineryError]
) -> None:
    kind, stated = plugin.kind, recipe.model.Output.encoding is not None
    at = recipe.at(("Output", "encoding") if stated else ("Output", "record_schema", kind.field))

    def refuse(message: str, rule: str, remedy: str) -> None:
        errors.append(RecipeError(message, code="output-options", at=at, value=word, rule=rule, remedy=remedy))

    refusal = plugin.encoding(word).refuse(stored)
    if refusal is not None and not stated and refusal.code != "encoding-size":
        refuse(
            f"the stored {kind.field} is {stored}, which no encoding of {kind.noun} holds: {refusal.message}",
            f"encodings: {', '.join(plugin.encodings)}",
            refusal.remedy,
        )
    elif refusal is not None:
        refuse(refusal.message, refusal.rule, refusal.remedy)
    elif plugin.encodings[word].from_source:
        foreign = [s.name for s in recipe.model.Input.sources if s.type not in kind.source_types]
        if foreign:
            refuse(
                f"encoding {word} keeps the original bytes of {foreign[0]!r}, which only its loader can read",
                f"{word} is legal for the built-in source types",
                "use another encoding",
            )
        eager = [s.name for c in chains.values() for s in c.eager]
        if eager:
            refuse(
                f"encoding {word} keeps the original bytes, but {', '.join(sorted(set(eager)))} changes the content",
                f"{word} is legal only when no op changes what is stored",
                "use another encoding",
            )
