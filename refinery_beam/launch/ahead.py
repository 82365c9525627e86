"""What a run begins while it hashes files: where many have no hint, there is hardly an instance of them, so Beam will be needed."""

from __future__ import annotations

from refinery_beam.forked.pool import ForkedExecutor, forked_executor
from refinery_beam.launch.settings import Settings

MANY_FILES, MANY_BYTES = 1_000, 64 << 20
"""Hashing so much takes about as long as the import of Beam."""

SMALL_BYTES = 1 << 16
"""Threads hash files of this size one at a time: the interpreter's lock is held for most of it."""


def while_hashing(settings: Settings, files: int, size: int) -> ForkedExecutor | None:
    """Begin to import Beam if there is much to hash. Gives forked processes that hash, where files are small and many."""
    if files < MANY_FILES and size < MANY_BYTES:
        return None
    # Imported here: a hit needs neither.
    from refinery_beam.runners.local import available_cpus
    from refinery_beam.runners.quiet import begin_import

    workers = settings.workers or available_cpus()
    executor = forked_executor(workers) if files >= MANY_FILES and size < files * SMALL_BYTES else None
    begin_import(talk=settings.debug)
    return executor
