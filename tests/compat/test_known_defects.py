"""What is known to go wrong in the systems this one grew from, item by item, and what happens here.

`SHOWN` points to the recipes of this suite and the tests elsewhere that show it; what had no test has one below.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from refinery_beam.cli.app import call
from refinery_beam.launch import Settings
from refinery_beam.launch.run import run_with
from refinery_beam.testing import images
from support.kitchen import NAMES, Kitchen, exists, expectations

SHOWN: dict[str, list[str]] = {
    # Wrong data, or none, and called a success.
    "1 a sink replaced the source images": ["sink_over_sources", "sink_escapes", "launch/test_sinks.py::test_values_are_escaped"],
    "1 a name wrote outside of the dataset": [
        "gate_name_escapes",
        "pictures_unsafe_name",
        "launch/test_sinks.py::test_paths_that_cannot_be",
    ],
    "2 derived labels did not exist when the splits were made": ["v1_main", "test_scaffold.py::test_it_runs_as_written"],
    "3 ratios lost records to rounding": ["split_70_20_10", "split_60_30_10", "split_thirds"],
    "4 another order of the ratios found the other dataset": ["split_other_order"],
    "5 wrong recipes ran": [
        "split_above_one",
        "split_negative",
        "split_unknown_field",
        "gate_label_outside_schema",
        "filter_unknown_split",
    ],
    "6 prepared pixels were thrown away": ["launch/test_main_job.py::test_stored_pixels_are_pillows_pixels", "v1_corruptions"],
    "7 resize and normalize could not meet": ["v3_main", "sink_missing_is_fine"],
    "7 the scaffold's suggestions failed": ["test_scaffold.py::test_each_suggestion_runs_and_all_of_them"],
    "8 whole numbers vanished": ["feature_numbers"],
    "9 palettes showed their indices": ["plugins/test_decode_colours.py::test_palettes_become_their_colours"],
    "9 one bit became 0 and 1": ["plugins/test_decode_colours.py::test_one_bit_becomes_black_and_white"],
    "9 sixteen bits were clipped": ["plugins/test_decode_colours.py::test_sixteen_bits_are_shifted_not_clipped"],
    "9 CMYK became transparent": ["plugins/test_decode_colours.py::test_cmyk"],
    "9 grey and transparent images kept other shapes": [
        "plugins/test_decode_colours.py::test_grey_is_replicated",
        "plugins/test_decode_colours.py::test_alpha_is_laid_over_the_ground",
    ],
    "9 photographs lay on their side": ["transform_upright", "plugins/test_orientation.py::test_every_orientation_in_every_format"],
    "9 mixed shapes failed without a name": ["launch/test_bad_files.py::test_mixed_channels_are_the_datas_fault"],
    "10 copies had one id": ["v1_generation"],
    "11 half of an integer was nothing": ["transform_cast"],
    "11 resizing floats cut them off": ["plugins/test_geometry.py::test_floats_go_channel_by_channel"],
    "11 a mean alone was ignored": ["transform_one_of_two"],
    "12 an interrupt was a success": ["faults/test_runs.py::test_interrupt"],
    "13 a label of another name switched labels off": ["labels_other_name"],
    "13 the number 0 did not find the folder 0": ["filter_numbers"],
    "13 nothing left was a success": ["filter_nothing_left", "gate_no_sources"],
    "14 nobody looked for the same image in train and test": ["partitions_same_images"],
    "14 nobody looked for the same image twice": ["filter_twins", "launch/test_filters.py::test_pictures_that_look_alike"],
    # Real files.
    "a truncated photograph ended all without its name": ["bad_files_named"],
    "all bad files, with reasons, and the rest is prepared": [
        "bad_files_quarantined",
        "launch/test_bad_files.py::test_each_bad_file_is_named_and_counted",
    ],
    "bad files up to a budget": ["bad_files_too_many"],
    "extensions in capitals, webp, bmp, tiff": ["source_folder"],
    "what is left out is said": ["launch/test_bad_files.py::test_what_was_not_selected_is_said"],
    "animated images": ["plugins/test_decode.py::test_the_first_frame"],
    "names in any script": ["launch/test_bad_files.py::test_record_ids_are_nfc_and_labels_are_folders"],
    "sink files with two extensions": ["sink_png"],
    "tables with a byte order mark, semicolons": ["source_flat_by_name", "index/test_labels.py::test_table_kinds"],
    "tables in latin-1": ["index/test_labels.py::test_latin_1_is_refused_with_the_line"],
    "labels with spaces around them": ["index/test_labels.py::test_padded_labels_warn"],
    "images without a row": ["source_flat_missing_row"],
    # The verbs.
    "reports need no source files": ["launch/test_main_job.py::test_it_verifies"],
    "export of what was prepared": ["launch/test_main_job.py::test_others_read_it_without_us", "output_png"],
    "a cache inside of a source": ["recipe/test_checks.py::test_107_cache_inside_a_source"],
    "an aggressive augmentation of class folders crashed": ["augment_aggressive", "augment_chain"],
    "assertions on arrays failed": ["contracts_all"],
    "dependencies that nothing imports": ["docs/test_project.py::test_dependencies_are_the_imports"],
    "overlays of another run in the manifest": ["v3_overlays_in_order"],
    "imported statistics were not in the key": ["launch/test_borrowed_statistics.py::test_the_siblings_key_is_in_the_key"],
    "the seed of an augmentation was ignored": ["augment_seed_counts"],
    "lazy augmentations were forgotten": ["augment_lazy"],
    "distributional always held": ["contract_empty_distribution"],
    "a hit decoded everything first": ["launch/test_identity_of_runs.py::test_a_hit_imports_no_engine"],
    "the second of two writers failed": ["faults/test_runs.py::test_two_runs_at_once"],
}


@pytest.mark.parametrize("defect", SHOWN)
def test_it_is_shown(defect: str) -> None:
    for witness in SHOWN[defect]:
        assert exists(witness) if "::" in witness else witness in NAMES, witness


def test_all_fourteen_are_here() -> None:
    assert {int(defect.split()[0]) for defect in SHOWN if defect[0].isdigit()} == set(range(1, 15))


REFUSED = [name for name in NAMES if "refused" in expectations(name) and "overlays" not in expectations(name)]


@pytest.mark.parametrize("verb", ["validate", pytest.param("run", marks=pytest.mark.slow)])
def test_a_wrong_recipe_is_refused_by_its_exit_code(
    verb: str, kitchen: Kitchen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every refused recipe of the suite, by both verbs: exit 1 (3 where a plugin is missing), its place on standard error, no instance.

    What only the content of files shows is found by `run` alone.
    """
    for name in REFUSED:
        code = expectations(name)["refused"]["code"]
        only_files_show = code in ("no-records", "too-many-bad-records", "contract")
        status = call([verb, str(kitchen.root / f"{name}.yaml"), "--cache-root", str(tmp_path / "cache")])
        said = capsys.readouterr()
        if verb == "validate" and only_files_show:
            assert status == 0, name
        else:
            assert status == (3 if code == "unknown-plugin" else 1) and f"error: {kitchen.root}/{name}.yaml:" in said.err, name
            assert "Traceback" not in said.err + said.out
    assert not (tmp_path / "cache" / "instances").exists()


