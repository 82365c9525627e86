"""Errors for the files of an index; each names the first bad files and counts the rest."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from refinery_beam.dtypes import INTEGERS, normal_dtype, whole_number
from refinery_beam.errors import DataError, display, raise_all
from refinery_beam.identity import nfc
from refinery_beam.index.labels.label_rules import Labelling
from refinery_beam.index.listing.sources import FileFact, Source, SourceListing, path_key
from refinery_beam.index.text import Few, first_few, is_text, plural


def check_files(listings: Sequence[SourceListing], labellings: Sequence[Labelling], *, strict: bool, dtype: str = "str") -> None:
    """Refuse listings that cannot become an index, before any byte of a file is read.

    DataError for two files with one record id; if `strict` also, one a source, for names that are not text, for files without a label and
    for labels that are not of the declared `dtype`, where that is one of whole numbers.
    """
    numbers = normal_dtype(dtype) if normal_dtype(dtype) in INTEGERS else ""
    _check_across(listings)
    errors: list[DataError] = []
    for listing, labelling in zip(listings, labellings, strict=True):
        source = listing.source
        last: FileFact | None = None
        last_key = b""
        unnamed, unlabelled, why = Few(), Few(), ""
        odd: dict[str, str] = {}
        fitting: set[str] = set()
        for k, file in enumerate(listing.files):
            # Two equal ids would be neighbours in the order of NFC paths.
            key = path_key(file)
            if last is not None and key == last_key:
                raise _twice((source, last), (source, file))
            last, last_key = file, key
            if not strict:
                continue
            if not is_text(file.path):
                unnamed.add(f"{source.name}/{file.path}")
            given = labelling.give(k, file)
            if given.missing:
                unlabelled.add(f"{source.name}/{file.path}")
                why = why or given.missing
            elif numbers and given.label is not None and given.label not in fitting:
                if whole_number(given.label, numbers) is None:
                    odd.setdefault(given.label, file.path)
                else:
                    fitting.add(given.label)
        errors += _listing_faults(source, unnamed, unlabelled, why)
        if odd:
            errors.append(_odd_labels(source, odd, numbers))
    raise_all(errors)


class ReadingFaults:
    """Collects files that could not be digested, and reports them after the last file."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Few, str]] = {}

    def add(self, record_id: str, problem: tuple[str, str]) -> None:
        """A record's problem as (reason word, detail)."""
        reason, detail = problem
        self._found.setdefault(reason, (Few(), detail))[0].add(record_id)

    def errors(self, *, strict: bool) -> list[DataError]:
        """One error a reason. If not `strict`, files that cannot be read are none: the key holds that they could not. Bytes that changed
        while they were hashed are named by no key.
        """
        errors = []
        for reason, (few, detail) in sorted(self._found.items()):
            gone = reason == "unreadable"
            if gone and not strict:
                continue
            errors.append(
                DataError(
                    f"{plural(few.count, 'file')} {'could not be read' if gone else 'changed while being read'}: "
                    f"{few} (the first: {detail})",
                    code=reason.replace("_", "-"),
                    at=few.first,
                    value=few.first,
                    rule="selected files stay as they are, and readable, from listing to the end of the run",
                    remedy="give this user read permission, take them out of the source, or set Input.on_error: quarantine"
                    if gone
                    else "run again when nothing writes to the source",
                )
            )
        return errors


def _odd_labels(source: Source, odd: Mapping[str, str], dtype: str) -> DataError:
    label, path = next(iter(odd.items()))
    return DataError(
        f"source {source.name!r}: {plural(len(odd), 'label')} not {dtype}: {first_few(list(odd))} (the first of '{display(path)}')",
        code="label-dtype",
        at=source.label_from.at if source.label_from else source.at,
        value=label,
    )


def _listing_faults(source: Source, unnamed: Few, unlabelled: Few, why: str) -> Iterator[DataError]:
    if unnamed.count:
        yield DataError(
            f"source {source.name!r}: {plural(unnamed.count, 'file name')} not valid UTF-8: {unnamed}",
            code="bad-name",
            at=source.at,
            value=unnamed.first,
        )
    if unlabelled.count:
        yield DataError(
            f"source {source.name!r}: {plural(unlabelled.count, source.noun)} without a label: {unlabelled} (the first {why})",
            code="label-missing",
            at=source.label_from.at if source.label_from else source.at,
            value=unlabelled.first,
            noun=source.noun,
        )


def _check_across(listings: Sequence[SourceListing]) -> None:
    """Ids of two sources can meet only if one source's name continues in folders of the other: ``a`` with ``b/1.png``, and ``a/b``."""
    names = [listing.source.name for listing in listings]
    meeting = [li for li in listings if any(li.source.name.startswith(n + "/") or n.startswith(li.source.name + "/") for n in names)]
    last: tuple[bytes, Source, FileFact] | None = None
    for item in heapq.merge(*(_ids(listing) for listing in meeting), key=lambda item: item[0]):
        if last is not None and item[0] == last[0] and item[1] is not last[1]:
            raise _twice(last[1:], item[1:])
        last = item


def _ids(listing: SourceListing) -> Iterator[tuple[bytes, Source, FileFact]]:
    prefix = f"{listing.source.name}/".encode()
    for file in listing.files:
        yield prefix + path_key(file), listing.source, file


def _twice(one: tuple[Source, FileFact], two: tuple[Source, FileFact]) -> DataError:
    (source, file), (other, twin) = sorted((one, two), key=lambda pair: (pair[0].name, ascii(pair[1].path)))
    record_id = nfc(f"{source.name}/{file.path}")
    # !a: the two may differ in how accents are composed, which no screen shows.
    return DataError(
        f"two files share the record id '{display(record_id)}': {file.path!a} of source {source.name!r} and {twin.path!a} of source "
        f"{other.name!r}",
        code="record-id-twice",
        at=record_id,
        value=record_id,
        remedy="rename one of the two files" if source is other else "rename one of the sources",
    )
