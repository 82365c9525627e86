"""The catalogue has every code that the package uses and no other, and whoever raises an error gives the facts that its texts need.

The places are read from the syntax tree: every call with ``code="a-word"``.
"""

from __future__ import annotations

import ast
import string
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from refinery_beam import errors
from refinery_beam.errors import RefineryError
from refinery_beam.records import ASKED_FOR
from refinery_beam.rules import RULES, SECTIONS, Rule
from refinery_beam.rules.reasons import REASONS, reason_of

PACKAGE = Path(__file__).parents[2] / "refinery_beam"

NO_FACTS = {"message", "code", "at", "value", "rule", "remedy"}
"""The parameters of every error. ``value`` may stand in a template without being given as a fact."""

PARAMETERS = {
    "JobDied": {"markers"},
    "c.error": {"key"},
    "c.unknown": {"what"},
    "self.error": {"mark"},
    "store_error": {"reason"},
    "TableFault": {"apart", "cannot", "line"},
}
"""Parameters that are no facts, of the helpers that have some."""

HELPERS_GIVE = {"c.unknown": {"known"}, "self.unknown": {"known"}}
"""Facts that a helper gives."""

EXITS = {name: kind.exit_code for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RefineryError)}
EXITS |= dict.fromkeys(("c.error", "c.warning", "c.unknown", "self.error"), 1)  # these make a RecipeError


class Site(NamedTuple):
    """A place that raises an error, or makes one."""

    at: str
    call: str
    codes: tuple[str, ...]
    keywords: Mapping[str, ast.expr]
    whole: bool
    """False where ``**more`` hides some of the keywords."""


Trees = list[tuple[str, list[ast.AST]]]
"""The nodes of every file."""


