"""Writes the files of `init`: both or none, and nothing over what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from refinery_beam import locations
from refinery_beam.errors import EnvironmentFault, UsageError
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.plugins.discovery import find_plugin, plugin_names, read_plugin_paths
from refinery_beam.recipe import json_schema
from refinery_beam.scaffold.text import SCHEMA_FILE
from refinery_beam.visible import json_text


def schema_text(plugin_paths: Sequence[str] = ()) -> str:
    """The JSON Schema of recipes as `refinery-beam schema` prints it, with the words of all plugins."""
    code = read_plugin_paths(plugin_paths)
    plugins = [find_plugin(name, paths=code) for name in plugin_names(code)]
    return json_text(json_schema(plugins), indent=2, sort_keys=True) + "\n"


def refuse_existing(texts: Mapping[str, str]) -> None:
    """UsageError ``init-exists`` for a file that is there; the same schema file may stay."""
    for path, text in texts.items():
        if os.path.lexists(path) and not (os.path.basename(path) == SCHEMA_FILE and _same(path, text)):
            raise UsageError(f"{path} exists", code="init-exists", at=path)


def write_files(texts: Mapping[str, str]) -> None:
    """Write some files by their absolute paths. EnvironmentFault ``init-unwritable`` names what the system refuses, StoreError ``no-space``
    a full disk."""
    for path, text in texts.items():
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            locations.write(path, text.encode())
        except OSError as error:
            if is_full(error):
                raise no_space(error, path) from error
            folder = os.path.dirname(path)
            raise EnvironmentFault(
                f"init cannot write {path}: {(error.strerror or type(error).__name__).lower()}",
                code="init-unwritable",
                at=path,
                value=folder,
            ) from error


def _same(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read() == text
    except (OSError, ValueError):
        return False
