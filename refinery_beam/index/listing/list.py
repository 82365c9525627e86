"""Lists a source, on a local disk or on a store."""

from __future__ import annotations

from refinery_beam.index.listing.sources import Sieve, Source, SourceListing, parse_layout
from refinery_beam.index.listing.walk_local import walk_local


def list_source(source: Source, *, scratch: str = "") -> SourceListing:
    """List one source, a folder or a URL. `scratch` is a folder for temporary files.

    Raises DataError: the path is not a folder, a folder cannot be read, there is no class folder where there should be, or no
    file is selected. Messages name the position in the recipe.

    >>> import tempfile, pathlib
    >>> root = tempfile.mkdtemp(); pathlib.Path(root, "cat").mkdir(); _ = pathlib.Path(root, "cat", "1.PNG").write_bytes(b"x")
    >>> listing = list_source(Source(name="pets", type="image_folder", arrangement="folder", extensions=("png",), root=root))
    >>> [(f.path, f.size, f.label) for f in listing.files], listing.skipped
    ([('cat/1.PNG', 1, 'cat')], {})
    """
    sieve = Sieve(source, parse_layout(source), scratch=scratch)
    if source.remote:
        from refinery_beam.index.listing.walk_remote import walk_remote

        walk_remote(sieve)
    else:
        walk_local(sieve)
    return sieve.listing()
