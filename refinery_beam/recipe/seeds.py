"""Which seed a section draws from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinery_beam.identity import derive_seed
from refinery_beam.recipe.model_ops import FromMaster

if TYPE_CHECKING:
    from refinery_beam.recipe.load import Recipe


def section_seed(recipe: Recipe, value: int | FromMaster | None, name: str) -> int:
    """The seed of a section: a written number as it is, ``{from: master}`` derived from the master seed and `name`, nothing = the master.

    `name` is the op's name, or the words ``Splits`` and ``SampleData``.

    >>> from refinery_beam.recipe import load_recipe
    >>> text = "schema_version: 3\\nplugin: p\\nseed: 7\\nInput: {sources: [{name: a, type: t, path: x}]}\\n"
    >>> text += "Output: {record_schema: {label: {dtype: str}}}\\nLabels: {field: label, source: {}}"
    >>> section_seed(load_recipe("r.yaml", text=text), None, "Splits")
    7
    """
    if isinstance(value, FromMaster):
        return derive_seed(recipe.seed, name)
    return recipe.seed if value is None else value
