"""One folder with every image set and every recipe of the suite, and one cache, for each worker of the test run."""

from __future__ import annotations

import pytest

from support.kitchen import Kitchen


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen.stocked(tmp_path_factory.mktemp("compat"))
