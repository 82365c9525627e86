"""The facts of a shard's records, as files of the job: what headers state, what is measured, histograms, and pictures.

The driver joins these files to input.parquet and to the files below facts/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.facts.album import Album, Bounds, LostAlbum, Picture, ranked
from refinery_beam.facts.histograms import Histograms, lines_schema
from refinery_beam.identity import record_key
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import FieldType, Kind
from refinery_beam.plugins.fact_columns import with_scales
from refinery_beam.plugins.measures import Measures, Sketch, Thumbnail
from refinery_beam.record.columns import arrow_type
from refinery_beam.record.lineage import file_record_id
from refinery_beam.record.observed import Observed
from refinery_beam.records import LedgerRow, Ref

if TYPE_CHECKING:
    import pyarrow as pa

FILE, DIGEST, STANDS = "file", "digest", "stands"
"""Columns of a part that no file of an instance has: the record key of the file a record was made of, the digest of its bytes, and whether
the record stands for its file where each file counts once.
"""

UNDEVELOPED = 128
"""So many pictures of an album stay sketches until thumbnails are made. Waiting saves those whose position another record takes."""


def fact_types(kind: Kind) -> dict[str, str]:
    """All facts of a kind and their dtypes: those of headers, then those that are measured."""
    return {**kind.fact_types, **(kind.measures.types if kind.measures is not None else {})}


class FactsPart:
    """Gathers the facts of the rows of one shard, in their order."""

    def __init__(self, kind: Kind, *, seed: int) -> None:
        self._kind = kind
        self._rows: list[tuple[Any, ...]] = []
        self._album, self._lost = Album(seed=seed), LostAlbum()
        self._histograms = Histograms(seed=seed)

    def lose(self, ref: Ref, row: LedgerRow, sketch: Sketch | None) -> None:
        """Take the sketch of a record that went to the ledger after it was decoded."""
        if sketch is not None and self._kind.measures is not None:
            self._lost.join(Picture(0, ref.key, ref.record_id, ref.label, sketch, row.reason))
            _develop(self._lost, self._kind.measures)

    def bounds(self, labels: Iterable[str | None]) -> Bounds:
        """Which records of the labels may still have a picture; see `Album.bounds`."""
        return self._album.bounds(labels)

    def add(self, facts: Facts) -> None:
        """Take the facts of rows that were appended to the shard."""
        self._rows += facts.rows
        if self._kind.measures is not None:
            self._histograms.add(facts.labels, facts.counted, facts.records)
            for picture in facts.pictures:
                self._album.join(picture)
            self._album.trim()
            if sum(not isinstance(picture.content, Thumbnail) for picture in self._album) > UNDEVELOPED:
                _develop(self._album, self._kind.measures)

    def write(self, location: str, *, temporary: str) -> None:
        """Write everything as Parquet files, through a `temporary` one on a local disk."""
        import pyarrow as pa

        if self._kind.measures is not None:
            _develop(self._album, self._kind.measures)
        schema = part_schema(self._kind)
        columns = [list(column) for column in zip(*self._rows, strict=True)] if self._rows else [[] for _ in schema]
        _put(pa.table(columns, schema=schema), location, temporary)
        _put(_pictures(*self._album, *self._lost), extra_location(location, PICTURES), temporary)
        _put(_table(list(self._histograms), lines_schema(split=False)), extra_location(location, HISTOGRAMS), temporary)


PICTURES, HISTOGRAMS = "pictures", "histograms"


class Facts(NamedTuple):
    """The facts of some rows: their rows of a part, pictures that may be worth a thumbnail, and the histograms of their labels by channel
    with how many records of each have the channel.
    """

    rows: Sequence[tuple[Any, ...]] = ()
    pictures: Sequence[Picture] = ()
    labels: Sequence[str | None] = ()
    counted: Mapping[str, Any] = {}
    records: Mapping[str, Sequence[int]] = {}


def facts_of(plan: Plan, kind: Kind, found: Sequence[tuple[Ref, bool, Observed]], bounds: Bounds) -> Facts:
    """The facts of records: of each whether it stands for its file, and what was observed of it. Those that do not stand for their file
    have facts, but count in no histogram and have no picture. Beyond `bounds` a picture is of no use.
    """
    measured: dict[int, Mapping[str, Any]] = {}
    counts: tuple[Any, ...] = ((), (), {}, {})
    if kind.measures is not None:
        sketched = [i for i, (_, _, observed) in enumerate(found) if observed.sketch is not None]
        measured = dict(zip(sketched, kind.measures.measure([found[i][2].sketch for i in sketched]), strict=True))
        standing = [(found[i][0], found[i][2].sketch) for i in sketched if found[i][1]]
        pictures = (ranked(plan.seed, ref.key, ref.record_id, ref.label, sketch) for ref, sketch in standing)
        counts = ([p for p in pictures if p.label not in bounds or p[:2] < bounds[p.label]], *_counted(kind.measures, standing))
    types, rows = fact_types(kind), []
    for i, (ref, stands, observed) in enumerate(found):
        values = {**observed.facts, **measured.get(i, {})}
        key = record_key(file_record_id(ref)) if ref.lineage else ref.key
        rows.append((key, ref.digest, stands, ref.record_id, ref.label, ref.size, *map(values.get, types)))
    return Facts(rows, *counts)


def _counted(
    measures: Measures, standing: Sequence[tuple[Ref, Sketch]]
) -> tuple[Sequence[str | None], Mapping[str, Any], Mapping[str, Sequence[int]]]:
    """The last three of `Facts`."""
    labels = sorted({ref.label for ref, _ in standing}, key=lambda label: (label is not None, label or ""))
    number = {label: i for i, label in enumerate(labels)}
    groups = [number[ref.label] for ref, _ in standing]
    counted = measures.histograms([sketch for _, sketch in standing], groups)
    records = {channel: [0] * len(labels) for channel in counted}
    for (_, sketch), group in zip(standing, groups, strict=True):
        for channel in measures.channels_of(sketch):
            records[channel][group] += 1
    return labels, counted, records


def _develop(album: Album | LostAlbum, measures: Measures) -> None:
    """Make thumbnails of the sketches in an album."""
    for picture in list(album):
        if not isinstance(picture.content, Thumbnail):
            album.replace(picture, measures.thumbnail(picture.content))


class FilteredPart:
    """Pictures of the records that a filter by facts drops, of one group of them: it decodes every file, so they can be shown."""

    def __init__(self, measures: Measures | None) -> None:
        self._measures, self._lost = measures, LostAlbum()

    def lose(self, ref: Ref, row: LedgerRow, sketch: Sketch | None) -> None:
        """Take the sketch of a record that is dropped."""
        if sketch is not None and self._measures is not None:
            self._lost.join(Picture(0, ref.key, ref.record_id, ref.label, sketch, row.reason))
            _develop(self._lost, self._measures)

    def write(self, folder: str, name: str, *, temporary: str) -> None:
        """Write the pictures below a folder of facts, if there are any. Two attempts at one group write the same."""
        if pictures := list(self._lost):
            _put(_pictures(*pictures), locations.join(folder, f"{FILTERED}{name}.parquet"), temporary)


FILTERED = "filtered-"
"""What the names of parts of dropped records begin with. No split begins with it and ends like a shard."""


def filtered_pictures(folder: str) -> Iterator[pa.Table]:
    """The pictures of dropped records in a folder of facts, part by part."""
    import pyarrow.parquet as pq

    for name in sorted(locations.names(folder)):
        if name.startswith(FILTERED) and "-of-" not in name:
            with locations.opened(locations.join(folder, name)) as source, pq.ParquetFile(source) as file:
                yield file.read()


def _pictures(*pictures: Picture) -> pa.Table:
    rows = [(p.rank.to_bytes(8, "big"), p.key, p.record_id, p.label, p.reason, *p.content) for p in pictures]
    return _table(rows, pictures_schema())


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.table([list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in schema], schema=schema)


def _put(table: pa.Table, location: str, temporary: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, temporary, compression="lz4", use_dictionary=False, write_statistics=False)
    locations.put_file(temporary, location)


def part_schema(kind: Kind) -> pa.Schema:
    """The columns of a part: what only the driver needs, and those of `facts_schema`."""
    import pyarrow as pa

    own = [pa.field(FILE, pa.binary(32)), pa.field(DIGEST, pa.binary()), pa.field(STANDS, pa.bool_())]
    return pa.schema([*own, *facts_schema(kind)])


def pictures_schema() -> pa.Schema:
    """The columns of the pictures of a part: an album's rank and key, the record, and its thumbnail."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("rank", pa.binary(8)),
            pa.field("key", pa.binary()),
            pa.field("record_id", pa.string()),
            pa.field("label", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("jpeg", pa.binary()),
        ]
    )


