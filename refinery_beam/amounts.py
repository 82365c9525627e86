"""How many bytes, as people read them."""

from __future__ import annotations

UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def size_in_words(count: int) -> str:
    """Bytes in words.

    >>> size_in_words(999), size_in_words(1_234_567), size_in_words(2 * 10**12), size_in_words(1)
    ('999 bytes', '1.2 MB', '2.0 TB', '1 byte')
    """
    for unit, length in UNITS:
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"
