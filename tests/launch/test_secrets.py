"""A canary in every option, variable, part of a URL and header: it is in no file, no journal, no message, no result, no traceback, and on
no command line of a process that is started.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam import masking
from refinery_beam.cli.app import call
from refinery_beam.errors import RecipeError
from refinery_beam.masking import holds_secret, mask, masked, masked_words, remember_option, remember_secret, remember_variable
from support.recipes import SMALL, write_recipe

CANARY = "c4n4ry-Q7"


# -- the law


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{CANARY}@host/a",
        f"http://{CANARY}@host/a",
        f"http://user:{CANARY}@host:80/?sig={CANARY}#x",
        f"HTTPS://u:pa/ss?{CANARY}@host/a",
        f"http://user:p@{CANARY}@host/a",
        f"https://host/a?{CANARY}",
        f"https://host/a?x=1&sig={CANARY}, and more",
        f"https://host/a#{CANARY}",
        f"https://host/?a=%2F{CANARY}",
        f"s3://key:{CANARY}@bucket/a",
        f"s3://bucket/a?X-Amz-Signature={CANARY}&x=1",
        f"gs://bucket/a?x=1&X-Goog-Credential={CANARY}",
        f"abfss://container@account/a?sig={CANARY}",
        f"simplecache::https://u:{CANARY}@host/a",
        f"ftp://{CANARY}:@host/",
        f"cannot read 'http://u:{CANARY}@host/?sig={CANARY}': 403",
    ],
)
def test_urls(text: str) -> None:
    assert CANARY not in mask(text)
    assert mask(mask(text)) == mask(text)
    assert CANARY not in RecipeError(f"{text} is wrong", code="x", at=text, value=text).render()
    assert CANARY not in json.dumps(RecipeError(text, code="x", at=text, value=text, rule=text, remedy=text).to_dict())


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a/what?.png",
        "gs://bucket/a#fog:3",
        "abfss://container@account.dfs/x?n=1",
        "http://127.0.0.1:9000/a",
        "a@b and c://",
        "/data/x?y=z",
        "photos/cat/1.png#fog:3",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text and not holds_secret(text)


def test_a_secret_is_masked_before_anything_is_cut() -> None:
    url = f"http://user:{'x' * 180}{CANARY}@host/?sig={CANARY}"
    assert CANARY[:4] not in RecipeError("wrong", code="x", value=url).render()


def test_values_of_options() -> None:
    remember_option("s3.secret", CANARY)
    remember_option("http.headers", json.dumps({"Authorization": f"Bearer {CANARY}-in-a-header", "n": 1}))
    remember_option("s3.endpoint_url", "http://127.0.0.1:9000")
    remember_option("s3.anon", "false")
    remember_secret([{"deep": f"{CANARY}-deep"}])
    text = f"{CANARY}, Bearer {CANARY}-in-a-header, {CANARY}-in-a-header, {CANARY}-deep, false, http://127.0.0.1:9000/x"
    assert mask(text) == "***, ***, ***, ***, false, http://127.0.0.1:9000/x"
    masking.forget_secrets()
    assert mask(text) == text


def test_variables_are_shown_by_their_names() -> None:
    remember_variable("DATA", "/mnt/data")
    remember_variable("SETS", "/mnt/data/sets/")
    remember_variable("ROOT", "/")
    assert mask("/mnt/data/a, /mnt/data, /mnt/database, x/mnt/data, '/mnt/data/sets/b'") == (
        "${env:DATA}/a, ${env:DATA}, /mnt/database, x/mnt/data, '${env:SETS}/b'"
    )


def test_values_under_names_that_speak_of_secrets() -> None:
    facts = {"recipe_hash": "ab", "seed": 3, "workers": None, "keys": ["a@b"], "ratio": 0.5}
    assert masked(facts) == facts
    assert masked({"a": {2, 1}, "b": (Path("x"),), "cookie": "x", "headers": {"x": "y"}}) == {
        "a": [1, 2],
        "b": ["x"],
        "cookie": "***",
        "headers": {"x": "***"},
    }
    words = [
        "run",
        "r",
        "--storage-option",
        f"a.b={CANARY}",
        f"--storage_options=x={CANARY}",
        "--azure-account-key",
        CANARY,
        "--",
        f"--token={CANARY}",
    ]
    assert CANARY not in " ".join(masked_words(words))


# -- whole runs


TRIES: dict[str, list[str]] = {
    "a run": ["run", "RECIPE"],
    "its JSON": ["run", "RECIPE", "--json", "--debug", "-v", "--seed", "3"],
    "processes": ["run", "RECIPE", "--mode", "processes", "--workers", "2", "--seed", "4", "-v"],
    "why": ["why", "RECIPE", "--seed", "5"],
    "plan": ["plan", "RECIPE", "-v"],
    "ls": ["ls", "--json"],
    "log": ["log", "--json", "--limit", "0"],
    "a table by URL": ["run", "TABLE", "--debug", "--json"],
    "a source by URL": ["run", "SOURCE", "--debug", "-v"],
    "a source that is validated": ["validate", "SOURCE", "--debug"],
    "a borrowed recipe": ["run", "BORROWED", "--debug"],
    "a cache root": ["run", "RECIPE", "--cache-root", f"http://user:{CANARY}@127.0.0.1:9/?sig={CANARY}", "--debug"],
    "a cache root that is read": [
        "run",
        "RECIPE",
        "--cache-root-read",
        f"http://127.0.0.1:9/x?sig={CANARY}",
        "--debug",
        "--seed",
        "6",
    ],
    "a cache root that is read, with a user": ["run", "RECIPE", "--cache-root-read", f"http://{CANARY}@127.0.0.1:9/x", "--debug"],
    "a plugin path": ["run", "RECIPE", "--plugin-path", f"http://u:{CANARY}@127.0.0.1:9/ops.py", "--debug"],
    "an instance": ["status", f"http://u:{CANARY}@127.0.0.1:9/x?sig={CANARY}", "--json", "--debug"],
    "a Beam option": ["run", "RECIPE", "--seed", "7", "--", f"--s3_secret_access_key={CANARY}"],
    "an option without =": ["run", "RECIPE", "--storage-option", f"s3.secret{CANARY}"],
    "an unknown option": ["run", "RECIPE", f"--storage-optoin=s3.secret={CANARY}"],
    "a missing variable": ["run", "GONE", "--debug"],
    "rerun": ["rerun", f"http://u:{CANARY}@127.0.0.1:9/x", "--debug", "--json"],
    "tag": ["tag", f"http://u:{CANARY}@127.0.0.1:9/x", "v1", "--debug"],
}

DRIVER = """\
import os, subprocess, sys
from refinery_beam.cli.app import call
argv = []
class Popen(subprocess.Popen):
    def __init__(self, args, *rest, **more):
        argv.append(str(args))
        super().__init__(args, *rest, **more)
