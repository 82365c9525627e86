"""The house keeps its shape: imports go one way, Beam stays in its two rooms, and nothing that reaches output can see a clock or chance.

All of it is read from the syntax tree, so an import inside a function counts as much as one at the top.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import pytest

import refinery_beam

PACKAGE = Path(__file__).parent.parent / "refinery_beam"
FILES = sorted(PACKAGE.rglob("*.py"))

# What every room may use: the law of hashing, the errors, the row types and the arithmetic, none of which knows a room.
GROUND = {
    "amounts",
    "dtypes",
    "masking",
    "errors",
    "identity",
    "exact",
    "moments",
    "randoms",
    "records",
    "rows",
    "sorting",
    "locations",
    "processes",
    "rules",
    "tables",
    "visible",
}

# Who may import whom. A room that is missing here has no right to exist yet; `launch` is the driver that joins the rooms into a run.
ARROWS: dict[str, set[str]] = {
    "dtypes": set(),
    "rules": set(),
    "amounts": set(),
    "masking": set(),
    "visible": set(),
    "errors": {"masking", "rules", "visible"},
    "locations": {"errors", "masking"},
    "processes": set(),
    "identity": set(),
    "moments": set(),
    "exact": {"identity", "moments"},
    "randoms": {"identity"},
    "records": {"identity", "rules"},
    "rows": {"dtypes", "identity"},
    "sorting": {"errors", "locations"},
    "tables": {"errors", "identity", "locations"},
    "plugins": GROUND,
    "facts": GROUND | {"plugins"},
    "recipe": GROUND | {"plugins"},
    "index": GROUND | {"plugins", "recipe"},
    "planning": GROUND | {"plugins", "recipe", "index"},
    "record": GROUND | {"plugins", "facts", "planning"},
    "job": GROUND | {"plugins", "planning"},
    "resume": GROUND | {"planning", "record", "job"},
    "crashes": GROUND | {"plugins", "planning", "record", "job"},
    "forked": GROUND | {"plugins", "facts", "planning", "record", "job", "crashes"},
    "pipeline": GROUND | {"plugins", "planning", "record", "job", "resume", "crashes", "forked"},
    "runners": GROUND | {"pipeline", "job", "crashes", "forked"},
    "cache": GROUND | {"plugins", "resume"},
    "reporting": GROUND,
    "reading": GROUND | {"plugins", "recipe", "record", "cache"},
    "torch": {"reading"},
    "inspection": GROUND | {"cache", "plugins", "reading"},
    "scaffold": GROUND | {"plugins", "recipe", "index"},
    "launch": GROUND
    | {
        "plugins",
        "facts",
        "recipe",
        "index",
        "planning",
        "record",
        "job",
        "resume",
        "crashes",
        "forked",
        "pipeline",
        "runners",
        "cache",
        "reporting",
        "reading",
        "inspection",
        "scaffold",
    },
    "testing": GROUND | {"plugins", "launch", "runners"},
}
ARROWS["cli"] = {*ARROWS, "__init__"}
ARROWS["__main__"] = {"cli"}
ARROWS["__init__"] = set(ARROWS) - {"cli", "__main__"}

BEAM_ROOMS = ("pipeline/", "runners/", "testing/engine/")
"""Only below these folders is Beam imported."""

# Rooms whose code may see the clock: none of it reaches a file of an instance. (In `forked` it says who prepares a record, not how.)
CLOCK_ROOMS = {"cli", "runners", "crashes", "forked"}

# Single lines elsewhere that may, by file; each says why it does not reach output.
ALLOWED_LINES: dict[str, dict[str, str]] = {
    "cache/address.py": {'probe = os.path.join(staging, f".probe-{os.getpid()}-{os.urandom(4).hex()}")': "a file removed at once"},
    "cache/used.py": {"from datetime import UTC, datetime, timedelta": "when an instance was last used, beside the instances"},
    "cache/cleaning/remove.py": {
        "return Lease(staging_root(root), key_name, os.urandom(4).hex())": "names a lease that is gone when the removal is done",
    },
    "cache/cleaning/policy.py": {"from datetime import UTC, datetime, timedelta": "ages of what is removed; asks no clock"},
    "cache/cleaning/found.py": {"from datetime import UTC, datetime, timedelta": "the times of files that may be removed"},
    "launch/clean.py": {"from datetime import UTC, datetime, timedelta": "how old things are that are removed"},
    "cache/instances.py": {"from datetime import datetime": "the times of files, for lists that people read"},
    "launch/cached.py": {"from datetime import UTC, datetime": "likewise"},
    "cache/journal/write.py": {
        "from datetime import UTC, datetime, timedelta": "the journal is where time belongs",
        "self.run = os.urandom(5).hex()": "names a run in the journal",
        "return write_event(root, event, run=os.urandom(5).hex(), moment=moment, facts=every)[0]": "likewise",
    },
    "cache/journal/read.py": {"from datetime import UTC, datetime": "the journal again", "from datetime import timedelta": "likewise"},
    "cache/journal/compact.py": {"from datetime import UTC, datetime": "likewise"},
    "cache/journal/old_lines.py": {"from datetime import UTC, datetime": "likewise"},
    "cache/attempts/leases.py": {
        "import time": "waiting, and how long ago a lease was renewed",
        "from datetime import datetime": "ages of leases, by the store's clock",
    },
    "cache/attempts/locks.py": {"import time": "waiting for a lock"},
    "cache/manifest.py": {"return hash(self.files_digest)": "the body of __hash__"},
    "pipeline/rows/coders.py": {"return hash(RefCoder)": "likewise"},
    "cache/attempts/probes.py": {
        'location = locations.join(staging, f"{PROBE}{os.urandom(4).hex()}")': "an object removed at once",
        "from datetime import datetime": "the time on a store, and ages by it",
    },
    "cache/attempts/staging.py": {
        "import time": "waiting, and the age of what dead runs left",
        "attempt = os.urandom(4).hex()": "names the staging directory",
        'return os.path.join(staging_root(root), "trash", f"{name}-{os.urandom(4).hex()}")': "names what is about to be deleted",
        'return os.path.join(staging_root(root), f"{REMOVED}{name}-{os.urandom(4).hex()}")': "likewise",
    },
    "cache/stores/local.py": {
        'temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}-{os.urandom(4).hex()}")': "renamed when it is whole"
    },
    "index/digests/hints.py": {"import time": "files modified just now get no hint"},
    "launch/history/log.py": {"from datetime import UTC, datetime": "asks for the runs of the last days"},
    "launch/history/meter.py": {"from time import monotonic": "the seconds of phases, which go into the journal"},
    "launch/estimate.py": {"from time import perf_counter": "how long a few files take, which plan says and nothing keeps"},
    "launch/trial.py": {"from time import perf_counter, process_time": "likewise"},
    "launch/run.py": {"from time import monotonic": "the seconds that a run says it took"},
    "job/failures.py": {
        'path = locations.join(work, "failures", f"{os.getpid()}-{os.urandom(4).hex()}.json")': "a message to the driver, in staging",
    },
    "resume/parts.py": {
        'temporary = os.path.join(folder, f".link-{os.getpid()}-{os.urandom(4).hex()}")': "renamed at once",
    },
    "resume/reused.py": {
        'location = locations.join(self._work, FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}.json")': "a message to the driver",
    },
    "pipeline/heartbeat.py": {
        "from time import monotonic": "how often progress is told",
        'self._path = locations.join(folder, "progress", f"{name}-{os.getpid()}-{os.urandom(4).hex()}")': "a message to the driver",
    },
    "pipeline/peek.py": {
        'temporary = os.path.join(scratch, f"filtered-{os.urandom(8).hex()}")': "renamed for its group when whole",
    },
    "record/shard.py": {
        'temporary = os.path.join(scratch, f"{split}-{shard:05d}-{os.urandom(8).hex()}")': "renamed for its content when whole"
    },
    "locations/objects.py": {
        "from datetime import UTC, datetime": "when the store last wrote an object; tells a living run from a dead one"
    },
    "locations/patience.py": {"import time": "waiting"},
    "locations/__init__.py": {
        "from datetime import UTC, datetime": "likewise",
        'return os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")': "renamed",
    },
    "planning/splits/order.py": {"from datetime import UTC, datetime": "reads dates that records hold; never asks what day it is"},
    "testing/conform_calls.py": {
        "import random": "moves the global generators, to catch an op that draws from them",
        "random.seed(20240229)": "likewise",
        "np.random.seed(20240229)": "likewise",
    },
}


def room_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else file.stem


@cache
def imported_modules(source: bytes) -> list[tuple[str, int]]:
    """Every absolute module name an import statement asks for, `from x import y` also as x.y, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide who imports whom"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}


