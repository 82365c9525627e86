"""What a page shows, as plain values: whoever gathers them knows an instance's files, and the page knows neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refinery_beam.records import LedgerRow
from refinery_beam.reporting.facts import ReportFacts
from refinery_beam.reporting.opening import Opening


class Picture(NamedTuple):
    """The bytes of an image file that browsers show, its type (``image/png``), and its size in pixels."""

    type: str
    data: bytes
    width: int
    height: int


class Record(NamedTuple):
    """A record that is shown: of a split ('' for one of none), with a label ('' where it has none)."""

    record_id: str
    split: str
    label: str


class Stage(NamedTuple):
    """One picture of a chain: what it is, what is known of its pixels, and the picture (None where it cannot be drawn)."""

    title: str
    note: str
    picture: Picture | None


class Chain(NamedTuple):
    """One record, picture after picture. `note` says what is missing, and why."""

    record: Record
    stages: Sequence[Stage]
    augmented: Sequence[Stage] = ()
    note: str = ""


class Distribution(NamedTuple):
    """Counts of a number in bins, by split. `ticks` are the values at the left, in the middle and at the right, as they are printed;
    `ranges` are the least, mean and greatest value by split.
    """

    name: str
    title: str
    ticks: tuple[str, str, str]
    counts: Mapping[str, Sequence[int]]
    ranges: Mapping[str, tuple[str, str, str]]


class Values(NamedTuple):
    """The values of a text, the most frequent first, with their records by split; `more` values are not listed."""

    name: str
    title: str
    rows: Sequence[tuple[str, Mapping[str, int]]]
    more: int = 0


class Sizes(NamedTuple):
    """Records by width and height in cells: (column, row, records), columns and rows counted from 0 at the bottom left; the values at both
    ends of either axis.
    """

    columns: int
    rows: int
    cells: Sequence[tuple[int, int, int]]
    widths: tuple[str, str]
    heights: tuple[str, str]


class Properties(NamedTuple):
    """Properties of the files and pictures of the stored records. `classes` are (label, records, the cells of `columns` as they are
    printed) of all but `more_classes`.
    """

    distributions: Sequence[Distribution] = ()
    values: Sequence[Values] = ()
    sizes: Sizes | None = None
    columns: Sequence[str] = ()
    classes: Sequence[tuple[str, int, Sequence[str]]] = ()
    more_classes: int = 0


class Channels(NamedTuple):
    """A histogram of byte values by channel, of one split or of one class in it."""

    title: str
    split: str
    channels: Mapping[str, Sequence[int]]


class Drawn(NamedTuple):
    """A picture that Visualizations drew, by name; `smaller` where the file in report/pictures/ has more pixels."""

    name: str
    picture: Picture
    smaller: bool = False


class LedgerPage(NamedTuple):
    """The ledger: losses by (before splits, stage, op, reason), and the rows that are listed, those that the recipe asked for last."""

    total: int = 0
    causes: Sequence[tuple[bool, str, str, str, int]] = ()
    rows: Sequence[LedgerRow] = ()


@dataclass(frozen=True, kw_only=True)
class PageFacts:
    """The facts of a page.

    `pictures` are those of records by record id, `files` the number and bytes of the files of each split. `findings` and `drift` are the
    contents of facts/findings.json and report/drift.json, empty where there are none, `selection` is that of selection.json. `absent` says
    in words what the instance does not have.
    """

    key: str
    report: ReportFacts
    ledger: LedgerPage = field(default_factory=LedgerPage)
    recipe: str = ""
    opening: Opening | None = None
    release: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    samples: Sequence[Record] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    chain: Chain | None = None
    properties: Properties = field(default_factory=Properties)
    channels: Sequence[Channels] = ()
    drawn: Sequence[Drawn] = ()
    findings: Mapping[str, Any] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)
    absent: Sequence[str] = ()
