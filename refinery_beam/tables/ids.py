"""How the ids of a table name files: as relative paths, names or stems, under a folder, in another case, without leading zeros.

The whole table has one form, that under which most ids name a file. Forms that assume less come first: a looser one wins only where it
names more files, and only if it names each of them once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from refinery_beam.identity import nfc

_PREFIXES = 64
"""Folders in front of ids that are tried, those of most ids first."""

_SAMPLE = 2000


class Clash(NamedTuple):
    """Two files that one id fits."""

    key: str
    one: str
    other: str


@dataclass(frozen=True)
class IdForm:
    """A form of ids. ``words`` says what ids are, and ``exact`` that they are it as they stand. ``found`` is how many distinct ids name a
    file, and ``clash`` two files of one id, if there are any. The two keys are equal where an id names a path."""

    words: str
    exact: bool
    found: int
    clash: Clash | None
    id_key: Callable[[str], str | None] = field(repr=False, compare=False)
    path_key: Callable[[str], str | None] = field(repr=False, compare=False)


def find_form(ids: Iterable[str], paths: Sequence[str]) -> list[IdForm]:
    """The forms under which some ids name files of some relative posix paths, the best first; [] if there is none."""
    known = list(dict.fromkeys(ids))
    whole = [nfc(path) for path in paths]
    files = _Files(whole)
    found: list[IdForm] = []
    probe = known
    for form in _forms(known, whole):
        if not form.exact and not any(map(files.has(form), probe)):
            continue
        counted = files.count(form, known)
        if counted.found:
            found.append(counted)
        if counted.clash is None and 100 * counted.found >= 99 * min(len(known), len(whole)):
            break  # what another could name more is a mistake of the table, not its form
        if form.exact and counted.found:
            # A looser form has to name some that this one does not.
            named = files.has(form)
            probe = [raw for raw in probe if not named(raw)]
            probe = probe[:: max(1, len(probe) // _SAMPLE)]
    # Stable: of forms that name as many files the one that assumes less wins.
    return sorted(found, key=lambda form: -form.found)


def natural_key(path: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which the numbers in a path count as numbers: 2.png comes before 10.png.

    >>> sorted(["10.png", "2.png", "a.png"], key=natural_key)
    ['2.png', '10.png', 'a.png']
    """
    parts = re.split(r"([0-9]+)", nfc(path))
    return tuple((0, int(part), part) if part.isdigit() and part.isascii() else (1, 0, part) for part in parts if part)


def stem(name: str) -> str:
    """A name without its extension.

    >>> stem("a/im.01.png"), stem("README")
    ('a/im.01', 'README')
    """
    folder, slash, last = name.rpartition("/")
    dot = last.rfind(".")
    return folder + slash + (last[:dot] if 0 < dot < len(last) - 1 else last)


def plain(text: str) -> str:
    """An id as a posix path: slashes forward, no ``./`` in front, in NFC.

    >>> plain("images\\\\1.png"), plain("./1.png")
    ('images/1.png', '1.png')
    """
    path = nfc(text)
    if "\\" in path:
        path = path.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def _forms(ids: Sequence[str], paths: Sequence[str]) -> Iterable[IdForm]:
    flat = all("/" not in path for path in paths)

    def form(words: str, ids_as: Callable[[str], str | None], paths_as: Callable[[str], str | None], *, exact: bool = True) -> IdForm:
        return IdForm(words, exact, 0, None, ids_as, paths_as)

    # The exact forms, as they stand.
    if not flat:
        yield form("relative paths", nfc, _same)
    yield form("file names", nfc, _name)
    yield form("stems", nfc, _name_stem)
    if not flat:
        yield form("relative paths without extension", nfc, stem)
    # The same, with the folders that people and programs write in front.
    yield form("relative paths", plain, _same, exact=False)
    prefixes = _prefixes(ids)
    for prefix in prefixes:
        yield form(f"paths below {prefix!r}", _below(prefix), _same, exact=False)
    common = _common_folder(paths)
    for folder in common:
        yield form(f"paths in {folder!r}", plain, _below(folder), exact=False)
        yield form(f"paths in {folder!r} without extension", plain, _then(_below(folder), stem), exact=False)
    for prefix in prefixes:
        yield form(f"paths below {prefix!r} without extension", _below(prefix), stem, exact=False)
    # Programs of tables lose the case and the zeros in front of names.
    yield form("file names in another case", _then(plain, str.casefold), _then(_name, str.casefold), exact=False)
    yield form("stems in another case", _then(plain, str.casefold), _then(_name_stem, str.casefold), exact=False)
    if not flat:
        yield form("relative paths in another case", _then(plain, str.casefold), str.casefold, exact=False)
    yield form("stems without their leading zeros", _then(plain, _number), _then(_name_stem, _number), exact=False)
    yield form("file names without their leading zeros", _then(plain, _numbered_name), _then(_name, _numbered_name), exact=False)