def files_imported(file: Path, source: bytes | None = None) -> set[Path]:
    """The files of this package that a file imports: at its top, inside functions, and for its type hints alone.

    `from package import name` asks for the file of `name` if there is one, else for the package's own.
    """
    found = set()
    for name, _ in imported_modules(file.read_bytes() if source is None else source):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        if name:
            found.add(MODULES[name])
    return found - {file}


def circles(graph: Mapping[Path, Set[Path]]) -> list[list[Path]]:
    """The strongly connected parts of more than one file (Tarjan's algorithm)."""
    number: dict[Path, int] = {}
    lowest: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[list[Path]] = []

    def visit(file: Path) -> None:
        number[file] = lowest[file] = len(number)
        stack.append(file)
        for other in sorted(graph[file]):
            if other not in number:
                visit(other)
                lowest[file] = min(lowest[file], lowest[other])
            elif other in stack:
                lowest[file] = min(lowest[file], number[other])
        if lowest[file] == number[file]:
            at = stack.index(file)
            part = stack[at:]
            del stack[at:]
            if len(part) > 1:
                found.append(sorted(part))

    for file in sorted(graph):
        if file not in number:
            visit(file)
    return found


ROOMS = {room_of(f) for f in FILES}


def rooms_imported(file: Path) -> Iterator[tuple[str, int]]:
    for name, line in imported_modules(file.read_bytes()):
        head, _, rest = name.partition(".")
        if head == PACKAGE.name:
            room = rest.partition(".")[0]
            if room in ROOMS:
                yield room, line
            elif room != "__version__":
                yield "__init__", line


