"""The digests of the most different recipes of the suite, as they were written down: what is not meant to change a byte changes none.

`digests.json` also names what decided those bytes. On a machine whose codecs do something else the rows are others, and with other packages
the files are: there only what must still hold is compared. ``PYTHONPATH=tests python -m support.digests`` writes the file anew.
"""

from __future__ import annotations

import pytest

from support.digests import KNOWN
from support.kitchen import Kitchen


@pytest.mark.parametrize("name", sorted(KNOWN["recipes"]))
def test_the_same_bytes_as_ever(name: str, kitchen: Kitchen) -> None:
    raw = kitchen.cook(name).manifest.raw
    if raw["codec_fingerprint"] != KNOWN["codec_fingerprint"]:
        pytest.skip("the codecs of this machine give other pixels")
    want = KNOWN["recipes"][name]
    assert raw["logical_digest"] == want["logical_digest"]
    if raw["environment"]["packages"] == KNOWN["packages"]:
        assert raw["files_digest"] == want["files_digest"]
