"""Finds the label rule of a source once, and applies it to each file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.errors import DataError
from refinery_beam.index.labels.join import NO_FIELDS, derive_label, join_labels
from refinery_beam.index.listing.sources import FileFact, SourceListing, parse_layout

if TYPE_CHECKING:
    from refinery_beam.recipe.model import Derivation


class Given(NamedTuple):
    """The label of a file, the wanted columns of its row in the label table, and '' or the words why it lacks a label."""

    label: str | None
    fields: dict[str, Any] = NO_FIELDS
    missing: str = ""


@dataclass(frozen=True)
class Labelling:
    """``give`` gives the k-th file of a listing its label. ``table`` is the sha256 of the label table, '' without one; ``notes`` and
    ``warnings`` (code, message) are about the table as a whole."""

    give: Callable[[int, FileFact], Given]
    table: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


def label_files(listing: SourceListing, derivation: Derivation | None, *, wanted: frozenset[str]) -> Labelling:
    """How the files of a listing get their labels: a table, their path, their folder, their loader, or not at all.

    Joins a label table, the only thing that is in memory as a whole. Raises DataError for a table that cannot be used and for a source
    without a rule for labels.
    """

    def from_path(k: int, file: FileFact) -> Given:
        label = derive_label(file.path, derivation) if derivation else None
        return Given(label, missing="" if label is not None else "lies at the source's root, so no parent directory names it")

    source = listing.source
    if source.unlabeled:
        return Labelling(lambda k, file: Given(None))
    if source.label_from is not None:
        joined, table = join_labels(source.label_from, [f.path for f in listing.files], source=source.name, wanted=wanted)
        labels, fields = joined.labels, joined.fields

        def from_table(k: int, file: FileFact) -> Given:
            label = labels[k]
            if label:
                return Given(label, fields[k])
            return Given(label, fields[k], "has no row in the label table" if label is None else "has an empty label in the label table")

        def derived(k: int, file: FileFact) -> Given:
            return from_path(k, file)._replace(fields=fields[k])

        return Labelling(derived if derivation else from_table, table, tuple(joined.notes), tuple(joined.warnings))
    if derivation:
        return Labelling(from_path)
    if not source.arrangement:
        return Labelling(lambda k, file: Given(file.label, missing="" if file.label else "got no label from its loader"))
    if parse_layout(source).has_label:
        return Labelling(lambda k, file: Given(file.label))
    raise DataError(
        f"source {source.name!r} ({source.type}) says nowhere what its labels are", code="no-labels", at=source.at, value=source.type
    )
