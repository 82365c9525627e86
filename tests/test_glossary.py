"""One word, one meaning: retired words, and the words that took over their meanings.

Identifiers are split at underscores and capitals. Prose is docstrings and comments of the package and the pages, without code in them;
names of tests are sentences, so they are read as neither. Strings are not read: keys, recipe words, check names and messages are contract.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

SAY = {
    "place": "at (a position in a recipe), location (a path or URL), position (a rank), slot",
    "reference": "ref (a record without its content), comparison (the instance that an assertion compares with)",
    "beside": "contracts, sample, sinks: each by its name",
    "look": "lookup (in the cache), peek (into a file), inspect_folder (init)",
    "seen": "the thing: counts, names, a summary",
    "told": "the thing: messages, warnings, a listener",
    "flow": "step_counts",
    "growth": "step_counts",
    "children": "generated (records), environment (of processes), list_children (names below a URL)",
    "choose": "the thing chosen: a sample, a plan of workers, a kind of digest",
    "levels": "byte_values (0 to 255), depth (of nesting)",
    "variants": "generated (records), overlays; variants are made by augmentation only",
    "imports": "borrowed (statistics of another instance)",
    "mark": "marker",
    "alone": "retry_alone, suspects",
    "watch": "parent_death, or what it does",
    "death": "job_died, parent_death",
}

# Other forms of the same words, as parts of identifiers.
FORMS = {
    **{word: word for word in SAY},
    **dict.fromkeys(("places",), "place"),
    **dict.fromkeys(("references",), "reference"),
    **dict.fromkeys(("looks", "seer"), "look"),
    **dict.fromkeys(("flows",), "flow"),
    **dict.fromkeys(("chooses", "chosen", "choice", "choices"), "choose"),
    **dict.fromkeys(("variant",), "variants"),
    **dict.fromkeys(("imported",), "imports"),
    **dict.fromkeys(("marks",), "mark"),
    **dict.fromkeys(("tether", "watcher"), "watch"),
    **dict.fromkeys(("deaths",), "death"),
}

# Exact names that stay, wherever they are.
NAMES = {
    # words of the glossary itself
    "list_children", "retry_alone", "parent_death",
    # check names that `validate` prints
    "class_imbalance_strategy_in_one_place", "operations_reference_declared_fields", "overlays_reference_declared_sections",
    "filter_references", "split_references_defined",
    # the field's word for how much is logged
    "LOG_LEVELS",
    # arguments of PyYAML
    "flow_style", "default_flow_style",
    # a constant of Python's resource module
    "RUSAGE_CHILDREN",
}  # fmt: skip

# Names that stay in some files: (how the file's path begins, the name).
NAMES_IN = [
    # PyYAML's positions, pytest's marks
    ("refinery_beam/recipe/yaml/parse.py", "mark"),
    ("refinery_beam/recipe/yaml/parse.py", "start_mark"),
    ("tests/", "mark"),
    ("tests/", "marks"),
    ("examples/plugin_package/tests/", "mark"),
    # the parameter `reference` of the assertion `distributional`
    ("refinery_beam/plugins/assertions/distributional.py", "reference"),
    ("tests/pipeline/test_contracts.py", "reference"),
    # augmentation
    *((path, name)
      for path in ("refinery_beam/reading/view.py", "refinery_beam/plugins/pictures.py", "refinery_beam/testing/picture_view.py",
                   "refinery_beam/plugins/image_classification/pictures.py", "tests/launch/test_pictures.py")
      for name in ("variant", "variants", "Variants", "n_variants", "_stored_variants")),
    ("refinery_beam/record/", "is_first_variant"),
    # arguments and functions of argparse and random
    ("refinery_beam/testing/images.py", "choices"),
    ("tests/recipe/test_fuzz.py", "choice"),
    ("tests/plugins/test_decode.py", "choice"),
    ("tests/reading/test_readers.py", "choices"),
    # imports of Python modules
    *(("tests/test_imports.py", name) for name in ("imported_modules", "rooms_imported", "files_imported")),
    ("tests/docs/test_project.py", "imported"),
    # functions that recipes of the compatibility suite name
    *(("tests/support/checks.py", name) for name in ("hash_alone", "imported_statistics", "variants_by_name", "variant")),
]  # fmt: skip

# In prose some of these words are plain English in another meaning: the pattern says which uses are retired.
PROSE = {
    r"\b(?<!in )places?\b|\bin places?\b(?= (where|that|of)\b)(?! of\b)": "place",
    r"(?<!record )\breferences?\b": "reference",
    r"\b(stands?|lies?|is) beside the (dataset|shards)\b|\bwhat (stands|lies|is) beside\b": "beside",
    r"\b(a|one|two|another|second|every|no) looks?\b(?!-up)|\blook(s|ed|ing)? into\b": "look",
    r"\bseen\b": "seen",
    r"\btold\b": "told",
    r"\bflows?\b": "flow",
    r"\bgrowth\b": "growth",
    r"\bchildren\b|\bmade (one|record)s?\b": "children",
    r"\bchosen\b|\bchoices\b": "choose",
    r"\blevels\b": "levels",
    r"\bimport\w*\b[^.]{0,40}\bstatistics\b|\bstatistics\b[^.]{0,40}\bimport\w*\b": "imports",
    r"\bmark(s|ed|ing)?\b": "mark",
    r"\btether\w*\b|\bwatch\w*\b": "watch",
    r"\bdeaths?\b": "death",
}

# Prose that stays: (how the file's path begins, the words).
PROSE_IN = [
    ("", "byte order mark"),
]

AUGMENTING = re.compile(r"augment|epoch|expansion", re.IGNORECASE)


class Use(NamedTuple):
    """A retired word in a file."""

    file: str
    line: int
    text: str
    word: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text!r}; say {SAY[self.word]}"


def parts(name: str) -> list[str]:
    """The words of an identifier, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


