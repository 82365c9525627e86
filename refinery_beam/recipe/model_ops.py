"""The models of the recipe's list sections: operations, contracts, pictures, sinks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from refinery_beam.dtypes import SPELLINGS, WORDS
from refinery_beam.plugins.broken_rule import broken_rule

OP_SECTIONS = ("Filters", "Generation", "Transformations", "Augmentations", "Featurizations")
ASSERTION_SECTIONS = ("InputContracts", "OutputExpectations")

PictureStage: TypeAlias = Literal[
    "post_InputContracts",
    "post_Filters",
    "post_Splits",
    "post_Generation",
    "post_Transformations",
    "post_Augmentations",
    "post_Featurizations",
    "post_pipeline",
]


class Section(BaseModel):
    """Base of every part of a recipe: frozen, unknown words refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FromMaster(Section):
    """The seed form ``{from: master}``: a seed of its own, derived from the recipe's seed and the name of what uses it."""

    from_: Annotated[Literal["master"], Field(alias="from")] = "master"


def _seed_kind(value: Any) -> str:
    return "<from>" if isinstance(value, dict | FromMaster) else "<int>"


SeedForm: TypeAlias = Annotated[
    Annotated[int, Field(ge=-(2**63), le=2**64 - 1), Tag("<int>")] | Annotated[FromMaster, Tag("<from>")], Discriminator(_seed_kind)
]


def _spelt(value: Any) -> Any:
    return SPELLINGS.get(value, value) if isinstance(value, str) else value


class FieldSchema(Section):
    """The declared type of a stored field: a dtype word, and a shape for arrays (null for a size that varies)."""

    dtype: Annotated[str, BeforeValidator(_spelt), Field(json_schema_extra={"enum": [*WORDS, *SPELLINGS]})]
    shape: tuple[Annotated[int, Field(ge=1)] | None, ...] | None = None


class Operation(Section):
    """What every operation has: a name of its own, the op it uses, and the op's parameters."""

    name: str
    op: str
    params: dict[str, Any] = {}


class Filter(Operation):
    """Drops records before or after they are split. ``seed`` is also what ``params.seed`` of older spellings becomes."""

    stages: Annotated[tuple[Literal["pre_split", "post_split"], ...], Field(min_length=1)] = ("pre_split",)
    splits: tuple[str, ...] = ()
    seed: SeedForm | None = None


def _schema_form(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<map>"


class GenerationStep(Operation):
    """Makes new records from existing ones."""

    inputs: tuple[str, ...] = ()
    output_schema: Annotated[
        Annotated[Literal["matches_input"], Tag("<text>")] | Annotated[dict[str, FieldSchema], Tag("<map>")], Discriminator(_schema_form)
    ]
    seed: SeedForm
    splits: tuple[str, ...] = ("train",)
    replace_input_records: bool = False


class Transformation(Operation):
    """A deterministic change of every record of some splits."""

    fit_source: str | None = None
    splits: tuple[str, ...] = ()


class Augmentation(Operation):
    """Augmentation, a random change of train records: a policy for the reader (lazy), or stored variants of records (aggressive)."""

    splits: tuple[str, ...] = ("train",)
    seed: SeedForm | None = None
    materialization: Literal["lazy", "aggressive"] = "lazy"
    expansion: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _expansion(self) -> Augmentation:
        if self.expansion > 1 and self.materialization == "lazy":
            raise broken_rule(
                f"expansion {self.expansion} needs materialization: aggressive",
                at="expansion",
                rule="a lazy augmentation stores no variants, so it cannot multiply records",
                remedy="write materialization: aggressive, or remove expansion",
            )
        return self


class Featurization(Operation):
    """A new field from existing ones."""

    inputs: tuple[str, ...]
    output_field: Annotated[str, Field(min_length=1)]
    splits: tuple[str, ...] = ()
    fit_source: str | None = None


def _with_kind(value: Any) -> Any:
    if isinstance(value, dict) and not isinstance(value.get("kind"), str):
        raise PydanticCustomError(
            "recipe_rule",
            "needs a 'kind', a word",
            {"code": "missing-field", "rule": "an assertion is {kind: word, ...parameters}", "remedy": "add 'kind:' here", "at": "kind"},
        )
    return value


class Contract(Section):
    """An assertion on the records, with what happens when it does not hold."""

    field: str | None = None
    assertion: Annotated[dict[str, Any], BeforeValidator(_with_kind)]
    severity: Literal["error", "warning"] = "error"


class Visualization(Operation):
    """A picture of the data as it is after a stage."""

    stage: PictureStage
    mode: Literal["exploration", "reporting"]


class Sink(Section):
    """One file a record, written beside the dataset."""

    name: str
    stage: Literal[PictureStage, "post_OutputExpectations", "post_Visualizations"]
    splits: tuple[str, ...] | None = None
    field: str
    format: Literal["png_per_record", "npy_per_record"]
    path_template: Annotated[str, Field(min_length=1)]