def test_brackets_in_names_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Class names are text, never markup of the terminal."""
    images.class_folders(tmp_path / "photos", classes=("[red]x", "plain"), per_class=4, size=(16, 16))
    (tmp_path / "recipe.yaml").write_text(
        "schema_version: 3\nplugin: image_classification\n"
        "Input: {sources: [{name: photos, type: image_folder, path: photos}]}\n"
        "Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}\n"
        "Labels: {field: label, source: {kind: direct}}\nSplits: {ratios: {train: 0.5, test: 0.5}, stratify_by: label}\n"
        "OutputExpectations:\n  - {field: label, assertion: {kind: value_in_set, value: [plain]}, severity: warning}\n"
    )
    assert call(["run", str(tmp_path / "recipe.yaml"), "--cache-root", str(tmp_path / "cache")]) == 0
    said = capsys.readouterr()
    assert "[red]x" in said.err + said.out
    (report,) = (tmp_path / "cache" / "instances").glob("*/*/*/report/report.md")
    assert "| \\[red\\]x | 2 | 2 |" in report.read_text()


def test_status_of_a_source_that_is_not_there(kitchen: Kitchen, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing folder is an error, not a miss."""
    shutil.copyfile(kitchen.root / "v3_main.yaml", tmp_path / "v3_main.yaml")
    assert call(["status", str(tmp_path / "v3_main.yaml"), "--cache-root", str(tmp_path / "cache")]) == 1
    said = capsys.readouterr()
    assert f"{tmp_path}/v3_main.yaml:" in said.err + said.out and str(tmp_path / "shapes") in said.err + said.out


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    """What an operating system leaves beside photographs is not in the dataset, and changes no key."""
    images.class_folders(tmp_path / "shapes", classes=("circle", "square"), per_class=4, size=(16, 16), formats=("png",))
    text = (
        "schema_version: 3\nplugin: image_classification\nInput: {sources: [{name: shapes, type: image_folder, path: shapes}]}\n"
        "Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}\n"
        "Labels: {field: label, source: {kind: direct}}\nSplits: {ratios: {train: 0.5, test: 0.5}}\n"
    )
    (tmp_path / "recipe.yaml").write_text(text)
    before = run_with(tmp_path / "recipe.yaml", Settings(cache_root=str(tmp_path / "cache")))
    Image.new("RGB", (16, 16)).save(tmp_path / "shapes" / "circle" / "._circle_000.png")
    (tmp_path / "shapes" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "shapes" / "empty").mkdir()
    after = run_with(tmp_path / "recipe.yaml", Settings(cache_root=str(tmp_path / "cache")))
    assert (before.status, after.status, before.path) == ("built", "hit", after.path)
