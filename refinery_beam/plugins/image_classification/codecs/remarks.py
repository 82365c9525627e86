"""What the notes of the decoder mean, in words for a run's warnings."""

from __future__ import annotations

from collections.abc import Mapping

from refinery_beam.plugins.image_classification.codecs.depth import DEPTHS
from refinery_beam.plugins.notes import Noted

_REMARKS = {
    "no_end_marker": "{files} lack the end marker of a JPEG, and nothing else: taken as whole (the first: {first})",
    "metadata_left_out": "{files} have text or a profile that is too long or does not check: taken without it (the first: {first})",
    "profile_ignored": "{files} have an ICC profile that cannot be applied to their pixels: their numbers are stored (the first: {first})",
    "low_bits": "{files} of {all} with samples of 16 bits have none above {value:,}: 8 bits keep little of them (the first: {first}); if "
    "samples have {bits} bits, write Input.decode.bits: {bits}",
}


def remarks(tally: Mapping[str, Noted]) -> list[tuple[str, str]]:
    """(code, text) of every note that needs one, by code. The code is the note's word with dashes."""
    found = []
    for word in sorted(tally.keys() & _REMARKS.keys()):
        records, value, first = tally[word]
        facts = {"files": f"{records:,} file{'s' if records > 1 else ''}", "first": first, "value": value}
        if word == "low_bits":
            facts["all"] = f"{tally['sixteen_bits'].records:,}"
            facts["bits"] = min(bits for bits in DEPTHS if value < 1 << bits)
        found.append((word.replace("_", "-"), _REMARKS[word].format(**facts)))
    return found
