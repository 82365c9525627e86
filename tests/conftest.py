"""Fixtures for every room. Image sets are drawn once a session; `copy_of` gives one that a test may change."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from refinery_beam import masking

if TYPE_CHECKING:
    from refinery_beam.testing import awkward
    from refinery_beam.testing.engine.sizes import Sizes

# Tests interrupt processes. Started by `nohup`, or by `&` in a script, this one ignores SIGINT, and so would all that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several test processes share the cores: native thread pools of their own only get in each other's way.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


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
    from refinery_beam.testing import images

    root = tmp_path_factory.mktemp("folders") / "my-images"
    images.class_folders(root)
    return root


@pytest.fixture(scope="session")
def flat_with_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/ with 36 pictures and labels.csv (filename, class)."""
    from refinery_beam.testing import images

    root = tmp_path_factory.mktemp("flat") / "my-dataset"
    images.flat_with_csv(root)
    return root


@pytest.fixture(scope="session")
def train_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 36 and test/ with 9 pictures in class folders."""
    from refinery_beam.testing import images

    root = tmp_path_factory.mktemp("train_test") / "my-dataset"
    images.train_test(root)
    return root


@pytest.fixture(scope="session")
def unlabeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 36 pictures in class folders and a flat test/ with 9."""
    from refinery_beam.testing import images

    root = tmp_path_factory.mktemp("unlabeled") / "my-dataset"
    images.unlabeled(root)
    return root


@pytest.fixture(scope="session")
def awkward_files(tmp_path_factory: pytest.TempPathFactory) -> list[awkward.AwkwardFile]:
    """One of each awkward file, in one folder, with what a careful reader makes of it."""
    from refinery_beam.testing import awkward

    return awkward.awkward_files(tmp_path_factory.mktemp("awkward"))


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy an image set into this test's own folder, to change it there."""

    def copy(root: Path) -> Path:
        return Path(shutil.copytree(root, tmp_path / root.name))

    return copy


@pytest.fixture
def all_sizes() -> Sizes:
    """What crossed stages in this process so far."""
    from support.under_test import ALL_SIZES

    return ALL_SIZES


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") != "no":
        return  # this process only hands out tests
    # What is loaded now stays: the collector of garbage would go through all of it a hundred times meanwhile, and at every turn later.
    gc.disable()
    from support.under_test import prepare_process

    prepare_process()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("STAGES"):
        from support.under_test import ALL_SIZES

        terminalreporter.section("elements that cross stages")
        terminalreporter.write_line(ALL_SIZES.table())
