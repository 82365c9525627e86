"""The execution context of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where and how a recipe is carried out. What is made follows from the recipe alone, with three exceptions: `seed`, `overlays` and
    `digest`, which says what kind of digest names the content of files on stores. These enter the key of the instance.

    `forked`: a run whose workers are threads goes into a child process, so that the caller survives a codec that crashes. `runner_factory`
    makes the runner of the local engine from Beam's pipeline options; without it, it is `runners.local.constructed_runner`.
    """

    cache_root: str = "cache"
    overlays: tuple[str, ...] = ()
    seed: int | None = None
    workers: int | None = None
    mode: str = "auto"
    runner: str = "direct"
    beam_options: tuple[str, ...] = ()
    shared_files: bool = False
    digest: str = "auto"
    progress: bool = False
    debug: bool = False
    forked: bool = False
    plugin_paths: tuple[str, ...] = ()
    storage_options: tuple[str, ...] = field(default=(), repr=False)
    say: Callable[[str], None] | None = None
    runner_factory: Callable[[Any], Any] | None = None

    def tell(self, text: str) -> None:
        """Say something to a person who asked for more words."""
        if self.say is not None:
            self.say(text)
