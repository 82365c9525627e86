"""The sources of a recipe, as listing needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinery_beam import locations
from refinery_beam.identity import nfc
from refinery_beam.index.labels.tables import LabelSpec
from refinery_beam.index.listing.sources import Source

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Kind
    from refinery_beam.recipe import Recipe
    from refinery_beam.recipe.model import LabelFrom


def make_sources(recipe: Recipe, kind: Kind) -> list[Source]:
    """The recipe's sources with absolute roots."""
    sources: list[Source] = []
    more = kind.more_extensions(kind.limits.model_validate(recipe.model.Input.limits))
    for number, given in enumerate(recipe.model.Input.sources):
        here = ("Input", "sources", number)
        known = kind.source_types.get(given.type)
        sources.append(
            Source(
                name=nfc(given.name),
                type=given.type,
                arrangement=known.arrangement if known is not None else "",
                extensions=(*known.extensions, *more) if known is not None else (),
                advice=known.advice if known is not None else {},
                noun=kind.field or "file",
                root=_root(recipe.resolve(given.path)),
                partition=nfc(given.partition or ""),
                unlabeled=given.unlabeled,
                layout=given.layout or "",
                follow_links=recipe.model.Input.follow_links == "outside",
                label_from=_label_spec(recipe, given.label_from, (*here, "label_from")),
                at=recipe.at((*here, "path")),
                layout_at=recipe.at((*here, "layout")),
                shown=_root(recipe.shown(given.path)),
            )
        )
    return sources


def _root(location: str) -> str:
    if location.startswith("${env:"):
        return location
    return locations.absolute(location) if locations.is_url(location) else location.rstrip("/") or "/"


def _label_spec(recipe: Recipe, given: LabelFrom | None, here: tuple[str | int, ...]) -> LabelSpec | None:
    if given is None:
        return None
    return LabelSpec(
        path=recipe.resolve(given.path),
        join=given.join,
        label_field=given.label_field,
        id_field=given.id_field,
        header=given.header,
        encoding=given.encoding,
        delimiter=given.delimiter,
        order=given.order,
        single_label=bool(given.single_label),
        shown=given.path,
        at=recipe.at((*here, "path")),
    )
