"""Training from a real server: two ranks on one machine fetch each shard once, and see the batches of the local instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.testing import images
from support.recipes import SMALL, write_recipe

pytestmark = pytest.mark.stores

RANK = """\
import hashlib, json, os, sys
import refinery_beam as rb
from refinery_beam import locations

url, rank, log = sys.argv[1], int(sys.argv[2]), sys.argv[3]
real = locations.download

def logged(url, local):
    with open(log, "a", encoding="utf-8") as file:
        file.write(os.path.basename(url) + "\\n")
    real(url, local)

locations.download = logged
stream = rb.open_instance(url)["train"].stream(batch_size=16, epoch=1, rank=rank, world_size=2)
print(json.dumps([[batch["record_id"], hashlib.sha256(batch["image"].tobytes()).hexdigest()] for batch in stream]))
"""


def test_two_ranks_share_the_shards_that_they_fetch(bucket: str, tmp_path: Path) -> None:
    images.class_folders(tmp_path / "photos", per_class=60, size=(24, 20), formats=("png",))
    recipe = write_recipe(tmp_path / "photos", tmp_path, base=SMALL, output={"shard_records": 12, "row_group_bytes": 4096})
    data = rb.run(recipe, cache_root=f"{bucket}/root")
    log = tmp_path / "log"
    environment = {**os.environ, "REFINERY_BEAM_SHARD_CACHE": str(tmp_path / "shards")}
    command = [sys.executable, "-c", RANK, data.path]
    ranks = [subprocess.Popen([*command, str(rank), str(log)], env=environment, stdout=subprocess.PIPE, text=True) for rank in range(2)]
    parts = [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]
    fetched = Counter(log.read_text(encoding="utf-8").split())
    assert len(fetched) == len(data.manifest.shards("train")) > 8
    assert set(fetched.values()) == {1}

    local = rb.run(recipe, cache_root=tmp_path / "cache")["train"].stream(batch_size=16, epoch=1)
    for step, batch in enumerate(local):
        both = [parts[j % 2][step][0][j // 2] for j in range(len(batch["record_id"]))]
        assert both == batch["record_id"]
