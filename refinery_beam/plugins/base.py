"""The protocol between refinery-beam and one kind of data.

A plugin is a value: names, specs and pure functions. It knows no recipe, no Beam and no cache. An op states what it needs (its parameter
model), what it does to the *type* of a record (`infer`) and what it does to the record (`apply`, `keep`, `featurize`); the compiler
decides where and when. Every op has an integer `version` that enters the key of every dataset it touched: when its output bytes change,
the version must change, and golden files in the tests fail the build otherwise.

Parameter models are pydantic models with ``extra="forbid"``: they carry types, ranges, defaults and the words for docs and JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from refinery_beam.exact import Partial
    from refinery_beam.identity import Stream
    from refinery_beam.plugins.modules import PathCode
    from refinery_beam.plugins.pictures import PictureOp

    Pixels: TypeAlias = Image | np.ndarray[Any, Any]


TAGS_FIELD = "sample_per_class_tags"
"""The record field that holds the tags of sampling filters, a list of text; empty where there are none."""


class Params(BaseModel):
    """Base of every op's parameter model: unknown words refused, frozen, no silent coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)


class ArrayType(NamedTuple):
    """What is known of an array before a record is read: NumPy dtype name and shape, None for a size that varies.

    Images are (height, width) or (height, width, channels).
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if n is None else str(n) for n in self.shape)}]"

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

    ``fitted``: needs a statistic from train. ``deferrable``: changes only the representation of one record, so it may be
    applied by readers.
    ``elementwise``: each output element depends on the input element (and its channel) alone, so statistics after it follow from a
    histogram before it. ``pixel_altering``: the original file bytes no longer show the record. ``v1_defaults``: parameter values that
    schema_version 1 recipes left out.
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
    v1_defaults: Mapping[str, Any] = field(default_factory=dict)


class OpTypeError(ValueError):
    """Raised by `infer` when an op cannot take what comes before it; the message says what it takes."""


@runtime_checkable
class TransformOp(Protocol):
    """One deterministic change of an image.

    ``apply`` takes and returns either a Pillow image or a NumPy array (uint8 or float, (h, w) or (h, w, c)), whichever is
    cheaper; helpers in
    `image_classification.pixels` convert. It never changes its argument.
    """

    @property
    def spec(self) -> OpSpec: ...

    def infer(self, before: ArrayType, params: Any) -> ArrayType: ...

    def apply(self, pixels: Pixels, params: Any, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels: ...


@runtime_checkable
class FittedOp(TransformOp, Protocol):
    """A transform that needs a statistic of the train records' values as they reach it.

    ``partial`` gives an empty exact accumulator; ``fit`` turns the merged one into the fitted statistics: canonical JSON of integers and
    the floats derived from them, which is what `apply` gets and what is persisted. ``pinned`` gives statistics stated in the recipe.
    """

    def partial(self, before: ArrayType, params: Any) -> Partial: ...

    def fit(self, merged: Partial, params: Any) -> dict[str, Any]: ...

    def pinned(self, params: Any) -> dict[str, Any] | None: ...


FilterKind: TypeAlias = Literal["predicate", "sample", "sample_per_class", "header", "duplicates"]
"""How a filter decides: from one record's metadata, by rank among all or among its class, from a file's header, or by likeness."""


@runtime_checkable
class FilterOp(Protocol):
    """A choice among records by their metadata.

    ``kind`` 'predicate': `keep` decides one record; ``fields`` holds its metadata, its label under the label's name and its tags under
    `TAGS_FIELD`. ``kind`` 'sample': the `quota(n)` records of lowest seeded rank stay. The other kinds are the protocols below; they
    have `keep` and `quota` too, which then let everything pass. A filter whose parameters name classes may tell them by
    ``labels_named(params)``: a class that no record has is then a warning.
    """

    @property
    def spec(self) -> OpSpec: ...

    @property
    def kind(self) -> FilterKind: ...

    def keep(self, label: str | None, fields: Mapping[str, Any], params: Any) -> bool: ...

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
    """``kind`` 'header': `refusal` says why an image of this upright size goes, '' if it stays. Nothing is decoded."""

    def refusal(self, width: int, height: int, params: Any) -> str: ...


@runtime_checkable
class DuplicatesOp(FilterOp, Protocol):
    """``kind`` 'duplicates': of a group the record with the smallest key stays.

    `distance` None: a group is one content. A number: records are neighbours when their 64-bit `signature` differ in at most so many
    bits, and a group is what neighbours connect. `signature` decides Splits.keep_duplicates_together: near as well.
    """

    def distance(self, params: Any) -> int | None: ...

    def signature(self, pixels: Pixels) -> int: ...


@runtime_checkable
class FeaturizeOp(Protocol):
    """A new field from existing ones. ``needs_pixels`` False: computed on references, before splits, without decoding.

    ``featurize`` gets the input field values in order (pixels as an array) and returns a JSON-able scalar or list.
    """

    @property
    def spec(self) -> OpSpec: ...

    @property
    def needs_pixels(self) -> bool: ...

    def infer(self, inputs: Sequence[FieldType], params: Any) -> FieldType: ...

    def featurize(self, inputs: Sequence[Any], params: Any) -> Any: ...


class Variant(NamedTuple):
    """One child that a generating op makes of every parent: its name (part of the child's id and of its random stream), what the op
    needs to make it again (JSON-able), and the values of the op's tag fields that are the same for all parents.
    """

    name: str
    params: dict[str, Any]
    tags: dict[str, Any]


@runtime_checkable
class GenerateOp(Protocol):
    """New records from existing ones, made of references: a child's pixels are made where they are stored, from its parent's file.

    ``kind`` 'variants': every record has the children `variants` names. ``kind`` 'balance': a class of `count` records gets
    `extra(count, largest)` copies, dealt evenly in the order of seeded ranks. ``apply`` makes a child's decoded pixels from its
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

    def variants(self, params: Any) -> Sequence[Variant]: ...

    def extra(self, count: int, largest: int, params: Any) -> int: ...

    def apply(self, pixels: Pixels, variant: Mapping[str, Any], stream: Stream) -> Pixels: ...


@runtime_checkable
class AugmentOp(Protocol):
    """A random change of train images. ``draw`` takes all its luck from `stream` and gives sampled parameters, JSON-able, for an image of
    a known type; ``apply`` is a pure function of the image and those parameters, so what was done can be done again from what was kept.
    """

    @property
    def spec(self) -> OpSpec: ...

    def infer(self, before: ArrayType, params: Any) -> ArrayType: ...

    def draw(self, stream: Stream, params: Any, before: ArrayType) -> dict[str, Any]: ...

    def apply(self, pixels: Pixels, sampled: Mapping[str, Any], params: Any) -> Pixels: ...


AnyOp: TypeAlias = "TransformOp | FilterOp | FeaturizeOp | GenerateOp | AugmentOp | PictureOp"


@dataclass(frozen=True, kw_only=True)
class AssertionSpec:
    """What the compiler and the docs know of a kind of assertion.

    ``field``: True needs one, False takes none. ``pixels`` says what of an image it may look at: nothing, its form (dtype and shape), or
    its values. A record assertion then holds for an image exactly when it holds for each distinct value; a dataset assertion counts every
    value of every channel once. ``output_only``: it speaks of splits, so it belongs
    to OutputExpectations. ``sees_missing``: it is asked about records without a value too.
    """

    kind: str
    version: int
    params: type[Params]
    summary: str
    field: bool
    pixels: Literal["no", "form", "values"] = "no"
    output_only: bool = False
    sees_missing: bool = False


class Facts(NamedTuple):
    """What a dataset assertion may know beside its counts: the splits in order, those without labels, and the counts of the values of the
    instance it names (None without one).
    """

    splits: tuple[str, ...]
    unlabeled: tuple[str, ...]
    reference: Sequence[tuple[Any, int]] | None = None


class Verdict(NamedTuple):
    """Whether an assertion holds, the numbers it saw (JSON), and, when it does not hold, what is wrong in words."""

    passed: bool
    observed: Mapping[str, Any]
    message: str = ""


@runtime_checkable
class RecordAssertion(Protocol):
    """An assertion about one value: `offence` says in a few words what is wrong with it, '' when nothing is. Pixels are a NumPy array."""

    @property
    def spec(self) -> AssertionSpec: ...

    def offence(self, value: Any, params: Any) -> str: ...


@runtime_checkable
class DatasetAssertion(Protocol):
    """An assertion about all records together: each adds one to the count of its `key`, and `judge` sees the counts, sorted.

    ``key`` gets the split ('' before splits are made) and the values of `fields`, and gives a list of plain values, or None to pass over.
    """

    @property
    def spec(self) -> AssertionSpec: ...

    def fields(self, field: str | None, params: Any) -> tuple[str, ...]: ...

    def key(self, split: str, values: Sequence[Any], params: Any) -> list[Any] | None: ...

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Any, facts: Facts) -> Verdict: ...


