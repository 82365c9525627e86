"""Words of the language that a plugin may lack: a recipe that uses one is refused as not executed yet, not as misspelt."""

from __future__ import annotations

SOURCE_TYPES = {
    "audio_folder": "folder",
    "audio_flat": "flat",
    "audio_tree": "tree",
    "image_table": "file",
    "image_parquet": "file",
    "webdataset": "file",
    "instance": "file",
}
"""How the files of a source type are arranged, as in `plugins.kind.SourceType`; ``file``: its path is no folder of records."""

ASSERTIONS = (
    "record_count_in_range",
    "required_field",
    "dtype_equals",
    "value_range",
    "distributional",
    "split_record_counts",
    "per_class_count_per_split",
    "count_by_field",
    "count_by_fields",
    "shape_equals",
    "value_in_set",
    "per_class_count_equals",
)