def test_every_room_is_in_the_table() -> None:
    assert set(ARROWS) >= ROOMS


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_follow_the_arrows(room: str) -> None:
    assert [
        f"{file.relative_to(PACKAGE)}:{line} imports {target}"
        for file in FILES
        if room_of(file) == room
        for target, line in rooms_imported(file)
        if target != room and target not in ARROWS[room]
    ] == []


def test_the_arrows_make_no_circle() -> None:
    rank = {room: n for n, room in enumerate(ARROWS)}
    package = {"cli", "__main__", "__init__"}
    assert [(a, b) for a, allowed in ARROWS.items() for b in allowed if a not in package and rank[b] >= rank[a]] == []


def test_no_arrow_is_in_the_table_for_nothing() -> None:
    """A permission that nobody uses is one that somebody will use by mistake. The ground is open to all, and these three to everything."""
    used: dict[str, set[str]] = {room: set() for room in ARROWS}
    for file in FILES:
        used[room_of(file)] |= {target for target, _ in rooms_imported(file)}
    open_to_all = {"cli", "__main__", "__init__"}
    assert {
        (room, target) for room, allowed in ARROWS.items() if room not in open_to_all for target in allowed - GROUND - used[room]
    } == set()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_no_circle_inside_a_room(room: str) -> None:
    """Two files that need each other are one file, or have a third beneath them. Type hints count: they too must be read together."""
    files = {file for file in FILES if room_of(file) == room}
    found = circles({file: files_imported(file) & files for file in files})
    assert [[file.relative_to(PACKAGE).as_posix() for file in part] for part in found] == []


def test_the_check_of_circles() -> None:
    a, b, c, d = (Path(name) for name in "abcd")
    assert circles({a: {b}, b: {c}, c: {d}, d: set()}) == []
    assert circles({a: {b}, b: {c}, c: {b, d}, d: set()}) == [[b, c]]
    file = MODULES["refinery_beam.launch.prepare"]
    inside = b"if TYPE_CHECKING:\n    from refinery_beam.launch.run import run\ndef f():\n    from refinery_beam.launch import settings"
    assert files_imported(file, inside) == {MODULES["refinery_beam.launch.run"], MODULES["refinery_beam.launch.settings"]}


def test_beam_stays_in_its_rooms() -> None:
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in FILES
        if not file.relative_to(PACKAGE).as_posix().startswith(BEAM_ROOMS)
        for name, line in imported_modules(file.read_bytes())
        if name.split(".")[0] == "apache_beam"
    ]
    assert not wrong


def test_the_pipeline_is_beam() -> None:
    """What a step does to a record is a plain function in another room, tested without an engine."""
    plain = [
        file.relative_to(PACKAGE).as_posix()
        for file in sorted((PACKAGE / "pipeline").rglob("*.py"))
        if file.name != "__init__.py" and "apache_beam" not in {name.split(".")[0] for name, _ in imported_modules(file.read_bytes())}
    ]
    assert plain == []


KINDS_OF_DATA = ("plugins/image_classification/",)
"""Each is one folder. Only discovery opens it."""


def test_nobody_imports_a_kind_of_data() -> None:
    wrong = [
        (file.relative_to(PACKAGE).as_posix(), other.relative_to(PACKAGE).as_posix())
        for file in FILES
        for other in sorted(files_imported(file))
        for folder in KINDS_OF_DATA
        if other.relative_to(PACKAGE).as_posix().startswith(folder) and not file.relative_to(PACKAGE).as_posix().startswith(folder)
    ]
    assert wrong == [("plugins/discovery.py", "plugins/image_classification/__init__.py")]


