"""Findings of ``verify``: what may be wrong with an instance."""

from __future__ import annotations

FINDINGS: dict[tuple[str, ...], str] = {
    ("manifest-missing",): "no manifest.json",
    ("manifest-damaged",): "a manifest that cannot be read, was edited, or contradicts itself",
    ("recipe-changed",): "recipe.yaml of an instance of format 1 is not the recipe the manifest names",
    ("misplaced",): "the directory's name is not the manifest's identity",
    ("missing",): "a listed file is not there",
    ("wrong-size", "wrong-digest"): "a file changed",
    ("unlisted", "odd-file"): "something that the manifest does not list",
    ("unreadable",): "a Parquet file that cannot be opened",
    ("counts", "sums"): "other numbers of records",
    ("schema", "order", "duplicate-id", "value"): "`--deep`: rows that break the dataset's form",
    ("rows-digest", "logical-digest"): "`--deep`: other rows",
}
