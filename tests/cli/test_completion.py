"""Completion in real shells: what a person gets who presses the tabulator key."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cli.app import call

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {sources: [{name: photos, type: image_folder, path: my-images}]}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}
Splits: {ratios: {train: 0.5, test: 0.4}, stratify_by: label}
Transformations:
  - {name: resize, op: resize, params: {size: 16, method: bilinear}, splits: [train, test]}
Visualizations:
  - {name: examples, op: sample_grid, stage: post_pipeline, mode: reporting}
overlays:
  more: {Splits: {ratios: {train: 0.6, test: 0.4}}}
  less: {Splits: {ratios: {train: 0.3, test: 0.4}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("completion")
    (root / "recipe.yaml").write_text(RECIPE)
    (root / "my images").mkdir()
    bin = root / ".bin"
    bin.mkdir()
    (bin / "refinery-beam").write_text(f'#!/bin/sh\nexec {sys.executable} -m refinery_beam "$@"\n')
    (bin / "refinery-beam").chmod(0o755)
    return root


def environment(folder: Path) -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    return {**os.environ, "PATH": f"{folder / '.bin'}:{os.environ['PATH']}", "PYTHONPATH": package, "HOME": str(folder), "TERM": "xterm"}


def shell(name: str, script: str, folder: Path) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [path, "-c", script], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


CASES: list[tuple[list[str], set[str]]] = [
    (["ver"], {"verify"}),
    (["run", "--runn"], {"--runner"}),
    (["run", "recipe.yaml", "--runner", "fl"], {"flink"}),
    (["run", "recipe.yaml", "--mode", ""], {"auto", "threads", "processes"}),
    (["run", "recipe.yaml", "--overlay", ""], {"more", "less"}),
    (["draw", "recipe.yaml", "ex"], {"examples"}),
    (["verify", "--d"], {"--deep", "--digest", "--debug"}),
]


def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> set[str]:
    monkeypatch.setenv("_REFINERY_BEAM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(["refinery-beam", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call([])
    assert ended.value.code == 0
    return set(capsys.readouterr().out.split())


@pytest.mark.parametrize(("words", "offers"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_is_offered(
    words: list[str], offers: set[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert asked(monkeypatch, capsys, *words) == offers


def test_an_option_that_bash_parts_from_its_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert asked(monkeypatch, capsys, "run", "recipe.yaml", "--runner", "=", "sp") == {"spark"}
    assert asked(monkeypatch, capsys, "run", "--mode", "=", "threads", "recipe.yaml", "--runner", "=") >= {"spark", "flink"}


def test_a_recipe_that_is_half_written_offers_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.yaml").write_text("schema_version: [")
    assert asked(monkeypatch, capsys, "run", "half.yaml", "--overlay", "") == set()


def test_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("bash", "zsh", "fish"):
        assert call(["completion", name]) == 0
        assert f"complete_{name}" in capsys.readouterr().out
    assert call(["completion", "tcsh"]) == 2
    assert "there is no completion for the shell 'tcsh'" in capsys.readouterr().err


def test_install_writes_to_where_the_shell_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias a=b\n")
    assert call(["completion", "bash", "--install"]) == 0
    script = tmp_path / ".bash_completions/refinery-beam.sh"
    assert str(script) in capsys.readouterr().out and "complete_bash" in script.read_text()
    assert (tmp_path / ".bashrc").read_text().startswith("alias a=b\n") and str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.slow
def test_bash(folder: Path) -> None:
    """Its own function for completion, called as readline calls it."""
    ask = "".join(
        f"COMP_WORDS=({' '.join(repr(word) for word in ['refinery-beam', *words])}); COMP_CWORD={len(words)}; COMPREPLY=()\n"
        "_refinery_beam_completion refinery-beam; printf '%s ' \"${COMPREPLY[@]}\"; echo\n"
        for words, _ in CASES
    )
    lines = shell("bash", f"source <(refinery-beam completion bash)\n{ask}", folder).splitlines()
    assert [set(line.split()) for line in lines] == [offers for _, offers in CASES]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("refinery-beam veri\t", "refinery-beam verify "),
        ("refinery-beam run rec\t", "refinery-beam run recipe.yaml "),
        ("refinery-beam run --cache-root my\t", "refinery-beam run --cache-root my\\ images/"),
        ("refinery-beam run recipe.yaml --runner=sp\t", "refinery-beam run recipe.yaml --runner=spark "),
        ("refinery-beam draw recipe.yaml exa\t", "refinery-beam draw recipe.yaml examples "),
    ],
)
@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_keys_on_a_terminal(name: str, typed: str, becomes: str, folder: Path) -> None:
    """A shell on a pseudo-terminal, keys as a person presses them: the line that the shell has then is printed by it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    if name == "zsh" and "=" in typed:
        pytest.skip("typer's script for zsh completes values that follow a space")
    arguments = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[name]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [path, *arguments], cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        setup = {
            "bash": "bind 'set bell-style none'; source <(refinery-beam completion bash)",
            "zsh": "unsetopt BEEP; autoload -U compinit; compinit -u -D; source <(refinery-beam completion zsh)",
        }[name]
        send(ours, f"PS1='$ '; {setup}; echo REA''DY\n")
        until(ours, r"READY\r?\n")
        send(ours, typed)
        # Whatever the terminal shows, the end of the line arrives after the shell has completed.
        text = until(ours, re.escape(becomes.split()[-1]))
        assert becomes.split()[-1] in text
        if name == "bash":
            send(ours, "\x01echo '<\x05>'\n")
            assert f"<{becomes}>" in until(ours, r"<[^\r\n]*>\r?\n").replace("\x07", "")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def send(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def until(terminal: int, pattern: str) -> str:
    """What the terminal shows, up to the pattern; the test's own time limit ends a wait for what never comes."""
    text = ""
    while not re.search(pattern, plain(text)):
        try:
            text += os.read(terminal, 4_096).decode(errors="replace")
        except OSError:
            break
    return plain(text)


def plain(text: str) -> str:
    """Without what moves the cursor and colours."""
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>]|\][^\x07]*\x07)|\x08", "", text)


@pytest.mark.slow
def test_fish(folder: Path) -> None:
    ask = "; ".join(
        f'complete -C "refinery-beam {line}"; echo ----'
        for line in ("ver", "run recipe.yaml --runner fl", "run rec", "run recipe.yaml --overlay ")
    )
    found: list[Any] = shell("fish", f"source (refinery-beam completion fish | psub); {ask}", folder).split("----\n")
    offers = [{line.split("\t")[0] for line in part.splitlines()} for part in found]
    assert offers[:4] == [{"verify"}, {"flink"}, {"recipe.yaml"}, {"less", "more"}]
