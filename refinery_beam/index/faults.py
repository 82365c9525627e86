"""What can be wrong with the files of an index, as errors that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refinery_beam.errors import DataError
from refinery_beam.index.digests import Digests
from refinery_beam.index.sources import SourceListing
from refinery_beam.index.text import display, first_few, is_text, plural


def listing_faults(listings: Sequence[SourceListing], missing: Sequence[Mapping[int, str]]) -> list[DataError]:
    """One error a source for file names that are not text, one for images without a label (``missing``: position -> why)."""
    errors = []
    for listing, unlabelled in zip(listings, missing, strict=True):
        source = listing.source
        bad = [f"{source.name}/{f.path}" for f in listing.files if not is_text(f.path)]
        if bad:
            errors.append(
                DataError(
                    f"source {source.name!r}: {plural(len(bad), 'file name')} not valid UTF-8: {first_few(bad)}",
                    code="bad-name",
                    place=source.place,
                    value=display(bad[0]),
                    rule="a record is named by its path, so file names are UTF-8 text",
                    remedy="rename them (convmv does it in bulk), or set Input.on_error: quarantine",
                )
            )
        if unlabelled:
            names = [f"{source.name}/{listing.files[k].path}" for k in sorted(unlabelled)]
            why = unlabelled[min(unlabelled)]
            errors.append(
                DataError(
                    f"source {source.name!r}: {plural(len(names), 'image')} without a label: {first_few(names)} (the first {why})",
                    code="label-missing",
                    place=source.label_from.place if source.label_from else source.place,
                    value=display(names[0]),
                    rule="every image of a labeled source has a label that is not empty",
                    remedy="add the labels, take the images out of the source, or set Input.on_error: quarantine",
                )
            )
    return errors


def reading_faults(ids: Sequence[str], digests: Digests) -> list[DataError]:
    """One error a reason for files that could not be digested; ``ids`` are the record ids in the digests' order."""
    if not digests.failures:
        return []
    errors = []
    for reason in sorted({reason for reason, _ in digests.failures.values()}):
        places = [k for k in sorted(digests.failures) if digests.failures[k][0] == reason]
        gone = reason == "unreadable"
        errors.append(
            DataError(
                f"{plural(len(places), 'file')} {'could not be read' if gone else 'changed while being read'}: "
                f"{first_few([ids[k] for k in places])} (the first: {digests.failures[places[0]][1]})",
                code=reason.replace("_", "-"),
                place=display(ids[places[0]]),
                value=display(ids[places[0]]),
                rule="selected files stay as they are, and readable, from listing to the end of the run",
                remedy=("give this user read permission, " if gone else "wait until they are complete, ")
                + "take them out of the source, or set Input.on_error: quarantine",
            )
        )
    return errors


def check_unique(ids: Sequence[str], listings: Sequence[SourceListing]) -> None:
    """DataError naming two files whose record ids meet; ``ids`` are in the order of the listings' files."""
    if len(set(ids)) == len(ids):
        return
    files = [(listing.source.name, file.path) for listing in listings for file in listing.files]
    first: dict[str, tuple[str, str]] = {}
    for record_id, file in zip(ids, files, strict=True):
        other = first.setdefault(record_id, file)
        if other is not file:
            # !a: the two may differ in how accents are composed, which no screen shows.
            raise DataError(
                f"two files share the record id {display(record_id)!r}: "
                f"{other[1]!a} of source {other[0]!r} and {file[1]!a} of source {file[0]!r}",
                code="record-id-twice",
                place=display(record_id),
                value=display(record_id),
                rule="a record id is the source's name and the relative path in Unicode NFC, and names one file",
                remedy="rename one of the two files" if other[0] == file[0] else "rename one of the sources",
            )
