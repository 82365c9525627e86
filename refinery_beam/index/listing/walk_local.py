"""The walk of a source in a folder of this machine."""

from __future__ import annotations

import os

from refinery_beam.errors import DataError, display
from refinery_beam.index.listing.links import Links
from refinery_beam.index.listing.sources import Sieve, Source

# A path may lead through this many linked folders. Loops are found by device and inode; this bounds folders that link crosswise.
_MAX_LINKS = 4


def walk_local(sieve: Sieve) -> None:
    """Walk a local folder: one scan a folder, one stat a file, linked folders followed, never twice on one path.

    Raises DataError ``link-outside`` for links that lead out of the folder, unless the source says that they are followed.
    """
    source, skip = sieve.source, sieve.skip
    links_out = Links(source)
    root = source.root
    try:
        top = os.stat(root)
    except OSError as error:
        raise _not_a_folder(source, "does not exist" if isinstance(error, FileNotFoundError) else _reason(error)) from None
    # Each entry: prefix of relative paths, the (device, inode) of the folders above and of this one, links passed so far.
    stack: list[tuple[str, tuple[tuple[int, int], ...], int]] = [("", ((top.st_dev, top.st_ino),), 0)]
    while stack:
        prefix, above, links = stack.pop()
        try:
            scan = os.scandir(os.path.join(root, prefix))
        except NotADirectoryError:
            raise _not_a_folder(source, "is not a folder") from None
        except OSError as error:
            raise _unreadable(source, prefix, error) from None
        with scan:
            for entry in scan:
                name = entry.name
                if name.startswith("."):
                    skip("hidden", prefix + name)
                    continue
                try:
                    if entry.is_dir():
                        if entry.is_symlink() and links_out.leaves(prefix + name):
                            continue
                        facts = entry.stat()
                        key = (facts.st_dev, facts.st_ino)
                        hops = links + entry.is_symlink()
                        if key in above or hops > _MAX_LINKS:
                            skip("link_loop", prefix + name)
                            continue
                        stack.append((f"{prefix}{name}/", (*above, key), hops))
                        if not prefix:
                            sieve.folder(name)
                        continue
                    word = sieve.word_of(name)
                    if word:
                        skip(word if word == "hidden" or entry.is_file() else _odd_word(entry), prefix + name)
                    elif entry.is_file():
                        if entry.is_symlink() and links_out.leaves(prefix + name):
                            continue
                        facts = entry.stat()
                        sieve.add(prefix + name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
                    else:
                        skip(_odd_word(entry), prefix + name)
                except FileNotFoundError:
                    skip("broken_link", prefix + name)  # removed during the walk, or a link into nothing
                except OSError as error:
                    if entry.is_symlink():
                        skip("broken_link", prefix + name)  # a link to itself
                    else:
                        raise _unreadable(source, prefix + name, error) from None
    links_out.refuse()


def _odd_word(entry: os.DirEntry[str]) -> str:
    return "broken_link" if entry.is_symlink() and not os.path.exists(entry.path) else "special"


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _not_a_folder(source: Source, why: str) -> DataError:
    return DataError(f"source {source.name!r}: '{display(source.root)}' {why}", code="source-path", at=source.at, value=source.root)


def _unreadable(source: Source, relative: str, error: OSError) -> DataError:
    where = os.path.join(source.root, relative)
    return DataError(
        f"source {source.name!r}: cannot read '{display(where)}': {_reason(error)}", code="unreadable-folder", at=source.at, value=where
    )
