"""What the index room needs of a recipe and of its sources, without the recipe room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from refinery_beam.plugins.image_classification import PLUGIN


def of_type(word: str) -> dict[str, Any]:
    """What a built-in source type says of a source."""
    known = PLUGIN.kind.source_types.get(word)
    facts = {"arrangement": known.arrangement, "extensions": known.extensions} if known is not None else {}
    return {**facts, "noun": "image"}


class FakeRecipe:
    """What the index room needs of a recipe, without the recipe room."""

    def __init__(self, base: Path, model: Any) -> None:
        self.base = base
        self.model = model

    def resolve(self, location: str) -> str:
        return os.path.normpath(os.path.join(self.base, location))

    def shown(self, location: str) -> str:
        return self.resolve(location)

    def at(self, path: Any) -> str:
        return "recipe.yaml:" + ".".join(str(step) for step in path)


def label_from(path: str, *, join: str = "by_id", id_field: str | None = "id", label_field: str = "label", header: Any = None) -> Any:
    declared = dict.fromkeys(("encoding", "delimiter", "order", "single_label"))
    id_field = id_field if join == "by_id" else None
    return SimpleNamespace(path=path, join=join, id_field=id_field, label_field=label_field, header=header, **declared)


def source(name: str = "s", type: str = "image_folder", path: str = "images", **more: Any) -> Any:
    given = {"label_from": None, "partition": None, "unlabeled": False, "layout": None, **more}
    return SimpleNamespace(name=name, type=type, path=path, **given)


def recipe(
    base: Path,
    *sources: Any,
    on_error: str = "fail",
    derivation: str | None = None,
    kind: str | None = None,
    field: str = "label",
    schema: tuple[str, ...] = ("image", "label"),
    **sections: Any,
) -> FakeRecipe:
    empty = dict.fromkeys(("Filters", "Featurizations", "InputContracts", "OutputExpectations", "Sinks"), ())
    model = SimpleNamespace(
        Input=SimpleNamespace(sources=sources, on_error=on_error, follow_links="inside", limits={}),
        Output=SimpleNamespace(record_schema={name: SimpleNamespace(dtype="str") for name in schema}),
        Labels=SimpleNamespace(
            field=field, source=SimpleNamespace(kind=kind or ("derived" if derivation else "direct"), derivation=derivation)
        ),
        **{"Splits": SimpleNamespace(group_by=None, stratify_by=None, order_by=None, key_assignment=None), **empty, **sections},
    )
    return FakeRecipe(base, model)
