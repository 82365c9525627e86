"""Lists, labels and digests the sources of a recipe. Decodes nothing.

Other rooms call `build_index`; the other functions are its parts, for reports, probes and tests.
"""

from refinery_beam.index.build import Entry, Facts, Index, build_index
from refinery_beam.index.check import Checked, check_sources
from refinery_beam.index.digests.digest_files import Digested, digest_files
from refinery_beam.index.digests.hashing import SourceHash, input_hash
from refinery_beam.index.digests.hints import FileState, HintCache
from refinery_beam.index.duplicates import Member, by_content, find_repeats
from refinery_beam.index.labels.join import Joined, derive_label, join_labels
from refinery_beam.index.labels.tables import LabelSpec, LabelTable, read_table
from refinery_beam.index.listing.layout import Layout
from refinery_beam.index.listing.left_out import Selection, SourceSelection
from refinery_beam.index.listing.list import list_source
from refinery_beam.index.listing.sources import FileFact, Source, SourceListing

__all__ = [
    "Checked",
    "Digested",
    "Entry",
    "Facts",
    "FileFact",
    "FileState",
    "HintCache",
    "Index",
    "Joined",
    "LabelSpec",
    "LabelTable",
    "Layout",
    "Member",
    "Selection",
    "Source",
    "SourceHash",
    "SourceListing",
    "SourceSelection",
    "build_index",
    "by_content",
    "check_sources",
    "derive_label",
    "digest_files",
    "find_repeats",
    "input_hash",
    "join_labels",
    "list_source",
    "read_table",
]
