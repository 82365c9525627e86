"""The fused-stage check: every element that crosses a stage boundary has a deterministic coder of plain fields, so it is no pickle and no
pixels.

Runners fuse what they can and materialise the rest. Carrying images over a boundary costs four to five times their bytes in memory on the
local runner and a shuffle everywhere else, and one innocent `Map` can cause it. So this module computes the fused stages of a job offline,
in milliseconds, and checks the coder of every PCollection that crosses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PICKLING = frozenset({"FastPrimitivesCoder", "PickleCoder", "CloudpickleCoder", "DillCoder", "MemoizingPickleCoder"})
"""Coders that may pickle elements. `DeterministicFastPrimitivesCoderV2` is not among them: it writes the None key of a CombineGlobally.
"""


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """One PCollection that crosses a stage boundary: its producer and the tree of its coder."""

    producer: str
    coder: str

    @property
    def pickled(self) -> bool:
        """Whether its coder pickles any part of an element."""
        return pickles(self.coder)


def pickles(coder: str) -> bool:
    """Whether any part of a described coder pickles."""
    return any(word in PICKLING for word in re.findall(r"[A-Za-z0-9_]+", coder))


def crossings(pipeline: Any) -> list[Crossing]:
    """Every PCollection of a pipeline that its fused stages materialise, sorted. Builds stages only; nothing runs."""
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.worker import bundle_processor

    proto = pipeline.to_runner_api()
    context, stages = fn_runner.FnApiRunner().create_stages(proto)
    found = set()
    for stage in stages:
        for transform in stage.transforms:
            if transform.spec.urn == bundle_processor.DATA_OUTPUT_URN:
                (pcoll,) = transform.inputs.values()
                producer = next((t.unique_name for t in stage.transforms if pcoll in t.outputs.values()), transform.unique_name)
                found.add((producer, describe_coder(context.components, context.components.pcollections[pcoll].coder_id)))
    return [Crossing(producer=p, coder=c) for p, c in sorted(found)]


def offences(pipeline: Any) -> list[Crossing]:
    """The crossings whose coder may pickle."""
    return [c for c in crossings(pipeline) if c.pickled]


def _describe_field(field: Any) -> str:
    """A field's name, with a note if its type is unknown and Beam pickles it."""
    untyped = field.type.logical_type.urn == "beam:logical:pythonsdk_any:v1"
    return f"{field.name}: FastPrimitivesCoder" if untyped else str(field.name)


def describe_coder(components: Any, coder_id: str) -> str:
    """A coder as a short expression, such as ``kv(bytes, row(record_id, key, ...))``."""
    from apache_beam import coders
    from apache_beam.portability.api import schema_pb2
    from google.protobuf import message

    coder = components.coders[coder_id]
    urn = coder.spec.urn
    name = urn.removeprefix("beam:coder:").removesuffix(":v1")
    if name == "row":
        schema = schema_pb2.Schema()
        try:
            schema.ParseFromString(coder.spec.payload)
        except message.DecodeError:
            return "row(?)"
        return f"row({', '.join(_describe_field(f) for f in schema.fields)})"
    if name == "pickled_python":
        # A Python coder without a URN of its own is itself shipped as a pickle; what matters is how it writes elements.
        return type(coders.Coder.from_runner_api(coder, None)).__name__
    parts = ", ".join(describe_coder(components, c) for c in coder.component_coder_ids)
    return f"{name}({parts})" if parts else name
