"""How an error gets its rule and its remedy."""

from __future__ import annotations

import pickle

import pytest

from refinery_beam.crashes.job_died import worker_died
from refinery_beam.errors import ErrorGroup, PluginError, RecipeError, RefineryError
from refinery_beam.rules import RULES, fill


def sent(error: RefineryError) -> RefineryError:
    """The error as a driver gets it from a worker."""
    got = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(got, type(error)) and got.to_dict() == error.to_dict() and got.render() == error.render()
    return got


def test_an_error_has_the_texts_of_its_code() -> None:
    error = RecipeError("two rules", code="two-split-rules", at="r.yaml:3:1")
    assert (error.rule, error.remedy) == ("one rule makes the splits", "remove one of the two")
    assert error.render() == "r.yaml:3:1: two rules\n  rule:   one rule makes the splits\n  remedy: remove one of the two"


def test_facts_go_into_the_texts() -> None:
    error = RecipeError("'a' names no splits", code="no-splits", splits=["train", "test"])
    assert error.remedy == "add 'splits: [train, test]'"
    assert list(error.to_dict()) == ["code", "message", "place", "value", "rule", "remedy"]


def test_the_value_is_a_fact() -> None:
    assert RecipeError("x", code="two-label-sources", value="image_folder").rule.startswith("a source of type image_folder takes")


def test_the_words_of_the_place_come_first() -> None:
    error = RecipeError("x", code="no-splits", rule="ratios give each split its share", remedy="")
    assert (error.rule, error.remedy) == ("ratios give each split its share", "")


def test_a_code_of_a_plugin_says_what_it_says() -> None:
    error = PluginError("the lamp is out", code="acme-lamp-out", value=3, rule="lamps shine", colour="red")
    assert (error.rule, error.remedy, error.to_dict()["code"]) == ("lamps shine", "", "acme-lamp-out")
    sent(error)


def test_a_missing_fact_leaves_its_name() -> None:
    assert RecipeError("x", code="no-splits").remedy == "add 'splits: [SPLITS]'"
    assert RecipeError("x", code="unsafe-name").remedy == "rename it, for example 'NAME'"


@pytest.mark.parametrize("code", sorted(RULES))
def test_no_fact_breaks_a_text(code: str) -> None:
    error = RecipeError("x", code=code, value="{0} {", **dict.fromkeys(("known", "type", "limit"), "{odd} %s }{"))
    assert error.rule and error.remedy
    sent(error)


def test_pickling_keeps_what_was_filled_in() -> None:
    assert sent(RecipeError("x", code="no-splits", splits=["train"], value="v", at="r.yaml:1:1")).remedy == "add 'splits: [train]'"
    assert sent(RecipeError("x", code="no-splits", rule="", remedy="")).rule == ""
    assert sent(worker_died("SIGKILL", ())).rule == "worker processes live until the job is done"


def test_a_group_speaks_as_its_first() -> None:
    first = RecipeError("x", code="no-splits", splits=["train"])
    group = ErrorGroup([first, RecipeError("y", code="two-split-rules")])
    assert (group.rule, group.remedy) == (first.rule, first.remedy)
    assert "add 'splits: [train]'" in sent(group).render() and "remove one of the two" in group.render()


def test_filling() -> None:
    assert fill("plain {{label}}", {}) == "plain {label}"
    assert fill("{a!r} of {b}", {"a": "x", "b": (1, 2)}) == "'x' of 1, 2"
    assert fill("{a} of {b!r}", {}) == "A of 'B'"
    assert fill("{a}", {"a": {"one": 1, "two": 2}}) == "one, two"
    assert fill("{a}", {"a": b"12"}) == "b'12'"