subprocess.Popen = Popen
spawn = os.posix_spawn
for name in ("execv", "execve", "posix_spawn", "posix_spawnp"):
    real = getattr(os, name)
    setattr(os, name, lambda path, args, *rest, _real=real: (argv.append(str(args)), _real(path, args, *rest))[1])
code = call(sys.argv[1:])
assert not any(os.environ["CANARY"] in words for words in argv), "on a command line"
sys.exit(code)
"""


@pytest.fixture(scope="module")
def bench(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in a folder that only a variable names, and recipes that name secrets in every way."""
    folder = tmp_path_factory.mktemp("canary")
    hidden = folder / CANARY
    hidden.mkdir()
    shutil.copytree(class_folders, folder / "photos")
    os.symlink(folder / "photos", hidden / "photos")
    write_recipe("${env:DATA}/photos", folder, base=SMALL, name="recipe.yaml", input={"follow_links": "outside"})
    write_recipe(f"http://user:{CANARY}@127.0.0.1:9/photos?sig={CANARY}", folder, base=SMALL, name="source.yaml")
    table = {"path": f"http://{CANARY}@127.0.0.1:9/labels.csv?sig={CANARY}", "join": "by_id", "id_field": "a", "label_field": "b"}
    write_recipe("${env:DATA}/photos", folder, base=SMALL, name="table.yaml", source={"type": "image_flat", "label_from": table})
    origin = f"{{recipe: 'http://u:{CANARY}@127.0.0.1:9/r.yaml', op_id: n}}"
    borrowed = f"{{name: n, op: normalize, params: {{stats_from_instance: {origin}}}, splits: [train, test]}}"
    write_recipe("${env:DATA}/photos", folder, base=SMALL, name="borrowed.yaml", transformations=[*SMALL["Transformations"], borrowed])
    write_recipe("${env:DATA}/gone", folder, base=SMALL, name="gone.yaml")
    (folder / "driver.py").write_text(DRIVER)
    time.sleep(2.1)  # files of just now get no hint
    return folder


def environment(folder: Path) -> dict[str, str]:
    secrets = {
        "CANARY": CANARY,
        "DATA": str(folder / CANARY),
        "FSSPEC_S3": json.dumps({"key": CANARY, "secret": CANARY, "client_kwargs": {"aws_session_token": CANARY}}),
        "FSSPEC_HTTP": json.dumps({"client_kwargs": {"headers": {"Authorization": f"Bearer {CANARY}"}}}),
        "FSSPEC_GS_TOKEN": CANARY,
        **dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "HF_TOKEN"), CANARY),
        "XDG_CACHE_HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FSSPEC_", "GOOGLE_"))}
    return {**kept, **secrets}