AnyAssertion: TypeAlias = RecordAssertion | DatasetAssertion


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


class LoaderFile(NamedTuple):
    """One file a loader selects: its path below the source's root with forward slashes, and what its place says of it."""

    path: str
    label: str | None = None
    partition: str | None = None


@runtime_checkable
class Loader(Protocol):
    """A source type: which files of a folder are records, and how a file's bytes become pixels.

    ``files`` lists regular files below `root` (absolute), in any order, without reading them. ``decode`` is a pure function of the bytes:
    a Pillow image or a uint8 array, in the mode the recipe declares; it raises `image_classification.pixels.BadImage` for a file that
    cannot be used. ``version`` enters the key as an op's does.
    """

    @property
    def source_type(self) -> str: ...

    @property
    def version(self) -> int: ...

    def files(self, root: str) -> Sequence[LoaderFile]: ...

    def decode(self, data: bytes, *, mode: str) -> Pixels: ...


@dataclass(frozen=True, kw_only=True)
class Extension:
    """More words for an existing plugin: ops (pictures among them), kinds of assertions and loaders of another package."""

    name: str
    version: int
    extends: str = "image_classification"
    ops: Sequence[AnyOp] = ()
    loaders: Sequence[Loader] = ()
    assertions: Sequence[AnyAssertion] = ()


