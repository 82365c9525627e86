"""A split in Hugging Face `datasets`: the rows that its reader serves, with their features. Needs the extra ``hf``."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.errors import EnvironmentFault, UsageError
from refinery_beam.identity import digest
from refinery_beam.plugins.base import FieldType
from refinery_beam.reading.labels import LABEL_ID, LabelIds
from refinery_beam.record.columns import arrow_type

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

BATCH_BYTES = 32 << 20
"""The bytes of images that are written together."""


class Served(Protocol):
    """What is shown: the rows of a `SplitReader`."""

    split: str
    raw: bool
    augment: bool
    epoch_number: int
    fields: tuple[str, ...]
    content_field: str | None
    label_field: str
    adds_label_ids: bool

    @property
    def manifest(self) -> Manifest: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def serves_files(self) -> bool: ...

    @property
    def one_shape(self) -> bool: ...

    @property
    def row_bytes(self) -> int | None: ...

    def rows_of(self, shards: Sequence[int], *, stored: bool = False) -> Iterator[dict[str, Any]]: ...

    def batches(self, size: int, *, stored: bool = False) -> Iterator[dict[str, Any]]: ...


STORED, AS_PNG, AS_ARRAYS, PLAIN = "stored", "png", "arrays", "plain"


class View:
    """How the rows of a reader look in `datasets`: labels that are text are a ClassLabel, in the order of ``data.classes``; images that are
    stored as files are an Image, of the bytes as they are stored, and so are uint8 images of varying size, as PNG; arrays of one shape are
    an Array2D or Array3D of their dtype.

    UsageError ``hf-shape`` for arrays of varying shape that are no uint8 images.
    """

    def __init__(self, reader: Served) -> None:
        datasets = the_library()
        self.reader = reader
        self._ids = LabelIds(reader.manifest)
        self._content = reader.content_field
        self._form, content = self._content_feature()
        features = {}
        for name in (*reader.fields, *((LABEL_ID,) if reader.adds_label_ids else ())):
            if name == self._content:
                features[name] = content
            elif name == reader.label_field and self._is_text(name) and reader.classes:
                features[name] = datasets.ClassLabel(names=list(reader.classes))
            else:
                features[name] = datasets.Features.from_arrow_schema(_schema(name, self._type(name)))[name]
        self.features = datasets.Features(features)

    def _type(self, name: str) -> FieldType:
        if name in ("record_id", LABEL_ID):
            return FieldType("str" if name == "record_id" else "int64")
        said = self.reader.manifest.schema[name]
        return FieldType(said["dtype"], tuple(said["shape"]) if said.get("shape") is not None else None)

    def _is_text(self, name: str) -> bool:
        return self._type(name) == FieldType("str")

    def _content_feature(self) -> tuple[str, Any]:
        import numpy as np

        datasets, reader = the_library(), self.reader
        if self._content is None:
            return PLAIN, None
        if reader.serves_files:
            return STORED, datasets.Image()
        row = next(reader.rows_of(range(len(reader.manifest.shards(reader.split)))), None)
        if row is None:
            return PLAIN, datasets.Value("null")
        first = row[self._content]
        if not isinstance(first, np.ndarray):
            return PLAIN, datasets.Features.from_arrow_schema(_schema(self._content, self._type(self._content)))[self._content]
        if reader.one_shape:
            forms = {2: datasets.Array2D, 3: datasets.Array3D}
            return AS_ARRAYS, forms[first.ndim](first.shape, str(first.dtype))
        if first.dtype == np.uint8:
            return AS_PNG, datasets.Image()
        raise self._varying(first.dtype)

    def _varying(self, dtype: Any) -> UsageError:
        message = f"the images of split {self.reader.split!r} are {dtype} arrays of varying shape"
        return UsageError(message, code="hf-shape", value=str(dtype))

    # -- rows ---------------------------------------------------------------------------------------------------------------------

    def tables(self) -> Iterator[pa.Table]:
        """All rows, as tables that the features describe."""
        import pyarrow as pa

        reader, schema = self.reader, self.features.arrow_schema
        size = max(1, BATCH_BYTES // max(1, reader.row_bytes or BATCH_BYTES // 64))
        for batch in reader.batches(size, stored=self._form == STORED):
            arrays = [self._array(name, batch[name], schema.field(name).type) for name in self.features]
            yield pa.Table.from_arrays(arrays, schema=schema)

    def _array(self, name: str, values: Any, type: pa.DataType) -> pa.Array:
        import pyarrow as pa

        if name == self._content and self._form == AS_ARRAYS:
            if isinstance(values, list):
                raise self._varying(values[0].dtype)
            return pa.ExtensionArray.from_storage(type, _nested(values, type.storage_type))
        if name == self._content and self._form in (STORED, AS_PNG):
            files = values if self._form == STORED else [_png(value) for value in values]
            return pa.array([{"bytes": file, "path": None} for file in files], type)
        return pa.array([self._value(name, value) for value in values], type)

    def _value(self, name: str, value: Any) -> Any:
        if name == self.reader.label_field and value is not None and self._is_text(name):
            return self._ids(value)
        return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value

    def rows_of(self, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The rows of some shards, as `datasets` encodes examples."""
        for row in self.reader.rows_of(shards, stored=self._form == STORED):
            found = {name: self._value(name, value) for name, value in row.items()}
            if self._form in (STORED, AS_PNG):
                found[self._content or ""] = {"bytes": _png(found[self._content or ""]), "path": None}
            yield found


