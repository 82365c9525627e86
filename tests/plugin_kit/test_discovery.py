"""Third-party plugins: found, proved, keyed, carried to workers; and refused with the file when they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.errors import PluginError, RefineryError
from refinery_beam.launch import Settings
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.run import run_with
from refinery_beam.plugins.base import Extension, Plugin
from refinery_beam.plugins.discovery import _Found, assemble, find_plugin, plugin_of_plan, read_plugin_paths
from refinery_beam.reading.replay import Replay
from support.recipes import SMALL, write_recipe


def small(folder: Path, images: Path, **parts: Any) -> Path:
    return write_recipe(images, folder, base=SMALL, **parts)


def halved(folder: Path, images: Path) -> Path:
    """With a step of the plugin `halving`."""
    return small(folder, images, transformations=[*SMALL["Transformations"], "{name: halve, op: halve, splits: [train, test]}"])


def ppm(folder: Path, images: Path, **parts: Any) -> Path:
    """Files that only the plugin's loader can read."""
    return small(folder, images, source={"type": "ppm_folder"}, **parts)


def settings(tmp_path: Path, *paths: Path, **more: object) -> Settings:
    return Settings(cache_root=str(tmp_path / "cache"), plugin_paths=tuple(map(str, paths)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_path_plugin_runs_and_reads(class_folders: Path, tmp_path: Path, halving: Path, mode: str) -> None:
    result = run_with(halved(tmp_path, class_folders), settings(tmp_path, halving, mode=mode, workers=2))
    raw = result.manifest.raw
    assert raw["op_versions"] == {"halve": 3, "resize": 1, "splits:exact": 2}
    assert list(raw["plugin"]["sources"]) == ["halving"]
    rows = [row for split in result.counts for row in rb.open_instance(result.path, plugin_paths=[str(halving)]).split(split)]
    assert len(rows) == 36
    replay = Replay.from_instance(result.path, plugin_paths=[str(halving)])
    for row in rows:
        file = class_folders / str(row["record_id"]).removeprefix("photos/")
        with Image.open(file) as image:
            want = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.NEAREST)) // 2 + 1
        assert np.array_equal(row["image"], want)
        assert np.array_equal(replay(file), want)


def test_reading_without_the_plugin_says_so(class_folders: Path, tmp_path: Path, halving: Path) -> None:
    result = run_with(halved(tmp_path, class_folders), settings(tmp_path, halving))
    assert rb.open_instance(result.path).split("train")[0]["image"].shape == (16, 16, 3)  # stored pixels need no op
    with pytest.raises(PluginError, match="has no op 'halve'") as caught:
        Replay.from_instance(result.path)
    assert caught.value.code == "unknown-op" and "plugin_paths" in caught.value.remedy


def test_what_enters_the_key(class_folders: Path, tmp_path: Path, halving: Path) -> None:
    plain = small(tmp_path, class_folders)
    assert prepare(plain, settings(tmp_path)).key == prepare(plain, settings(tmp_path, halving)).key  # not used, so not in the key
    used = halved(tmp_path, class_folders)
    first = prepare(used, settings(tmp_path, halving))
    moved = halving.rename(tmp_path / "elsewhere")
    assert prepare(used, settings(tmp_path, moved)).key == first.key  # where it lies is not what it is
    (moved / "_amount.py").write_text("AMOUNT = 2\n")
    second = prepare(used, settings(tmp_path, moved))
    assert second.key.recipe_hash != first.key.recipe_hash
    assert second.key.input_hash == first.key.input_hash
    one, two = first.plan.node_keys("i"), second.plan.node_keys("i")
    assert all(one[part] != two[part] for part in ("fit", "dataset"))


def test_without_the_path_the_op_is_unknown(class_folders: Path, tmp_path: Path, halving: Path) -> None:
    used = halved(tmp_path, class_folders)
    prepare(used, settings(tmp_path, halving))
    with pytest.raises(RefineryError) as caught:
        prepare(used, settings(tmp_path))
    assert "unknown-op" in {e.code for e in caught.value.errors()}