def facts_schema(kind: Kind) -> pa.Schema:
    """The columns of the facts of records: record_id, label, the bytes of the file, what a kind's headers state, and what it measures."""
    import pyarrow as pa

    found = [pa.field(name, arrow_type(FieldType(dtype))) for name, dtype in fact_types(kind).items()]
    scaled = with_scales(found, kind.measures.scales if kind.measures is not None else {})
    return pa.schema([pa.field("record_id", pa.string()), pa.field("label", pa.string()), pa.field("bytes", pa.int64()), *scaled])


def part_location(folder: str, split: str, shard: int, shards: int) -> str:
    """The part of a shard. Two attempts at one shard write the same part."""
    return locations.join(folder, f"{_stem(split, shard, shards)}.parquet")


def part_names(folder: str, split: str, shard: int, shards: int) -> list[str]:
    """The names of every file that a shard has in a folder of facts. A run that goes on takes them over together with the shard."""
    stem = f"{_stem(split, shard, shards)}."
    return [name for name in locations.names(folder) if name.startswith(stem)]


def extra_location(location: str, what: str) -> str:
    """Another file of the part at a location.

    >>> extra_location("train-00000-of-00001.parquet", "pictures")
    'train-00000-of-00001.pictures.parquet'
    """
    return f"{location.removesuffix('.parquet')}.{what}.parquet"


def _stem(split: str, shard: int, shards: int) -> str:
    return f"{split}-{shard:05d}-of-{shards:05d}"
