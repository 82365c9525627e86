"""Plans for tests: compiled from a recipe of the builder, or a bare one around a split rule; and references to be divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.identity import record_key
from refinery_beam.planning.build import build_plan
from refinery_beam.planning.nodes import OutputPlan, Plan, SourceRoot, SplitPlan
from refinery_beam.planning.storage import Storage
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import Recipe, load_recipe
from refinery_beam.records import Ref
from support.recipes import SMALL, recipe_text

STORAGE = Storage(content="zstd:1", fields="zstd:1", row_group_bytes=1 << 20, row_group_rows=8)


def recipe_of(**parts: Any) -> Recipe:
    return load_recipe("r.yaml", text=recipe_text("/photos", **{"base": SMALL, **parts}))


def plan_of(*, partitions: Sequence[str] = (), **parts: Any) -> Plan:
    """The plan of the small recipe with these parts; nothing is listed or read."""
    return build_plan(recipe_of(**parts), PLUGIN, partitions=partitions)


def refused(**parts: Any) -> list[tuple[str, Any]]:
    """(code, value) of everything that a plan of these parts is refused for; every refusal says where it is, and what to do."""
    with pytest.raises(RefineryError) as caught:
        plan_of(**parts)
    errors = caught.value.errors()
    assert all(error.at.startswith("r.yaml:") and error.rule for error in errors)
    return [(error.code, error.value) for error in errors]


def bare_plan(split: SplitPlan, **more: Any) -> Plan:
    """A plan of nothing but a split rule."""
    output = OutputPlan(fields=(), content_field=None, encoding="none", quality=95, shard_records=None, shard_bytes=None, storage=STORAGE)
    words: dict[str, Any] = {
        "plugin": "image_classification",
        "plugin_version": 1,
        "content": "image",
        "seed": 0,
        "sources": (SourceRoot(name="s", root="/"),),
        "label_field": "label",
        "unlabeled": (),
        "decode": {},
        "limits": {},
        "on_error": "fail",
        "max_bad_fraction": 0.0,
        "pre_filters": (),
        "post_filters": (),
        "fields": (),
        "split": split,
        "chains": {},
        "fits": (),
        "output": output,
        "op_versions": {},
    }
    return Plan(**{**words, **more})


def make_ref(number: int, *, label: str | None = "cat", partition: str = "", group: bytes | None = None, fields: str = "") -> Ref:
    record_id = f"s/{number:04d}.png"
    key = record_key(record_id)
    return Ref(record_id, key, 0, f"{number:04d}.png", 1, b"d", label, partition, group or key, "", fields, "")
