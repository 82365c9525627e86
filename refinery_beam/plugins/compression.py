"""The words for how a Parquet column is compressed: ``none``, ``lz4``, ``snappy``, and ``zstd`` with a level, like ``zstd:3``."""

from __future__ import annotations

from collections.abc import Mapping

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.broken_rule import broken_rule

HIGHEST: Mapping[str, int] = {"none": 0, "lz4": 0, "snappy": 0, "zstd": 22}
"""The codecs, with their highest level; 0 where there is none to state."""

PATTERN = "^(none|lz4|snappy|zstd(:([1-9]|1[0-9]|2[0-2]))?)$"
RULE = "compression is none, lz4, snappy, or zstd with a level from 1 to 22, like zstd:3"


def normal_compression(word: str) -> str:
    """The word with its level written out. Raises a broken rule for what is no such word.

    >>> normal_compression("zstd"), normal_compression("lz4")
    ('zstd:1', 'lz4')
    """
    name, colon, level = word.partition(":")
    highest = HIGHEST.get(name)
    if highest is None:
        raise broken_rule(f"there is no codec {name!r}", rule=RULE, remedy=did_you_mean(name, HIGHEST))
    if not highest:
        if colon:
            raise broken_rule(f"{name} has no level", rule=RULE, remedy=f"write {name}")
        return name
    if colon and not (level.isascii() and level.isdecimal() and str(int(level)) == level and 1 <= int(level) <= highest):
        raise broken_rule(f"{level!r} is no level of {name}", rule=RULE, remedy=f"write a level from 1 to {highest}, or {name} alone")
    return f"{name}:{level or 1}"


def codec_and_level(word: str) -> tuple[str, int | None]:
    """What a normal word says.

    >>> codec_and_level("zstd:3"), codec_and_level("lz4")
    (('zstd', 3), ('lz4', None))
    """
    name, _, level = word.partition(":")
    return name, int(level) if level else None
