"""Fixtures for every room. Image sets are drawn once a session; `copy_of` gives one that a test may change."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apache_beam.transforms import userstate
from hypothesis import HealthCheck, settings

from refinery_beam import masking
from refinery_beam.runners import local
from refinery_beam.testing import awkward, images
from refinery_beam.testing.engine import hostile, measured
from refinery_beam.testing.engine.sizes import Sizes

# One seed for all machines: a property that fails here fails everywhere, today and tomorrow.
settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fixed")

# Tests interrupt processes. Started by `nohup`, or by `&` in a script, this one ignores SIGINT, and so would all that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several test processes share the cores: native thread pools of their own only get in each other's way.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


_specs: dict[tuple[Any, Any], tuple[set[Any], set[Any]]] = {}
_plain_specs = userstate.get_dofn_specs


def _remembered_specs(dofn: Any) -> tuple[set[Any], set[Any]]:
    """Beam reads the signatures of all methods of every DoFn some ten times a run: a quarter of a small run. A class has the same ones."""
    # Of a function that is no method nothing is read: it is an attribute of the DoFn, and no method of it.
    method = getattr(getattr(dofn, "_fn", None), "__func__", None)
    key = (type(dofn), method)
    if key not in _specs:
        _specs[key] = _plain_specs(dofn)
    states, timers = _specs[key]
    return set(states), set(timers)


userstate.get_dofn_specs = _remembered_specs


# No power cut comes while tests run, and a run of few records waits for the disk thirty times. Programs that tests start do wait.
os.fsync = lambda handle: None


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person running the tests reaches them, and no secret of another test."""
    masking.forget_secrets()
    for name in [n for n in os.environ if n.startswith("REFINERY_BEAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is the module's `folder`."""
    monkeypatch.chdir(folder)


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 pictures, PNG and JPEG, in the class folders circle, square and triangle."""
    root = tmp_path_factory.mktemp("folders") / "my-images"
    images.class_folders(root)
    return root


@pytest.fixture(scope="session")
def flat_with_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/ with 36 pictures and labels.csv (filename, class)."""
    root = tmp_path_factory.mktemp("flat") / "my-dataset"
    images.flat_with_csv(root)
    return root


@pytest.fixture(scope="session")
def train_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 36 and test/ with 9 pictures in class folders."""
    root = tmp_path_factory.mktemp("train_test") / "my-dataset"
    images.train_test(root)
    return root


@pytest.fixture(scope="session")
def unlabeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 36 pictures in class folders and a flat test/ with 9."""
    root = tmp_path_factory.mktemp("unlabeled") / "my-dataset"
    images.unlabeled(root)
    return root


@pytest.fixture(scope="session")
def awkward_files(tmp_path_factory: pytest.TempPathFactory) -> list[awkward.AwkwardFile]:
    """One of each awkward file, in one folder, with what a careful reader makes of it."""
    return awkward.awkward_files(tmp_path_factory.mktemp("awkward"))


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy an image set into this test's own folder, to change it there."""

    def copy(root: Path) -> Path:
        return Path(shutil.copytree(root, tmp_path / root.name))

    return copy


HOSTILE_SEED = os.environ.get("HOSTILE_SEED")
"""`make test-hostile`: every pipeline that a test runs in this process, unless it asks for something else, runs under this hostility."""

ALL_SIZES = Sizes()
"""What crossed stages in all tests of this process; `make lint-stages` prints it."""

_run_local = local.run_local


def _measured_run(build: Callable[[Any], None], options: local.LocalOptions, **more: Any) -> None:
    """`run_local`, with every pipeline measured: no pickle and no large element crosses a stage, in any test.

    A test whose own pipeline may do that says so with ``runner_factory=constructed_runner``; nothing else ends the check.
    """
    if options.runner_factory is local.constructed_runner:
        return _run_local(build, options, **more)
    factory = options.runner_factory or local.constructed_runner
    if HOSTILE_SEED and options.runner_factory is None and options.mode == "threads":
        factory = hostile(int(HOSTILE_SEED))
    sizes = Sizes()
    _run_local(build, replace(options, runner_factory=measured(sizes, factory)), **more)
    ALL_SIZES.merge(sizes)
    sizes.check()


local.run_local = _measured_run


@pytest.fixture
def all_sizes() -> Sizes:
    """What crossed stages in this process so far."""
    return ALL_SIZES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("STAGES"):
        terminalreporter.section("elements that cross stages")
        terminalreporter.write_line(ALL_SIZES.table())
