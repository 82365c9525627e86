"""When instances were last used: what a cleaner needs that frees space by least recent use.

No file of an instance is touched, and the journal is not asked, since it may be deleted. On a disk the note of an instance is an empty
file, ``<root>/used/<key name>``, whose time is the last use. A store creates and never overwrites, so there a note is an object for each
hour of use, ``<root>/used/<key name>/<YYYYMMDDTHH>``: the last hour counts, and a use within an hour costs one request.

`run` notes a hit and a build, `open_instance` an opening. What other programs do with the files is not noticed: a tag keeps what must stay.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta

from refinery_beam import locations
from refinery_beam.errors import RefineryError

_HOUR = re.compile(r"\d{8}T\d{2}")
RENEW_SECONDS = 600


def note_used(root: str, key_name: str) -> None:
    """Note that an instance is used now. Never fails: a root that cannot be written, or is full, keeps the note it has."""
    notes = _folder(root)
    _NOTED.add(locations.join(notes, key_name))
    try:
        if locations.is_url(notes):
            locations.put_if_absent(locations.join(notes, key_name, datetime.now(UTC).strftime("%Y%m%dT%H")), b"")
            return
        path = os.path.join(notes, key_name)
        try:
            os.utime(path)
        except FileNotFoundError:
            os.makedirs(notes, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
            os.utime(path)
    except (OSError, RefineryError):
        return


def only_read(root: str, key_name: str) -> None:
    """The root of an instance is one that this call only reads: from now on no reader renews its note, until a use is noted again."""
    _NOTED.discard(locations.join(_folder(root), key_name))


def is_noted(root: str, key_name: str) -> bool:
    """Whether this process has noted the use of an instance, in a root that it does not only read."""
    return locations.join(_folder(root), key_name) in _NOTED


def renew_used(root: str, key_name: str) -> None:
    """Renew the note of an instance on a disk while a reader works on it, at most every `RENEW_SECONDS` in a process. Makes no note where
    there is none. Never fails.
    """
    note = os.path.join(_folder(root), key_name)
    now = datetime.now(UTC)
    if now < _RENEWED.get(note, _EVER) + _RENEW:
        return
    _RENEWED[note] = now
    try:
        os.utime(note)
    except OSError:
        return


def last_used(root: str) -> dict[str, datetime]:
    """{key name: the last noted use, UTC}; only instances that have a note. One listing. Raises StoreError for a store that does not
    answer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     note_used(root, "abababababababab-cdcdcdcdcdcdcdcd-7")
    ...     list(last_used(root)), last_used(root).popitem()[1].tzinfo
    (['abababababababab-cdcdcdcdcdcdcdcd-7'], datetime.timezone.utc)
    """
    folder = _folder(root)
    found: dict[str, datetime] = {}
    if locations.is_url(folder):
        try:
            entries = locations.walk(folder)
        except OSError as error:
            raise locations.fault(error, "list", folder) from error
        for entry in entries:
            name, _, hour = entry.path.partition("/")
            if _HOUR.fullmatch(hour):
                found[name] = max(found.get(name, _EVER), datetime.strptime(f"{hour}+0000", "%Y%m%dT%H%z"))
        return found
    for name in locations.names(folder):
        try:
            found[name] = locations.modified(os.path.join(folder, name))
        except OSError:
            continue
    return found


def forget_used(root: str, key_name: str) -> None:
    """Remove the notes of an instance that is removed. Never fails: a note without its instance is no harm."""
    note = locations.join(_folder(root), key_name)
    try:
        if locations.is_url(note):
            locations.remove_all(locations.join(note, name) for name in locations.names(note))
        else:
            locations.remove(note)
    except (OSError, RefineryError):
        return


_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_RENEW = timedelta(seconds=RENEW_SECONDS)
_RENEWED: dict[str, datetime] = {}
_NOTED: set[str] = set()


def _folder(root: str) -> str:
    return locations.join(locations.absolute(root), "used")
