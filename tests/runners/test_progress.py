"""The progress line: what it says, when it says nothing, and that no result depends on it."""

from __future__ import annotations

import ast
import io
import os
import pty
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import refinery_beam as rb
from refinery_beam.runners import progress
from refinery_beam.runners.progress import Count, Passes, live, read_counts

PACKAGE = Path(rb.__file__).parent
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: {dtype}, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
"""


def recipe_over(images: Path, folder: Path, dtype: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(path=images, dtype=dtype))
    return path


def test_counts_are_summed_by_pass(tmp_path: Path) -> None:
    (tmp_path / "progress").mkdir()
    texts = {"write-1-a": "3", "write-2-b": "4", "of.write-1-c": "9", "fit.train-1-1-c": "5", "fit.train-1-1-d": "", "of.peek.x-1-e": "2"}
    for name, text in texts.items():
        (tmp_path / "progress" / name).write_text(text)
    assert read_counts(str(tmp_path)) == {"write": Count(7, 9), "fit.train-1": Count(5, 0), "peek.x": Count(0, 2)}
    assert read_counts(str(tmp_path / "nowhere")) == {}


def test_the_line_follows_the_pass_that_moves() -> None:
    passes = Passes(10, noun="images")
    assert passes.line({}, 0.0) == ""
    assert passes.line({"fit.a": Count(0, 10)}, 0.0) == ""
    assert passes.line({"fit.a": Count(2, 10)}, 1.0) == "fitting a: 2 of 10 images (20%)"
    assert passes.line({"fit.a": Count(4, 10)}, 2.0) == "fitting a: 4 of 10 images (40%)", "a second tells no rate"
    assert passes.line({"fit.a": Count(6, 10)}, 3.0) == "fitting a: 6 of 10 images (60%), 2.0 images/s, 0:02 left"
    counts = {"fit.a": Count(10, 10), "write": Count(40, 400)}
    assert passes.line(counts, 4.0) == "writing: 40 of 400 images (10%)"
    for second in range(1, 11):
        counts["write"] = Count(40 + 20 * second, 400)
        line = passes.line(counts, 4.0 + second)
    assert line == "writing: 240 of 400 images (60%), 20 images/s, 0:08 left"
    # Nothing has moved for a while: the rate sinks, the estimate grows.
    assert passes.line(counts, 24.0) == "writing: 240 of 400 images (60%), 10 images/s, 0:16 left"


def test_the_first_estimate_waits_for_a_rate() -> None:
    """Eight seconds of work: one record while workers start, then 500 a second."""
    passes, said = Passes(4_000, noun="images"), []
    for tick in range(1, 46):
        now = tick / 5
        said.append(passes.line({"write": Count(1 if now <= 1 else min(4_000, 1 + int(500 * (now - 1))), 4_000)}, now))
    left = [int(minutes) * 60 + int(seconds) for line in said for minutes, seconds in re.findall(r"(\d+):(\d\d) left", line)]
    assert left and max(left) <= 12 and "left" not in "".join(said[:10])
    assert left[-1] == 0


COUNTS = st.dictionaries(
    st.sampled_from(["digest", "fit.a", "fit.b", "write"]), st.builds(Count, st.integers(0, 2_000), st.sampled_from([0, 0, 500, 1_000]))
)
"""Anything that can be read of heartbeats: files that are missing or were just emptied, bundles tried again, workers that start anew."""


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 1.0, 3.0, 11.0]), COUNTS), max_size=30))
@example([(0.0, {"write": Count(501, 0)}), (0.0, {"write": Count(0, 500)})])
def test_nothing_of_a_pass_ever_runs_backwards(readings: list[tuple[float, dict[str, Count]]]) -> None:
    passes, now, before = Passes(1_000), 0.0, dict[str, tuple[int, int]]()
    for pause, counts in readings:
        now += pause
        line = passes.line(counts, now)
        if not line:
            continue
        found = re.fullmatch(
            r"([a-z ]+): ([\d,]+)(?: of ([\d,]+))? records(?: \((\d+)%\))?(?:, [\d.,]+ records/s)?(?:, \d+:\d\d left)?", line
        )
        assert found, line
        done, share = int(found[2].replace(",", "")), int(found[4] or 0)
        assert done <= int((found[3] or found[2]).replace(",", ""))
        last_done, last_share = before.get(found[1], (0, 0))
        assert done >= last_done and (share >= last_share or not found[4]), (line, before)
        before[found[1]] = (done, max(share, last_share))


@given(st.permutations(range(20)), st.integers(1, 9))
def test_passes_that_move_by_turns_are_told_one_after_the_other(order: list[int], step: int) -> None:
    """Two passes of one stage: the line stays with one until it is through."""
    done = {"fit.a": 0, "fit.b": 0}
    passes, named = Passes(90), list[str]()
    for tick, pick in enumerate(order):
        name = "fit.a" if pick % 2 else "fit.b"
        done[name] = min(90, done[name] + step)
        named.append(passes.line({name: Count(n, 90) for name, n in done.items()}, tick / 10).split(":")[0])
    changes = [one for one, other in pairwise([*named, ""]) if one != other]
    assert len(changes) == len(set(changes))


def test_a_heartbeat_is_never_empty(tmp_path: Path) -> None:
    """A reader between two beats finds the count before or the count after."""
    from refinery_beam.pipeline.heartbeat import Heartbeat

    (tmp_path / "progress").mkdir()
    beat = Heartbeat(str(tmp_path), "write")
    opened = []
    plain = os.open

    def spy(path: Any, flags: int, *more: Any) -> int:
        opened.append(flags)
        return plain(path, flags, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", spy)
        for count in (1, 9, 90, 900):
            beat.done(count)
            beat.flush()
    assert opened and not any(flags & os.O_TRUNC for flags in opened)
    assert read_counts(str(tmp_path)) == {"write": Count(1_000, 0)}


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_on_a_terminal_one_line_is_redrawn_and_grows(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real pseudo-terminal, counters that jump about: what a person sees never runs backwards, and the line is gone at the end."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as out:
        line = progress._Line(out, 900, "images")
        for done in (100, 1_168, 500, 700, 0, 850, 300, 900):
            line.show({"write": Count(done, 900)})
            if done == 500:
                line.say("red\x1b[31m")
        line.clear()
        out.write("END")
        out.flush()
        shown = b""
        while not shown.endswith(b"END"):
            shown += os.read(ours, 65_536)
    os.close(ours)
    text = shown.decode().removesuffix("END")
    numbers = [int(n) for n in re.findall(r"writing: (\d+) of 900 images", text)]
    assert numbers == [100] + [900] * 7
    assert "\x1b" not in text and "red\\x1b[31m\r\n" in text
    assert text.endswith(" \r") and text.count("\n") == 1 if term != "dumb" else text.count("\n") == 9


def test_it_is_quiet_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinery_beam.runners.progress.PLAIN_SECONDS", 0.0)
    quiet, plain = io.StringIO(), io.StringIO()
    for out in (quiet, plain):
        with live(str(tmp_path / "nowhere"), 10, stream=out, plain=out is plain):
            while out is plain and not out.getvalue():
                pass
    assert quiet.getvalue() == ""
    assert set(plain.getvalue().splitlines()) == {"starting the engine for 10 records"}


def test_final_counts_come_from_rows(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats that say anything at all change nothing; and nobody asks Beam for its counters, but for the live line of Dataflow."""
    from refinery_beam.pipeline.heartbeat import Heartbeat

    monkeypatch.setattr(Heartbeat, "done", lambda self, count=1: setattr(self, "_count", 10**9))
    result = rb.run(recipe_over(class_folders, tmp_path, "uint8"), cache_root=tmp_path / "cache", progress=True)
    assert result.counts == {"train": 18, "test": 18}
    asked = [
        f"{file.name}: {node.attr}"
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in ("metrics", "query")
    ]
    assert sorted(asked) == ["run.py: metrics", "run.py: query"]


def test_passes_say_how_many_come(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch.build import attempt

    found = {}
    plain = attempt.collect

    def spy(prepared: object, instance: str, work: str) -> object:
        found.update(read_counts(work))
        return plain(prepared, instance, work)  # type: ignore[arg-type]

    monkeypatch.setattr(attempt, "collect", spy)
    eager = recipe_over(class_folders, tmp_path, "float32")
    rb.run(eager, cache_root=tmp_path / "cache", progress=True, workers=1)
    assert found == {"fit.train-1": Count(18, 18), "write": Count(36, 36)}


def test_it_counts_what_the_kind_of_data_is_called(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch.build import engine

    nouns = []
    plain = engine.live

    def spy(*args: Any, noun: str, **more: Any) -> Any:
        nouns.append(noun)
        return plain(*args, noun=noun, **more)

    monkeypatch.setattr(engine, "live", spy)
    rb.run(recipe_over(class_folders, tmp_path, "uint8"), cache_root=tmp_path / "cache", workers=1)
    assert nouns == ["images"]
