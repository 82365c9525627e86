"""The facts of a page from the files of an instance. What cannot be read is left out and said; numbers of the manifest are always there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.manifest import RECIPE_NAME, SELECTION_NAME
from refinery_beam.errors import RefineryError
from refinery_beam.launch.page.chain import chain_of
from refinery_beam.launch.page.histograms import channels_of
from refinery_beam.launch.page.images import picture_in, picture_of
from refinery_beam.launch.page.losses import ledger_page
from refinery_beam.launch.page.properties import read_properties
from refinery_beam.launch.page.thumbnails import read_thumbnails
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.instance import Instance
from refinery_beam.reading.recorded import read_listed
from refinery_beam.reporting.facts import facts_of_manifest
from refinery_beam.reporting.opening import Opening
from refinery_beam.reporting.page import Drawn, PageFacts, Picture, Record
from refinery_beam.reporting.page.bounds import DRAWN_BYTES, PICTURE_BYTES
from refinery_beam.reporting.page.findings import shown_records

FIRST_ROWS = 24
"""Rows of each split that are shown where an instance has no thumbnails: stored rows lie in the order of hashes, so they are a sample."""

_ABOUT_THE_STEP = ("op", "version", "fit_source", "pinned", "origin")


def page_facts(
    manifest: Manifest, *, key: str, pictures: Mapping[str, str], sources: Mapping[str, str], code: tuple[PathCode, ...] = ()
) -> PageFacts:
    """The facts of the page of an instance. `pictures` are the locations of drawn pictures by name, `sources` those of the raw data by the
    name of the source, where they are known.
    """
    absent: list[str] = []
    instance = Instance(manifest, code=code)
    raw = manifest.raw
    fitted = {
        step["name"]: {k: v for k, v in instance.recorded.statistics(step["statistics"]).items() if k not in _ABOUT_THE_STEP}
        for step in (*raw.get("replay", {}).get("steps", ()), *raw.get("deferred", ()))
        if step.get("statistics")
    }
    findings = _json(manifest, "facts/findings.json")
    ledger = ledger_page(manifest)
    compared = shown_records(findings)
    shown = list(dict.fromkeys(record for records in compared for record in records))
    properties, positions = read_properties(manifest, [record.record_id for record in shown])
    thumbnails = read_thumbnails(manifest, {*(row.record_id for row in ledger.rows), *(record.record_id for record in shown)})
    samples, found = list(thumbnails.samples), dict(thumbnails.pictures)
    chain = None
    with _said(absent, "no picture is read from the rows"):
        if manifest.image_field is not None:
            if not samples:
                samples = _first_rows(instance, found)
            stored = _without_thumbnail(compared, found)
            _stored_rows(instance, {name: at for name, at in positions.items() if name in stored}, found)
            chain = chain_of(instance, sources)
    if "manifest_digest" not in raw:
        absent.append("This instance was built by an older release: it states less than one of today.")
    return PageFacts(
        key=key,
        report=facts_of_manifest(raw, ledger=(), fitted=fitted),
        ledger=ledger,
        recipe=_text(manifest, RECIPE_NAME),
        opening=Opening.of(raw["report"]["opening"]) if "opening" in raw.get("report", {}) else None,
        release=str(raw.get("refinery_beam", "")),
        environment=raw.get("environment", {}),
        files={split: (len(shards := manifest.shards(split)), sum(shard.bytes for shard in shards)) for split in manifest.splits},
        samples=samples,
        pictures=_within(found, samples),
        chain=chain,
        properties=properties,
        channels=channels_of(manifest),
        drawn=_drawn(pictures, absent),
        findings=findings,
        drift=_json(manifest, "report/drift.json"),
        selection=_json(manifest, SELECTION_NAME),
        absent=absent,
    )


@contextmanager
def _said(absent: list[str], what: str) -> Iterator[None]:
    """What a missing plugin, a damaged file or content of another kind keeps from the page is said on it."""
    try:
        yield
    except (RefineryError, OSError, ValueError) as error:
        absent.append(f"On this page {what}: {error}")


def _first_rows(instance: Instance, found: dict[str, Picture]) -> list[Record]:
    content, label = instance.manifest.image_field or "", str(instance.manifest.raw.get("label_field", ""))
    records: list[Record] = []
    for split in instance.splits:
        names = [name for name in (content, label) if name in instance.schema]
        for row in instance.split(split, raw=True, columns=names)[:FIRST_ROWS]:
            picture = picture_of(row[content])
            if picture is None:
                return records
            value = row.get(label)
            records.append(Record(row["record_id"], split, "" if value is None else str(value)))
            found[row["record_id"]] = picture
    return records


def _stored_rows(instance: Instance, positions: Mapping[str, tuple[str, int]], found: dict[str, Picture]) -> None:
    """Pictures of the stored rows at positions, by record id."""
    content = instance.manifest.image_field or ""
    for record_id, (split, position) in sorted(positions.items(), key=lambda pair: pair[1]):
        picture = picture_of(instance.split(split, raw=True, columns=[content])[position][content])
        if picture is not None:
            found[record_id] = picture


def _without_thumbnail(compared: Sequence[Sequence[Record]], found: Mapping[str, Picture]) -> set[str]:
    """The records that are shown as they are stored: all of a finding where one of them has no thumbnail. Who compares pictures wants them
    made in one way: a stored row may be stretched.
    """
    wanting = (records for records in compared if any(record.record_id not in found for record in records))
    return {record.record_id for records in wanting for record in records}


def _within(found: Mapping[str, Picture], samples: list[Record]) -> dict[str, Picture]:
    """As many pictures as the page has room for: those beside findings and losses first, then samples, class after class in turn."""
    ranked = [name for name in found if name not in {record.record_id for record in samples}]
    turns: dict[tuple[str, str], int] = {}
    numbered = []
    for record in samples:
        turn = turns[record.split, record.label] = turns.get((record.split, record.label), 0) + 1
        numbered.append((turn, record.record_id))
    kept, room = {}, PICTURE_BYTES
    for name in (*ranked, *(name for _, name in sorted(numbered, key=lambda pair: pair[0]))):
        picture = found.get(name)
        if picture is not None and len(picture.data) <= room:
            kept[name] = picture
            room -= len(picture.data)
    return kept


def _drawn(pictures: Mapping[str, str], absent: list[str]) -> list[Drawn]:
    found = []
    for name, location in pictures.items():
        try:
            picture = picture_in(locations.read(location), side=1600, most=DRAWN_BYTES // max(1, len(pictures)))
        except OSError as error:
            picture = None
            absent.append(f"The picture {name!r} cannot be read: {error.strerror or error}")
        if picture is not None:
            found.append(Drawn(name, *picture))
    return found


def _json(manifest: Manifest, path: str) -> dict[str, Any]:
    """A JSON object of the instance, proved by its manifest; empty where there is none."""
    if manifest.file(path) is None:
        return {}
    value = json.loads(read_listed(manifest, path))
    return value if isinstance(value, dict) else {}


def _text(manifest: Manifest, path: str) -> str:
    try:
        return locations.read(locations.join(manifest.location, path)).decode()
    except (OSError, UnicodeDecodeError):
        return ""
