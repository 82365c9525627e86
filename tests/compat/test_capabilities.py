"""Every capability of the language that the suite answers for, and which recipes or tests show it: none may be without."""

from __future__ import annotations

import pytest

from support.kitchen import NAMES, RECIPES, TESTS, exists, expectations

# What a user of the older systems would look for. In a recipe's head the word before the colon says that the recipe shows it.
IN_RECIPES = {
    "strict-keys": "unknown words, wrong types and broken YAML are refused at their line and column",
    "migrations": "versions 1 and 2 mean what they meant, defaults included",
    "image-folder": "a folder for each class",
    "image-flat": "a flat folder and a table, by id, by row, with or without a head",
    "unlabeled": "a partition without labels",
    "image-tree": "layout templates",
    "partitions": "sources that are splits, one of them divided further",
    "key-assignment": "splits by the value of a field",
    "ratios": "splits by ratios, stratified",
    "tag-splits": "splits by tags of sampling filters",
    "class-balance": "the wish for balance, handed on",
    "filters": "the five filters",
    "duplicates": "copies of minority classes",
    "corruptions": "nineteen corruptions at five severities",
    "geometry": "resize, and what it may not do",
    "normalization": "normalize and mean_subtract",
    "cast": "cast and scale",
    "colours": "grey, colour, fitting with borders, crops, padding, upright photographs",
    "derived-labels": "label_from_path and image_size_stats",
    "encode": "categorical_encode and flatten",
    "lazy": "augmentations as a policy",
    "aggressive": "augmentations as stored variants: flips, crops, jitter, erasing",
    "fitted-statistics": "statistics fitted on train, stored",
    "stats-import": "statistics of another instance",
    "contracts": "twelve kinds of assertions",
    "schema": "the declared schema is enforced",
    "sample": "a small sample beside the dataset",
    "sinks": "files of each record",
    "pictures": "visualizations",
    "overlays": "variants, overlays",
    "extensions": "extensions that a plugin declares",
    "seeds": "seeds, also derived from the master seed",
    "key": "what has meaning is part of the key",
    "bad-files": "a policy for files that cannot be read",
    "exit-codes": "refusals end with the code that is documented",
    "audio": "another kind of data is refused by name",
    "tabular": "and so are tables",
    "leaks": "the same image twice: within a set, and across partitions",
}

# What no recipe can show alone.
IN_TESTS = {
    "fitted statistics replayed on one new image": "reading/test_replay.py::test_served_equals_prepared",
    "a report of what was made": "reporting/test_markdown.py::test_every_bad_record_is_listed_whatever_stage_found_it",
    "export: other tools read the dataset as it is": "launch/test_main_job.py::test_others_read_it_without_us",
    "the key follows meaning, not spelling": "launch/test_identity_of_runs.py::test_cosmetic_edits_hit_and_meaningful_ones_miss",
    "the input is known by its contents": "launch/test_identity_of_runs.py::test_files_decide_by_content",
    "a hit decodes nothing": "launch/test_identity_of_runs.py::test_a_hit_imports_no_engine",
    "promoted at one moment, nothing half done": "faults/test_runs.py::test_kill_in_the_middle",
    "an interrupt is no success": "faults/test_runs.py::test_interrupt",
    "two runs of one recipe at once": "faults/test_runs.py::test_two_runs_at_once",
    "a damaged instance is found": "cache/test_verify.py::test_a_flipped_byte_anywhere_is_found",
    "and made anew": "launch/test_identity_of_runs.py::test_a_damaged_instance_is_rebuilt",
    "what a run would do, before it does it": "cli/test_cli.py::test_plan_writes_no_instance",
    "workers in parallel, one result": "launch/test_identity_of_runs.py::test_one_digest",
    "pixels cross no stage": "launch/test_variants.py::test_nothing_large_or_pickled_crosses_a_stage",
    "exit codes": "cli/test_errors.py::test_broken_recipe",
    "output for programs": "cli/test_cli.py::test_run_json_key_by_key",
    "ops of plugins by entry point": "plugin_kit/test_example_package.py::test_the_recipe_runs",
    "ops of plugins by path": "plugin_kit/test_discovery.py::test_a_path_plugin_runs_and_reads",
    "loaders of plugins": "plugin_kit/test_discovery.py::test_a_loader_lists_labels_and_decodes",
    "init writes a recipe that runs": "test_scaffold.py::test_it_runs_as_written",
    "clean": "launch/test_clean.py::test_by_recipe_age_number_and_size",
    "resuming": "faults/test_resume.py::test_a_killed_run_goes_on",
    "drift between splits and datasets": "launch/test_drift.py::test_what_moved_and_by_how_much",
    "near duplicates": "launch/test_filters.py::test_pictures_that_look_alike",
}

# What the older systems had, or promised, and this one has not.
NOT_HERE = {
    "partial runs of single stages": "`plan` says what would be done; a dataset is whole or is none",
}


@pytest.mark.parametrize("word", IN_RECIPES)
def test_a_recipe_shows_it(word: str) -> None:
    assert [name for name in NAMES if word in expectations(name)["rows"]]


@pytest.mark.parametrize("capability", IN_TESTS)
def test_a_test_shows_it(capability: str) -> None:
    assert exists(IN_TESTS[capability])


def test_what_is_not_here_is_said() -> None:
    page = (TESTS.parent / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert [name for name, words in NOT_HERE.items() if words not in page] == []


def test_no_recipe_names_an_unknown_capability() -> None:
    assert {word for name in NAMES for word in expectations(name)["rows"]} == set(IN_RECIPES)


def test_the_suite_is_no_token() -> None:
    """At least sixty recipes, in each of the three spellings, and refusals among them."""
    texts = {name: (RECIPES / f"{name}.yaml").read_text(encoding="utf-8") for name in NAMES}
    by_version = {version: sum(f"\nschema_version: {version}\n" in text for text in texts.values()) for version in (1, 2, 3)}
    assert len(texts) >= 60 and by_version[1] >= 10 and by_version[2] >= 5 and by_version[3] >= 40
    assert sum("refused" in expectations(name) for name in NAMES) >= 30
