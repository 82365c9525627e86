"""One record, picture after picture: decoded, after each stored step, as it is stored, as readers give it, augmented."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RefineryError
from refinery_beam.launch.page.images import picture_of
from refinery_beam.plugins.base import BadRecord, type_of
from refinery_beam.reading.instance import Instance
from refinery_beam.record.steps import run
from refinery_beam.reporting.page import Chain, Record, Stage

EPOCHS = 4
_FIRST = 12
SIDE = 256

_READERS = "what data[split] gives: the recipe's deferred steps are applied"


def chain_of(instance: Instance, sources: Mapping[str, str]) -> Chain | None:
    """The chain of a record near the beginning of train, or of the first split that has records. `sources` are the folders or URLs of the
    sources by name, as far as they are known. None where no content is stored.
    """
    manifest = instance.manifest
    content = manifest.image_field
    splits = sorted((split for split in instance.splits if instance.counts[split]), key=lambda split: split != "train")
    if content is None or not splits:
        return None
    split = splits[0]
    position = _position(instance, split, content)
    stored = instance.split(split, raw=True)[position]
    record = Record(stored["record_id"], split, _text(stored.get(str(manifest.raw.get("label_field", "")))))
    pixels = stored[content]
    stages, note = _from_file(instance, split, record.record_id, sources)
    last = _stage("stored", pixels, "the row in the dataset")
    stages = [*stages, last]
    if any(split in entry.get("splits", [split]) for entry in manifest.raw.get("deferred", ())):
        served = instance.split(split, columns=[content])[position][content]
        stages.append(_stage("as a model sees it", served, _READERS))
    augmented = _augmented(instance, split, content, position)
    pictures = [stage for stage in (*stages, *augmented) if stage.picture is not None]
    return Chain(record, stages, augmented, note) if pictures else None


def _position(instance: Instance, split: str, content: str) -> int:
    """Of the first rows the one that shows most: that has the most different values. Records that were generated have no file to begin
    with, so they come last.
    """
    best, found = (False, -1), 0
    for i, row in enumerate(instance.split(split, raw=True, columns=[content])[:_FIRST]):
        values = len(set(row[content].tobytes())) if hasattr(row[content], "tobytes") else 0
        if ("#" not in row["record_id"], values) > best:
            best, found = ("#" not in row["record_id"], values), i
    return found


def _from_file(instance: Instance, split: str, record_id: str, sources: Mapping[str, str]) -> tuple[list[Stage], str]:
    """The stages up to the stored row, drawn again from the file where it is there with the bytes that it had."""
    recorded = instance.recorded
    name, _, path = record_id.partition("/")
    if recorded.encoding.from_source:
        return [], ""
    if "#" in record_id:
        return [], "The record was generated: what lies between its file and the row is not drawn again."
    if name not in sources:
        return [], "The steps before are not drawn: where the file lies is not known here."
    location = locations.join(sources[name], path)
    try:
        data = locations.read(location)
        if not _is_the_file(instance, record_id, data):
            return [], "The steps before are not drawn: the file holds other bytes now."
        content: Any = recorded.decode(data, split, location=record_id, loader=recorded.loader(name))
        stages = [_stage("decoded", recorded.kind.plain(content), "the file, by Input.decode")]
        for step in recorded.eager(split).steps:
            content = run(content, [step], {})
            title = step.bound.name if step.bound.name == step.bound.op.spec.name else f"{step.bound.name} ({step.bound.op.spec.name})"
            stages.append(_stage(title, recorded.kind.plain(content), ""))
        return stages, ""
    except (OSError, RefineryError, BadRecord):
        return [], "The steps before are not drawn: the file is not there any more, or cannot be read here."


def _is_the_file(instance: Instance, record_id: str, data: bytes) -> bool:
    """Whether bytes are those that the record was made of. An instance without a table of its input cannot tell, so they are not."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if instance.manifest.file("input.parquet") is None:
        return False
    with locations.opened(locations.join(instance.path, "input.parquet")) as source, pq.ParquetFile(source) as file:
        kind = (file.schema_arrow.metadata or {}).get(b"refinery:digest", b"sha256").decode()
        wanted = hashlib.new(kind, data, usedforsecurity=False).digest()
        for batch in file.iter_batches(columns=["record_id", "digest"]):
            rows = batch.filter(pc.equal(batch.column("record_id"), record_id))
            if rows.num_rows:
                return bool(rows.column("digest")[0].as_py() == wanted)
    return False


def _augmented(instance: Instance, split: str, content: str, position: int) -> list[Stage]:
    """The record as in the first epochs."""
    entries = instance.manifest.raw.get("augmentations", ())
    if not any(entry["materialization"] == "lazy" and split in entry["splits"] for entry in entries):
        return []
    reader = instance.split(split, raw=True, columns=[content])
    return [_stage(f"epoch {number}", reader.epoch(number)[position][content], "") for number in range(EPOCHS)]


def _stage(title: str, pixels: Any, note: str) -> Stage:
    type = type_of(pixels)
    said = f"{type}"
    if getattr(pixels, "size", 0):
        least, most = pixels.min(), pixels.max()
        values = f"{int(least)} to {int(most)}" if type.dtype.startswith(("uint", "int")) else f"{float(least):.2f} to {float(most):.2f}"
        said = f"{type}, {values}"
    return Stage(title, f"{said}; {note}" if note else said, picture_of(pixels, side=SIDE))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
