"""What `validate` asks of the data: that files are there and have labels. Reads names and label tables, no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinery_beam import locations
from refinery_beam.errors import DataError, RefineryError
from refinery_beam.index.build import label_dtype, list_and_label
from refinery_beam.index.faults import check_files
from refinery_beam.index.listing.recipe_sources import make_sources

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.recipe import Recipe

_LOST = ("label-missing", "label-dtype", "bad-name")
"""What is set aside, and no error, under ``on_error: quarantine``."""


@dataclass(frozen=True)
class Checked:
    """What listing and labelling the sources found; ``unlisted`` says that some lie on a store, and were not asked for."""

    errors: tuple[RefineryError, ...] = ()
    warnings: tuple[RefineryError, ...] = ()
    unlisted: bool = False


def check_sources(recipe: Recipe, plugin: Plugin) -> Checked:
    """List and label the sources of this machine, as a run would: missing and duplicate ids are found here."""
    sources = make_sources(recipe, plugin.kind)
    local = [s for s in sources if not s.remote and not (s.label_from and locations.is_url(s.label_from.path))]
    unlisted = len(local) < len(sources)
    try:
        listings, labellings = list_and_label(recipe, plugin, local)
        check_files(listings, labellings, strict=True, dtype=label_dtype(recipe))
    except RefineryError as error:
        found = error.errors()
        strict = recipe.model.Input.on_error == "fail"
        lost = [one for one in found if one.code in _LOST and not strict]
        return Checked(tuple(one for one in found if one not in lost), tuple(lost), unlisted)
    pairs = [(listing.source.at, w) for listing in listings for w in listing.warnings]
    pairs += [(li.source.at, w) for li, labelling in zip(listings, labellings, strict=True) for w in labelling.warnings]
    return Checked((), tuple(DataError(message, code=code, at=at) for at, (code, message) in pairs), unlisted)
