"""The protocol of a kind of data: what its files are, what one record's content is, how content is stored.

Everything above the plugins asks these values and knows no image, no text and no table. A plugin defines one `Kind`, with the `Encoding`
of each way its content may lie in a file; both are pure, safe to use from several threads, and import no Beam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from refinery_beam.plugins.ops import ArrayType, Content, Params

if TYPE_CHECKING:
    import pyarrow as pa

    from refinery_beam.exact import Partial

Cell: TypeAlias = Any
"""What a column holds for one row, as it is written and read. Only its own `Encoding` knows more."""


class BadRecord(ValueError):
    """One record that cannot come out: a stable ``reason`` word, and a ``detail`` for people without paths or addresses.

    Kinds and ops raise it with these two; ``stage`` (a section of the recipe) and ``op`` (a step's name) are filled in where they are
    called. The record goes to the ledger, or ends the run under ``on_error: fail``.

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
    """The type of content that is at hand, in its plain form.

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


class Refusal(NamedTuple):
    """Why an encoding cannot hold content of a type: an error code, what is wrong, the rule and the remedy in words."""

    code: str
    message: str
    rule: str
    remedy: str


@runtime_checkable
class Encoding(Protocol):
    """One way in which content lies in a column: all that is known of it, from the plan to the reader.

    ``lossless``: what is read back is what was written, so `verify` can compute row digests anew. ``from_source``: the untouched bytes of
    the file are stored, and the kind decodes them again when they are read. A *cell* is what a column holds for one row.
    """

    @property
    def name(self) -> str:
        """The word for it in ``Output.encoding``."""

    @property
    def lossless(self) -> bool: ...

    @property
    def from_source(self) -> bool: ...

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Why content of this type cannot be stored so, or None. Sizes of the type that are None are not known yet."""

    def arrow(self, name: str, type: ArrayType) -> pa.Field:
        """The column of that name, whose field metadata says what readers need to know."""

    def feature(self) -> dict[str, Any] | None:
        """How the `datasets` library is told of the column in the file's metadata; None where the column's own type says enough."""

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """About how many bytes a cell takes, from the mean size of a source file: for the size of shards."""

    def write(self, content: Content, *, quality: int) -> Cell:
        """The cell of settled content (`Kind.settle`). Raises BadRecord for what it cannot hold.

        ``from_source`` encodings are given the file's bytes.
        """

    def size(self, cell: Cell) -> int:
        """The bytes of a cell, by which row groups are cut."""

    def column(self, cells: Sequence[Cell], paths: Sequence[str], field: pa.Field) -> pa.Array:
        """Cells as a column; ``paths`` are those of their source files."""

    def cells(self, column: pa.Array, field: pa.Field) -> Any:
        """A column as a sequence (or array) of cells, as cheap to index as can be. Raises ValueError for a column of another form."""

    def read(self, cell: Cell) -> Content:
        """The content of a cell; the caller may change it. Raises ValueError for a cell that cannot be read.

        ``from_source`` encodings give the file's bytes, which `Kind.decode` reads.
        """


@runtime_checkable
class Kind(Protocol):
    """What one kind of data is."""

    @property
    def field(self) -> str:
        """The field that holds the content, the same in every recipe: ``image``, ``text``; '' for a table, whose content is its fields."""

    @property
    def noun(self) -> str:
        """What its records are called, in the plural: ``images``, ``texts``."""

    @property
    def policy(self) -> type[Params]:
        """The model of ``Input.decode``: how files become content. Part of a dataset's identity."""

    @property
    def limits(self) -> type[Params]:
        """The model of ``Input.limits``: what is refused unread. It has ``max_bytes``."""

    @property
    def source_types(self) -> Mapping[str, SourceType]:
        """The source types it lists, by their words."""

    @property
    def byte_values(self) -> bool:
        """Whether content is an array whose 8-bit values are counted by `exact.ChannelHistogram`: then statistics and assertions behind
        elementwise steps follow from 256 counts a channel. Of other content each record is looked at as a whole.
        """

    def encoding_of(self, type: ArrayType) -> str:
        """The word of the encoding that is used where the recipe names none."""

    def decoded(self, policy: Any) -> ArrayType:
        """The type of decoded content, as far as it is known before a file is read."""

    def decode(self, data: bytes, policy: Any, limits: Any, *, hint: ArrayType | None = None) -> Content:
        """The content of a file. Raises BadRecord.

        ``hint`` is the type after the first step, of which use is made only as the policy says; without it nothing is cut short.
        """

    def header(self, data: bytes, policy: Any, limits: Any) -> Mapping[str, int]:
        """What the head of a file says, for filters and reports; nothing is decoded. Raises BadRecord."""

    def whole(self, data: bytes) -> bool:
        """Whether the structure of a file promises no more bytes than there are. False is a reason to decode, not a verdict."""

    def held(self, content: Content, policy: Any, limits: Any, *, origin: str) -> Content:
        """What a third-party loader made of a file, held to what `decode` gives. Raises BadRecord; ``origin`` names the loader."""

    def accept(self, value: Any, policy: Any, limits: Any) -> Content:
        """The content of what a program holds already (for images: a Pillow image, an array), as `decode` gives it for a lossless file of
        it. Raises BadRecord.
        """

    def plain(self, content: Content) -> Content:
        """Content in the one form in which it is stored, compared and shown to assertions (for images: a C-order array)."""

    def settle(self, content: Content, type: ArrayType) -> Content:
        """Plain content, proved to be of the stored type, perhaps with an axis of one more or less. Raises BadRecord."""

    def fits_header(self, data: bytes, policy: Any, limits: Any, type: ArrayType) -> None:
        """Prove that a file, if decoded, is of the stored type, as far as its head tells. Raises BadRecord."""

    def mismatch(self, content: Content, type: ArrayType) -> str:
        """What keeps content from going into a statistic of this type, '' if nothing (for images: another number of channels)."""

    def proof(self, content: Content) -> Any:
        """What a row's digest covers: a value that `rows.row_digest` takes."""

    def accumulator(self, type: ArrayType) -> Partial | None:
        """An empty exact accumulator that determines every statistic of values of this type; None where each op brings its own."""

    def fingerprint(self) -> str:
        """64 hex digits over what its codecs do on this machine. Part of the key of every recipe that decodes."""

    def codecs(self) -> Mapping[str, str]:
        """Its codecs and their versions, for the manifest."""


class LoaderFile(NamedTuple):
    """One file a loader selects: its path below the source's root with forward slashes, and what its place says of it."""

    path: str
    label: str | None = None
    partition: str | None = None


@runtime_checkable
class Loader(Protocol):
    """A source type of a third party: which files of a folder are records, and how a file's bytes become content.

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
