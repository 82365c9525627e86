"""`init`: for each layout the recipe validates and runs as written, and with its suggestions uncommented; nothing is overwritten."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from refinery_beam.cli.app import call
from refinery_beam.errors import DataError, UsageError
from refinery_beam.launch.prepare import check_recipe
from refinery_beam.launch.run import run_with
from refinery_beam.scaffold import SCHEMA_FILE, inspect_folder, recipe_text
from refinery_beam.testing.images import draw
from support.scaffolds import scaffold, settings

LAYOUTS = {
    "class_folders": ("class-folders", {"train": 27, "val": 6, "test": 3}),
    "flat_with_csv": ("flat-with-table", None),
    "train_test": ("train-test", None),
    "unlabeled": ("unlabeled-test", None),
}
SUGGESTION = re.compile(r"#(?! )|#(?=  )")


def blocks(text: str) -> list[list[int]]:
    """The suggestions of a recipe: runs of lines."""
    found: list[list[int]] = []
    for number, line in enumerate(text.splitlines()):
        if SUGGESTION.match(line):
            if found and found[-1][-1] == number - 1:
                found[-1].append(number)
            else:
                found.append([number])
    return found


def uncommented(text: str, named: list[list[int]]) -> str:
    numbers = {n for block in named for n in block}
    return "\n".join(line[1:] if n in numbers else line for n, line in enumerate(text.splitlines())) + "\n"


@pytest.fixture(
    params=["class_folders", "flat_with_csv", *(pytest.param(name, marks=pytest.mark.slow) for name in ("train_test", "unlabeled"))]
)
def laid_out(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    images: Path = request.getfixturevalue(request.param)
    folder = Path(shutil.copytree(images, tmp_path / "data"))
    return request.param, folder


def test_it_runs_as_written(laid_out: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = laid_out
    recipe = tmp_path / "recipe.yaml"
    assert scaffold(str(folder), str(recipe)).layout == LAYOUTS[name][0]
    *_, checks, errors = check_recipe(recipe, settings(tmp_path))
    assert errors == [] and {c.status for c in checks} == {"pass"}
    result = run_with(recipe, settings(tmp_path))
    files = [p for p in folder.rglob("*") if p.suffix in (".png", ".jpg")]
    assert list(result.counts) == ["train", "val", "test"]
    assert sum(result.counts.values()) == len(files)
    assert min(result.counts.values()) > 0


def test_each_suggestion_runs_and_all_of_them(laid_out: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = laid_out
    recipe = tmp_path / "recipe.yaml"
    scaffold(str(folder), str(recipe))
    text = recipe.read_text()
    found = blocks(text)
    assert len(found) == 5
    for block in found:
        recipe.write_text(uncommented(text, [block]))
        assert yaml.safe_load(recipe.read_text()) != yaml.safe_load(text)
        *_, errors = check_recipe(recipe, settings(tmp_path))
        assert errors == []
    recipe.write_text(uncommented(text, found))
    result = run_with(recipe, settings(tmp_path))
    assert sum(result.counts.values()) > 30
    fitted = sorted(p.stem for p in (Path(result.path) / "fitted_statistics").iterdir())
    assert fitted == (["normalize"] if name == "unlabeled" else ["label_id", "normalize"])


@pytest.mark.slow
def test_each_suggestion_alone_builds(class_folders: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    scaffold(str(class_folders), str(recipe))
    text = recipe.read_text()
    paths = set()
    for block in blocks(text):
        recipe.write_text(uncommented(text, [block]))
        paths.add(run_with(recipe, settings(tmp_path)).path)
    assert len(paths) == 5


def test_the_text_is_the_same_every_time(class_folders: Path, tmp_path: Path) -> None:
    facts = inspect_folder(str(class_folders))
    assert recipe_text(facts, str(tmp_path)) == recipe_text(inspect_folder(str(class_folders)), str(tmp_path))
    first = recipe_text(facts, str(tmp_path)).splitlines()[0]
    assert first == f"# yaml-language-server: $schema=./{SCHEMA_FILE}"


def test_nothing_is_overwritten(class_folders: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("mine")
    with pytest.raises(UsageError) as caught:
        scaffold(str(class_folders), str(recipe))
    assert (caught.value.code, recipe.read_text()) == ("init-exists", "mine")
    assert not (tmp_path / SCHEMA_FILE).exists()
    scaffold(str(class_folders), str(recipe), force=True)
    assert recipe.read_text().startswith("# yaml")
    # The same schema file may stay; another one of that name is somebody's.
    scaffold(str(class_folders), str(tmp_path / "second.yaml"))
    (tmp_path / SCHEMA_FILE).write_text("{}")
    with pytest.raises(UsageError):
        scaffold(str(class_folders), str(tmp_path / "third.yaml"))
    assert not (tmp_path / "third.yaml").exists()


def test_odd_names(tmp_path: Path) -> None:
    folder = tmp_path / "my data: 1 #2 é"
    (folder / "pics").mkdir(parents=True)
    for k in range(8):
        draw("circle" if k % 2 else "square", k).save(folder / "pics" / f"{k}.png")
    rows = "".join(f"{k}.png;{'yes' if k % 2 else 'no'};{k}\n" for k in range(8))
    (folder / "what is what.csv").write_text("file name;on;n\n" + rows)
    recipe = tmp_path / "sub" / "recipe.yaml"
    scaffold(str(folder), str(recipe))
    facts = inspect_folder(str(folder))
    assert facts.table is not None and (facts.table.id_field, facts.table.label_field) == ("file name", "on")
    result = run_with(recipe, settings(tmp_path))
    assert sum(result.counts.values()) == 8
    assert set(result.manifest.raw["counts"]) == {"train", "val", "test"}


@pytest.mark.parametrize("what", ["nothing", "flat", "table", "missing"])
def test_what_it_makes_nothing_of(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data"
    if what != "missing":
        folder.mkdir()
    if what in ("flat", "table"):
        draw("circle", 0).save(folder / "a.png")
    if what == "table":
        (folder / "labels.csv").write_text("id,label\nz.png,cat\n")
    with pytest.raises(DataError, match="init makes nothing of") as caught:
        inspect_folder(str(folder))
    assert (caught.value.code, caught.value.exit_code) == ("init-layout", 1)


def test_the_verbs(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    verb: Callable[..., int] = lambda *given: call([str(g) for g in given])  # noqa: E731
    assert verb("init", class_folders) == 0
    assert "class-folders: wrote recipe.yaml" in capsys.readouterr().out
    assert verb("init", class_folders, "--json") == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "init-exists"
    assert verb("init", class_folders, "-o", "other.yaml", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "contract": 1,
        "status": "written",
        "recipe": str(tmp_path / "other.yaml"),
        "schema": str(tmp_path / SCHEMA_FILE),
        "layout": "class-folders",
        "warnings": [],
        "remarks": [{"path": "./", "verdict": "taken", "why": "36 pictures in 3 class folders: circle, square, triangle"}],
    }
    assert verb("validate", "recipe.yaml") == 0
    capsys.readouterr()
    assert verb("schema") == 0
    assert capsys.readouterr().out == (tmp_path / SCHEMA_FILE).read_text()
    assert json.loads((tmp_path / SCHEMA_FILE).read_text())["title"] == "refinery-beam recipe"


def test_the_folder_may_be_named_by_an_option(class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one" / "recipe.yaml", tmp_path / "other" / "recipe.yaml"
    one.parent.mkdir()
    other.parent.mkdir()
    assert call(["init", str(class_folders), "--output", str(one), "-q"]) == 0
    assert call(["init", "--input", str(class_folders), "--output", str(other), "-q"]) == 0
    assert one.read_text().replace("/one/", "/other/") == other.read_text()
    capsys.readouterr()
    assert call(["init", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["message"] == "init needs a folder of images"
