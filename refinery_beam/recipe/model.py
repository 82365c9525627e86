"""The recipe as a typed, frozen value: one model a section, attributes named exactly as in the YAML.

These models say what a well-formed recipe is; whether it makes sense is the business of `refinery_beam.recipe.checks`. Unknown words are
refused everywhere but inside ``params``, ``assertion`` and ``extensions``. Text is never read as a number, and true and false never are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.broken_rule import broken_rule
from refinery_beam.plugins.compression import PATTERN, normal_compression
from refinery_beam.recipe.model_ops import (
    Augmentation,
    Contract,
    Featurization,
    FieldSchema,
    Filter,
    GenerationStep,
    Section,
    SeedForm,
    Sink,
    Transformation,
    Visualization,
)
from refinery_beam.tables.text import known_encoding

SEED_MIN, SEED_MAX = -(2**63), 2**64 - 1


def _location(value: Any) -> Any:
    if isinstance(value, str):
        if not value.strip():
            raise PydanticCustomError("recipe_rule", "is empty", {"code": "bad-location", "rule": "a location names a file or folder"})
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise PydanticCustomError(
                "recipe_rule",
                "holds a control character",
                {
                    "code": "bad-location",
                    "rule": "a location is printable text",
                    "remedy": "backslashes in double quotes are escapes: use single quotes, or forward slashes",
                },
            )
    return value


Location: TypeAlias = Annotated[
    str, BeforeValidator(_location), Field(description="A path (relative ones to the recipe file), a URL, or ${env:NAME}/sub.")
]


def _one_or_many(value: Any) -> Any:
    # A function between JSON and the strict model must hand on a tuple: JSON's lists are accepted only where nothing touched them.
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class LabelFrom(Section):
    """A table of labels beside the images.

    ``header`` names the columns of a table that has no header row. ``encoding`` and ``delimiter`` say how a text table is written where it
    is not UTF-8, and not found. ``order`` is the order of files that rows follow. ``single_label`` says that every cell is one label, even
    where it looks like several.
    """

    path: Location
    join: Literal["by_id", "by_row_order"]
    header: tuple[str, ...] | None = None
    id_field: str | None = None
    label_field: str
    encoding: str | None = None
    delimiter: str | None = None
    order: Literal["natural", "lexical"] | None = None
    single_label: bool | None = None

    @model_validator(mode="after")
    def _written(self) -> LabelFrom:
        if self.encoding is not None and not known_encoding(self.encoding):
            raise broken_rule(
                f"names no encoding: {self.encoding!r}",
                at="encoding",
                rule="an encoding is a name that Python knows",
                remedy="write utf-8, utf-16, latin-1 or cp1252, or another",
            )
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            raise broken_rule(
                f"has the delimiter {self.delimiter!r}",
                at="delimiter",
                rule="a delimiter is one character, and neither a double quote nor a line break",
                remedy='write it in quotes, such as "|" or "\\t"',
            )
        if self.order is not None and self.join != "by_row_order":
            raise broken_rule(
                "has an order of rows, but joins by_id", at="order", rule="order is for join: by_row_order", remedy="remove order"
            )
        return self

    @model_validator(mode="after")
    def _columns(self) -> LabelFrom:
        if self.join == "by_id" and self.id_field is None:
            raise broken_rule(
                "lacks 'id_field'",
                code="missing-field",
                rule="join: by_id needs id_field, the column of image names",
                remedy="add 'id_field:' here",
            )
        if self.header is not None:
            if not self.header:
                raise broken_rule("has an empty header", at="header", rule="header names every column, in order", remedy="name the columns")
            if len(set(self.header)) != len(self.header):
                raise broken_rule("names a column twice", at="header", rule="column names are unique", remedy="rename one of them")
            for role in ("label_field", "id_field"):
                column = getattr(self, role)
                if column is not None and column not in self.header:
                    raise broken_rule(
                        f"{role} {column!r} is not in header",
                        at=role,
                        rule="label_field and id_field are columns",
                        remedy=did_you_mean(column, self.header),
                    )
        return self


class InputSource(Section):
    """One source of images. ``partition`` makes all its records one split; ``unlabeled`` says they carry no label."""

    name: str
    type: str
    path: Location
    label_from: LabelFrom | None = None
    partition: str | None = None
    unlabeled: bool = False
    layout: str | None = None
    target_sample_rate: Annotated[int, Field(gt=0)] | None = None


class InputSection(Section):
    """Sources, and what happens to files that cannot be used. The words of ``decode`` (how a file becomes content) and ``limits`` (what is
    refused unread) are those of the plugin's kind of data; see `params.decode_policy`. ``damage: strict`` looks for all damage that a codec
    can tell. ``follow_links: outside`` follows links that lead out of a source.
    """

    sources: Annotated[tuple[InputSource, ...], Field(min_length=1)]
    on_error: Literal["fail", "quarantine"] = "fail"
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    limits: dict[str, Any] = Field(default_factory=dict)
    decode: dict[str, Any] = Field(default_factory=dict)
    damage: Literal["standard", "strict"] = "standard"
    follow_links: Literal["inside", "outside"] = "inside"


_StoreFormat: TypeAlias = Literal["parquet", "jsonl", "webdataset", "tfrecord"]
_StoreFormats: TypeAlias = Annotated[tuple[_StoreFormat, ...], Field(min_length=1)]


def _compression(value: Any) -> Any:
    return normal_compression(value) if isinstance(value, str) else value


Compression: TypeAlias = Annotated[str, BeforeValidator(_compression), WithJsonSchema({"type": "string", "pattern": PATTERN})]


class OutputSection(Section):
    """What is stored. ``encoding`` is a word of the plugin's kind of data; None leaves the choice to the compiler, and so it does for
    ``compression``, the codec of every column, and ``row_group_bytes``, the content of a row group. ``facts: off`` leaves out facts/.
    """

    record_schema: Annotated[dict[str, FieldSchema], Field(min_length=1)]
    format: Annotated[_StoreFormats, BeforeValidator(_one_or_many, json_schema_input_type=_StoreFormat | _StoreFormats)] = ("parquet",)
    encoding: str | None = None
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    shard_records: Annotated[int, Field(gt=0)] | None = None
    shard_bytes: Annotated[int, Field(ge=1 << 16)] | None = None
    compression: Compression | None = None
    row_group_bytes: Annotated[int, Field(ge=1 << 12, le=1 << 30)] | None = None
    facts: Literal["on", "off"] = "on"


Derivation: TypeAlias = Literal["parent_directory_name", "filename", "stem"]
"""How a label is read off a file's path."""


