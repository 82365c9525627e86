"""The protocol of a kind of data: what its files are, what one record's content is, how content is stored.

The rooms above the plugins use these values and know no image, no text and no table. A plugin defines one `Kind`, with an `Encoding`
for each way to store its content; both are pure, safe to use from several threads, and import no Beam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from refinery_beam.plugins.measures import Measures
from refinery_beam.plugins.notes import Noted
from refinery_beam.plugins.ops import ArrayType, Content, Params

if TYPE_CHECKING:
    import pyarrow as pa

    from refinery_beam.exact import Partial

Cell: TypeAlias = Any
"""The value of a content column for one row. Only its `Encoding` knows more."""


class BadRecord(ValueError):
    """A record that cannot be prepared: a stable ``reason`` word, and a ``detail`` for people without paths or addresses.

    Kinds and ops raise it with these two; their caller fills in ``stage`` (a section of the recipe) and ``op`` (a step's
    name). The record goes to the ledger, or ends the run under ``on_error: fail``.

    >>> BadRecord("truncated", "the file ends early").reason
    'truncated'
    """

    def __init__(self, reason: str, detail: str, *, stage: str = "", op: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail, self.stage, self.op = reason, detail, stage, op

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _bad_record, (type(self), self.reason, self.detail, self.stage, self.op)


def _bad_record(kind: type[BadRecord], reason: str, detail: str, stage: str, op: str) -> BadRecord:
    return kind(reason, detail, stage=stage, op=op)


def type_of(content: Content) -> ArrayType:
    """The type of content in its plain form.

    >>> type_of("a text")
    ArrayType(dtype='str', shape=())
    """
    if hasattr(content, "dtype") and hasattr(content, "shape"):
        return ArrayType(str(content.dtype), tuple(int(n) for n in content.shape))
    return ArrayType(type(content).__name__, ())


class SourceType(NamedTuple):
    """A built-in source type: how its files are arranged below its folder, and which extensions are its kind's (lower case, no dot).

    ``folder``: one folder a class, with the files in it. ``flat``: files at any depth, labels come from elsewhere. ``tree``: the recipe's
    ``layout`` says what folders mean.
    """

    arrangement: Literal["folder", "flat", "tree"]
    extensions: tuple[str, ...]
    advice: Mapping[str, str] = MappingProxyType({})
    """What to do with files of some other extensions (with their dot), which people take for files of the kind."""


class Refusal(NamedTuple):
    """Why an encoding cannot hold content of a type: an error code, what is wrong, the rule and the remedy in words."""

    code: str
    message: str
    rule: str
    remedy: str


@runtime_checkable
class Encoding(Protocol):
    """One way to store content in a column, for every room from the plan to the reader.

    ``lossless``: reading gives exactly what was written, so `verify` can compute row digests anew. ``from_source``: the untouched bytes of
    the file are stored, and the kind decodes them again when they are read. It may name the ``compression`` of its
    column, a word of ``Output.compression``, for recipes that declare none. A *cell* is the value of the column for one row.
    """

    @property
    def name(self) -> str:
        """Its word in ``Output.encoding``."""

    @property
    def lossless(self) -> bool: ...

    @property
    def from_source(self) -> bool: ...

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Why this encoding cannot store content of a type, or None. A size of None is not known yet."""

    def arrow(self, name: str, type: ArrayType) -> pa.Field:
        """The Arrow field of that name; its metadata holds what readers need."""

    def feature(self) -> dict[str, Any] | None:
        """The description of the column for the `datasets` library in the file's metadata; None if the column's type is enough."""

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """About how many bytes a cell takes, by the mean size of a source file. Decides the size of shards."""

    def write(self, content: Content, *, quality: int) -> Cell:
        """The cell of settled content (`Kind.settle`). Raises BadRecord for content that it cannot store.

        ``from_source`` encodings get the file's bytes.
        """

    def size(self, cell: Cell) -> int:
        """The size of a cell in bytes; row groups are cut by it."""

    def column(self, cells: Sequence[Cell], paths: Sequence[str], field: pa.Field) -> pa.Array:
        """Cells as a column; ``paths`` are those of their source files."""

    def cells(self, column: pa.Array, field: pa.Field) -> Any:
        """A column as a sequence (or array) of cells that is cheap to index. Raises ValueError for a column of another form."""

    def read(self, cell: Cell) -> Content:
        """The content of a cell; the caller may change it. Raises ValueError for a cell that cannot be read.

        ``from_source`` encodings give the file's bytes, which `Kind.decode` reads.
        """


