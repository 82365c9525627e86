"""The columns of a label table that the recipe mentions; only these are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from refinery_beam.plugins.base import TAGS_FIELD

if TYPE_CHECKING:
    from refinery_beam.recipe.model import RecipeModel

# Names that mean something else in every record: a table column of this name never becomes a field, nor does one of the content's name.
_SPLIT = "split"
_RESERVED = frozenset({"record_id", "path", "partition", _SPLIT, TAGS_FIELD})


def wanted_fields(model: RecipeModel, content: str) -> frozenset[str]:
    """The names a label table's other columns are kept under: whatever Output, Splits, Filters, contracts or featurizations mention."""
    splits, keys = model.Splits, model.Splits.key_assignment
    names = {*model.Output.record_schema, *_words([splits.group_by, splits.stratify_by, splits.order_by, keys.field if keys else None])}
    for filter in model.Filters:
        names |= _words(filter.params.values())
    for step in model.Featurizations:
        names.update(step.inputs)
    for contract in (*model.InputContracts, *model.OutputExpectations):
        names |= _words([contract.field, *contract.assertion.values()])
    for sink in model.Sinks:
        names |= {sink.field, *re.findall(r"\{([^{}|]*)", sink.path_template)}
    made = {step.output_field for step in model.Featurizations}
    # A column that says the split may have the name of what it says.
    own = {_SPLIT} if keys is not None and keys.field == _SPLIT else set()
    return frozenset(names - made - _RESERVED - {model.Labels.field, content}) | own


def _words(values: Iterable[Any]) -> set[str]:
    """Every text in some values, also within lists and mappings."""
    out: set[str] = set()
    for value in values:
        if isinstance(value, str):
            out.add(value)
        elif isinstance(value, Mapping):
            out |= _words(value.values())
        elif isinstance(value, list | tuple):
            out |= _words(value)
    return out
