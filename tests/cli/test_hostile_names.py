"""Names from outside that would act on a terminal or a page: verbs print them so that they can only be read; JSON keeps them whole."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import refinery_beam as rb
from refinery_beam.cli import output
from refinery_beam.cli.app import call
from refinery_beam.cli.blocks import Facts, Line, Table, Words, plain
from refinery_beam.cli.output import shell_word
from refinery_beam.visible import display, json_text, visible
from support.own_folder import RECIPE

LABELS = (
    "red\x1b[31m",
    "\x1b]8;;http:evil\x07click\x1b]8;;\x07",
    "\u202egnp.exe",
    "nel\x85x",
    "line\u2028x",
    "<script>alert(1)<",
    "{{ 7*7 }}",
    "[x](javascript:evil)",
    "a\nb",
    "a\\nb",
    "\x9b31m",
    "l" * 250,
)
FILES = ("p\x1b[2J.png", "a\nb.png", "a\\nb.png", "\u202egnp.png")
pytestmark = pytest.mark.usefixtures("in_folder")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose folders and files have such names, one that is no picture, one that is not selected, and the instance."""
    root = tmp_path_factory.mktemp("hostile\x1b[31m")
    for k, label in enumerate(LABELS):
        (root / "my-images" / label).mkdir(parents=True)
        for n, name in enumerate(FILES):
            Image.new("RGB", (20, 20), (k * 20, n * 40, 7)).save(root / "my-images" / label / name)
    (root / "my-images" / LABELS[0] / "bad\x1b[31m\n.png").write_text("no image")
    (root / "my-images" / LABELS[0] / "odd\u202e.txt").write_text("not selected")
    (root / "recipe.yaml").write_text(RECIPE)
    before = os.getcwd()
    os.chdir(root)
    try:
        assert call(["run", "recipe.yaml", "--log-level", "error"]) == 0
    finally:
        os.chdir(before)
    return root


def instance(folder: Path) -> str:
    (manifest,) = folder.glob("cache/instances/*/*/*/manifest.json")
    return str(manifest.parent)


def verbs(folder: Path) -> list[list[str]]:
    """A call of every verb that names something from outside; those that fail too."""
    found = instance(folder)
    return [
        ["init", "my-images", "-o", f"{folder}/init.yaml", "--force"],
        ["init", "no\x1b[31m\nsuch"],
        ["validate", "recipe.yaml"],
        ["validate", "no\x1b[31msuch\u202e.yaml"],
        ["plan", "recipe.yaml"],
        ["plan", "recipe.yaml", "--overlay", "x\x1b[31m"],
        ["run", "recipe.yaml"],
        ["run", "recipe.yaml", "--runner", "x\x9b31m"],
        ["status", "recipe.yaml"],
        ["status", found],
        ["status", "no\x1b]8;;such"],
        ["verify", found],
        ["verify", "no\u2028such"],
        ["draw", "recipe.yaml", "x\x1b[31m"],
        ["completion", "tc\x1b[31msh"],
        ["check", "--cache-root", "recipe.yaml/\x1b[31m"],
        ["doctor", "--plugin-path", "no\x1b[31m\nsuch.py"],
        ["inspect", "recipe.yaml"],
        ["inspect", "recipe.yaml", "--split", "train"],
        ["inspect", "recipe.yaml", "--ledger"],
        ["inspect", "recipe.yaml", "--record", f"photos/{LABELS[0]}/a\nb.png"],
        ["inspect", "recipe.yaml", "--label", "x\x1b[31m", "--where", "label = '\x1b[31m'"],
        ["inspect", "recipe.yaml", "--where", "\x1b[31m < 3"],
        ["diff", "recipe.yaml", found],
        ["diff", "recipe.yaml", "no\x1b[31msuch.yaml"],
        ["why", "recipe.yaml"],
        ["why", "no\x1b[31msuch.yaml"],
        ["ls"],
        ["clean", "--recipe", "x\x1b[31m"],
        ["clean", "--everything"],
        ["drift", "recipe.yaml", found],
        ["drift", found, "no\x1b[31msuch.yaml"],
        ["report", "recipe.yaml"],
        ["report", found, "-o", f"{folder}/pa\x1b[31mge.html"],
        ["report", "no\x1b[31msuch"],
        ["log"],
        ["log", "show", "no\x1b[31msuch"],
        ["log", "show", str(rb.log()[0].run)],
        ["log", "show", str(rb.log()[0].run), "--recipe"],
        ["rerun", "no\x1b[31msuch"],
        ["tag", found, "na\x1b[31mme"],
        ["untag", "na\x1b[31mme"],
        ["v\x1b[31merify"],
        ["run", "--se\x1b[31med"],
    ]