@runtime_checkable
class Kind(Protocol):
    """One kind of data."""

    @property
    def field(self) -> str:
        """The field that holds the content, the same in every recipe: ``image``, ``text``; '' for a table, whose content is its fields."""

    @property
    def noun(self) -> str:
        """The plural noun for its records: ``images``, ``texts``."""

    @property
    def policy(self) -> type[Params]:
        """The model of ``Input.decode``: how files become content. Part of a dataset's identity. A kind that can look for damage that its
        decoder forgives has a field ``damage`` in it, which gets the word of ``Input.damage``.
        """

    @property
    def later_defaults(self) -> Mapping[str, Any]:
        """The fields of the policy that a later release than the first brought, with their defaults. A recipe that leaves them out keeps
        its identity; that they mean something else than before is the business of the plugin's version.
        """

    @property
    def unrecorded(self) -> Mapping[str, Any]:
        """What fields of the policy mean for datasets that were made before they were recorded, where that is not their default."""

    @property
    def limits(self) -> type[Params]:
        """The model of ``Input.limits``: files beyond them are refused unread. It has ``max_bytes``."""

    @property
    def source_types(self) -> Mapping[str, SourceType]:
        """The source types it lists, by their words."""

    def more_extensions(self, limits: Any) -> tuple[str, ...]:
        """The extensions that are listed besides those of the source type, because the limits accept such files."""

    @property
    def byte_values(self) -> bool:
        """Whether content is an array whose 8-bit values are counted by `exact.ChannelHistogram`: then statistics and assertions behind
        elementwise steps follow from 256 counts a channel. Other content is observed record by record.
        """

    def encoding_of(self, type: ArrayType) -> str:
        """The word of the default encoding."""

    def decoded(self, policy: Any) -> ArrayType:
        """The type of decoded content, as far as it is known before a file is read."""

    @property
    def fact_types(self) -> Mapping[str, str]:
        """The facts that a file's header states, with their dtypes (of images ``width``, ``height``, ``mode``, ...); they lie beside a
        dataset, in ``facts/records.parquet``. Empty for none.
        """

    @property
    def measures(self) -> Measures | None:
        """What is measured of decoded content, beside the facts of headers; None for a kind that measures nothing."""

    def decode(
        self, data: bytes, policy: Any, limits: Any, *, hint: ArrayType | None = None, facts: dict[str, Any] | None = None
    ) -> Content:
        """The content of a file. Raises BadRecord.

        ``hint`` is the type after the first step. The policy decides whether decoding may use it as a shortcut. Where ``facts`` are
        wanted, which are not for a kind without `fact_types`, they are put there, as `header` gives them.
        """

    def header(self, data: bytes, policy: Any, limits: Any) -> Mapping[str, Any]:
        """The facts in a file's header, for filters and reports: at least those of `fact_types`. Decodes nothing. Raises BadRecord."""

    def whole(self, data: bytes) -> bool:
        """Whether the structure of a file promises no more bytes than there are. False is a reason to decode, not a verdict."""

    def held(self, content: Content, policy: Any, limits: Any, *, origin: str) -> Content:
        """Check the content of a third-party loader by the same rules as `decode`. Raises BadRecord; ``origin`` names the loader."""

    def accept(self, value: Any, policy: Any, limits: Any) -> Content:
        """The content of what a program holds already (for images: a Pillow image, an array), as `decode` gives it for a lossless file of
        it. Raises BadRecord.
        """

    def plain(self, content: Content) -> Content:
        """Content in its plain form, in which it is stored, compared and passed to assertions (for images: a C-order array)."""

    def settle(self, content: Content, type: ArrayType) -> Content:
        """Plain content of the stored type; may add or drop an axis of size one. Raises BadRecord for content of another type."""

    def fits_header(self, data: bytes, policy: Any, limits: Any, type: ArrayType) -> None:
        """Raise BadRecord if a file's header shows that its content, decoded, would not be of the stored type."""

    def mismatch(self, content: Content, type: ArrayType) -> str:
        """Why content does not fit into a statistic of this type, '' if it fits (for images: another number of channels)."""

    def proof(self, content: Content) -> Any:
        """The value of content for a row's digest, as `rows.row_digest` takes it."""

    def accumulator(self, type: ArrayType) -> Partial | None:
        """An empty exact accumulator that determines every statistic of values of this type; None if each op has its own."""

    def fingerprint(self, policy: Any, limits: Any) -> str:
        """64 hex digits over the results of its codecs on this machine. Part of the key of every recipe that decodes by the policy within
        the limits.

        EnvironmentFault ``missing-extra`` if the policy needs a codec that is not installed.
        """

    def remarks(self, tally: Mapping[str, Noted]) -> list[tuple[str, str]]:
        """What the notes (`plugins.notes`) of its `decode` on all records mean, as (code, text) of warnings."""

    def codecs(self) -> Mapping[str, str]:
        """Its codecs and their versions, for the manifest."""


class LoaderFile(NamedTuple):
    """One file that a loader selects: its path below the source's root with forward slashes, and the label and partition of that path."""

    path: str
    label: str | None = None
    partition: str | None = None


@runtime_checkable
class Loader(Protocol):
    """A third-party source type: it lists the files of a folder that are records, and decodes a file's bytes.

    ``files`` lists regular files below `root` (absolute), in any order, without reading them. ``decode`` is a pure function of the bytes:
    content as the kind's own decoder gives it (a Pillow image or a uint8 array, say), in the mode the recipe declares; it raises
    `BadRecord` for a file that cannot be used. ``version`` enters the key as an op's does.
    """

    @property
    def source_type(self) -> str: ...

    @property
    def version(self) -> int: ...

    def files(self, root: str) -> Sequence[LoaderFile]: ...

    def decode(self, data: bytes, *, mode: str) -> Content: ...