def dataset_of(reader: Served, *, cache_dir: str | None) -> datasets.Dataset:
    """All rows as a Dataset whose Arrow file lies in `cache_dir` (that of the library), written once for what the reader serves."""
    datasets = the_library()
    from datasets.arrow_writer import ArrowWriter

    view = View(reader)
    folder = os.path.join(cache_dir or str(datasets.config.HF_DATASETS_CACHE), "refinery-beam")
    path = os.path.join(folder, f"{_key_of(reader).hex()[:32]}-{datasets.__version__}.arrow")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        part = locations.temporary_name(path)
        try:
            with ArrowWriter(features=view.features, path=part) as writer:
                for table in view.tables():
                    writer.write_table(table)
                writer.finalize()
            os.replace(part, path)
        finally:
            if os.path.exists(part):
                os.unlink(part)
    return datasets.Dataset.from_file(path, split=datasets.NamedSplit(reader.split))


def streaming_of(reader: Served) -> datasets.IterableDataset:
    """All rows as an IterableDataset, which reads the shards of the instance; a DataLoader deals them to its workers."""
    datasets = the_library()
    view = View(reader)
    shards = list(range(len(reader.manifest.shards(reader.split))))
    return datasets.IterableDataset.from_generator(
        _rows, features=view.features, gen_kwargs={"reader": reader, "shards": shards}, split=datasets.NamedSplit(reader.split)
    )


def _rows(reader: Served, shards: list[int]) -> Iterator[dict[str, Any]]:
    yield from View(reader).rows_of(shards)


def the_library() -> Any:
    """The library. EnvironmentFault ``missing-extra``."""
    try:
        import datasets
    except ImportError:
        raise EnvironmentFault("to_hf needs the package datasets, which is not installed", code="missing-extra", extra="hf") from None
    return datasets


def _key_of(reader: Served) -> bytes:
    """What the rows that a reader serves follow from."""
    epoch = reader.epoch_number if reader.augment else None
    shown = [reader.split, *reader.fields, f"raw {reader.raw}", f"epoch {epoch}", f"label ids {reader.adds_label_ids}"]
    made = [str(reader.manifest.raw.get(name)) for name in ("recipe_hash", "input_hash", "seed")]
    return digest("hugging-face", reader.manifest.logical_digest, *made, *shown)


def _schema(name: str, declared: FieldType) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(name, arrow_type(declared))])


def _nested(values: Array, type: pa.DataType) -> pa.Array:
    """An array (n, h, ...) as nested lists of Arrow, whose values are copied once."""
    import numpy as np
    import pyarrow as pa

    found = pa.array(np.ascontiguousarray(values).reshape(-1))
    kinds = []
    while pa.types.is_list(type):
        kinds.append(type)
        type = type.value_type
    if found.type != type:
        found = found.cast(type)
    for depth, kind in zip(range(values.ndim - 1, 0, -1), reversed(kinds), strict=True):
        lists = int(np.prod(values.shape[:depth], dtype=np.int64))
        offsets = pa.array(np.arange(lists + 1, dtype=np.int32) * values.shape[depth])
        found = pa.ListArray.from_arrays(offsets, found, type=kind)
    return found


def _png(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value).save(file, "PNG")
    return file.getvalue()