OPTIONS = [
    f"s3.secret={CANARY}",
    f'http.headers={{"Authorization": "Bearer {CANARY}", "Cookie": "{CANARY}"}}',
    f'http.client_kwargs={{"auth": "{CANARY}"}}',
    f"gs.token={CANARY}",
    f"s3.endpoint_url=http://user:{CANARY}@127.0.0.1:9/?sig={CANARY}",
]


def attempt(folder: Path, words: list[str]) -> tuple[str, int]:
    """What a command line prints, and its exit code."""
    names = {"RECIPE": "recipe.yaml", "TABLE": "table.yaml", "SOURCE": "source.yaml", "BORROWED": "borrowed.yaml", "GONE": "gone.yaml"}
    given = [names.get(word, word) for word in words]
    options = [word for option in OPTIONS for word in ("--storage-option", option)]
    at = given.index("--") if "--" in given else len(given)
    command = [sys.executable, "driver.py", *given[:at], *options, *given[at:]]
    (folder / "tmp").mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False
    )
    return done.stdout + done.stderr, done.returncode


def leaks(folder: Path) -> list[str]:
    """Files that hold the canary, the recipes and pictures apart that a user wrote."""
    own = {*folder.glob("*.yaml"), *folder.glob("*.py")}
    files = [p for top in ("cache", "home", "tmp") for p in (folder / top).rglob("*") if p.is_file() and p not in own]
    assert any("hints.sqlite" in p.name for p in files) and any(p.suffix == ".parquet" for p in files)
    found = [str(p) for p in files if CANARY.encode() in p.read_bytes()]
    return [*found, *(str(p) for top in ("cache", "home") for p in (folder / top).rglob("*") if CANARY in p.name)]


# One process each takes seconds; this one has the most ways in.
QUICK = ("a run",)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in TRIES])
def test_the_canary_is_nowhere(bench: Path, name: str) -> None:
    if not (bench / "cache").exists() and name != "a run":
        attempt(bench, TRIES["a run"])
    printed, code = attempt(bench, TRIES[name])
    assert CANARY not in printed, printed
    assert "on a command line" not in printed
    if name in ("a run", "its JSON", "processes", "why", "plan", "ls", "log", "a cache root that is read"):
        assert code == 0, printed
    assert leaks(bench) == []


@pytest.mark.slow
def test_columns_of_the_journal_hold_no_canary(bench: Path) -> None:
    """Pages of a Parquet file may be compressed: what a reader reads."""
    attempt(bench, TRIES["a run"])
    table = rb.journal(cache_root=bench / "cache")
    assert len(table) and CANARY not in str(table.to_pylist())


def test_hints_name_a_variable_and_not_its_value(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3
    from contextlib import closing

    monkeypatch.setenv("SETS", str(class_folders.parent))
    recipe = write_recipe(f"${{env:SETS}}/{class_folders.name}", tmp_path, base=SMALL)
    assert rb.plan(recipe, cache_root=tmp_path / "cache").status == "miss"
    first = rb.plan(recipe, cache_root=tmp_path / "cache").prepared
    hints = tmp_path / "cache" / "hints.sqlite"
    if hints.exists():  # files that were drawn just now leave none
        with closing(sqlite3.connect(hints)) as db:
            names = [os.fsdecode(row[0]) for row in db.execute("SELECT path FROM hints")]
        assert names and all(name.startswith(f"${{env:SETS}}/{class_folders.name}/") for name in names)
        assert first.index.hashed == 0


def test_a_source_with_a_secret_is_a_variable_in_the_instance(tmp_path: Path) -> None:
    from refinery_beam.recipe import effective_yaml, load_recipe, location_variables

    recipe = load_recipe(
        "r.yaml",
        text=textwrap.dedent(f"""\
        schema_version: 3
        plugin: p
        Input: {{sources: [{{name: a, type: image_folder, path: "https://host/x?sig={CANARY}"}}]}}
        Output: {{record_schema: {{label: {{dtype: str}}}}}}
        Labels: {{field: label, source: {{kind: direct}}}}
    """),
    )
    assert CANARY not in effective_yaml(recipe, locations="symbolic") and "${env:REFINERY_BEAM_SOURCE_A}" in effective_yaml(
        recipe, locations="symbolic"
    )
    assert list(location_variables(recipe)) == ["REFINERY_BEAM_SOURCE_A"]


def test_a_printed_option_value_is_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    options: Any = rb.Options(storage_options=[f"s3.secret={CANARY}"], beam_options=[f"--token={CANARY}"])
    assert CANARY not in repr(options)
    assert call(["run", "r.yaml", "--storage-option", f"nonsense{CANARY}"]) == 2
    assert CANARY not in "".join(capsys.readouterr())
