"""What the index needs to know of a recipe: its sources, how labels are derived, which table columns anything mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from refinery_beam import places
from refinery_beam.errors import RecipeError
from refinery_beam.identity import nfc
from refinery_beam.index.sources import Source
from refinery_beam.index.tables import LabelSpec
from refinery_beam.plugins.base import TAGS_FIELD, DerivesLabel, FeaturizeOp, Kind, Plugin

# Names that mean something else in every record: a table column of this name never becomes a field, nor does one of the content's name.
_RESERVED = frozenset({"record_id", "path", "partition", "split", TAGS_FIELD})


def make_sources(recipe: Any, kind: Kind) -> list[Source]:
    """The recipe's sources with absolute roots. RecipeError when two have one name."""
    sources: list[Source] = []
    for number, given in enumerate(recipe.model.Input.sources):
        here = ("Input", "sources", number)
        if any(source.name == given.name for source in sources):
            raise RecipeError(
                f"two sources are called {given.name!r}",
                code="source-name-twice",
                place=recipe.place((*here, "name")),
                value=given.name,
                rule="a source's name starts its record ids, so it is unique",
                remedy="rename one of them",
            )
        known = kind.source_types.get(str(given.type))
        sources.append(
            Source(
                name=nfc(str(given.name)),
                type=str(given.type),
                arrangement=known.arrangement if known is not None else "",
                extensions=known.extensions if known is not None else (),
                noun=kind.field or "file",
                root=_root(recipe.resolve(str(given.path))),
                partition=nfc(str(getattr(given, "partition", None) or "")),
                unlabeled=bool(getattr(given, "unlabeled", False)),
                layout=str(getattr(given, "layout", None) or ""),
                label_from=_label_spec(recipe, getattr(given, "label_from", None), (*here, "label_from")),
                place=recipe.place((*here, "path")),
                layout_place=recipe.place((*here, "layout")),
            )
        )
    return sources


def label_derivation(recipe: Any, plugin: Plugin) -> str:
    """How labels are read off paths, '' when they are not: ``Labels.source.derivation``, or a featurization that writes them.

    RecipeError when both are given and disagree.
    """
    labels = recipe.model.Labels
    kind = getattr(labels.source, "kind", None) or "direct"
    declared = str(getattr(labels.source, "derivation", None) or "") if kind == "derived" else ""
    for number, step in enumerate(getattr(recipe.model, "Featurizations", None) or ()):
        op: object = plugin.op(step.op)
        if step.output_field != labels.field or not isinstance(op, DerivesLabel):
            continue
        source = op.derivation(plugin.bind(step, FeaturizeOp).params)
        if declared and source != declared:
            raise RecipeError(
                f"labels are derived from {declared} and from {source}",
                code="label-derivations-disagree",
                place=recipe.place(("Featurizations", number, "params")),
                value=source,
                rule=f"Labels.source.derivation ({declared}) and the featurization that writes {labels.field!r} say the same",
                remedy="remove one of them",
            )
        return source
    if kind == "derived" and not declared:
        raise RecipeError(
            "labels are derived, but nothing says from what",
            code="label-derivation",
            place=recipe.place(("Labels", "source")),
            value="derived",
            rule="derived labels need Labels.source.derivation, or a featurization that writes Labels.field",
            remedy="add derivation: parent_directory_name",
        )
    return declared


def wanted_fields(model: Any, content: str) -> frozenset[str]:
    """The names a label table's other columns are kept under: whatever Output, Splits, Filters, contracts or featurizations mention."""
    splits = getattr(model, "Splits", None)
    names: set[str] = set(getattr(getattr(model, "Output", None), "record_schema", None) or ())
    names.update(_words([getattr(splits, "group_by", None), getattr(splits, "stratify_by", None)]))
    names.update(_words([getattr(getattr(splits, "key_assignment", None), "field", None)]))
    made: set[str] = set()
    for op in getattr(model, "Filters", None) or ():
        names.update(_words(_items(getattr(op, "params", None))))
    for op in getattr(model, "Featurizations", None) or ():
        names.update(_words(getattr(op, "inputs", None) or ()))
        made.add(op.output_field)
    for section in ("InputContracts", "OutputExpectations"):
        for check in getattr(model, section, None) or ():
            names.update(_words([getattr(check, "field", None), *_items(getattr(check, "assertion", None))]))
    for sink in getattr(model, "Sinks", None) or ():
        names.add(sink.field)
        names.update(re.findall(r"\{([^{}|]*)", sink.path_template))
    return frozenset(names - made - _RESERVED - {model.Labels.field, content})


def _root(location: str) -> str:
    return places.absolute(location) if places.is_url(location) else location.rstrip("/") or "/"


def _label_spec(recipe: Any, given: Any, here: tuple[str | int, ...]) -> LabelSpec | None:
    if given is None:
        return None
    header = getattr(given, "header", None)
    return LabelSpec(
        path=recipe.resolve(str(given.path)),
        join=given.join,
        label_field=given.label_field,
        id_field=getattr(given, "id_field", None),
        header=tuple(header) if header is not None else None,
        shown=str(given.path),
        place=recipe.place((*here, "path")),
    )


def _items(params: Any) -> list[Any]:
    return list(params.values()) if isinstance(params, Mapping) else []


def _words(values: Iterable[Any]) -> set[str]:
    """Every text in some values, looking into lists and mappings."""
    out: set[str] = set()
    for value in values:
        if isinstance(value, str):
            out.add(value)
        elif isinstance(value, Mapping):
            out |= _words(value.values())
        elif isinstance(value, list | tuple):
            out |= _words(value)
    return out