class LabelSource(Section):
    """Direct labels come with the source (folder, table); derived ones from the file's path or a featurization."""

    kind: Literal["direct", "derived"] = "direct"
    derivation: Derivation | None = None


class LabelsSection(Section):
    """The label's field name and where labels come from."""

    field: Annotated[str, Field(min_length=1)]
    source: LabelSource


class Selector(Section):
    """Which records a sample takes: exactly one of ``n`` and ``fraction``."""

    n: int | None = None
    fraction: float | None = None
    seed: SeedForm | None = None
    kind: Literal["uniform", "per_class"] = "uniform"
    splits: tuple[str, ...] | None = None


class SampleDataSection(Section):
    """A small sample written beside the dataset."""

    selector: Selector


class KeyAssignment(Section):
    """Splits by a field's value: each value names its split."""

    field: str
    mapping: dict[str, str]


class ClassBalance(Section):
    """A tag for trainers; nothing is resampled."""

    strategy: str
    applies_to: tuple[str, ...] = ()


def _no_number(value: Any) -> Any:
    # Python's 0 == False would let the number 0 in.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _balance_form(value: Any) -> str:
    return "<map>" if isinstance(value, dict | ClassBalance) else "<text>"


class SplitsSection(Section):
    """How records are divided. The order of ``ratios`` has meaning; the sum may stay below 1 (the rest is unassigned)."""

    ratios: dict[str, float] | None = None
    key_assignment: KeyAssignment | None = None
    stratify_by: str | None = None
    seed: SeedForm | None = None
    class_balance: Annotated[Annotated[str, Tag("<text>")] | Annotated[ClassBalance, Tag("<map>")], Discriminator(_balance_form)] | None = (
        None
    )
    applies_to: str | None = None
    method: Literal["exact", "ordered", "hash"] = "exact"
    order_by: str | None = None
    group_by: str | None = None
    keep_duplicates_together: Annotated[Literal["exact", "near", False], BeforeValidator(_no_number)] = "exact"
    allow_empty: bool = False


class RecipeModel(BaseModel):
    """A whole recipe after overlays and migrations, always in the words of schema version 3.

    ``overlays`` keeps what the recipe declares, unvalidated; those that were selected are already in the sections.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[3] = 3
    plugin: str
    seed: Annotated[int, Field(ge=SEED_MIN, le=SEED_MAX)] = 0
    Input: InputSection
    Output: OutputSection
    Labels: LabelsSection
    SampleData: SampleDataSection | None = None
    InputContracts: tuple[Contract, ...] = ()
    Filters: tuple[Filter, ...] = ()
    Generation: tuple[GenerationStep, ...] = ()
    Splits: SplitsSection = SplitsSection()
    Transformations: tuple[Transformation, ...] = ()
    Augmentations: tuple[Augmentation, ...] = ()
    Featurizations: tuple[Featurization, ...] = ()
    OutputExpectations: tuple[Contract, ...] = ()
    Visualizations: tuple[Visualization, ...] = ()
    Sinks: tuple[Sink, ...] = ()
    overlays: dict[str, dict[str, Any]] = {}
    extensions: dict[str, dict[str, Any]] = {}
