"""What a kind of data measures of its decoded content: a small sketch of each record, numbers of it, and what numbers are worth a word.

A record's content lives only inside the one pass that writes shards, so that pass takes a *sketch* of it, a bounded form that keeps what is
looked at (for images: the picture reduced to 128 pixels a side). Everything else is made of sketches: facts, thumbnails, histograms.
Numbers are whole and exact, in units that the kind states; so they are the same on every machine, and sums of them in any grouping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from refinery_beam.plugins.ops import Content

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Sketch: TypeAlias = Any
"""The sketch of one record's content. Only its `Measures` know more."""


class Thumbnail(NamedTuple):
    """A small picture of a record: its size in pixels, and the bytes of a JPEG file."""

    width: int
    height: int
    jpeg: bytes


class Condition(NamedTuple):
    """One comparison of a fact (stored or derived), in the fact's own units: ``below`` and ``above`` are strict."""

    fact: str
    sign: Literal["below", "above"]
    limit: int


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A finding about one record: every condition holds.

    ``word`` is the finding's name, ``what`` says it of records in the plural, ``remedy`` is what to do, ``source`` where the thresholds
    come from. ``minority``, in percent: the finding is of interest only where at most so many of the records that were measured show it.
    ``order`` is the fact by whose value cases are listed, and whether the least or the greatest come first.
    """

    word: str
    what: str
    conditions: tuple[Condition, ...]
    remedy: str
    source: str
    order: tuple[str, Literal["least", "greatest"]]
    minority: int = 100


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A finding about a record among the others: a derived or stored fact is more than ``times`` above the median, or below it by the same
    factor; and, where ``least`` is given, it is itself above that.
    """

    word: str
    what: str
    fact: str
    times: int
    both: bool
    remedy: str
    source: str
    least: int = 0


@runtime_checkable
class Measures(Protocol):
    """What a kind measures. Pure, and safe to use from several threads."""

    @property
    def types(self) -> Mapping[str, str]:
        """The measured facts and their integer dtypes. A fact may be None for content of which it says nothing."""

    @property
    def scales(self) -> Mapping[str, int]:
        """Facts, measured or of the header, that are in units of 1/scale. Others are whole."""

    @property
    def signature(self) -> str:
        """The fact that is a signature of 64 bits (as a signed number): content that looks alike has signatures that differ in few bits.
        '' for none.
        """

    @property
    def near_distance(self) -> int:
        """In how many bits the signatures of near duplicates differ at most."""

    @property
    def alike_facts(self) -> Sequence[str]:
        """The facts by which `alike` compares."""

    def comparable(self, facts: Mapping[str, Array]) -> Array:
        """Of which records the signature says anything: bools, one a record. Facts are int64 arrays by name."""

    def alike(self, one: Mapping[str, Array], other: Mapping[str, Array]) -> Array:
        """Which pairs of records with near signatures are near duplicates, by their other facts: bools, one a pair."""

    @property
    def rules(self) -> Sequence[Rule]:
        """The findings about single records."""

    @property
    def outliers(self) -> Sequence[Outlier]:
        """The findings about records among the others."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The facts that are not the content itself, and what they are in words: none of them should tell the label."""

    @property
    def properties_of_some(self) -> Sequence[str]:
        """Those of `properties` that only some files can have; files without them are not counted."""

    def fingerprint(self) -> str:
        """64 hex digits over what its codecs make of sketches on this machine. Part of the key of every recipe that keeps facts."""

    def sketch(self, content: Content, policy: Any) -> Sketch | None:
        """The sketch of decoded content; None for content that nothing is measured of. It shares no memory with the content."""

    def measure(self, sketches: Sequence[Sketch]) -> list[dict[str, int | None]]:
        """The facts of each sketch: a mapping with all of `types`. Many at once cost less than one by one, and give the same."""

    def histograms(self, sketches: Sequence[Sketch], groups: Sequence[int]) -> Mapping[str, npt.NDArray[np.int64]]:
        """How often each of 256 byte values occurs in each channel that some sketch has, by group: arrays (groups, 256), for groups
        numbered from 0.
        """

    def channels_of(self, sketch: Sketch) -> Sequence[str]:
        """The channels that a sketch has."""

    def thumbnail(self, sketch: Sketch) -> Thumbnail:
        """The sketch as a picture."""
