"""`check`: whether this machine can do what a run needs, and what optional things it lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RefineryError
from refinery_beam.launch.checkup.engines import engine_rows
from refinery_beam.launch.checkup.machine import codec_rows, extra_rows, package_rows, plugin_rows, python_rows, variable_rows
from refinery_beam.launch.checkup.rows import CheckRow, attempted
from refinery_beam.launch.checkup.store import hint_rows, room_rows, root_rows
from refinery_beam.launch.html_table import html_table
from refinery_beam.launch.options import Options
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath


@dataclass(frozen=True, kw_only=True)
class CheckupResult:
    """What `check` found, a row a thing; true if nothing that a run needs is broken. Optional things may be absent."""

    rows: tuple[CheckRow, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.broken

    @property
    def broken(self) -> tuple[CheckRow, ...]:
        """What does not work, and is needed or was asked for."""
        return tuple(row for row in self.rows if row.state == "broken")

    @property
    def absent(self) -> tuple[CheckRow, ...]:
        """Optional things that are not there."""
        return tuple(row for row in self.rows if row.state == "absent")

    @property
    def warnings(self) -> tuple[CheckRow, ...]:
        """What works, and may not for long."""
        return tuple(row for row in self.rows if row.state == "warning")

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """The object `check --json` prints (contract 1)."""
        return {"contract": CONTRACT, "status": "ok" if self.ok else "broken", "rows": [row.to_dict() for row in self.rows]}

    def __str__(self) -> str:
        counts = {"broken": self.broken, "to mind": self.warnings, "optional and absent": self.absent}
        said = [f"{len(rows)} {words}" for words, rows in counts.items() if rows]
        return f"{'ready' if self.ok else 'broken'}: {len(self.rows)} things checked" + "".join(f", {one}" for one in said)

    def _repr_html_(self) -> str:
        return html_table(
            ("", "thing", "state", "found", "remedy"), [(r.kind, r.thing, r.state, r.fact, r.remedy) for r in self.rows], str(self)
        )


def check(
    *,
    cache_root: StrPath | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] | None = None,
    workers: int | None = None,
    mode: str | None = None,
    plugin_paths: Sequence[str] | None = None,
    storage_options: Sequence[str] | None = None,
) -> CheckupResult:
    """Find out whether this machine can do what a run needs: Python, packages, codecs, plugins, engines, the cache root, room on disks; and
    which variables are obeyed. Raises nothing for what is broken: the result is false. What is left out is taken from the environment.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.check(cache_root="s3://bucket/cache").broken                  # doctest: +SKIP
    ()
    """
    given: dict[str, Any] = {
        "cache_root": cache_root,
        "runner": runner,
        "beam_options": beam_options,
        "workers": workers,
        "mode": mode,
        "plugin_paths": plugin_paths,
        "storage_options": storage_options,
    }
    return check_with(Settings.of(Options(**{name: value for name, value in given.items() if value is not None})))


def check_with(settings: Settings) -> CheckupResult:
    """`check` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        return CheckupResult(rows=tuple(_rows(settings)))


def _rows(settings: Settings) -> Iterator[CheckRow]:
    root = settings.root
    yield from attempted("python", "Python", python_rows)
    yield from attempted("package", "packages", package_rows)
    yield from attempted("codecs", "codecs", lambda: codec_rows(settings.plugin_paths))
    yield from attempted("plugin", "plugins", lambda: plugin_rows(settings.plugin_paths))
    yield from attempted(
        "engine", "engines", lambda: engine_rows(settings.runner, tuple(settings.beam_options), settings.workers, settings.mode)
    )
    yield from attempted("cache", root or "the cache root", lambda: _cache_rows(settings))
    yield from attempted("extra", "extras", extra_rows)
    yield from attempted("variable", "variables", lambda: variable_rows(os.environ))


def _cache_rows(settings: Settings) -> Iterator[CheckRow]:
    try:
        settings.check()
    except RefineryError as error:
        # Options that no run would take: each is one thing.
        yield from (CheckRow(kind="option", thing=e.at or e.code, state="broken", fact=e.message, remedy=e.remedy) for e in error.errors())
        if any(e.code in ("empty-cache-root", "bad-name") for e in error.errors()):
            return
    locations.use_options(settings.storage_options)
    yield from attempted("cache", settings.root, lambda: root_rows(settings.root))
    yield from attempted("cache", "hints", lambda: hint_rows(settings.root))
    yield from attempted("disk", "room", lambda: room_rows(settings.root))
