"""The write pass costs a small multiple of what a bare loop costs. Processor time of both in one process, so that load does not matter."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ICONS, TURNS, MOST = 2_000, 3, 5.0


@pytest.mark.slow
def test_the_write_pass_costs_a_small_multiple_of_a_bare_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bare_loop
    import bench_all

    import facts

    bench = bench_all.Bench(tmp_path / "bench", None, 0)
    folder = bench.folder("icons", ICONS, bench.icons)
    made = facts.ready(bench_all.recipe_of("icons", folder), tmp_path / "ours")
    bare, ours = [], []
    for turn in range(TURNS):
        begun = time.process_time()
        bare_loop.main("icons", folder, tmp_path / f"bare-{turn}.parquet")
        bare.append(time.process_time() - begun)
        ours.append(facts.written(made, tmp_path / "ours", 2, facts=True)[1])
    print(f"processor time: {min(bare):.2f} s bare, {min(ours):.2f} s by the write pass")
    assert min(ours) <= MOST * min(bare), f"the write pass takes {min(ours) / min(bare):.1f} times the processor time of a bare loop"