@pytest.fixture
def raw_ppm(tmp_path: Path) -> Path:
    root = tmp_path / "ppm"
    for k in range(8):
        file = root / ("even", "odd")[k % 2] / f"{k}.rawppm"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((20, 24, 3), 10 * k, np.uint8)
        file.write_bytes(b"P6\n24 20\n255\n" + pixels.tobytes())
    return root


@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_loader_lists_labels_and_decodes(raw_ppm: Path, tmp_path: Path, halving: Path, mode: str) -> None:
    text = ppm(tmp_path, raw_ppm)
    result = run_with(text, settings(tmp_path, halving, mode=mode, workers=1))
    rows = [row for split in result.counts for row in rb.open_instance(result.path).split(split)]
    assert {(r["record_id"], r["label"], int(r["image"].max()), int(r["image"].min())) for r in rows} == {
        (f"photos/{('even', 'odd')[k % 2]}/{k}.rawppm", ("even", "odd")[k % 2], 10 * k, 10 * k) for k in range(8)
    }
    replay = Replay.from_instance(result.path, plugin_paths=[str(halving)])
    assert int(replay(raw_ppm / "odd" / "3.rawppm")[0, 0, 0]) == 30
    with pytest.raises(PluginError, match="has no loader"):
        Replay.from_instance(result.path)
    assert result.manifest.raw["plugin"]["sources"]["halving"]["version"] == 1


def test_likeness_is_seen_through_the_loader(raw_ppm: Path, tmp_path: Path, halving: Path) -> None:
    """Pictures of one colour are all alike, and only the loader can read them."""
    twins = "{name: twins, op: drop_duplicates, params: {kind: near}}"
    result = run_with(ppm(tmp_path, raw_ppm, filters=[twins], splits={"ratios": {"train": 1.0, "test": 0}}), settings(tmp_path, halving))
    assert result.manifest.raw["ledger"] == {"duplicate": 7} and sum(result.counts.values()) == 1


def test_a_file_its_loader_cannot_read_is_named(raw_ppm: Path, tmp_path: Path, halving: Path) -> None:
    (raw_ppm / "odd" / "3.rawppm").write_bytes(b"P5\n1 1\n255\nx")
    with pytest.raises(RefineryError, match=r"damaged: ValueError: no P6 file \(record photos/odd/3\.rawppm\)"):
        run_with(ppm(tmp_path, raw_ppm), settings(tmp_path, halving))


@pytest.mark.parametrize("bad", ["/etc/passwd", "../x.rawppm", "a//b", "even/0.rawppm twice", "missing.rawppm", "even"])
def test_a_loader_cannot_leave_its_folder(raw_ppm: Path, tmp_path: Path, halving: Path, bad: str) -> None:
    names = ["even/0.rawppm"] * 2 if bad.endswith("twice") else [bad]
    text = (halving / "halving.py").read_text()
    start = "        from pathlib import Path\n"
    assert start in text
    (halving / "halving.py").write_text(text.replace(start, f"        return [LoaderFile(n) for n in {names!r}]\n{start}"))
    with pytest.raises(PluginError) as caught:
        run_with(ppm(tmp_path, raw_ppm), settings(tmp_path, halving))
    assert caught.value.code == "plugin-loader"


def test_a_whole_plugin_of_its_own(class_folders: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from refinery_beam.plugins.image_classification import PLUGIN as IMAGES\n"
        "PLUGIN = replace(IMAGES, name='mine', version=7, ops={k: v for k, v in IMAGES.ops.items() if k == 'resize'})\n"
    )
    result = run_with(small(tmp_path, class_folders, plugin="mine"), settings(tmp_path, file))
    assert result.manifest.raw["plugin"]["name"] == "mine"
    assert result.manifest.raw["plugin"]["sources"]["mine"]["version"] == 7
    plain = tmp_path / "plain"
    plain.mkdir()
    other = run_with(small(plain, class_folders), settings(tmp_path))
    assert other.manifest.raw["logical_digest"] == result.manifest.raw["logical_digest"]
    assert other.path != result.path


