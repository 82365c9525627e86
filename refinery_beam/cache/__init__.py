"""Stores finished instances: addresses, attempts, promotion, verification.

::

    key = InstanceKey(recipe_hash, input_hash, seed)
    manifest = lookup(root, key)                      # a hit: one read, one stat a file
    with open_attempt(root, key) as staging:          # a miss: an attempt, locked while its run lives
        ...                                           # files are written below staging.instance
        status, manifest = promote(staging, body)     # counted, checked, manifest last, one rename

Nothing here imports Beam, and nothing on the way of a hit imports NumPy or PyArrow.
"""

from refinery_beam.cache.address import (
    Found,
    InstanceKey,
    check_complete,
    find,
    instance_dir,
    lookup,
    lookup_at,
    prepare_root,
    refuse_inside_sources,
    resume_dir,
)
from refinery_beam.cache.attempts.remote_staging import RemoteStaging, sweep_store
from refinery_beam.cache.attempts.staging import Staging, dead_attempts, sweep
from refinery_beam.cache.files import compute_files
from refinery_beam.cache.journal import RunJournal, note_event
from refinery_beam.cache.manifest import FileEntry, Manifest, ManifestDamage, manifest_bytes
from refinery_beam.cache.promote import Attempt, open_attempt, promote
from refinery_beam.cache.stores.home import home
from refinery_beam.cache.stores.local import LocalStore, Store
from refinery_beam.cache.stores.remote import RemoteStore
from refinery_beam.cache.verify import Finding, VerifyReport, verify

__all__ = [
    "Attempt",
    "FileEntry",
    "Finding",
    "Found",
    "InstanceKey",
    "LocalStore",
    "Manifest",
    "ManifestDamage",
    "RemoteStaging",
    "RemoteStore",
    "RunJournal",
    "Staging",
    "Store",
    "VerifyReport",
    "check_complete",
    "compute_files",
    "dead_attempts",
    "find",
    "home",
    "instance_dir",
    "lookup",
    "lookup_at",
    "manifest_bytes",
    "note_event",
    "open_attempt",
    "prepare_root",
    "promote",
    "refuse_inside_sources",
    "resume_dir",
    "sweep",
    "sweep_store",
    "verify",
]
