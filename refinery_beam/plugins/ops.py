"""The protocols of ops: what one op of a section states of itself, and the pure functions that do its work.

An op states what it needs (its parameter model), what it does to the *type* of a record (`infer`) and what it does to the record (`apply`,
`keep`, `featurize`); the compiler decides where and when. Every op has an integer `version` that enters the key of every dataset it
touched: when its output bytes change, the version must change, and golden files in the tests fail the build otherwise.

Parameter models are pydantic models with ``extra="forbid"``: they carry types, ranges, defaults and the words for docs and JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from refinery_beam.exact import Partial
    from refinery_beam.identity import Stream


class Params(BaseModel):
    """Base of every op's parameter model: unknown words refused, frozen, no silent coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)


Content: TypeAlias = Any
"""The content of one record: an image, a text, ... Only its own `kind.Kind` and the ops of its plugin know more."""


class ArrayType(NamedTuple):
    """What is known of a record's content before it is read: dtype word and shape, None for a size that varies.

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
    """What the compiler and the docs know of an op.

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
    """Raised by `infer` when an op cannot take what comes before it; the message says what it takes."""


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
    the floats derived from them, which is what `apply` gets and what is persisted. ``pinned`` gives statistics stated in the recipe.
    """

    def partial(self, before: ArrayType, params: Any) -> Partial: ...

    def fit(self, merged: Any, params: Any) -> dict[str, Any]: ...

    def pinned(self, params: Any) -> dict[str, Any] | None: ...


@runtime_checkable
class FilterOp(Protocol):
    """A choice among records. ``kind`` says how it decides, and with it which of the protocols below it has."""

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
    """``kind`` 'sample_per_class': the `class_quota(label, n)` records of lowest seeded rank of each class are chosen.

    With a `tag` nobody is dropped and the chosen get it; without one ('') the others go. Records that carry a tag of `excluded` are no
    candidates.
    """

    def class_quota(self, label: str, records: int, params: Any) -> int: ...

    def tag(self, params: Any) -> str: ...

    def excluded(self, params: Any) -> Sequence[str]: ...


@runtime_checkable
class HeaderFilterOp(FilterOp, Protocol):
    """``kind`` 'header': `refusal` says why a record goes, '' if it stays, by what the head of its file says (`Kind.header`; of images
    the upright ``width`` and ``height``). Nothing is decoded.
    """

    def refusal(self, header: Mapping[str, int], params: Any) -> str: ...


@runtime_checkable
class DuplicatesOp(FilterOp, Protocol):
    """``kind`` 'duplicates': of a group the record with the smallest key stays.

    `distance` None: a group is one content. A number: records are neighbours when their 64-bit `signature` differ in at most so many
    bits, and a group is what neighbours connect. `signature` decides Splits.keep_duplicates_together: near as well.
    """

    def distance(self, params: Any) -> int | None: ...

    def signature(self, content: Content) -> int: ...


@runtime_checkable
class OwnFilterOp(FilterOp, Protocol):
    """Any other ``kind``: `transform` gives a Beam PTransform from refs (`records.Ref`) to pairs of a ref and whether it stays.

    It gives each ref once. Import Beam inside of it: a run that finds its dataset in the cache must not. What is handed to Beam is
    pickled, so it may refer to plain values and to what it imports itself, not to other names of a plugin path's module.
    """

    def transform(self, params: Any) -> Any: ...


@runtime_checkable
class NamesLabels(Protocol):
    """An op whose parameters name classes: one that no record has is a warning."""

    def labels_named(self, params: Any) -> tuple[str, ...]: ...


@runtime_checkable
class NamesFields(Protocol):
    """An op whose parameters name fields of the records, by the parameter that does: each must exist when the op runs."""

    def fields_named(self, params: Any) -> Mapping[str, str]: ...


@runtime_checkable
class NamesTags(Protocol):
    """An op whose parameters name tags, by the parameter that does: an earlier filter must give each of them."""

    def tags_named(self, params: Any) -> Mapping[str, tuple[str, ...]]: ...


@runtime_checkable
class DerivesLabel(Protocol):
    """A featurization that reads a label off a path, before splits are made: `derivation` is its rule, a word of Labels.source."""

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
    """One child that a generating op makes of every parent: its name (part of the child's id and of its random stream), what the op
    needs to make it again (JSON-able), and the values of the op's tag fields that are the same for all parents.
    """

    name: str
    params: dict[str, Any]
    tags: dict[str, Any]


@runtime_checkable
class GenerateOp(Protocol):
    """New records from existing ones, made of refs: a child's content is made where it is stored, from its parent's file.

    ``kind`` 'variants': every record has the children `generated` names. ``kind`` 'balance': a class of `count` records gets
    `extra(count, largest)` copies, dealt evenly in the order of seeded ranks. ``apply`` makes a child's decoded content from its
    parent's; all its luck comes from `stream`, which depends on the op's seed and name, the parent and the variant and nothing else.
    `fields` are the tag fields by the words the op knows them under: {word: field name}.
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
    """A random change of train records. ``draw`` takes all its luck from `stream` and gives sampled parameters, JSON-able, for content of
    a known type; ``apply`` is a pure function of the content and those parameters, so what was done can be done again from what was kept.
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
    one into canonical JSON, which is what `featurize_fitted` gets and what is persisted; ``pinned`` gives what the recipe states.
    """

    def partial(self, params: Any) -> Any: ...

    def fit(self, merged: Any, params: Any) -> dict[str, Any]: ...

    def pinned(self, params: Any) -> dict[str, Any] | None: ...

    def featurize_fitted(self, inputs: Sequence[Any], params: Any, fitted: Mapping[str, Any]) -> Any: ...