def plain_words(node: ast.expr) -> tuple[str, ...]:
    """The words an expression may give: a word, or a choice between words."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.IfExp):
        return plain_words(node.body) + plain_words(node.orelse)
    return ()


def find_sites(trees: Trees) -> Iterator[Site]:
    for name, nodes in trees:
        for node in (n for n in nodes if isinstance(n, ast.Call)):
            keywords = {k.arg: k.value for k in node.keywords if k.arg}
            codes = plain_words(keywords["code"]) if "code" in keywords else ()
            if codes:
                yield Site(f"{name}:{node.lineno}", ast.unparse(node.func), codes, keywords, len(keywords) == len(node.keywords))


def find_other_codes(trees: Trees) -> Iterator[tuple[str, str]]:
    """Codes that do not stand in a call: in a dict, as the default of a parameter, assigned to a variable called code."""
    for name, nodes in trees:
        for node in nodes:
            found: list[ast.expr | None] = []
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "code"]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "code":
                found = [node.value]
            elif isinstance(node, ast.FunctionDef):
                arguments = node.args.args[-len(node.args.defaults) :] if node.args.defaults else []
                pairs_of = [
                    *zip(arguments, node.args.defaults, strict=True),
                    *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
                ]
                found = [default for argument, default in pairs_of if argument.arg == "code"]
            yield from ((f"{name}:{node.lineno}", word) for value in found if value is not None for word in plain_words(value))  # type: ignore[attr-defined]
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Refusal", "DataError")
                and "code" in {k.arg for k in node.keywords}
            ):
                derived = next(k.value for k in node.keywords if k.arg == "code")
                if ast.unparse(derived) == "reason.replace('_', '-')":
                    yield from ((f"{name}:{node.lineno}", word) for word in ("changed-during-run", "unreadable"))


class Package(NamedTuple):
    """What the source of the package says."""

    sites: tuple[Site, ...]
    other_codes: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def package() -> Package:
    """It takes seconds: read for the tests that need it, and not by every process that lists tests."""
    trees = [(file.relative_to(PACKAGE).as_posix(), [*ast.walk(ast.parse(file.read_bytes()))]) for file in sorted(PACKAGE.rglob("*.py"))]
    return Package(tuple(find_sites(trees)), tuple(find_other_codes(trees)))


def facts_of(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_the_sites_are_found(package: Package) -> None:
    assert len(package.sites) > 250 and len(package.other_codes) > 10


def test_every_code_is_in_the_catalogue_and_every_entry_is_used(package: Package) -> None:
    used = {code for site in package.sites for code in site.codes} | {code for _, code in package.other_codes}
    used |= {"changed-during-run", "unreadable"}  # a reason with hyphens
    assert sorted(used - set(RULES)) == [], "raised, but not in the catalogue"
    assert sorted(set(RULES) - used) == [], "in the catalogue, but never raised"


def test_a_code_has_one_entry() -> None:
    assert {code: n for code, n in Counter(code for section in SECTIONS for code in section.rules).items() if n > 1} == {}


def test_every_entry_says_all_three() -> None:
    for code, rule in RULES.items():
        assert all(text and text == text.strip() for text in rule), code
        for template in (rule.rule, rule.remedy):
            for _, name, spec, conversion in string.Formatter().parse(template):
                if name is not None:
                    assert name.isidentifier() and not spec and conversion in (None, "r"), template
                    assert name not in NO_FACTS - {"value"}, f"{name} is a parameter of every error"


def test_every_place_gives_the_facts_of_its_texts_and_no_others(package: Package) -> None:
    wrong = []
    for site in package.sites:
        given = set(site.keywords) | HELPERS_GIVE.get(site.call, set())
        takes: set[str] = set()
        for rule in (RULES[code] for code in site.codes):
            for text, template in (("rule", rule.rule), ("remedy", rule.remedy)):
                takes |= facts_of(template)
                if text not in site.keywords and site.whole and not facts_of(template) <= given:
                    wrong.append(f"{site.at} lacks {sorted(facts_of(template) - given)}")
        odd = set(site.keywords) - takes - NO_FACTS - PARAMETERS.get(site.call, set())
        wrong += [f"{site.at} gives {sorted(odd)}, which no text of {site.codes} takes"] if odd else []
    assert wrong == []


def test_no_place_repeats_the_catalogue(package: Package) -> None:
    for site in (site for site in package.sites if site.call != "Refusal"):
        for text in ("rule", "remedy"):
            own = plain_words(site.keywords[text]) if text in site.keywords else ()
            for rule in (RULES[code] for code in site.codes):
                template = rule.rule if text == "rule" else rule.remedy
                assert facts_of(template) or template.format() not in own, f"{site.at} says what the catalogue says"


def test_a_code_that_comes_by_a_variable_needs_no_facts(package: Package) -> None:
    """Its place cannot be checked. `Context.unknown` gives the facts of its default."""
    needy = {(at, code) for at, code in package.other_codes if facts_of(RULES[code].rule) | facts_of(RULES[code].remedy)}
    assert {at.partition(":")[0] for at, _ in needy} <= {"recipe/checks/context.py"}


def test_the_exit_code_of_every_section(package: Package) -> None:
    """Of the classes that raise a code, one has the exit code of its section."""
    raised: dict[str, set[int]] = {}
    for site in (site for site in package.sites if site.call in EXITS):
        for code in site.codes:
            raised.setdefault(code, set()).add(EXITS[site.call])
    for section in SECTIONS:
        for code in section.rules:
            exits = raised.get(code, set())
            assert not exits or section.exit_code in exits or (code == "interrupted" and exits == {130}), (section.title, code)


def test_the_reasons() -> None:
    assert frozenset({"filtered", "duplicate", "unassigned"}) == ASKED_FOR
    assert all(reason.meaning and bool(reason.remedy) != reason.asked_for for reason in REASONS.values())
    assert reason_of("schema:label") is REASONS["schema:FIELD"]
    assert reason_of("contract:value_range") is REASONS["contract:KIND"]
    assert reason_of("too_purple").remedy == reason_of("odd:word").remedy == "mend or remove the file"


def test_the_catalogue_is_read_only_and_printable() -> None:
    with pytest.raises(TypeError):
        RULES["no-splits"] = Rule("", "", "")  # type: ignore[index]
    with pytest.raises(AttributeError):
        RULES["no-splits"].rule = ""  # type: ignore[misc]
    assert "names no split" in repr(RULES["no-splits"])


def test_importing_it_is_cheap() -> None:
    code = "import sys; before = set(sys.modules); import refinery_beam.rules; print(*sorted(set(sys.modules) - before))"
    new = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in new if name.startswith(("numpy", "pyarrow", "apache", "pydantic", "PIL", "yaml"))} == set()