def test_public_names_are_no_packages() -> None:
    """Importing a subpackage sets its name in the package, over whatever stood there."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert not set(refinery_beam.__all__) & (folders | files)


CHANCE = {"uuid", "random", "secrets", "time", "datetime"}


def odd_lines(source: bytes) -> Iterator[tuple[int, str]]:
    """Lines that could let a clock, chance or a salted order into output."""
    for name, line in imported_modules(source):
        if name.split(".")[0] in CHANCE:
            yield line, f"imports {name}"
    for node in ast.walk(without_order_free_generators(ast.parse(source))):
        if isinstance(node, ast.Call):
            called = name_called(node)
            if called in {"hash", "os.urandom", "os.getrandom"} or called.startswith(("np.random.", "numpy.random.")):
                yield node.lineno, f"calls {called}"
            if called in {"list", "tuple", "enumerate", "iter", "next", "zip", "map"} or called.endswith(".join"):
                yield from ((node.lineno, "takes a set's order") for argument in node.args if is_set(argument))
        iterated: list[ast.expr] = []
        if isinstance(node, ast.For):
            iterated = [node.iter]
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp):
            iterated = [g.iter for g in node.generators]
        yield from ((e.lineno, "iterates over a set") for e in iterated if is_set(e))


def name_called(call: ast.Call) -> str:
    """The source of what is called. Nearly all are plain names with dots, for which `ast.unparse` is slow."""
    names, node = [], call.func
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ast.unparse(call.func)
    return ".".join([node.id, *reversed(names)])


def is_set(node: ast.expr) -> bool:
    """Whether an expression is plainly a set. Names are not followed."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return is_set(node.left) or is_set(node.right)
    return isinstance(node, ast.Set | ast.SetComp) or (isinstance(node, ast.Call) and name_called(node) in {"set", "frozenset"})


# `any(... for x in {...})` and `sorted(x for x in {...})` give one answer whatever the order.
ORDER_FREE = {"any", "all", "sorted", "sum", "min", "max", "set", "frozenset", "len"}


def without_order_free_generators(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_called(node) in ORDER_FREE:
            for generator in (a for a in node.args if isinstance(a, ast.GeneratorExp | ast.ListComp)):
                for part in generator.generators:
                    part.iter = ast.Name("anything", lineno=node.lineno)
    return tree


@pytest.mark.parametrize("room", sorted(ROOMS - CLOCK_ROOMS))
def test_no_clock_and_no_chance(room: str) -> None:
    for file in (file for file in FILES if room_of(file) == room):
        name, lines = file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8").splitlines()
        allowed = ALLOWED_LINES.get(name, {})
        assert [f"{name}:{line} {why}" for line, why in odd_lines(file.read_bytes()) if lines[line - 1].strip() not in allowed] == []


def test_no_permission_outlives_its_line() -> None:
    stale = [
        (name, text)
        for name, allowed in ALLOWED_LINES.items()
        for text in allowed
        if text not in {line.strip() for line in (PACKAGE / name).read_text(encoding="utf-8").splitlines()}
    ]
    assert not stale


@pytest.mark.parametrize(
    ("code", "odd"),
    [
        ("import time", True),
        ("def f():\n    from datetime import datetime", True),
        ("x = hash('a')", True),
        ("for x in {1, 2}: pass", True),
        ("y = [x for x in set(z) | w]", True),
        ("y = ','.join({'a'})", True),
        ("for x in sorted({1, 2}): pass", False),
        ("ok = any(x for x in {1, 2})", False),
        ("from numpy.random import Philox", False),
    ],
)
def test_the_check_itself(code: str, odd: bool) -> None:
    assert bool(list(odd_lines(code.encode()))) is odd


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("refinery_beam", "apache_beam pydantic yaml PIL numpy pyarrow typer"),
        ("refinery_beam.cli refinery_beam.recipe refinery_beam.index refinery_beam.cache", "apache_beam pyarrow numpy"),
        ("refinery_beam.planning refinery_beam.plugins.discovery refinery_beam.reading", "apache_beam pyarrow"),
        ("refinery_beam.launch.run", "apache_beam pyarrow numpy PIL fsspec jinja2 refinery_beam.pipeline refinery_beam.runners.local"),
        ("refinery_beam.launch.build.build", "apache_beam pyarrow numpy PIL refinery_beam.pipeline"),
        ("refinery_beam.testing.engine", "apache_beam"),
    ],
)
def test_importing_stays_cheap(modules: str, unwanted: str) -> None:
    code = f"import sys\nfor m in {modules.split()}: __import__(m)\nprint(*[m for m in {unwanted.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
