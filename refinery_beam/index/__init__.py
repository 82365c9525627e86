"""WHAT is there: sources listed, labelled and digested, without a pixel decoded.

`build_index` is the one call the rest of the house needs; the others are its parts, for reports, probes and tests.
"""

from refinery_beam.index.build import Entry, Index, build_index, duplicate_warnings, find_duplicates, input_hash
from refinery_beam.index.digests import Digests, digest_files
from refinery_beam.index.hints import FileState, HintCache
from refinery_beam.index.labels import DERIVATIONS, Joined, derive_label, join_labels
from refinery_beam.index.layout import Layout, LayoutError
from refinery_beam.index.probe import BadHeader, HeaderFact, probe_file
from refinery_beam.index.sources import IMAGE_EXTENSIONS, FileFact, Source, SourceListing, list_source
from refinery_beam.index.tables import LabelSpec, Table, read_table
from refinery_beam.index.text import display

__all__ = [
    "DERIVATIONS",
    "IMAGE_EXTENSIONS",
    "BadHeader",
    "Digests",
    "Entry",
    "FileFact",
    "FileState",
    "HeaderFact",
    "HintCache",
    "Index",
    "Joined",
    "LabelSpec",
    "Layout",
    "LayoutError",
    "Source",
    "SourceListing",
    "Table",
    "build_index",
    "derive_label",
    "digest_files",
    "display",
    "duplicate_warnings",
    "find_duplicates",
    "input_hash",
    "join_labels",
    "list_source",
    "probe_file",
    "read_table",
]
