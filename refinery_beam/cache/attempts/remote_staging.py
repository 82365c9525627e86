"""An attempt at an instance on an object store.

::

    <home of the root>/staging/<name>-<attempt>/    local: an attempt like any other, with its lock
        rows/  instance/                            what the driver writes, uploaded at the end
    <root>/staging/<name>-<attempt>/lease           this run lives
                                    rows/           what workers of other machines report
    <root>/instances/<recipe16>/<input16>/<seed>/   where workers put shards; readers ignore them until the manifest is there
"""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType

from refinery_beam import locations
from refinery_beam.cache.address import InstanceKey, instance_dir, lookup_at, resume_dir, staging_root
from refinery_beam.cache.attempts.leases import Lease, is_left
from refinery_beam.cache.attempts.staging import Staging
from refinery_beam.cache.listed import is_rendered, is_sink_file
from refinery_beam.cache.manifest import MANIFEST_NAME
from refinery_beam.cache.stores.home import home
from refinery_beam.cache.stores.remote import RemoteStore, prepare_remote_root
from refinery_beam.errors import RefineryError, StoreError
from refinery_beam.resume.parts import discard, files_of_parts


class RemoteStaging:
    """One attempt of one run at one instance on a store, alive as long as its lease is renewed.

    A context manager like `Staging`: leaving it removes what is left of the attempt, here and there. If no other run of the key is alive,
    closing also removes what this run put at the instance's location without finishing the instance.
    """

    def __init__(self, root: str, local: Staging, lease: Lease) -> None:
        self.root = root
        self.key = local.key
        self.attempt = local.attempt
        self.store = RemoteStore()
        self._local = local
        self._lease = lease

    @classmethod
    def open(cls, root: str, key: InstanceKey) -> RemoteStaging:
        """Start an attempt; waits for a run that is clearing the location. Raises StoreError when the root cannot be written to."""
        root = prepare_remote_root(root)
        local = Staging.open(home(root), key)
        staging = cls(root, local, Lease(staging_root(root), key.name, local.attempt))
        try:
            for folder in staging._lease.begin(staging._clear):
                staging.store.clear(folder)
        except BaseException as error:
            with suppress(OSError, RefineryError):
                staging._lease.release()
            local.close()
            if isinstance(error, OSError):
                raise locations.fault(error, "start an attempt in", staging_root(root)) from error
            raise
        return staging

    @property
    def instance(self) -> str:
        """The local directory of the files that the driver writes."""
        return self._local.instance

    @property
    def output(self) -> str:
        """The location of the instance, where workers put their files."""
        return instance_dir(self.root, self.key)

    @property
    def rows_dir(self) -> str:
        """A local directory for the pipeline's own rows."""
        return self._local.rows_dir

    @property
    def shared_rows_dir(self) -> str:
        """The same for workers of other machines: below the lease."""
        return locations.join(self._lease.folder, "rows")

    @property
    def dir(self) -> str:
        """The attempt's own directory."""
        return self._lease.folder

    def check_alive(self) -> None:
        """StoreError ``lease-lost`` if other runs may count this run as dead."""
        if self._lease.lost:
            raise StoreError("the store could not be told for a long time that this run is alive", code="lease-lost", at=self._lease.folder)

    def no_other_run(self) -> bool:
        """Whether no other run of the key is alive."""
        return not self._lease.others()

    def close(self) -> None:
        """Remove what is left of the attempt. Never fails: another run sweeps what cannot be removed now."""
        with suppress(OSError, RefineryError):
            self._lease.sweep(self._clear)
            self.store.clear(self.shared_rows_dir)
        with suppress(OSError, RefineryError):
            self._lease.release()
        self._local.close()

    def __enter__(self) -> RemoteStaging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _clear(self) -> None:
        """Remove files at the instance's location that belong to no instance and to no finished part of one, and the parts of an instance
        that is there. Call it only where the law of leases allows it.
        """
        found = lookup_at(self.output)
        if found.manifest is None:
            kept = files_of_parts(resume_dir(self.root, self.key))
            self.store.clear(self.output, keep=kept, allowed=lambda: not self._lease.lost)
            return
        discard(resume_dir(self.root, self.key))
        known = {MANIFEST_NAME, *(entry.path for entry in (*found.manifest.files, *found.manifest.annexes))}
        # Files of sinks never differ between runs: each was created only if absent, and compared.
        strangers = [p for p in self.store.sizes(self.output) if p not in known and not is_sink_file(p) and not is_rendered(p)]
        self.store.remove([locations.join(self.output, path) for path in strangers])


def sweep_store(root: str, key: InstanceKey) -> None:
    """Remove what a run left that was killed when its instance was there already, and dead probes. Never fails: a later run, or `clean`,
    removes what cannot be removed now. Costs one listing where nothing is left behind.
    """
    with suppress(OSError, RefineryError):
        if is_left(root, key.name):
            RemoteStaging.open(root, key).close()