def is_safe(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_every_verb_prints_what_can_only_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in verbs(folder):
        for more in ([], ["--json"], ["-v"]):
            capsys.readouterr()
            call([*arguments, *more])
            out, err = capsys.readouterr()
            assert is_safe(out) and is_safe(err), (arguments, more, out, err)
            assert out or err
            if more == ["--json"]:
                assert out.count("\n") == 1 and isinstance(json.loads(out), dict)


def test_every_verb_is_tried(folder: Path) -> None:
    from refinery_beam.cli.verbs import entries

    tried = {arguments[0] for arguments in verbs(folder)}
    # The same function as run; prints what this package knows, and nothing else.
    assert {entry.name for entry in entries()} - tried == {"materialize", "schema"}, (
        "a new verb comes with a call that names something hostile"
    )


def test_damage_with_a_hostile_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = instance(folder)
    extra = Path(found) / "dataset/train/x\x1b[31m\n.parquet"
    extra.write_bytes(b"")
    try:
        assert call(["verify", found]) == 3
        out = capsys.readouterr().out
        assert is_safe(out) and "x\\x1b[31m\\n.parquet" in out
        assert call(["verify", found, "--json"]) == 3
        paths = [finding["path"] for finding in json.loads(capsys.readouterr().out)["findings"]]
        assert "dataset/train/x\x1b[31m\n.parquet" in paths, "values are what they are"
    finally:
        extra.unlink()


def test_json_keeps_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "recipe.yaml", "--json"]) == 0
    out = capsys.readouterr().out
    assert is_safe(out)
    classes = json.loads(out)["classes"]["train"]
    assert set(classes) == set(LABELS)
    assert call(["status", "recipe.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["instance"] == instance(folder)


def test_a_line_break_is_not_a_backslash_and_an_n(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "recipe.yaml", "-q"]) == 0
    out = capsys.readouterr().out
    assert "'a\\nb'" in out and "'a\\\\nb'" in out


def test_the_next_command_is_one_that_a_shell_takes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b\x1b\n'$x.yaml").write_text(RECIPE.replace("my-images", str(tmp_path / "none")))
    word = shell_word("a b\x1b\n'$x.yaml")
    assert word.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True).stdout
    assert said == "a b\x1b\n'$x.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_on_a_terminal(term: str, folder: Path) -> None:
    """A real process on a pseudo-terminal: the only control sequences are our own colours."""
    for arguments in (["plan", "recipe.yaml"], ["status", instance(folder)], ["validate", "no\x1b]0;title\x07such.yaml"]):
        text = on_terminal(arguments, term=term)
        rest = re.sub(r"\x1b\[[0-9;]*m", "", text) if term != "dumb" else text
        assert is_safe(rest.replace("\r\n", "\n")), (arguments, rest)
        assert ("\x1b[" in text) is (term != "dumb")
    assert "\x1b[3" not in on_terminal(["status", instance(folder)], term=term, NO_COLOR="1")
    assert "\x1b[3" not in on_terminal(["status", instance(folder), "--no-color"], term=term)


@pytest.mark.slow
def test_every_verb_on_a_terminal(folder: Path) -> None:
    for arguments in verbs(folder):
        text = on_terminal(arguments, term="xterm-256color", LINES="24", COLUMNS="60")
        # Progress is a line that is redrawn.
        rest = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n").replace("\r", "")
        assert rest and is_safe(rest) and "Traceback" not in rest, (arguments, rest)


def on_terminal(arguments: list[str], **environment: str) -> str:
    ours, theirs = pty.openpty()
    names = {name.upper() if name == "term" else name: value for name, value in environment.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "refinery_beam", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(output.__file__).parents[2]), "NO_COLOR": "", **names},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        text += part
    process.wait()
    os.close(ours)
    return text.decode()


NASTY = st.text(st.characters() | st.sampled_from("\x1b\x07\x85\u2028\u202e\n\\n\r\t\x9b"), max_size=12)


@given(NASTY, NASTY)
def test_two_names_never_look_alike(one: str, other: str) -> None:
    assert (display(one) == display(other)) is (one == other)
    assert display(one).isprintable() and visible(one).isprintable()


@given(st.dictionaries(NASTY, NASTY | st.lists(NASTY, max_size=2), max_size=3))
def test_json_is_printable_and_parses_to_the_same(body: dict[str, Any]) -> None:
    text = json_text(body)
    assert text.isprintable() and json.loads(text) == body


@given(st.lists(st.tuples(NASTY, NASTY), max_size=3))
def test_blocks_are_lines_of_printable_text(pairs: list[tuple[str, str]]) -> None:
    blocks = [
        Facts(pairs),
        Table(["a", "b"], pairs),
        *(Line(text) for _, text in pairs),
        Table(["a"], [[Words(text)] for text, _ in pairs]),
    ]
    lines = [line for block in blocks for line in plain(block)]
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(pairs) * 4 + 2


def test_a_label_of_a_megabyte_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    label = "x" * (1 << 20)
    output.show(Table(["label"], [[label]]), Facts([("label", label)]), f"a message about {label}")
    out = capsys.readouterr().out
    assert len(out) < 50_000 and "(1,048,376 more)" in out
    output.print_json({"label": label})
    assert json.loads(capsys.readouterr().out) == {"label": label}


def test_a_stream_that_cannot_say_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An encoding without a letter: an escape, not a traceback."""
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output.show("größe", Facts([("é", "\u202e")]))
        output.print_json({"é": "ü"})
    text = (tmp_path / "out").read_text()
    assert text.splitlines()[0] == "gr\\xf6\\xdfe"
    assert json.loads(text.splitlines()[-1]) == {"é": "ü"}
