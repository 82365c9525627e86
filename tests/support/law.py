"""The laws of choosing, written a second time from their description, with nothing of the package: what the suite's expectations rest on.

A digest is SHA-256 of length-prefixed parts; a rank is the first eight bytes of one; ties are broken by the key that was ranked. Quotas
round the shares of all strata together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path


def digest(*parts: str | int | bytes) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()


def derived_seed(master: int, name: str) -> int:
    return int.from_bytes(digest("seed", master, name)[:8], "big")


def table(counts: Mapping[str, int], ratios: Sequence[float], seed: int) -> dict[str, list[int]]:
    """Quotas of strata: every share rounded down, then, stratum by stratum in the order of seeded ranks, one more for those splits that
    are furthest behind, of those whose share was no whole number. What ratios below one leave is a last share that nobody gets.
    """
    shares = [Decimal(repr(r)) for r in ratios]
    shares.append(1 - sum(shares))
    behind = [Decimal(0) for _ in shares]
    dealt = {}
    for stratum in sorted(counts, key=lambda s: digest("stratum", seed, "Splits", s)[:8] + s.encode()):
        exact = [counts[stratum] * share for share in shares]
        row = [int(e) for e in exact]
        behind = [b + e - r for b, e, r in zip(behind, exact, row, strict=True)]
        for i in sorted((i for i, e in enumerate(exact) if e % 1), key=lambda i: (-behind[i], i))[: counts[stratum] - sum(row)]:
            row[i] += 1
            behind[i] -= 1
        dealt[stratum] = row[:-1]
    assert all(abs(b) < 1 for b in behind), "this set would need exchanges, which are not written down here"
    return dealt


def splits(files: Mapping[str, Path], *, seed: int, ratios: Mapping[str, float], stratify: bool) -> dict[str, set[str]]:
    """Record ids by split, of records ``source/class/name``. A record is ranked by its content: identical files stay together."""
    strata: dict[str, list[tuple[bytes, str]]] = {}
    for record_id, file in files.items():
        group = digest("group-content", hashlib.sha256(file.read_bytes()).digest())
        location = digest("split", seed, "Splits", group)[:8] + group
        strata.setdefault(f'"{record_id.split("/")[1]}"' if stratify else "", []).append((location, record_id))
    found: dict[str, set[str]] = {name: set() for name in ratios}
    rows = table({stratum: len(members) for stratum, members in strata.items()}, list(ratios.values()), seed)
    for stratum, members in strata.items():
        ordered = [record_id for _, record_id in sorted(members)]
        start = 0
        for name, part in zip(ratios, rows[stratum], strict=True):
            found[name] |= set(ordered[start : start + part])
            start += part
    return found


def lowest(ids: Sequence[str], count: int, *, seed: int, name: str) -> set[str]:
    """The ids of the `count` lowest ranks under a filter."""

    def location(record_id: str) -> bytes:
        key = hashlib.sha256(record_id.encode()).digest()
        return digest("filter", seed, name, key)[:8] + key

    return set(sorted(ids, key=location)[:count])
