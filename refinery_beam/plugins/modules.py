"""The source files of third-party plugins: read, digested, and, for ``--plugin-path``, carried to workers as text.

A worker on another machine has no such path. So a path plugin travels as source text inside the plan; driver and workers run
the same text under the same module name, which holds its digest. Nothing is pickled, so parameter models and protocols keep their identity
in each process. Modules of one folder are submodules of one package: they import each other relatively (``from ._tables import X``) and
whatever is installed absolutely.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import PluginError
from refinery_beam.identity import digest

PACKAGE = "refinery_beam_path_"

PLUGIN_PATH_VARIABLE = "REFINERY_BEAM_PLUGIN_PATH"
"""Plugin paths as PATH holds paths, for whoever names none."""

MAX_BYTES = 4 << 20
"""Source bytes of one plugin path: they travel with the job."""


@dataclass(frozen=True)
class PathCode:
    """The code of one ``--plugin-path``: ``modules`` are (name, source) sorted by name; ``location`` is for messages only."""

    location: str
    folder: bool
    modules: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        """Hex digest of the module names and their bytes."""
        return code_digest(self.modules)

    @property
    def package(self) -> str:
        """The name its modules are imported under: the same for the same code, in every process."""
        return f"{PACKAGE}{self.digest[:16]}"

    @property
    def plugin_modules(self) -> tuple[str, ...]:
        """The modules that may hold a ``PLUGIN``: those of a folder whose names do not begin with an underscore."""
        return tuple(name for name, _ in self.modules if not name.startswith("_"))

    def file(self, module: str) -> str:
        """The path a module was read from."""
        return os.path.join(self.location, f"{module}.py") if self.folder else self.location


@lru_cache(maxsize=64)
def code_digest(modules: tuple[tuple[str, bytes], ...]) -> str:
    """Hex digest of named sources."""
    return digest("plugin-path", *(part for pair in modules for part in pair)).hex()


def read_path(path: str) -> PathCode:
    """Read a plugin path: a .py file, or a folder of them (not below it). Raises PluginError; runs nothing."""
    location = os.path.abspath(path)
    folder = os.path.isdir(location)
    if folder:
        files = sorted(n for n in os.listdir(location) if n.endswith(".py") and not n.startswith(".") and n != "__init__.py")
    else:
        files = [os.path.basename(location)]
    if not folder and not location.endswith(".py"):
        raise path_error(location, "is neither a .py file nor a folder")
    modules: list[tuple[str, bytes]] = []
    for name in files:
        stem = name.removesuffix(".py")
        if not stem.isidentifier():
            raise path_error(os.path.join(location, name) if folder else location, "has a name that no Python module can have")
        try:
            modules.append((stem, locations.read(os.path.join(location, name) if folder else location)))
        except OSError as error:
            raise path_error(location, f"cannot be read: {error.strerror or error}") from error
    code = PathCode(location, folder, tuple(modules))
    if not code.plugin_modules:
        raise path_error(location, "holds no module whose name begins without an underscore")
    if sum(len(source) for _, source in modules) > MAX_BYTES:
        raise path_error(location, f"holds more than {MAX_BYTES} bytes of source", remedy="install it as a package with an entry point")
    return code


def path_error(location: str, problem: str, *, remedy: str | None = None) -> PluginError:
    """The PluginError of a plugin path."""
    return PluginError(f"the plugin path {location} {problem}", code="plugin-path", at=location, remedy=remedy)


def load_path(code: PathCode) -> list[tuple[Any, str]]:
    """Import the modules of a path and give the (PLUGIN, file) pairs they define. Raises PluginError with the file that fails."""
    _FINDER.add(code)
    found = []
    for name in code.plugin_modules:
        try:
            module = importlib.import_module(f"{code.package}.{name}")
        except Exception as error:
            raise import_error(code.file(name), error) from error
        value = getattr(module, "PLUGIN", None)
        if value is not None:
            found.append((value, code.file(name)))
    if not found:
        raise path_error(code.location, "defines no PLUGIN")
    return found


def import_error(location: str, error: BaseException) -> PluginError:
    """The PluginError of a plugin that does not import."""
    line = f"{type(error).__name__}: {error}"
    return PluginError(f"the plugin {location} does not import: {line}", code="plugin-import", at=location, value=line)


def package_digest(module: ModuleType) -> str:
    """Hex digest of an installed plugin's source: every file of its top-level package but byte code, or its one file.

    Covers the names and bytes of the files, not the folder of the installation.
    """
    root, files = _package_files(module)
    parts: list[bytes | str] = []
    for file in files:
        with open(file, "rb") as opened:
            parts += [os.path.relpath(file, root).replace(os.sep, "/"), opened.read()]
    return digest("plugin-package", *parts).hex()


def _package_files(module: ModuleType) -> tuple[str, list[str]]:
    file = os.path.abspath(module.__file__ or "")
    folder = os.path.dirname(file)
    if not os.path.basename(file).startswith("__init__.") and not os.path.isfile(os.path.join(folder, "__init__.py")):
        return folder, [file]
    # Up to the topmost regular package: other distributions may share a namespace package.
    depth = module.__name__.count(".")
    while depth and os.path.isfile(os.path.join(os.path.dirname(folder), "__init__.py")):
        folder, depth = os.path.dirname(folder), depth - 1
    found = []
    for location, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        found += [os.path.join(location, name) for name in names if not name.endswith((".pyc", ".pyo"))]
    return folder, sorted(found)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of plugin paths under their own package names, in memory. It finds no other module."""

    def __init__(self) -> None:
        self._codes: dict[str, PathCode] = {}
        self._lock = threading.Lock()

    def add(self, code: PathCode) -> None:
        with self._lock:
            self._codes.setdefault(code.package, code)
            if self not in sys.meta_path:
                sys.meta_path.append(self)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        code = self._codes.get(package)
        if code is None:
            return None
        if not name:
            return ModuleSpec(fullname, _Text(b"", code.location), is_package=True)
        for stem, source in code.modules:
            if stem == name:
                return importlib.util.spec_from_loader(fullname, _Text(source, code.file(stem)), origin=code.file(stem))
        return None


class _Text(importlib.abc.InspectLoader):
    """A module from its text; no byte code is written beside it."""

    def __init__(self, source: bytes, file: str) -> None:
        self._source, self._file = source, file

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self._source, self._file)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._file
        super().exec_module(module)


_FINDER = _Finder()
