"""Options of stores from a command line: kept in the environment of this process and nowhere else."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from refinery_beam.errors import UsageError
from refinery_beam.masking import HIDDEN, remember_option

_OPTION = re.compile(r"([A-Za-z][A-Za-z0-9+-]*)\.([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.S)


def use_options(options: Iterable[str]) -> None:
    """Take ``protocol.option=value`` words as fsspec's options for this process and the local processes it starts.

    They are kept in this process's environment, as ``FSSPEC_<PROTOCOL>``, and nowhere else. ``true``, ``false`` and JSON objects or lists
    are taken as such, everything else as text. UsageError ``storage-option``, which never repeats the value.
    """
    found: dict[str, dict[str, Any]] = {}
    for word in options:
        match = _OPTION.fullmatch(word)
        if match is None:
            # Without a = it may be a secret from its first letter on.
            name = word.partition("=")[0] if "=" in word else HIDDEN
            raise UsageError(f"the storage option {name!r} is not understood", code="storage-option", value=name)
        protocol, name, value = match.groups()
        remember_option(name, value)
        found.setdefault(protocol.lower(), {})[name] = _parsed(value)
    for protocol, values in found.items():
        _remember(protocol, values)


def _parsed(value: str) -> Any:
    if value in ("true", "false") or value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _remember(protocol: str, values: Mapping[str, Any]) -> None:
    variable = f"FSSPEC_{protocol.upper()}"
    try:
        before = json.loads(os.environ.get(variable, "{}"))
    except ValueError:
        before = {}
    os.environ[variable] = json.dumps({**(before if isinstance(before, dict) else {}), **values})
    for name in values:
        # A variable of one option would win over the one of all options.
        os.environ.pop(f"{variable}_{name.upper()}", None)
    if "fsspec.config" in sys.modules:
        sys.modules["fsspec.config"].conf.setdefault(protocol, {}).update(values)