class Words(NamedTuple):
    """What is read of a module: its names, each with its first line, and its comments and docstrings with theirs."""

    names: dict[str, int]
    prose: list[tuple[int, str]]


@cache
def words_of(source: str) -> Words:
    """The words of a module. Three tests read the same thousand modules."""
    words = Words({}, [])
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            words.names.setdefault(token.string, token.start[0])
        elif token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.lstrip("rR").startswith('"""')):
            words.prose.append((token.start[0], token.string))
    return words


def in_names(file: str, source: str) -> Iterator[Use]:
    """Retired words in the identifiers of a module. The names of tests are sentences."""
    for name, line in words_of(source).names.items():
        if name in NAMES or name.startswith("test_") or any(file.startswith(path) and name == kept for path, kept in NAMES_IN):
            continue
        for word in parts(name):
            if word in FORMS:
                yield Use(file, line, name, FORMS[word])


def in_prose(file: str, text: str, first_line: int) -> Iterator[Use]:
    """Retired words in a text that is a docstring, a block of comments or a page."""
    text = re.sub(
        r"```.*?```|``[^`]+``|`[^`\n]+`|'[\w-]+'|>>> .*|\]\([^)]*\)|https?://\S+", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S
    )
    for path, words in PROSE_IN:
        if file.startswith(path):
            text = text.replace(words, " " * len(words))
    for pattern, word in PROSE.items():
        for found in re.finditer(pattern, text, re.IGNORECASE):
            yield Use(file, first_line + text.count("\n", 0, found.start()), " ".join(found[0].split()), word)
    for paragraph in re.finditer(r"(?:[^\n]+\n?)+", text):
        found = re.search(r"\bvariants?\b", paragraph[0], re.IGNORECASE)
        if found and not AUGMENTING.search(text):
            yield Use(file, first_line + text.count("\n", 0, paragraph.start() + found.start()), found[0], "variants")


def in_docstrings(file: str, source: str) -> Iterator[Use]:
    """Retired words in the docstrings and comments of a module."""
    for line, text in words_of(source).prose:
        yield from in_prose(file, text, line)


def files(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if ".venv" not in path.parts)


def test_no_identifier_uses_a_retired_word() -> None:
    modules = files("refinery_beam/**/*.py", "tests/**/*.py", "benchmarks/*.py", "launchers/**/*.py", "examples/**/*.py", "setup.py")
    assert len(modules) > 400
    assert [str(use) for path in modules for use in in_names(path.relative_to(ROOT).as_posix(), path.read_text())] == []


def test_no_module_is_named_by_a_retired_word() -> None:
    modules = files("refinery_beam/**/*.py")
    assert [path for path in modules if path.stem not in NAMES and set(parts(path.stem)) & set(FORMS)] == []


def test_no_docstring_and_no_comment_uses_a_retired_word() -> None:
    modules = files("refinery_beam/**/*.py")
    assert [str(use) for path in modules for use in in_docstrings(path.relative_to(ROOT).as_posix(), path.read_text())] == []


def test_no_page_uses_a_retired_word() -> None:
    # Not the table of errors: it repeats the words of messages.
    pages = [path for path in files("docs/*.md", "README.md", "CONTRIBUTING.md") if path.name != "errors.md"]
    assert len(pages) > 14
    assert [str(use) for path in pages for use in in_prose(path.relative_to(ROOT).as_posix(), path.read_text(), 1)] == []


@pytest.mark.slow
def test_every_exception_is_used() -> None:
    tokens = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in files("refinery_beam/**/*.py", "tests/**/*.py", "examples/**/*.py")
        for name in words_of(path.read_text()).names
    }
    names = {name for _, name in tokens}
    assert [name for name in NAMES if name not in names | {path.stem for path in files("refinery_beam/**/*.py")}] == []
    used = {(path, name) for path, name in NAMES_IN if any(file.startswith(path) and token == name for file, token in tokens)}
    assert {path for path, _ in NAMES_IN} == {path for path, _ in used}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("look_at = 1", ["look"]),
        ("class GrowthRow: pass", ["growth"]),
        ("def f(chosenOne, seen_values): return chosenOne", ["choose", "seen"]),
        ("lookup = byte_values = marker = replace = 1", []),
        ("import os.path as retry_alone", []),
        ("x = {'place': 'reference'}", []),
    ],
)
def test_the_checker_finds_words_in_names(source: str, words: list[str]) -> None:
    assert [use.word for use in in_names("x.py", source)] == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Each value keeps its place.", ["place"]),
        ("The list is sorted in place.", []),
        ("References to records, and a record reference.", ["reference"]),
        ("The field `place` of ``reference``.", []),
        ("What was seen is told.", ["seen", "told"]),
        ("Another look at the file, and it looks into the next", ["look", "look"]),
        ("The variants of a recipe", ["variants"]),
        ("Stored variants of an augmentation", []),
        ("Statistics that are imported from another instance", ["imports"]),
        ("It imports Beam.", []),
        ("A replacement, a lookup, a marker and a child process", []),
    ],
)
def test_the_checker_finds_words_in_prose(text: str, words: list[str]) -> None:
    assert [use.word for use in in_prose("x.py", text, 1)] == words
    assert [use.word for use in in_docstrings("x.py", f'def f():\n    """{text}"""\n    # {text}\n')] == words * 2
