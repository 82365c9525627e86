"""The verbs: what each prints, where, with which exit code, and the JSON objects key by key."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import refinery_beam
from refinery_beam.cli.app import call
from support import own_folder

RECIPE = (
    own_folder.RECIPE.replace("test: 0.5", "test: 0.4")
    + """\
  - {name: standard, op: normalize, fit_source: train, splits: [train, test]}
variants:
  more: {Splits: {ratios: {train: 0.6, test: 0.4}}}
"""
)
pytestmark = pytest.mark.usefixtures("in_folder")
HEX = set("0123456789abcdef")
RUN_KEYS = [
    "contract",
    "status",
    "instance",
    "recipe_hash",
    "input_hash",
    "seed",
    "logical_digest",
    "files_digest",
    "counts",
    "ledger",
    "warnings",
    "selection",
    "pictures",
    "report",
    "seconds",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, 20 pictures of two classes and one file that is none."""
    root = own_folder.drawn(tmp_path_factory.mktemp("cli"), RECIPE)
    (root / "my-images/circle/notes.txt").write_text("not selected")
    return root


class Said:
    """The exit code, stdout and stderr of one call."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def body(self) -> Any:
        assert self.out.count("\n") == 1, "one object on one line"
        return json.loads(self.out)


Say = Callable[..., Said]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def go(*arguments: str) -> Said:
        capsys.readouterr()
        code = call(list(arguments))
        return Said(code, *capsys.readouterr())

    return go


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, Any]:
    """The instance, built by a real process as a shell would start it."""
    environment = os.environ | {"PYTHONPATH": str(Path(refinery_beam.__file__).parents[1]), "REFINERY_BEAM_CACHE_ROOT": "cache"}
    command = [sys.executable, "-m", "refinery_beam", "run", "recipe.yaml", "--json", "-q"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def test_run_json_key_by_key(built: dict[str, Any], folder: Path) -> None:
    assert list(built) == RUN_KEYS
    assert (built["contract"], built["status"], built["seed"]) == (1, "built", 0)
    assert built["counts"] == {"train": 10, "test": 8}
    assert list(built["counts"]) == ["train", "test"]
    assert built["ledger"] == {"not_an_image": 1, "unassigned": 2}
    assert all(len(built[k]) == 64 and set(built[k]) <= HEX for k in ("recipe_hash", "input_hash", "logical_digest", "files_digest"))
    assert isinstance(built["seconds"], float) and built["seconds"] > 0
    location = Path(built["instance"])
    assert location.is_absolute() and location.is_dir()
    assert location.parts[-4:] == ("instances", built["recipe_hash"][:16], built["input_hash"][:16], "0")


def test_manifest_holds_the_same(built: dict[str, Any]) -> None:
    manifest = json.loads((Path(built["instance"]) / "manifest.json").read_text())
    for key in ("contract", "recipe_hash", "input_hash", "seed", "logical_digest", "files_digest", "counts", "ledger"):
        assert manifest[key] == built[key], key
    assert manifest["splits"] == ["train", "test"]
    listed = {f["path"] for f in manifest["files"]}
    assert {f for f in listed if not f.startswith("dataset/")} == {
        "facts/counts.json",
        "facts/findings.json",
        "facts/flagged.parquet",
        "facts/histograms.parquet",
        "facts/thumbnails.parquet",
        "report/drift.json",
        "facts/records.parquet",
        "README.md",
        "fitted_statistics/standard.json",
        "input.parquet",
        "report/ledger.parquet",
        "report/report.md",
    }
    assert all(set(f["sha256"]) <= HEX and f["bytes"] > 0 for f in manifest["files"])


def test_a_hit_is_the_same_object(built: dict[str, Any], say: Say) -> None:
    for arguments in (["run", "recipe.yaml", "--json"], ["--json", "run", "recipe.yaml"], ["materialize", "recipe.yaml", "--json"]):
        said = say(*arguments)
        assert said.code == 0
        assert said.body | {"seconds": 0} == built | {"status": "hit", "seconds": 0}
        assert list(said.body) == RUN_KEYS


def test_run_for_people(built: dict[str, Any], say: Say) -> None:
    said = say("run", "recipe.yaml")
    assert said.code == 0
    first, location, *rest = said.out.splitlines()
    assert first.startswith("hit, nothing to do: 18 records in ")
    assert location == f"instance  {built['instance']}"
    assert rest[:2] == ["  train  10", "  test   8"]
    assert "not_an_image" in rest[2] and "unassigned" in rest[2] and "report/ledger.parquet" in rest[2]
    assert rest[-1] == f"report    {built['report']}" and Path(built["report"]).is_file()
    assert "note: source 'photos': left out 1 .txt" in said.err
    assert "warning: " in said.err and "[ratios-below-one]" in said.err
    assert said.err.splitlines()[-1] == "next: refinery-beam inspect recipe.yaml"


def test_quiet_and_verbose(built: dict[str, Any], say: Say) -> None:
    for quiet in (["-q"], ["--log-level", "warning"]):
        assert [line[:9] for line in say("run", "recipe.yaml", *quiet).err.splitlines()] == ["warning: "]
        assert [line[:9] for line in say(*quiet, "validate", "recipe.yaml").err.splitlines()] == ["warning: "]
    assert say("run", "recipe.yaml", "--log-level", "error").err == ""
    assert say("validate", "recipe.yaml", "--log-level", "error").err == ""
    assert say("run", "recipe.yaml", "-q", "--log-level", "info").code == 2
    short, long = say("validate", "recipe.yaml", "-q"), say("validate", "recipe.yaml", "-v", "-q")
    assert len(long.out.splitlines()) > 40 > len(short.out.splitlines())


def test_plan_json(built: dict[str, Any], say: Say) -> None:
    said = say("plan", "recipe.yaml", "--json")
    body = said.body
    assert said.code == 0 and said.err == ""
    shared = ["contract", "status", "instance", "recipe_hash", "input_hash", "seed"]
    assert list(body)[:6] == shared
    assert {k: body[k] for k in shared} == {k: built[k] for k in shared} | {"status": "hit"}
    assert (body["records_in"], body["splits"]) == (21, ["train", "test"])
    assert body["op_versions"] == {"normalize": 1, "resize": 1, "splits:exact": 2}
    assert body["counts"] == built["counts"] and body["classes"].keys() == built["counts"].keys()


def test_plan_for_people(built: dict[str, Any], say: Say) -> None:
    said = say("plan", "recipe.yaml")
    lines = said.out.splitlines()
    assert lines[0] == "Input: 21 files from photos (image_folder)"
    assert "-> resize uint8[16, 16, 3] -> stored as uint8[16, 16, 3]" in said.out
    assert "applied when reading: standard (normalize) float32[16, 16, 3]" in said.out
    assert lines[-1] == f"hit: {built['instance']}"


def test_plan_writes_no_instance(built: dict[str, Any], say: Say) -> None:
    said = say("plan", "recipe.yaml", "--seed", "77", "--json")
    assert said.body["status"] == "miss" and said.body["seed"] == 77
    assert not Path(said.body["instance"]).exists()


def test_validate(say: Say) -> None:
    said = say("validate", "recipe.yaml", "--json")
    body = said.body
    assert (said.code, body["contract"], body["status"], body["errors"]) == (0, 1, "valid", [])
    numbers = [c["number"] for c in body["checks"]]
    assert numbers[:31] == list(range(1, 32)) and all(n > 100 for n in numbers[31:])
    assert all(list(c) == ["number", "name", "status", "errors"] and c["status"] in ("pass", "warn") for c in body["checks"])
    said = say("validate", "recipe.yaml")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("valid: ")
    assert "warning: recipe.yaml:7:18: " in said.err


def test_validate_never_contradicts_itself(say: Say, tmp_path: Path) -> None:
    """What the compiler finds, and what is not executed, fails the check it belongs to and is counted."""
    broken = tmp_path / "broken.yaml"
    text = RECIPE.replace("path: my-images", f"path: {os.getcwd()}/my-images")
    broken.write_text(text.replace("[16, 16, 3]", "[9, 9, 3]"))
    said = say("validate", str(broken), "--log-level", "error")
    assert (said.code, said.out) == (
        1,
        "warn    8 splits_partition_correctly\nfail  108 schema_reachable\ninvalid: 1 error; 41 of 43 checks passed, 1 not made\n",
    )
    assert said.err.startswith(f"error: {broken}:6:33: Output.record_schema.image ")
    broken.write_text(text.replace("Output: {", "Output: {format: jsonl, "))
    said = say("validate", str(broken), "-q")
    assert (said.code, said.out.splitlines()[1:]) == (
        1,
        ["fail  111 everything_executed", "invalid: 1 error; 40 of 43 checks passed, 2 not made"],
    )


def test_status_of_a_recipe(built: dict[str, Any], say: Say) -> None:
    said = say("status", "recipe.yaml", "--json")
    keys = ["contract", "status", "instance", "recipe_hash", "input_hash", "seed", "logical_digest", "files_digest", "counts", "ledger"]
    assert said.code == 0 and list(said.body) == [*keys, "warnings", "selection"]
    assert {k: said.body[k] for k in keys} == {k: built[k] for k in keys} | {"status": "hit"}
    text = say("status", "recipe.yaml").out
    assert text.startswith("hit\n") and built["instance"] in text and built["logical_digest"] in text
    (line,) = [line for line in text.splitlines() if "left out" in line]
    assert line.startswith("selection  source 'photos': left out 1 .txt")


def test_status_of_an_instance(built: dict[str, Any], say: Say) -> None:
    by_recipe, by_location = say("status", "recipe.yaml", "--json").body, say("status", built["instance"], "--json").body
    # Of an instance, what was left out when it was built; of a recipe, what listing its sources leaves out now.
    assert by_recipe == by_location
    (source,) = by_recipe["selection"]["sources"]
    assert source["source"] == "photos" and source["selected"] == 21 and source["left_out"] == 1
    assert source["kinds"] == [
        {"kind": ".txt", "count": 1, "folders": [{"folder": "circle", "count": 1, "examples": ["circle/notes.txt"]}], "more_folders": 0}
    ]


def test_a_class_that_selection_loses_is_a_warning_and_changes_no_byte(folder: Path, built: dict[str, Any], say: Say) -> None:
    phone = folder / "my-images/phone"
    phone.mkdir()
    (phone / "IMG_1.HEIC").write_bytes(b"x")
    try:
        said = say("run", "recipe.yaml", "-q")
        line = "warning: source 'photos': 1 class folder without an image: 'phone' holds 1 .heic; "
        assert any(one.startswith(line) for one in said.err.splitlines()) and "note: " not in said.err
        body = say("run", "recipe.yaml", "--json").body
        assert (body["status"], body["files_digest"]) == ("hit", built["files_digest"])
        assert "class-without-files" in [w["code"] for w in body["warnings"]]
        assert body["selection"]["sources"][0]["bare_class_folders"] == [{"folder": "phone", "holds": {".heic": 1}}]
        assert "class-without-files" in say("status", "recipe.yaml").out
        assert line in say("plan", "recipe.yaml", "-q").err
    finally:
        (phone / "IMG_1.HEIC").unlink()
        phone.rmdir()


def test_status_of_what_is_not_there(built: dict[str, Any], say: Say) -> None:
    said = say("status", "recipe.yaml", "--seed", "5", "--json")
    assert said.code == 0
    assert list(said.body) == ["contract", "status", "instance", "recipe_hash", "input_hash", "seed", "warnings", "selection"]
    assert (said.body["status"], said.body["seed"]) == ("miss", 5)
    assert say("status", "recipe.yaml", "--seed", "5").out.startswith("miss: ")


def test_options_before_and_after_the_verb(built: dict[str, Any], say: Say) -> None:
    elsewhere = say("--cache-root", "elsewhere", "status", "recipe.yaml", "--json").body["instance"]
    assert "/elsewhere/instances/" in elsewhere
    assert say("status", "recipe.yaml", "--json", "--cache-root", "elsewhere").body["instance"] == elsewhere
    both = say("--seed", "1", "status", "recipe.yaml", "--seed", "2", "--json")
    assert both.body["seed"] == 2, "what stands after the verb wins"
    assert say("--seed", "0", "status", "recipe.yaml", "--json").body["status"] == "hit"
    overlay = say("--overlay", "more", "plan", "recipe.yaml", "--json").body["recipe_hash"]
    assert overlay != built["recipe_hash"]
    assert say("plan", "recipe.yaml", "--json", "--variant", "more").body["recipe_hash"] == overlay
    before, after = (say(*words).out for words in (("--help",), ("run", "--help")))
    names = sorted(set(re.findall(r"(--[a-z][a-z-]+)", after)))
    assert [name for name in names if name not in before] == ["--open"], "all but run's own option may stand before it"
    assert {"--shared-files", "--digest", "--storage-option"} <= set(names)


def test_cache_root_from_the_environment(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_BEAM_CACHE_ROOT", "by-variable")
    assert "/by-variable/instances/" in say("status", "recipe.yaml", "--json").body["instance"]
    assert "/by-option/instances/" in say("status", "recipe.yaml", "--json", "--cache-root", "by-option").body["instance"]


def test_verify(built: dict[str, Any], say: Say) -> None:
    said = say("verify", "recipe.yaml", "--json")
    assert (said.code, said.body["contract"], said.body["status"], said.body["instance"]) == (0, 1, "verified", built["instance"])
    assert say("verify", built["instance"], "--deep").out.startswith("verified: ")


def test_verify_finds_one_flipped_byte(built: dict[str, Any], say: Say) -> None:
    shard = next(Path(built["instance"]).glob("dataset/train/*.parquet"))
    good = shard.read_bytes()
    at = len(good) // 2
    try:
        shard.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        said = say("verify", built["instance"])
        assert said.code == 3
        assert f"wrong-digest: dataset/train/{shard.name}: " in said.out and "damaged: " in said.out
        said = say("verify", "recipe.yaml", "--json")
        assert (said.code, said.body["status"]) == (3, "damaged")
        (finding,) = said.body["findings"]
        assert (finding["code"], finding["path"]) == ("wrong-digest", f"dataset/train/{shard.name}")
    finally:
        shard.write_bytes(good)
    assert say("verify", "recipe.yaml").code == 0


def test_a_missing_shard_is_no_hit(built: dict[str, Any], say: Say) -> None:
    shard = next(Path(built["instance"]).glob("dataset/test/*.parquet"))
    aside = shard.rename(shard.with_suffix(".aside"))
    try:
        said = say("status", "recipe.yaml", "--json")
        assert (said.code, said.body["status"]) == (0, "damaged") and said.body["damage"]
        assert say("status", "recipe.yaml").out.startswith("damaged: ")
        assert say("status", built["instance"]).code == 3
    finally:
        aside.rename(shard)


def test_version_and_help(say: Say) -> None:
    assert say("--version").out == f"refinery-beam {refinery_beam.__version__}\n"
    said = say("--help")
    assert said.code == 0 and said.err == ""
    for verb in ("run", "materialize", "plan", "validate", "status", "verify"):
        assert f"\n  {verb} " in said.out
        text = say(verb, "-h")
        assert text.code == 0 and text.err == ""
        for option in ("--cache-root", "--workers", "--seed", "--overlay, --variant", "--json", "-v, --verbose", "-q, --quiet", "--debug"):
            assert option in text.out, (verb, option)
    assert "--deep" in say("verify", "--help").out


def test_help_groups_verbs_by_task_and_has_the_own_options_of_a_verb_first(say: Say) -> None:
    first = say("--help").out
    titles = [line for line in first.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[:3] == ["Prepare a dataset:", "Look at it:", "Prove it, keep it:"] and titles[-1] == "Options:"
    assert all(len(re.findall(f"^  .*{word} ", first, re.M)) == 1 for word in ("--cache-root", "--workers", "--no-color"))
    text = say("verify", "--help").out
    own, shared = text.index("  --deep "), text.index("Options of every verb")
    assert own < shared < text.index("--cache-root DIR") and "Where instances live" not in text
    assert len(text[shared:].splitlines()) <= 6, "the shared options are short"
    assert all(words in text[shared:] for words in ("-v, --verbose", "--overlay, --variant NAME"))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.count("--cache-root DIR") == 1
    assert "Threads or processes" in say("run", "--help").out, "what matters to a verb is explained there"


def test_every_verb_of_the_table_is_there(say: Say) -> None:
    from refinery_beam.cli.verbs import entries

    for entry in entries():
        said = say(entry.name, "--help")
        assert said.code == 0 and said.out.startswith(f"Usage: refinery-beam {entry.name} "), entry


def test_no_verb(say: Say) -> None:
    said = say()
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: refinery-beam ")
    said = say("--json")
    assert said.code == 2 and said.body["errors"][0]["code"] == "usage"
