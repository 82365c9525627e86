"""`inspect --record`: one record, everything that is known of it, and its pictures."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.errors import RefineryError
from refinery_beam.inspection.columns import each_table, known_columns, shown_value
from refinery_beam.inspection.find import Found, find_record
from refinery_beam.inspection.inputs import input_row
from refinery_beam.inspection.ledger import lost_row
from refinery_beam.inspection.strip import Strip, drawn_strip, strip_of, strip_of_lost
from refinery_beam.launch.inspect_result import InspectResult, InspectTable
from refinery_beam.launch.own_recipe import find_own
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.reading.instance import Instance
from refinery_beam.recipe import load_recipe


def inspected_record(instance: Instance, record_id: str, settings: Settings, out: StrPath | None) -> InspectResult:
    manifest = instance.manifest
    rows = find_record(manifest, record_id)
    if not rows:
        return _lost_record(instance, record_id, settings, out)
    own = next((row for row in rows if "#" not in row.record_id), rows[0])
    parent = own.record_id.partition("#")[0]
    columns = [name for name in instance.schema if name != manifest.image_field]
    fields = instance.split(own.split, raw=True, columns=columns or ["record_id"])[own.position]
    facts: list[tuple[str, Any]] = [
        ("record", own.record_id),
        ("split", own.split),
        *((name, _plain(fields.get(name))) for name in columns),
    ]
    listed = input_row(manifest, parent)
    if listed is not None:
        facts += [("bytes", listed["bytes"]), ("digest", listed["digest"].hex())]
    facts += _facts_of(instance, own, {name for name, _ in facts})
    file, notes = _raw_file(manifest, parent, listed, settings)
    if file is not None:
        facts.append(("file", file))
    facts += [("made of it", row.record_id) for row in rows if row is not own]
    facts += [("chain", line) for line in _chain(manifest, own.split)]
    strip = strip_of(instance, rows, file)
    picture = png(drawn_strip(parent, f"{own.split}, {manifest.location}", strip.frames)) if strip.frames else None
    path = written_picture(picture, out)
    return InspectResult(
        kind="record",
        instance=manifest.location,
        facts=tuple(facts),
        tables=(_frames(strip),) if strip.frames else (),
        notes=(*notes, *strip.notes),
        path=path,
        picture=picture,
    )


def _lost_record(instance: Instance, record_id: str, settings: Settings, out: StrPath | None) -> InspectResult:
    """What is known of a record that did not come out."""
    manifest = instance.manifest
    row = lost_row(manifest, record_id) or {}
    facts: list[tuple[str, Any]] = [("record", record_id), ("in the ledger", "it did not come out")]
    facts += [(name, _plain(value)) for name, value in row.items() if name != "record_id" and value not in (None, "")]
    listed = input_row(manifest, record_id)
    if listed is not None:
        facts += [("bytes", listed["bytes"]), ("digest", listed["digest"].hex())]
    file, notes = _raw_file(manifest, record_id, listed, settings)
    if file is not None:
        facts.append(("file", file))
    split = row.get("split")
    strip = strip_of_lost(instance, record_id, split if split in manifest.splits else manifest.splits[0], file)
    picture = png(drawn_strip(record_id, f"ledger, {manifest.location}", strip.frames)) if strip.frames else None
    return InspectResult(
        kind="record",
        instance=manifest.location,
        facts=tuple(facts),
        tables=(_frames(strip),) if strip.frames else (),
        notes=(*notes, *strip.notes),
        path=written_picture(picture, out),
        picture=picture,
    )


def _frames(strip: Strip) -> InspectTable:
    rows = tuple((frame.caption, frame.dtype, " x ".join(map(str, frame.shape))) for frame in strip.frames)
    return InspectTable(title="pictures", columns=("picture", "dtype", "shape"), rows=rows, total=len(rows))


def _facts_of(instance: Instance, own: Found, known: set[str]) -> Iterator[tuple[str, Any]]:
    """The facts about one stored row, those that are known already left out."""
    manifest, measures = instance.manifest, instance.recorded.kind.measures
    columns = known_columns(manifest)
    # A signature is compared, not read.
    known = known | ({measures.signature} if measures is not None else set())
    names = [name for name in columns.columns if name in columns.facts and name not in known]
    if not names:
        return
    for _, start, table in each_table(manifest, names, known=columns, splits=(own.split,)):
        if start <= own.position < start + table.num_rows:
            row = table.slice(own.position - start, 1).to_pylist()[0]
            yield from ((name, shown_value(row[name], columns.columns[name].scale)) for name in names if row[name] is not None)
            return


def _raw_file(manifest: Manifest, record_id: str, listed: Mapping[str, Any] | None, settings: Settings) -> tuple[str | None, list[str]]:
    """Where the file of a record is on this machine, where that is known and it still is the file that was prepared; else why not."""
    if locations.is_url(manifest.location):
        return None, []
    own = find_own(os.path.join(manifest.location, RECIPE_NAME), Settings(cache_root=settings.root))
    try:
        recipe = load_recipe(os.path.join(manifest.location, RECIPE_NAME), variables=own.variables if own is not None else None)
        name, _, relative = record_id.partition("/")
        source = next((s for s in recipe.model.Input.sources if s.name == name), None)
        if source is None or not relative:
            return None, []
        path = locations.join(recipe.resolve(source.path), relative)
        data = locations.read(path)
    except (RefineryError, OSError):
        return None, ["its file is not here any more, so what happened to it is not drawn again"]
    digest = listed["digest"] if listed is not None else b""
    if len(digest) == 32 and hashlib.sha256(data).digest() != digest:
        return None, [f"the file at {path} is not the one that was prepared"]
    return path, []


def _chain(manifest: Manifest, split: str) -> Iterator[str]:
    """The steps of a split in words: what was stored, and what is applied when reading."""
    for entry in manifest.raw.get("replay", {}).get("steps", []):
        if split in entry.get("splits", [split]):
            yield f"{entry['name']} ({entry['op']}) -> {type_words(entry['out'])}"
    for entry in manifest.raw.get("deferred", []):
        if split in entry.get("splits", [split]):
            yield f"{entry['name']} ({entry['op']}) when reading -> {type_words(entry['out'])}"


def type_words(about: Mapping[str, Any]) -> str:
    shape = about.get("shape")
    return str(about.get("dtype")) + (f"[{', '.join('?' if n is None else str(n) for n in shape)}]" if shape else "")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def png(image: Any) -> bytes:
    """The bytes of a picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def written_picture(picture: bytes | None, out: StrPath | None) -> str | None:
    if picture is None or out is None:
        return None
    path = os.fspath(out)
    locations.write(path, picture)
    return locations.absolute(path)