class _Files:
    """The files by the keys of each form; forms share them where their keys of paths are the same."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._made: dict[Callable[[str], str | None], tuple[dict[str, str], dict[str, str]]] = {}

    def has(self, form: IdForm) -> Callable[[str], bool]:
        """Whether an id names a file under a form."""
        path_of, _ = self._of(form)
        return lambda raw: form.id_key(raw) in path_of

    def count(self, form: IdForm, ids: Sequence[str]) -> IdForm:
        """The form with what it finds."""
        path_of, twice = self._of(form)
        keys = [key for raw in ids if (key := form.id_key(raw)) is not None and key in path_of]
        clash = next((Clash(key, path_of[key], twice[key]) for key in keys if key in twice), None) if twice else None
        distinct = len(set(keys))
        if not form.exact and (clash is not None or distinct < len(keys)):
            return form  # nothing loose may name two files, or one twice
        return replace(form, found=distinct, clash=clash)

    def _of(self, form: IdForm) -> tuple[dict[str, str], dict[str, str]]:
        """The first path of each key, and the second where there are more."""
        if form.path_key not in self._made:
            first: dict[str, str] = {}
            second: dict[str, str] = {}
            for path in self._paths:
                key = form.path_key(path)
                if key is not None and first.setdefault(key, path) != path:
                    second.setdefault(key, path)
            self._made[form.path_key] = (first, second)
        return self._made[form.path_key]


def _prefixes(ids: Sequence[str]) -> list[str]:
    """The folders in front of ids, those of most ids first and the longer of equals."""
    count: Counter[str] = Counter()
    for raw in islice(ids, _SAMPLE):
        path = plain(raw)
        at = path.find("/")
        while at >= 0:
            count[path[: at + 1]] += 1
            at = path.find("/", at + 1)
    return [prefix for prefix, _ in sorted(count.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))[:_PREFIXES]]


def _common_folder(paths: Sequence[str]) -> list[str]:
    """The folders that all paths lie in, from the top."""
    if not paths:
        return []
    first, last = min(paths).split("/")[:-1], max(paths).split("/")[:-1]
    found: list[str] = []
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        found.append((found[-1] if found else "") + one + "/")
    return [folder for folder in found if all(path.startswith(folder) for path in paths)]


def _same(path: str) -> str:
    return path


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _name_stem(path: str) -> str:
    return stem(_name(path))


def _number(text: str) -> str | None:
    return (text.lstrip("0") or "0") if text.isascii() and text.isdigit() else None


def _numbered_name(text: str) -> str | None:
    head, dot, extension = text.rpartition(".")
    number = _number(head)
    return f"{number}.{extension}" if dot and number is not None else None


def _below(prefix: str) -> Callable[[str], str | None]:
    def key(text: str) -> str | None:
        path = plain(text)
        return path[len(prefix) :] if path.startswith(prefix) else None

    return key


def _then(first: Callable[[str], str | None], second: Callable[[str], str | None]) -> Callable[[str], str | None]:
    def key(text: str) -> str | None:
        made = first(text)
        return second(made) if made is not None else None

    return key
