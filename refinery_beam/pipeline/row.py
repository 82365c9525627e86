"""The second half of a record's work: from its field values and its pixels to the stored row and the row's digest. No Beam."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.exact import Partial
from refinery_beam.pipeline.bad import BadRecord
from refinery_beam.pipeline.beside import Extras
from refinery_beam.pipeline.columns import FieldMismatch, coerce
from refinery_beam.pipeline.source import SourceFiles
from refinery_beam.plan.nodes import Chain, Plan
from refinery_beam.plugins.image_classification.decode import looks_whole
from refinery_beam.plugins.image_classification.encode import EncodeError, TooLong, encode
from refinery_beam.records import Ref
from refinery_beam.rows import Pixels, SourceBytes, row_digest


@dataclass(frozen=True, slots=True)
class Prepared:
    """One finished row: stored field values in schema order, its digest, and the values its split's riding fit points accumulate."""

    ref: Ref
    values: tuple[Any, ...]
    digest: bytes
    size: int
    partials: tuple[tuple[str, Partial], ...] = field(default=())
    extras: Extras | None = None


class RowMaker:
    """Makes rows as ``Output`` of a plan declares them. Safe to use from several threads."""

    def __init__(self, plan: Plan, files: SourceFiles) -> None:
        self.plan = plan
        self._files = files
        self._child_fields = frozenset(plan.child_fields)

    def row(self, ref: Ref, known: Mapping[str, Any], *, data: bytes, array: Any, partials: tuple[tuple[str, Partial], ...]) -> Prepared:
        """The row of known field values and checked pixels. Raises BadRecord for a value that is not of its declared type."""
        output = self.plan.output
        values: list[Any] = []
        canonical: list[tuple[str, str, Any]] = []
        size = 0
        for name, declared in output.fields:
            if name == output.image_field:
                value, proof = self._image(ref, data, array)
                size += len(value) if output.encoding == "tensor" else len(value["bytes"])
                canonical.append((name, declared.dtype, proof))
            else:
                optional = (
                    name == "partition"
                    or name in self._child_fields
                    or (name == self.plan.label_field and ref.partition in self.plan.unlabeled)
                )
                try:
                    value = coerce(name, known.get(name), declared, optional=optional)
                except FieldMismatch as error:
                    raise BadRecord(f"schema:{name}", str(error), stage="Output") from error
                if name != "record_id":
                    canonical.append((name, declared.dtype, value))
            values.append(value)
        return Prepared(ref=ref, values=tuple(values), digest=row_digest(ref.record_id, canonical), size=size, partials=partials)

    def _image(self, ref: Ref, data: bytes, array: Any) -> tuple[Any, Pixels | SourceBytes]:
        """The stored image value, and what its digest covers: the pixels before encoding (for `source`: the file's own digest)."""
        output = self.plan.output
        if output.encoding == "source":
            self._check_source(ref, data)
            return {"bytes": data, "path": ref.path}, SourceBytes(ref.digest)
        raw = array.tobytes()
        proof = Pixels(str(array.dtype), tuple(int(n) for n in array.shape), raw)
        if output.encoding == "tensor":
            return raw, proof
        extension = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}[output.encoding]
        name = os.path.splitext(ref.path)[0] + extension
        try:
            content = encode(array, output.encoding, quality=output.quality)
        except EncodeError as error:
            reason = "wrong_size" if isinstance(error, TooLong) else "unsupported_mode"
            raise BadRecord(reason, str(error), stage="Output", op="encode") from error
        except (OSError, ValueError) as error:
            # What else the codec refuses: some JPEG libraries stop a little short of what the format can state.
            detail = f"{output.encoding} cannot hold {array.dtype}{list(array.shape)}: {error}"
            raise BadRecord("wrong_size", detail, stage="Output", op="encode") from error
        return {"bytes": content, "path": name}, proof

    def checked(self, array: Any, chain: Chain) -> Any:
        """The array, proved to have the stored type. A grey image gains the trailing 1 of a schema whose images have a channel axis."""
        want = chain.stored
        if len(want.shape) == array.ndim + 1 and want.shape[-1] in (1, None):
            array = array.reshape((*array.shape, 1))
        same = array.ndim == len(want.shape) and all(w is None or w == n for w, n in zip(want.shape, array.shape, strict=True))
        if not same or str(array.dtype) != want.dtype:
            raise BadRecord("schema:image", f"the image is {array.dtype}{list(array.shape)}, Output declares {want}", stage="Output")
        return array

    def _check_source(self, ref: Ref, data: bytes) -> None:
        """Untouched source bytes are an image within the limits, whole, and of a declared size. Header and structure are enough to
        know: only a file that looks cut is decoded for it.
        """
        chain = self.plan.chains[ref.split]
        want = chain.stored.shape
        width, height = self._files.header(data)
        if (want[0] not in (None, height)) or (want[1] not in (None, width)):
            raise BadRecord("schema:image", f"the image is {height} x {width}, Output declares {chain.stored}", stage="Output")
        if not self.plan.decodes and not looks_whole(data):
            self._files.decode(data, chain)