class Origin(NamedTuple):
    """Where a word of a plugin comes from, if not from this package: the plugin or extension, its version and the digest of its source."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One kind of data. ``ops`` are executed; ``known`` are words of the language this release reads but refuses by name ({op:
    section}). ``assertions`` are the kinds that contracts may use, and ``extension_keys`` ({namespace: keys}) the extensions it reads.
    ``loaders`` are source types beyond the built-in ones. Discovery fills in ``origins`` and ``origin``, where third-party ops
    ("op:NAME"), assertions ("assertion:KIND") and loaders ("loader:TYPE"), or the whole plugin, come from, and ``code``, the plugin paths
    in force.
    """

    name: str
    version: int
    sections: frozenset[str]
    ops: Mapping[str, AnyOp]
    known: Mapping[str, str]
    source_types: frozenset[str]
    module: str
    assertions: Mapping[str, AnyAssertion] = field(default_factory=dict)
    extension_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    origin: Origin | None = None
    code: tuple[PathCode, ...] = ()

    def op(self, name: str) -> AnyOp | None:
        """The op of that name, or None."""
        return self.ops.get(name)

    def used_origins(self, ops: Iterable[str], source_types: Iterable[str], kinds: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The third-party code that such a use of the plugin runs: {name: {version, digest}}. What is not used is not in it."""
        found = [self.origin] if self.origin is not None else []
        words = [*(f"op:{name}" for name in ops), *(f"loader:{kind}" for kind in source_types), *(f"assertion:{kind}" for kind in kinds)]
        found += [self.origins[word] for word in words if word in self.origins]
        return {o.name: {"version": o.version, "digest": o.digest} for o in sorted(set(found))}
