"""How to open an instance in the libraries of the field: Python that runs, for the card and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What the snippets name: a split with records, and its name in the `datasets` library; the field of content ('' without); dtype and
    shape of `pixels` where a cell is the raw bytes of an array; whether `datasets` gives an `image`; the field of labels ('' without), and
    whether `datasets` knows the names of its classes (`named`); whether readers apply `deferred` ops.
    """

    split: str
    name: str
    content: str
    pixels: tuple[str, Sequence[int]] | None
    image: bool
    label: str
    named: bool
    deferred: bool

    def to_dict(self) -> dict[str, Any]:
        """Its form in the manifest."""
        pixels = None if self.pixels is None else [self.pixels[0], list(self.pixels[1])]
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "pixels": pixels}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Opening:
        """From its form in a manifest."""
        pixels = entry["pixels"]
        return cls(**{**entry, "pixels": None if pixels is None else (pixels[0], tuple(pixels[1]))})


class Snippet(NamedTuple):
    """Lines of Python in which `path` is the instance's folder; `note` says more about the library ('' if there is no more to say)."""

    library: str
    note: str
    lines: Sequence[str]


def snippets(opening: Opening) -> list[Snippet]:
    """A snippet for each library, ours first."""
    o = opening
    files, cell = f"{{path}}/dataset/{o.split}", f"[{_literal(o.content)}]"
    raw = f"  # as it is stored: data.split({_literal(o.split)}, raw=True)" if o.deferred else ""
    ours = ["import refinery_beam", "", "data = refinery_beam.open_instance(path)", f"row = data[{_literal(o.split)}][0]{raw}"]
    theirs = ["from datasets import load_dataset", "", "data = load_dataset(path)", f"row = data[{_literal(o.name)}][0]"]
    frame = ["import pandas", "", f'frame = pandas.read_parquet(f"{files}")']
    if o.pixels is not None:
        array = 'array = numpy.frombuffer({}, "{}").reshape({})'
        dtype, shape = o.pixels[0], ", ".join(map(str, o.pixels[1]))
        theirs = ["import numpy", *theirs, array.format(f"row{cell}", dtype, shape)]
        frame = ["import numpy", *frame, array.format(f"frame{cell}[0]", dtype, shape)]
    elif o.image:
        theirs += [f"image = row{cell}  # a Pillow image"]
        frame = ["import io", "", "import pandas", "from PIL import Image", *frame[1:]]
        frame += [f'image = Image.open(io.BytesIO(frame{cell}[0]["bytes"]))']
    by_label = (f'"{o.label}", ', " group by all order by all") if o.label.isidentifier() else ("", "")
    duck = ["import duckdb", "", f"rows = duckdb.sql(f'select {by_label[0]}count(*) from \"{files}/*.parquet\"{by_label[1]}').fetchall()"]
    arrow = ["import pyarrow.dataset", "", f'table = pyarrow.dataset.dataset(f"{files}").to_table()']
    named = "; a label is a number, and its name is in the features" if o.named else ""
    return [
        Snippet("refinery-beam", "; a split is a map-style dataset for PyTorch's `DataLoader`", ours),
        Snippet("Hugging Face `datasets`", named, theirs),
        Snippet("pandas", "", frame),
        Snippet("DuckDB", "", duck),
        Snippet("PyArrow", "", arrow),
    ]


def torch_snippet(opening: Opening) -> Snippet:
    """Batches of tensors for training."""
    lines = [
        "import refinery_beam",
        "import refinery_beam.torch",
        "",
        f"train = refinery_beam.open_instance(path)[{_literal(opening.split)}]",
        "loader = refinery_beam.torch.Loader(train, batch_size=32, seed=0)",
        "batch = next(iter(loader))",
    ]
    if opening.content:
        lines.append(f"shape = batch[{_literal(opening.content)}].shape")
    return Snippet("PyTorch", "", lines)


def _literal(text: str) -> str:
    """Text as Python writes it, in double quotes."""
    return json.dumps(text, ensure_ascii=False)
