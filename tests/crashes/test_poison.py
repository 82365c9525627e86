"""How a run goes on after a death, by what the tries showed; no process dies here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from refinery_beam.crashes import poison
from refinery_beam.crashes.job_died import worker_died
from refinery_beam.crashes.markers import Marker, Task
from refinery_beam.crashes.poison import Run, run_without_poison
from refinery_beam.crashes.suspects import Suspect, Try
from refinery_beam.errors import DataError, EngineError
from refinery_beam.identity import record_key
from refinery_beam.records import Ref

SEGV, KILLED, LIVED, SLOW = Try("SIGSEGV", True), Try("SIGKILL", True), Try(""), Try("no end")


def marker(name: str) -> Marker:
    record_id = f"photos/{name}"
    return Marker(Task("write"), Ref(record_id, record_key(record_id), 0, name, 1, b"", None, "", b"", "", "", ""), {})


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch, messages: list[str]) -> Callable[..., Run]:
    """A run whose suspects behave as they are told to."""

    def make(tries: dict[str, tuple[Try, ...]], *, on_error: str = "quarantine", max_bad_fraction: float = 0.5) -> Run:
        def retry_alone(plan: object, markers: Sequence[Marker]) -> list[Suspect]:
            return [Suspect(m, tries[m.ref.path]) for m in markers]

        monkeypatch.setattr(poison, "retry_alone", retry_alone)
        plan: Any = SimpleNamespace(on_error=on_error, max_bad_fraction=max_bad_fraction, sources=[SimpleNamespace(root="/photos")])
        return Run(plan=plan, records=4, budget_at="recipe.yaml:3", tell=messages.append, dead_runs=list, sweep=list)

    return make


def dying(deadly: dict[str, str]) -> Callable[[poison.Poison], list[str]]:
    """An attempt that dies of the first of these records that is not left out; it gives what was left out."""

    def attempt(known: poison.Poison) -> list[str]:
        for name, how in deadly.items():
            if f"photos/{name}" not in known:
                raise worker_died(how, [marker(name), marker("innocent")])
        return sorted(known)

    return attempt


def test_it_starts_over_without_each_record_that_always_crashes(run_of: Callable[..., Run], messages: list[str]) -> None:
    run = run_of({"a": (SEGV,) * 3, "b": (SEGV,) * 3, "innocent": (LIVED,) * 3})
    assert run_without_poison(run, dying({"a": "SIGSEGV", "b": "SIGSEGV"}), forked=False) == ["photos/a", "photos/b"]
    assert [line for line in messages if "over" in line] == ["starting over without photos/a", "starting over without photos/b"]


@pytest.mark.parametrize(
    ("tries", "on_error", "code", "words"),
    [
        ((SEGV,) * 3, "fail", "poison-record", "decoding it ends the process, 3 of 3 times alone: SIGSEGV (record photos/a)"),
        ((SEGV, LIVED, SEGV), "quarantine", "poison-record", "decoding it ends the process, 2 of 3 times alone: SIGSEGV (record photos/a)"),
        ((KILLED,) * 3, "quarantine", "poison-record", "decoding it ends the process, 3 of 3 times alone: SIGKILL (record photos/a)"),
        ((LIVED,) * 3, "quarantine", "worker-died", "the process at work died (SIGSEGV); at work on photos/a, photos/innocent; "
         "alone each came through 3 times"),
        ((SLOW,), "quarantine", "worker-died", "the process at work died (SIGSEGV); at work on photos/a, photos/innocent; "
         "alone photos/a took too long"),
    ],
)  # fmt: skip
def test_it_ends_where_a_ledger_would_depend_on_luck(
    tries: tuple[Try, ...], on_error: str, code: str, words: str, run_of: Callable[..., Run]
) -> None:
    run = run_of({"a": tries, "innocent": (LIVED,) * 3}, on_error=on_error)
    with pytest.raises(EngineError) as caught:
        run_without_poison(run, dying({"a": "SIGSEGV"}), forked=False)
    assert (caught.value.code, caught.value.message, caught.value.at) == (code, words, "/photos/a")


def test_poison_counts_against_the_budget(run_of: Callable[..., Run]) -> None:
    run = run_of({"a": (SEGV,) * 3, "innocent": (LIVED,) * 3}, max_bad_fraction=0.2)
    with pytest.raises(DataError) as caught:
        run_without_poison(run, dying({"a": "SIGSEGV"}), forked=False)
    assert (caught.value.code, caught.value.at) == ("too-many-bad-records", "recipe.yaml:3")


def test_a_death_without_markers_is_told_as_it_is(run_of: Callable[..., Run]) -> None:
    def attempt(known: poison.Poison) -> None:
        raise worker_died("SIGKILL", [])

    with pytest.raises(EngineError, match=r"^the process at work died \(SIGKILL\)$"):
        run_without_poison(run_of({}), attempt, forked=False)
