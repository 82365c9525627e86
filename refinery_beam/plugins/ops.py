"""The protocols of ops: the facts that an op of a section states, and the pure functions that do its work.

An op states what it needs (its parameter model), what it does to the *type* of a record (`infer`) and what it does to the record (`apply`,
`keep`, `featurize`); the compiler decides where and when. Every op has an integer `version` that enters the key of every dataset it
touched: when its output bytes change, the version must change, and golden files in the tests fail the build otherwise.

Parameter models are pydantic models with ``extra="forbid"``: they carry types, ranges, defaults and the words for docs and JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

if TYPE_CHECKING:
    from refinery_beam.exact import Partial
    from refinery_beam.identity import Stream


class Params(BaseModel):
    """Base of every op's parameter model: unknown words refused, frozen, no silent coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)

    later: ClassVar[frozenset[str]] = frozenset()
    """Parameters that came after the first release of the op. One that has its default changes no byte, so it is written nowhere, and
    recipes without it keep their key."""

    @model_serializer(mode="wrap")
    def _without_later(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        made: dict[str, Any] = write(self)
        for name in self.later:
            if getattr(self, name) == type(self).model_fields[name].default:
                made.pop(name, None)
        return made


Content: TypeAlias = Any
"""The content of one record: an image, a text, ... Only its own `kind.Kind` and the ops of its plugin know more."""


class ArrayType(NamedTuple):
    """The type of a record's content before it is read: dtype word and shape, None for a size that varies.

    Images are arrays (height, width) or (height, width, channels) of a NumPy dtype; a text is a ``str`` of shape ().
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if n is None else str(n) for n in self.shape)}]" if self.shape else self.dtype

    @property
    def fixed(self) -> bool:
        """Whether every record has the same shape."""
        return None not in self.shape


class FieldType(NamedTuple):
    """The declared or inferred type of a record field: a dtype word ('str', 'int64', 'uint8', ...) and a shape, None for a scalar."""

    dtype: str
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class OpSpec:
    """The facts about an op for the compiler and the docs.

    ``fitted``: needs a statistic from train. ``deferrable``: changes only the representation of one record, so readers may apply it.
    ``elementwise``: each output element depends on the input element (and its channel) alone, so statistics after it follow from a
    histogram before it. ``pixel_altering``: the original file bytes no longer show the record.
    """

    name: str
    section: Literal["Filters", "Generation", "Transformations", "Augmentations", "Featurizations", "Visualizations"]
    version: int
    params: type[Params]
    summary: str
    fitted: bool = False
    deferrable: bool = False
    elementwise: bool = False
    pixel_altering: bool = False
    dtype_altering: bool = False


class OpTypeError(ValueError):
    """Raised by `infer` when an op cannot take content of the type before it; the message says which types it takes, and ``remedy`` what
    else than the order of operations may be at fault."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@runtime_checkable
class TransformOp(Protocol):
    """One deterministic change of a record's content.

    ``apply`` takes and returns content in any form of its kind: of images a Pillow image or a NumPy array (uint8 or float, (h, w) or
    (h, w, c)), whichever is cheaper. It never changes its argument.
    """

    @property
    def spec(self) -> OpSpec: ...

    def infer(self, before: ArrayType, params: Any) -> ArrayType: ...

    def apply(self, content: Content, params: Any, fitted: Mapping[str, Any] | None, out: ArrayType) -> Any: ...


@runtime_checkable
class FittedOp(TransformOp, Protocol):
    """A transform that needs a statistic of the train records' values as they reach it.

    ``partial`` gives an empty exact accumulator; ``fit`` turns the merged one into the fitted statistics: canonical JSON of integers and
    the floats derived from them. `apply` gets them, and the instance stores them. ``pinned`` gives statistics stated in the recipe.
    """

    def partial(self, before: ArrayType, params: Any) -> Partial: ...

    def fit(self, merged: Any, params: Any) -> dict[str, Any]: ...

    def pinned(self, params: Any) -> dict[str, Any] | None: ...


@runtime_checkable
class FilterOp(Protocol):
    """Decides which records stay. ``kind`` says by what; the protocol for that kind is one of those below."""

    @property
    def spec(self) -> OpSpec: ...

    @property
    def kind(self) -> str: ...


@runtime_checkable
class PredicateOp(FilterOp, Protocol):
    """``kind`` 'predicate': `keep` decides one record by its metadata.

    ``fields`` holds the metadata, the label under the label's name and the tags under `TAGS_FIELD`.
    """

    def keep(self, label: str | None, fields: Mapping[str, Any], params: Any) -> bool: ...


@runtime_checkable
class SampleOp(FilterOp, Protocol):
    """``kind`` 'sample': the `quota(n)` records of lowest seeded rank stay."""

    def quota(self, records: int, params: Any) -> int: ...


@runtime_checkable
class ClassSampleOp(FilterOp, Protocol):
    """``kind`` 'sample_per_class': the `class_quota(label, n)` records of lowest seeded rank of each class are sampled.

    With a `tag` the sampled records get it and every record stays; without one ('') the other records go. Records with a tag of `excluded`
    cannot be sampled.
    """

    def class_quota(self, label: str, records: int, params: Any) -> int: ...

    def tag(self, params: Any) -> str: ...

    def excluded(self, params: Any) -> Sequence[str]: ...


@runtime_checkable
class HeaderFilterOp(FilterOp, Protocol):
    """``kind`` 'header': `refusal` says why a record goes, '' if it stays, by its file's header (`Kind.header`; for images the upright
    ``width`` and ``height``). Decodes nothing.
    """

    def refusal(self, header: Mapping[str, int], params: Any) -> str: ...


@runtime_checkable
class MeasuredFilterOp(FilterOp, Protocol):
    """``kind`` 'measured': `refusal` says why a record goes, '' if it stays, by what its kind measures of its decoded content
    (`measures.Measures`, in whole units), with what its header states. Every file is decoded once more, in a pass of its own.
    """

    def refusal(self, facts: Mapping[str, Any], params: Any) -> str: ...


@runtime_checkable
class DuplicatesOp(FilterOp, Protocol):
    """``kind`` 'duplicates': the record with the smallest key of each group stays.

    `distance` None: a group is the records of equal content. A number: records are neighbours if their 64-bit `signature`s differ in at
    most so many bits, and groups are the connected components. `signature` decides Splits.keep_duplicates_together: near as well.
    """

    def distance(self, params: Any) -> int | None: ...

    def signature(self, content: Content) -> int: ...


@runtime_checkable
class OwnFilterOp(FilterOp, Protocol):
    """Any other ``kind``: `transform` gives a Beam PTransform from refs (`records.Ref`) to pairs of a ref and whether it stays.

    It gives each ref once. Import Beam inside of it: a cache hit must not import Beam. Beam pickles the functions, so they may use plain
    values and their own imports, but no other names of a plugin path's module.
    """

    def transform(self, params: Any) -> Any: ...


@runtime_checkable
class NamesLabels(Protocol):
    """An op whose parameters name classes: a class without records gives a warning."""

    def labels_named(self, params: Any) -> tuple[str, ...]: ...


@runtime_checkable
class NamesFields(Protocol):
    """An op whose parameters name fields of the records: {parameter: fields}. Each field must exist when the op runs."""

    def fields_named(self, params: Any) -> Mapping[str, str]: ...


@runtime_checkable
class NamesTags(Protocol):
    """An op whose parameters name tags: {parameter: tags}. An earlier filter must give each tag."""

    def tags_named(self, params: Any) -> Mapping[str, tuple[str, ...]]: ...


@runtime_checkable
class DerivesLabel(Protocol):
    """A featurization that takes a label from a path, before splits are made: `derivation` is its rule, a word of Labels.source."""

    def derivation(self, params: Any) -> str: ...


@runtime_checkable
class FeaturizeOp(Protocol):
    """A new field from existing ones. ``needs_pixels`` False: computed on refs, before splits, without decoding.

    ``featurize`` gets the input field values in order (content in its plain form, pixels as an array) and returns a JSON-able scalar or
    list.
    """

    @property
    def spec(self) -> OpSpec: ...

    @property
    def needs_pixels(self) -> bool: ...

    def infer(self, inputs: Sequence[FieldType], params: Any) -> FieldType: ...

    def featurize(self, inputs: Sequence[Any], params: Any) -> Any: ...


class GeneratedRecord(NamedTuple):
    """One record that a generating op makes of every parent: its name (part of the record's id and of its random stream), parameters
    for making it again (JSON-able), and the values of the op's tag fields that are the same for all parents.
    """

    name: str
    params: dict[str, Any]
    tags: dict[str, Any]


@runtime_checkable
class GenerateOp(Protocol):
    """New records from existing ones, made as refs: the write pass makes a generated record's content from its parent's file.

    ``kind`` 'variants': `generated` lists the new records of every parent. ``kind`` 'balance': a class of `count` records gets
    `extra(count, largest)` copies, dealt evenly in the order of seeded ranks. ``apply`` makes a new record's decoded content from its
    parent's; `made` are the record's parameters. All random numbers come from `stream`, which depends on the op's seed and name, the parent
    and the new record's name, and on nothing else. `fields` are the tag fields: {the op's word: field name}.
    """

    @property
    def spec(self) -> OpSpec: ...

    @property
    def kind(self) -> Literal["variants", "balance"]: ...

    def fields(self, params: Any) -> Mapping[str, str]: ...

    def field_type(self, word: str) -> FieldType: ...

    def infer(self, before: ArrayType, params: Any) -> ArrayType: ...

    def generated(self, params: Any) -> Sequence[GeneratedRecord]: ...

    def extra(self, count: int, largest: int, params: Any) -> int: ...

    def apply(self, content: Content, made: Mapping[str, Any], stream: Stream) -> Any: ...


@runtime_checkable
class AugmentOp(Protocol):
    """A random change of train records. ``draw`` takes all its random numbers from `stream` and gives sampled parameters, JSON-able, for
    content of a known type; ``apply`` is a pure function of the content and those parameters, so the stored parameters suffice to repeat
    it.
    """

    @property
    def spec(self) -> OpSpec: ...

    def infer(self, before: ArrayType, params: Any) -> ArrayType: ...

    def draw(self, stream: Stream, params: Any, before: ArrayType) -> dict[str, Any]: ...

    def apply(self, content: Content, sampled: Mapping[str, Any], params: Any) -> Any: ...


@runtime_checkable
class FittedFeaturizeOp(FeaturizeOp, Protocol):
    """A new field that needs a statistic of the train records' metadata (never of pixels), such as a vocabulary.

    ``partial`` gives an empty exact accumulator with ``observe(inputs, key)``, ``merge``, ``dumps`` and ``loads``; ``fit`` turns the merged
    one into canonical JSON, which `featurize_fitted` gets and the instance stores; ``pinned`` gives statistics stated in the recipe.
    """

    def partial(self, params: Any) -> Any: ...

    def fit(self, merged: Any, params: Any) -> dict[str, Any]: ...

    def pinned(self, params: Any) -> dict[str, Any] | None: ...

    def featurize_fitted(self, inputs: Sequence[Any], params: Any, fitted: Mapping[str, Any]) -> Any: ...
