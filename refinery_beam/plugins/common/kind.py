"""A base for kinds of data whose content is one plain value: a subclass only says how to read a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from refinery_beam.dtypes import normal_dtype
from refinery_beam.identity import digest
from refinery_beam.plugins.kind import BadRecord, SourceType, type_of
from refinery_beam.plugins.measures import Measures
from refinery_beam.plugins.notes import Noted
from refinery_beam.plugins.ops import ArrayType, Content, Params

if TYPE_CHECKING:
    from refinery_beam.exact import Partial

MAX_BYTES = 268_435_456


class NoPolicy(Params):
    """Input.decode of a kind whose files can be read in one way only."""


class SizeLimit(Params):
    """Input.limits of a kind that only bounds the size of a file."""

    max_bytes: Annotated[int, Field(gt=0)] = MAX_BYTES


class PlainKind(ABC):
    """A `plugins.kind.Kind` whose content is one plain value. A subclass gives `field`, `noun`, `source_types`, `encoding`, `decode`."""

    field: str = ""
    noun: str = "records"
    policy: type[Params] = NoPolicy
    later_defaults: Mapping[str, Any] = {}
    unrecorded: Mapping[str, Any] = {}
    limits: type[Params] = SizeLimit
    source_types: Mapping[str, SourceType] = {}
    encoding: str = ""
    byte_values: bool = False
    fact_types: Mapping[str, str] = {}
    measures: Measures | None = None

    def encoding_of(self, type: ArrayType) -> str:
        """Its only encoding."""
        return self.encoding

    def more_extensions(self, limits: Any) -> tuple[str, ...]:
        """None."""
        return ()

    def decoded(self, policy: Any) -> ArrayType:
        """One text."""
        return ArrayType("str", ())

    @abstractmethod
    def decode(
        self, data: bytes, policy: Any, limits: Any, *, hint: ArrayType | None = None, facts: dict[str, Any] | None = None
    ) -> Content:
        """The content of a file. Raises BadRecord."""

    def header(self, data: bytes, policy: Any, limits: Any) -> Mapping[str, Any]:
        """The size of the file."""
        return {"bytes": len(data)}

    def whole(self, data: bytes) -> bool:
        """False: only decoding can find out."""
        return False

    def held(self, content: Content, policy: Any, limits: Any, *, origin: str) -> Content:
        """The content, if it is of the decoded type."""
        found, wanted = type_of(content), self.decoded(policy)
        if normal_dtype(found.dtype) != normal_dtype(wanted.dtype):
            raise BadRecord("unsupported_mode", f"{origin} gives {found}, not {wanted}")
        return content

    def accept(self, value: Any, policy: Any, limits: Any) -> Content:
        """The value, if it is of the decoded type."""
        return self.held(value, policy, limits, origin="the caller")

    def plain(self, content: Content) -> Content:
        """The unchanged content."""
        return content

    def settle(self, content: Content, type: ArrayType) -> Content:
        """The content, if it is of the type's dtype; of text, if UTF-8 can hold it."""
        found = type_of(content)
        if normal_dtype(found.dtype) != normal_dtype(type.dtype):
            raise BadRecord(f"schema:{self.field}", f"the {self.field} is {found}, Output declares {type}", stage="Output")
        if isinstance(content, str) and not content.isascii():
            try:
                content.encode()
            except UnicodeEncodeError as error:
                problem = f"the {self.field} has half a surrogate pair at {error.start}"
                raise BadRecord(f"schema:{self.field}", problem, stage="Output") from error
        return content

    def fits_header(self, data: bytes, policy: Any, limits: Any, type: ArrayType) -> None:  # noqa: B027 - a subclass may know more
        """Checks nothing: the type is unknown before a file is decoded."""

    def mismatch(self, content: Content, type: ArrayType) -> str:
        """'': statistics take any value."""
        return ""

    def proof(self, content: Content) -> Content:
        """The value itself."""
        return content

    def accumulator(self, type: ArrayType) -> Partial | None:
        """None: each fitted op has its own."""
        return None

    def fingerprint(self, policy: Any, limits: Any) -> str:
        """A constant, because no codec is used."""
        return digest("codecs", self.field).hex()

    def remarks(self, tally: Mapping[str, Noted]) -> list[tuple[str, str]]:
        """None: it leaves no notes."""
        return []

    def codecs(self) -> Mapping[str, str]:
        """No codec."""
        return {}
