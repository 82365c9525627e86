import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refinery_beam.cache import InstanceKey, Staging, prepare_root, sweep
from refinery_beam.cache.address import resume_dir
from refinery_beam.cache.attempts import locks as locks_module
from refinery_beam.cache.attempts.locks import take
from refinery_beam.errors import StoreError
from support import handmade

KEY = handmade.KEY
HOLD = """
import sys, time
from refinery_beam.cache.attempts.locks import take
held = take(sys.argv[1]); print(held is not None, flush=True); time.sleep(60)
"""


def attempts(root: Path) -> list[str]:
    return sorted(n for n in os.listdir(root / "staging") if n not in ("trash", "heal.lock"))


def test_an_attempt_leaves_nothing_behind(tmp_path: Path) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        assert sorted(os.listdir(staging.dir)) == ["instance", "lock", "rows"]
        assert attempts(tmp_path) == [os.path.basename(staging.dir)]
        Path(staging.instance, "dataset", "half").write_text("x")
        assert staging.alive
    assert not staging.alive
    assert attempts(tmp_path) == []
    staging.abandon()


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Staging.open(str(tmp_path), KEY):
        raise ZeroDivisionError
    assert attempts(tmp_path) == []


def test_living_attempts_of_one_key_do_not_meet(tmp_path: Path) -> None:
    with Staging.open(str(tmp_path), KEY) as one, Staging.open(str(tmp_path), KEY) as two:
        assert one.dir != two.dir
        assert len(attempts(tmp_path)) == 2
        assert sweep(str(tmp_path), KEY) == []
        assert len(attempts(tmp_path)) == 2


def test_dead_attempts_of_the_same_key_are_swept(tmp_path: Path) -> None:
    dead = Staging.open(str(tmp_path), KEY)
    other = Staging.open(str(tmp_path), InstanceKey(KEY.recipe_hash, KEY.input_hash, 4))
    for staging in (dead, other):
        assert staging._lock is not None
        staging._lock.release()
    (tmp_path / "staging" / "trash" / "old").mkdir(parents=True)
    assert sweep(str(tmp_path), KEY) == [os.path.basename(dead.dir)]
    assert attempts(tmp_path) == [os.path.basename(other.dir)]
    assert os.listdir(tmp_path / "staging" / "trash") == []


def test_no_sweep_touches_what_a_run_goes_on_with(tmp_path: Path) -> None:
    kept = Path(resume_dir(str(tmp_path), KEY), "shard.parquet")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    handmade.build(str(tmp_path))
    with Staging.open(str(tmp_path), KEY):
        sweep(str(tmp_path), KEY)
    assert kept.read_bytes() == b"x"


def test_a_killed_run_is_swept_by_the_next(tmp_path: Path) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        # The lock as a run that is killed holds it: from another process.
        assert staging._lock is not None
        staging._lock.release()
        child = subprocess.Popen([sys.executable, "-c", HOLD, os.path.join(staging.dir, "lock")], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert sweep(str(tmp_path), KEY) == []
        child.kill()
        child.wait()
        child.stdout.close()
        assert sweep(str(tmp_path), KEY) == [os.path.basename(staging.dir)]
    assert attempts(tmp_path) == []


def test_a_run_that_was_still_dying_at_the_beginning_is_swept_at_the_end(tmp_path: Path) -> None:
    dying = Staging.open(str(tmp_path), KEY)
    with Staging.open(str(tmp_path), KEY) as staging:
        assert attempts(tmp_path) == sorted([os.path.basename(dying.dir), os.path.basename(staging.dir)])
        assert dying._lock is not None
        dying._lock.release()
    assert attempts(tmp_path) == []


def test_half_born_attempts_are_left_a_minute(tmp_path: Path) -> None:
    young = tmp_path / "staging" / f".new-{KEY.name}-00c0ffee"
    young.mkdir(parents=True)
    assert sweep(str(tmp_path), KEY) == []
    old = time.time() - 100
    os.utime(young, (old, old))
    assert sweep(str(tmp_path), KEY) == [young.name]
    assert not young.exists()


def test_probes_are_gone_and_those_of_killed_runs_are_left_a_minute(tmp_path: Path) -> None:
    root = tmp_path / "root"
    prepare_root(str(root))
    folder = root / "staging"
    assert list(folder.iterdir()) == []
    for age, stays in ((0, True), (61, False)):
        (folder / ".probe-1-0badcafe").touch()
        os.utime(folder / ".probe-1-0badcafe", (time.time() - age,) * 2)
        sweep(str(root), KEY)
        assert (folder / ".probe-1-0badcafe").exists() is stays


def test_a_beginner_that_lost_its_directory_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, calls = os.rename, []

    def stolen(source: str, target: str) -> None:
        if ".new-" in source and not calls:
            calls.append(source)
            rename(source, str(tmp_path / "stolen"))
        rename(source, target)

    monkeypatch.setattr(os, "rename", stolen)
    with Staging.open(str(tmp_path), KEY) as staging:
        assert os.path.isdir(staging.instance)
        assert calls
        assert calls[0].endswith(staging.attempt) is False


def test_a_root_that_cannot_hold_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(StoreError):
        Staging.open(str(tmp_path / "f"), KEY)


def test_a_lock_on_a_removed_file_guards_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = take(path)
    assert first is not None
    os.unlink(path)
    second = take(path)
    assert second is not None
    second.release()
    first.release()
    assert take(str(tmp_path / "none"), create=False) is None


class NoFlock:
    """A file system without flock."""

    LOCK_EX, LOCK_NB, LOCK_UN = fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN

    def flock(self, *_: object) -> None:
        raise OSError(37, "No locks available")


def test_without_flock_the_pid_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks_module, "fcntl", NoFlock())
    path = tmp_path / "lock"
    mine = take(str(path))
    assert mine is not None
    assert take(str(path)) is None
    mine.release()
    again = take(str(path))
    assert again is not None
    # A holder of this machine that is gone is dead; one of another machine is not ours to judge.
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    words = path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {child.stdout.strip()}')
    path.write_text(words)
    taken = take(str(path))
    assert taken is not None
    path.write_text(words.replace('"where": "', '"where": "other-'))
    assert take(str(path)) is None
