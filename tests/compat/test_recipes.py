"""Every recipe of the suite, and what must come out of it; of the most different ones also the digests, as they were written down.

`digests.json` also names what decided those bytes. On a machine whose codecs do something else the rows are others, and with other packages
the files are: there only what must still hold is compared. ``PYTHONPATH=tests python -m support.digests`` writes the file anew.

The quick tests have every recipe that is refused, those with digests and a few more, so that each family of ops and each kind of check is
there; the slow ones have the rest.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.launch import RunResult
from support import checks, law
from support.digests import KNOWN
from support.kitchen import NAMES, Kitchen, expectations, rows

KEYS = {
    *("about", "rows", "overlays", "first", "counts", "labels", "labels_all", "ids_any", "law", "lowest", "ledger", "warnings"),
    *(
        "generated",
        "augmented",
        "fields",
        "files",
        "sample",
        "statistics",
        "check",
        "same_as",
        "differs_from",
        "refused",
        "fails",
        "pictures",
    ),
}


QUICK = {*KNOWN["recipes"], "contract_broken", "pictures", "split_both_margins_filtered", "split_other_order", "v3_main"}


def marked(name: str) -> Any:
    """A recipe's name, with the marker of slow tests unless it is quick or refused before anything is read."""
    return name if name in QUICK or "refused" in expectations(name) else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [marked(name) for name in NAMES])
def test_recipe(name: str, kitchen: Kitchen) -> None:
    want = expectations(name)
    assert set(want) <= KEYS and {"about", "rows"} < set(want), "a recipe says what it shows and what must come out"
    if "refused" in want or "fails" in want:
        with pytest.raises(RefineryError) as caught:
            kitchen.cook(name)
        refused(kitchen, name, caught.value, want)
        if "check" in want:
            getattr(checks, want["check"])(kitchen)
    else:
        result = kitchen.cook(name)
        came_out(kitchen, result, want)
        if name in KNOWN["recipes"]:
            has_the_same_bytes_as_ever(name, result.manifest.raw)


def has_the_same_bytes_as_ever(name: str, raw: dict[str, Any]) -> None:
    want = KNOWN["recipes"][name]
    if raw["codec_fingerprint"] == KNOWN["codec_fingerprint"]:
        assert raw["logical_digest"] == want["logical_digest"]
        if raw["environment"]["packages"] == KNOWN["packages"]:
            assert raw["files_digest"] == want["files_digest"]


def refused(kitchen: Kitchen, name: str, error: RefineryError, want: dict[str, Any]) -> None:
    errors = error.errors()
    expected = want.get("refused") or want["fails"]
    assert {e.code for e in errors} == {expected["code"]}
    assert all(e.rule and e.remedy for e in errors)
    if "refused" in want:
        path, line, column = errors[0].at.rsplit(":", 2)
        assert Path(path).name == f"{name}.yaml"
        text = (kitchen.root / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert expected["at"] and text[int(column) - 1 :].startswith(expected["at"])
    else:
        assert expected["word"] and expected["word"] in f"{errors[0].message} {errors[0].at}"


def came_out(kitchen: Kitchen, result: RunResult, want: dict[str, Any]) -> None:
    raw = result.manifest.raw
    if "same_as" in want:
        other = kitchen.cook(want["same_as"])
        assert (result.path, raw["files_digest"]) == (other.path, other.manifest.raw["files_digest"])
        return
    if "differs_from" in want:
        other = kitchen.cook(want["differs_from"])
        assert raw["recipe_hash"] != other.manifest.raw["recipe_hash"] and raw["logical_digest"] != other.manifest.raw["logical_digest"]
    found = rows(result)
    assert raw["records_in"] + sum(raw["generated"].values()) >= len(found)
    if "counts" in want:
        assert list(result.counts.items()) == list(want["counts"].items())
    assert dict(raw["ledger"]) == want.get("ledger", {})
    assert sorted({w["code"] for w in raw["warnings"]}) == want.get("warnings", [])
    assert {op: n for op, n in raw["generated"].items() if n} == want.get("generated", {op: n for op, n in raw["generated"].items() if n})
    for split, labels in want.get("labels", {}).items():
        assert Counter(row["label"] for row in found.values() if row["split"] == split) == labels
    if "labels_all" in want:
        assert Counter(row["label"] for row in found.values()) == want["labels_all"]
    if "ids_any" in want:
        assert sorted(found) == sorted(want["ids_any"])
    if "law" in want:
        assert {s: {i for i, row in found.items() if row["split"] == s} for s in result.counts} == by_law(kitchen, want["law"])
    if "lowest" in want:
        assert set(found) == by_rank(kitchen, want["lowest"])
    if "augmented" in want:
        assert sum("#" in record_id for record_id in found) == want["augmented"]
    if "fields" in want:
        assert all(sorted({*row} - {"split"}) == want["fields"] for row in found.values())
    for pattern, count in want.get("files", {}).items():
        assert len(list(Path(result.path).glob(pattern))) == count
    if "sample" in want:
        checks.sample(result, want["sample"])
    if "pictures" in want:
        assert list(result.pictures) == want["pictures"] and all(Path(p).is_file() for p in result.pictures.values())
    if "statistics" in want:
        checks.statistics(kitchen, result, want["statistics"])
    if "check" in want:
        getattr(checks, want["check"])(kitchen, result)


def by_law(kitchen: Kitchen, rule: dict[str, Any]) -> dict[str, set[str]]:
    files = kitchen.files(rule.get("folder", "shapes"), "shapes")
    if "only" in rule:
        files = {record_id: file for record_id, file in files.items() if record_id.split("/")[1] in rule["only"]}
    seed = law.derived_seed(7, "Splits") if rule["seed"] == "from_master" else rule["seed"]
    return law.splits(files, seed=seed, ratios=rule["ratios"], stratify=rule["stratify"])


def by_rank(kitchen: Kitchen, rule: dict[str, Any]) -> set[str]:
    ids = list(kitchen.files("shapes", "shapes"))
    if not rule.get("each"):
        return law.lowest(ids, rule["n"], seed=rule["seed"], name=rule["name"])
    classes: dict[str, list[str]] = {}
    for record_id in ids:
        classes.setdefault(record_id.split("/")[1], []).append(record_id)
    return {i for members in classes.values() for i in law.lowest(members, rule["n"], seed=rule["seed"], name=rule["name"])}
