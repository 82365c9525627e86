"""The execution context of a call: what the caller said, checked, and what the caller's kind adds to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from refinery_beam.errors import UsageError, display, raise_all
from refinery_beam.index.text import is_text
from refinery_beam.launch.history.git import POLICIES
from refinery_beam.launch.history.meter import Meter
from refinery_beam.launch.options import LOG_LEVELS, Options
from refinery_beam.masking import mask
from refinery_beam.runners.options import check_locations, read_options
from refinery_beam.visible import visible


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(Options):
    """`Options`, and what only this package's own callers set.

    `forked`: a run whose workers are threads goes into a child process, so that the caller survives a codec that crashes. `runner_factory`
    makes the runner of the local engine from Beam's pipeline options; without it, it is `runners.local.constructed_runner`. `say` takes
    what is said at log level debug, by default stderr does. `warned` are the warnings of this call so far,
    `command` is the command line, if it came from one, and `meter` adds up the seconds of the call.
    """

    debug: bool = False
    forked: bool = False
    say: Callable[[str], None] | None = field(default=None, repr=False)
    runner_factory: Callable[[Any], Any] | None = field(default=None, repr=False)
    command: Sequence[str] = ()
    meter: Meter | None = field(default=None, repr=False, compare=False)
    warned: list[str] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, options: Options) -> Settings:
        """The settings of a call from Python."""
        # The engine is in runner and beam_options already.
        return cls(**{f.name: getattr(options, f.name) for f in fields(Options) if f.name != "engine"})

    @property
    def talks(self) -> bool:
        """Whether somebody wants to read what is decided on the way."""
        return self.say is not None or self.log_level == "debug"

    @property
    def shows_progress(self) -> bool:
        """Whether progress is drawn."""
        return self.progress or self.log_level in ("info", "debug")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the time inside for a phase of the call; see `history.meter`."""
        if self.meter is None:
            yield
            return
        with self.meter.phase(name):
            yield

    def tell(self, text: str) -> None:
        """Say something to a person who asked for more words."""
        text = mask(text)
        if self.say is not None:
            self.say(text)
        elif self.talks and sys.stderr is not None:
            sys.stderr.write(f"{visible(text)}\n")

    def warn(self, text: str) -> None:
        """Say once what somebody will want to know, though nothing ends because of it; log level error hides it."""
        text = mask(text)
        if text in self.warned:
            return
        self.warned.append(text)
        if self.log_level != "error":
            sys.stderr.write(f"warning: {visible(text)}\n")

    def check(self) -> None:
        """Refuse impossible options before any work. Raises UsageError, all of them at once."""
        errors: list[UsageError] = []
        if self.mode not in ("auto", "threads", "processes"):
            errors.append(UsageError(f"the mode {self.mode!r} does not exist", code="unknown-mode", value=self.mode))
        if self.digest not in ("auto", "sha256"):
            errors.append(UsageError(f"the digest {self.digest!r} does not exist", code="unknown-digest", value=self.digest))
        if self.git not in POLICIES:
            errors.append(
                UsageError(f"the git policy {self.git!r} does not exist", code="unknown-git-policy", value=self.git, known=POLICIES)
            )
        if self.workers is not None and self.workers < 1:
            errors.append(UsageError(f"--workers {self.workers} is not a number of workers", code="workers-range", value=self.workers))
        if self.log_level not in LOG_LEVELS:
            errors.append(
                UsageError(
                    f"the log level {self.log_level!r} does not exist", code="unknown-log-level", value=self.log_level, known=LOG_LEVELS
                )
            )
        for root in self.read_roots:
            if not is_text(root):
                errors.append(UsageError(f"the cache root {display(root)!r} is not valid UTF-8", code="bad-name", value=display(root)))
        if not self.root.strip():
            errors.append(UsageError("the cache root is empty", code="empty-cache-root", value=self.root))
        elif not is_text(self.root):
            shown = display(self.root)
            rule = "paths of an instance stand in its files, which are UTF-8 text"
            errors.append(
                UsageError(
                    f"the cache root {shown!r} is not valid UTF-8",
                    code="bad-name",
                    value=self.root,
                    rule=rule,
                    remedy="name another folder",
                )
            )
        raise_all(errors)
        engine = read_options(self.runner, self.beam_options)
        check_locations(engine, cache_root=self.root, sources=(), shared_files=self.shared_files)
