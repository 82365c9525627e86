"""`inspect`: what is in a finished instance. An overview, records by what is known of them, one record, a view, the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.amounts import size_in_words
from refinery_beam.cache import Manifest
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.errors import RefineryError, UsageError, did_you_mean
from refinery_beam.inspection.columns import facts_schema, known_columns, shown_value
from refinery_beam.inspection.find import matching
from refinery_beam.inspection.ledger import ledger_rows
from refinery_beam.inspection.strip import contact_sheet, stored_pixels
from refinery_beam.inspection.thumbnails import thumbnails_of
from refinery_beam.launch.inspect_record import inspected_record, png, type_words, written_picture
from refinery_beam.launch.inspect_result import InspectResult, InspectTable
from refinery_beam.launch.opening import open_instance
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.pictures import draw_with
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.fact_columns import scales
from refinery_beam.reading.instance import Instance
from refinery_beam.reading.recorded import read_listed
from refinery_beam.recipe import load_recipe

LIMIT = 20
CLASSES = 40
"""Classes that an overview lists; of more the number is said."""

PICTURES = 48
"""Pictures of records on one sheet, at most."""

USUAL = ("width", "height", "mode", "format", "bytes")
"""Facts that are listed with records, where they are known."""


@dataclass(frozen=True, kw_only=True, repr=False)
class InspectOptions(Options):
    """`Options`, and what is to be found out."""

    split: str | None = option(None, "Records of this split.")
    label: str | None = option(None, "Records with this label.")
    where: str | None = option(None, "Records that a condition holds for, as sharpness < 10 and format = 'png'.")
    record: str | None = option(None, "One record, by its id.")
    view: str | None = option(None, "A picture of the recipe's Visualizations.")
    ledger: bool = option(False, "The records that did not come out.")
    limit: int | None = option(None, f"How many rows are listed; {LIMIT} if it is not said, 0 for all.")
    out: StrPath | None = option(
        None, "Where the pictures are written as one PNG: of a record, of listed records, of the ledger, of a view."
    )


@keywords(InspectOptions)
def inspect(target: StrPath, options: InspectOptions) -> InspectResult:
    """Say what is in an instance, which is named by its directory or URL or by its recipe: an overview; the records of a split, with a
    label, or that a condition holds for; one record with its facts and a strip of pictures; a view; or the ledger. Builds nothing. Numbers
    with decimals are `decimal.Decimal`; with ``out`` records and the ledger have pictures too.

    UsageError: ``where-syntax``, ``where-column``, ``where-type``, ``unknown-record``, ``unknown-split``, ``inspect-one-thing``.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.inspect("recipe.yaml", where="width < 100").matched           # doctest: +SKIP
    12
    """
    return inspect_with(target, options, Settings.of(options))


def inspect_with(target: StrPath, asked: InspectOptions, settings: Settings) -> InspectResult:
    """`inspect` with its settings in one value; what the command line calls."""
    _check(asked)
    with locations.put_in_words():
        instance = open_instance(target, **_opening(settings))
        if asked.split is not None:
            instance.split(asked.split)  # a wrong name is an error here, not an empty list
        limit = LIMIT if asked.limit is None else asked.limit or (1 << 62)
        if asked.record is not None:
            return inspected_record(instance, asked.record, settings, asked.out)
        if asked.view is not None:
            return _view(target, instance, asked.view, settings, asked.out)
        if asked.ledger:
            return _ledger(instance.manifest, asked.split, limit, asked.out)
        if asked.split is None and asked.label is None and asked.where is None:
            return _overview(instance, asked.limit)
        return _records(instance, asked, limit)


def _opening(settings: Settings) -> Mapping[str, Any]:
    names = ("cache_root", "seed", "overlays", "plugin_paths", "storage_options", "digest", "workers", "log_level")
    return {name: getattr(settings, name) for name in names}


def _check(asked: InspectOptions) -> None:
    """Refuse what asks for two things, or for a number of rows below none."""
    selecting = [f"--{name}" for name in ("label", "where") if getattr(asked, name) is not None]
    things = [f"--{name}" for name in ("record", "view") if getattr(asked, name) is not None] + (["--ledger"] if asked.ledger else [])
    if len(things) > 1 or (things and (selecting or (asked.split is not None and things != ["--ledger"]))):
        raise UsageError("inspect shows one thing at a time", code="inspect-one-thing", value=" ".join([*things, *selecting]))
    if asked.out is not None and not (things or selecting or asked.split is not None):
        raise UsageError("--out is for a picture, and an overview has none", code="inspect-one-thing", value="--out")
    if asked.limit is not None and asked.limit < 0:
        raise UsageError(f"--limit {asked.limit} is below none", code="limit-range", value=asked.limit)


def _overview(instance: Instance, limit: int | None) -> InspectResult:
    manifest = instance.manifest
    raw = manifest.raw
    size = sum(f.bytes for f in manifest.files)
    content = manifest.image_field
    facts: list[tuple[str, Any]] = [
        ("instance", manifest.location),
        ("recipe", manifest.recipe_hash[:16]),
        ("seed", str(manifest.seed)),
        ("records", sum(manifest.counts.values())),
        ("files", f"{len(manifest.files):,}, {size_in_words(size)}"),
        ("fields", ", ".join(f"{name} {type_words(about)}" for name, about in instance.schema.items())),
        *([("stored as", manifest.encoding)] if content else []),
        *([("applied when reading", ", ".join(entry["name"] for entry in raw["deferred"]))] if raw.get("deferred") else []),
        *([("statistics", ", ".join(instance.statistics_names))] if instance.statistics_names else []),
        ("ledger", ", ".join(f"{count:,} {reason}" for reason, count in manifest.ledger.items()) or "empty"),
        *_ranges(manifest),
        ("columns for --where", ", ".join(known_columns(manifest).columns)),
        *([("views", ", ".join(views))] if (views := _views(manifest)) else []),
    ]
    classes: Mapping[str, Mapping[str, int]] = raw.get("classes", {})
    labels = sorted({label for split in classes.values() for label in split})
    many = CLASSES if limit is None else limit or len(labels)
    shown = (
        labels if len(labels) <= many else sorted(labels, key=lambda label: (-sum(c.get(label, 0) for c in classes.values()), label))[:many]
    )
    splits = InspectTable(
        title="splits",
        columns=("label", *manifest.splits),
        rows=(
            ("all", *manifest.counts.values()),
            *((label, *(classes.get(s, {}).get(label, 0) for s in manifest.splits)) for label in shown),
        ),
        total=len(labels) + 1,
    )
    notes = tuple(f"{w['message']} [{w['code']}]" for w in manifest.warnings)
    return InspectResult(kind="overview", instance=manifest.location, facts=tuple(facts), tables=(splits,), notes=notes)


def _ranges(manifest: Manifest) -> Iterator[tuple[str, Any]]:
    """What facts/counts.json says of all splits together: words with their counts, numbers from the least to the greatest."""
    if manifest.file("facts/counts.json") is None:
        return
    counts = json.loads(read_listed(manifest, "facts/counts.json"))
    words: dict[str, dict[str, int]] = {}
    ranges: dict[str, tuple[int, int]] = {}
    schema = facts_schema(manifest)
    units = scales(schema) if schema is not None else {}
    for about in counts.values():
        for name, values in about.get("values", {}).items():
            for value, count in values.items():
                words.setdefault(name, {})[value] = words.get(name, {}).get(value, 0) + count
        for name, known in about.get("ranges", {}).items():
            if known is None:
                continue  # no record has it
            low, high = known
            before = ranges.get(name, (low, high))
            ranges[name] = (min(before[0], low), max(before[1], high))
    order = list(schema.names) if schema is not None else []
    for name in sorted(words, key=order.index):
        most = sorted(words[name].items(), key=lambda item: (-item[1], item[0]))
        if [value for value, _ in most] == [""]:
            continue  # no record has it
        more = f" and {len(most) - 6:,} more" if len(most) > 6 else ""
        yield name, ", ".join(f"{value or 'none'} ({count:,})" for value, count in most[:6]) + more
    for name in sorted(ranges, key=order.index):
        low, high = (shown_value(value, units.get(name, 1)) for value in ranges[name])
        yield name, f"{low:,} to {high:,}"


def _records(instance: Instance, asked: InspectOptions, limit: int) -> InspectResult:
    manifest = instance.manifest
    splits = manifest.splits if asked.split is None else (asked.split,)
    found = matching(manifest, splits=splits, label=asked.label, where=asked.where, limit=limit, shown=USUAL)
    rows = tuple(tuple(row[name] for name in found.columns) for row in found.rows)
    table = InspectTable(title="records", columns=found.columns, rows=rows, total=found.matched)
    facts = (("matching", found.matched), ("of", found.of))
    tiles = [(stored_pixels(instance, one), _file_name(one.record_id)) for one in found.found[:PICTURES]] if asked.out is not None else []
    words = " ".join(word for word in (asked.split, asked.label, asked.where) if word)
    picture = _sheet(words, manifest, found.matched, tiles)
    return InspectResult(
        kind="records",
        instance=manifest.location,
        facts=facts,
        tables=(table,),
        path=written_picture(picture, asked.out),
        picture=picture,
        notes=() if picture is not None or asked.out is None else ("no record matches, so there is no picture",),
    )


def _sheet(title: str, manifest: Manifest, total: int, tiles: Sequence[tuple[Any, str]]) -> bytes | None:
    """The pictures of records on one sheet; None where there is none."""
    if not tiles:
        return None
    return png(contact_sheet(title, f"{len(tiles):,} of {total:,}, {manifest.location}", tiles))


def _file_name(record_id: str) -> str:
    """The end of an id, which tells records of a folder apart."""
    return record_id.rpartition("/")[2]


def _ledger(manifest: Manifest, split: str | None, limit: int, out: StrPath | None) -> InspectResult:
    columns, rows, total = ledger_rows(manifest, split, limit)
    reasons = tuple(sorted(manifest.ledger.items(), key=lambda item: (-item[1], item[0])))
    table = InspectTable(title="ledger", columns=columns, rows=rows, total=total)
    picture, notes = None, tuple[str, ...]()
    if out is not None:
        listed = [row[columns.index("record_id")] for row in rows]
        kept = thumbnails_of(manifest, set(listed))
        tiles = [(kept[record_id], _file_name(record_id)) for record_id in listed if record_id in kept][:PICTURES]
        picture = _sheet("ledger", manifest, total, tiles)
        if len(kept) < len(listed):
            notes = (f"{len(listed) - len(kept):,} of the listed records have no thumbnail: no picture, or one beyond the bound",)
    return InspectResult(
        kind="ledger",
        instance=manifest.location,
        facts=reasons if split is None else (),
        tables=(table,),
        path=written_picture(picture, out),
        picture=picture,
        notes=notes,
    )


def _view(target: StrPath, instance: Instance, name: str, settings: Settings, out: StrPath | None) -> InspectResult:
    views = _views(instance.manifest)
    if name not in views:
        raise UsageError(
            f"the recipe of this instance has no picture {name!r}",
            code="unknown-picture",
            value=name,
            remedy=did_you_mean(name, views) if views else "add Visualizations to the recipe, and run it",
            known=views or "none",
        )
    drawn = draw_with(target, settings, names=[name])
    path = drawn.pictures.get(name)
    picture = locations.read(path) if path is not None else None
    return InspectResult(
        kind="view",
        instance=instance.path,
        facts=(("view", name), ("picture", path)) if path is not None else (("view", name),),
        notes=drawn.notes,
        path=written_picture(picture, out) or path,
        picture=picture,
    )


def _views(manifest: Manifest) -> list[str]:
    """The names of the pictures of the recipe in an instance."""
    location = locations.join(manifest.location, RECIPE_NAME)
    try:
        return [view.name for view in load_recipe(location, text=locations.read(location).decode()).model.Visualizations]
    except (RefineryError, OSError, UnicodeDecodeError):
        return []