BROKEN = {
    "plugin-import": "import nothing_of_that_name\n",
    "plugin-path": "x = 1\n",
    "plugin-protocol": "PLUGIN = 'text'\n",
    "plugin-duplicate": (
        "from refinery_beam.plugins.base import Extension\n"
        "from refinery_beam.plugins.image_classification.ops.geometry import Resize\n"
        "PLUGIN = Extension(name='again', version=1, ops=[Resize()])\n"
    ),
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_plugin_is_exit_3_with_its_file(code: str, class_folders: Path, tmp_path: Path, cli: object) -> None:
    file = tmp_path / "broken.py"
    file.write_text(BROKEN[code])
    exit_code, body, _ = cli("plan", small(tmp_path, class_folders), "--plugin-path", file)  # type: ignore[operator]
    assert exit_code == 3
    (error,) = body["errors"]
    assert error["code"] == code
    assert error["place"] == str(file)


def test_an_assertion_that_is_none_is_refused() -> None:
    with pytest.raises(PluginError, match="an assertion that is none") as caught:
        assemble([_Found(Extension(name="x", version=1, assertions=[object()]), "one.py", "00")])  # type: ignore[list-item]
    assert caught.value.code == "plugin-protocol"


def test_paths_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "not-a-name.py").write_text("x")
    for name in ("missing.py", "missing", "empty", "text.txt", "not-a-name.py"):
        with pytest.raises(PluginError) as caught:
            read_plugin_paths([str(tmp_path / name)])
        assert caught.value.code == "plugin-path" and caught.value.exit_code == 3


def test_names_are_unique_across_plugins() -> None:
    one = _Found(Extension(name="x", version=1), "one.py", "00")
    with pytest.raises(PluginError, match=r"'x' of two\.py exists already: one\.py"):
        assemble([one, _Found(Extension(name="x", version=1), "two.py", "11")])
    with pytest.raises(PluginError, match="refinery-beam itself"):
        assemble([_Found(Extension(name="image_classification", version=1), "one.py", "00")])
    with pytest.raises(PluginError, match="extends 'image_clasification'") as caught:
        assemble([_Found(Extension(name="y", version=1, extends="image_clasification"), "one.py", "00")])
    assert caught.value.remedy == "did you mean 'image_classification'?"


@pytest.mark.slow
def test_the_variable_and_the_option(class_folders: Path, tmp_path: Path, halving: Path, cli: object) -> None:
    text = halved(tmp_path, class_folders)
    assert cli("plan", text)[0] == 1  # type: ignore[operator]
    code, by_variable, _ = cli("plan", text, env={"REFINERY_BEAM_PLUGIN_PATH": str(halving)})  # type: ignore[operator]
    assert code == 0
    code, by_option, _ = cli("--plugin-path", halving, "plan", text)  # type: ignore[operator]
    assert (code, by_option["recipe_hash"]) == (0, by_variable["recipe_hash"])
    code, _, _ = cli("run", text, "--plugin-path", halving)  # type: ignore[operator]
    assert code == 0
    assert cli("verify", text, "--deep", "--plugin-path", halving)[0] == 0  # type: ignore[operator]


def test_a_worker_with_another_plugin_is_found_out(class_folders: Path, tmp_path: Path, halving: Path) -> None:
    prepared = prepare(halved(tmp_path, class_folders), settings(tmp_path, halving))
    object.__setattr__(prepared.plan, "plugin_sources", {"halving": {"version": 1, "digest": "00"}})
    with pytest.raises(PluginError) as caught:
        plugin_of_plan(prepared.plan)
    assert caught.value.code == "plugin-differs"


def test_a_recipe_cannot_name_code(class_folders: Path, tmp_path: Path) -> None:
    for name in ("os", "support.kitchen", str(tmp_path / "x.py")):
        with pytest.raises(RefineryError):
            prepare(small(tmp_path, class_folders, plugin=name), settings(tmp_path))


def test_the_registry_is_one_value_for_all_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found: list[Plugin] = list(pool.map(find_plugin, ["image_classification"] * 64))
    assert all(plugin is found[0] for plugin in found)
