"""The page: it loads nothing, names in it are inert, its size is bounded, and it says the numbers of the report."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.records import LedgerRow
from refinery_beam.reporting import ReportFacts
from refinery_beam.reporting.opening import Opening
from refinery_beam.reporting.page import (
    Chain,
    Channels,
    Distribution,
    Drawn,
    LedgerPage,
    PageFacts,
    Picture,
    Properties,
    Record,
    Sizes,
    Stage,
    Values,
    bounds,
    render_page,
)
from refinery_beam.reporting.page.compared import compared_view
from refinery_beam.reporting.page.funnel import funnel
from refinery_beam.reporting.page.words import shortened
from refinery_beam.reporting.page_key import HEAD_BYTES, key_in

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "a](https://example.org)",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "a\nb\x00c\x9bd",
    "'; drop table classes; --",
    "\udce9",
)


def report(**changes: Any) -> ReportFacts:
    facts = ReportFacts(
        plugin="image_classification 2",
        recipe_hash="a" * 64,
        input_hash="b" * 64,
        seed=0,
        logical_digest="c" * 64,
        sources=[("photos", "image_folder", 12)],
        records_in=12,
        counts={"train": 7, "test": 3},
        classes={"train": {"cat": 4, "dog": 3}, "test": {"cat": 3}},
        unlabeled=(),
        noun="images",
        stored="uint8[2, 2, 3]",
        encoding="tensor",
        operations=[("Filters", "few", "random_sample", {"n": 10}, ["train", "test"])],
        deferred=[],
        fitted={},
        ledger=(),
        warnings=[],
        split_rule="train 0.7, test 0.3 (exact, seed 0)",
        steps=[("", "few", "kept", 11), ("", "Splits", "kept", 0), ("train", "Splits", "kept", 8), ("test", "Splits", "kept", 3)],
    )
    return replace(facts, **changes)


def page(**changes: Any) -> PageFacts:
    return replace(PageFacts(key="0" * 64, report=report()), **changes)


class Elements(HTMLParser):
    """The elements of a page and their attributes, its text by element, and what an address in it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def addresses(self) -> list[str]:
        return [
            value or "" for _, attributes in self.tags for name, value in attributes.items() if name in ("src", "href", "action", "srcset")
        ]


def shape(text: str) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Elements(text).tags]


def filled(name: str) -> PageFacts:
    """A page with everything on it, all of it called `name`."""
    picture = Picture("image/png", b"\x89PNG", 8, 8)
    records = [Record(f"photos/{name}", "train", name), Record(f"photos/{name}/2", "test", name)]
    rows = [{"record_id": r.record_id, "split": r.split, "label": r.label, "value": name} for r in records]
    return page(
        report=report(
            sources=[(name, name, 12)],
            classes={"train": {name: 7}, "test": {name: 3}},
            operations=[("Filters", name, name, {name: name}, ["train"])],
            warnings=[(name, name)],
            split_rule=name,
            fitted={name: {"channels": [{"min": 0, "max": 1, "count": 2}], "mean": [0.5], "std": [0.1]}, f"{name}2": {name: name}},
            expectations=[
                {"section": "OutputExpectations", "kind": name, "field": name, "params": {name: name}, "severity": "error", "passed": False,
                 "observed": {name: name}}
            ],
            messages=[name],
        ),
        ledger=LedgerPage(1, [(True, name, name, name, 1)], [LedgerRow(records[0].record_id, "", name, name, name, name)]),
        recipe=name,
        opening=Opening(
            split="train", name="train", content=name, pixels=("uint8", [2, 2, 3]), image=False, label=name, named=True, deferred=True
        ),
        environment={"platform": name, "packages": {name: name}},
        samples=records,
        pictures={record.record_id: picture for record in records},
        chain=Chain(records[0], [Stage(name, name, picture)], [Stage(name, name, picture)], name),
        properties=Properties(
            distributions=[Distribution("mean", name, ("0", "1", "2"), {"train": [1, 2], "test": [0, 1]}, {"train": ("0", "1", "2")})],
            values=[Values("camera", name, [(name, {"train": 7, "test": 3})], 2)],
            sizes=Sizes(2, 2, [(0, 0, 5), (1, 1, 900)], ("8", "9"), ("8", "9")),
            columns=["width", name],
            classes=[(name, 10, ["12", name])],
        ),
        channels=[Channels(name, "train", {"red": [1] * 256})],
        drawn=[Drawn("examples", picture, True)],
        findings={
            "records": 10,
            "quality": {"dark": {"rule": name, "what": name, "remedy": name, "records": 2, "splits": {"train": 2}, "first": rows}},
            "duplicates": {"exact": {"groups": 1, "records": 2, "within": {}, "across": {"train,test": 1}, "first": [rows]}},
            "label_conflicts": {"near": {"pairs": 1, "first": [rows]}},
            "shortcuts": [
                {"property": name, "values": 2, "cramers_v": "1.0000", "accuracy": "1.0000", "most_frequent": "0.5", "tested": 20,
                 "words": name, "fitted_on": "train",
                 "measured_on": "test", "warned": True, "sentence": name, "table": [[name, name, 3]]}
            ],
        },
        drift={
            "splits": {"train": {}, "test": {}},
            "distances": {"train,test": {"labels": {"l_infinity": name, "jensen_shannon": name}, "facts": {name: {"wasserstein": "0.5"}}}},
            "feature_summary": {split: {"facts": {name: {"scale": 1, "records": 5, "sum": 10}}} for split in ("train", "test")},
        },
        selection={
            "sources": [
                {"source": name, "selected": 12, "left_out": 1, "more_kinds": 0,
                 "bare_class_folders": [{"folder": name, "holds": {name: 1}}],
                 "kinds": [{"kind": name, "count": 1, "more_folders": 0, "folders": [{"folder": name, "count": 1, "examples": [name]}]}]}
            ]
        },
        absent=[name],
    )  # fmt: skip


PLAIN = render_page(filled("plain"))


def test_the_same_facts_give_the_same_bytes() -> None:
    assert render_page(filled("plain")) == PLAIN


def test_the_key_is_in_the_first_bytes() -> None:
    assert key_in(PLAIN.encode()[:HEAD_BYTES]) == "0" * 64


def test_nothing_is_loaded() -> None:
    found = Elements(PLAIN)
    assert {address.partition(",")[0] for address in found.addresses if not address.startswith("#")} == {
        "data:image/png;base64", "data:", "pictures/examples.png",
    }  # fmt: skip
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not re.search(r"@import|url\(|https?:", re.sub(r"<code>.*?</code>", "", PLAIN, flags=re.S))
    # The policy forbids them, so a page that has one is broken.
    assert not [tag for tag, attributes in found.tags if any(name == "style" or name.startswith("on") for name in attributes)]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_change_nothing_but_text(name: str) -> None:
    text = render_page(filled(name))
    assert shape(text) == shape(PLAIN)
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    text.encode()


@settings(max_examples=30, deadline=None)
@given(st.text())
def test_no_name_becomes_markup(name: str) -> None:
    text = render_page(page(report=report(sources=[(name, name, 12)], classes={"train": {name: 7}, "test": {}}, warnings=[(name, name)])))
    plain = render_page(page(report=report(sources=[("x", "x", 12)], classes={"train": {"x": 7}, "test": {}}, warnings=[("x", "x")])))
    assert shape(text) == shape(plain)


def test_of_a_long_name_both_ends_are_shown() -> None:
    text = render_page(filled("a" * 500_000 + "z"))
    assert len(text) < len(PLAIN) + 120_000
    assert "aaa…(499,881 more)…aaa" in text


def test_the_numbers_are_those_of_the_report() -> None:
    text = " ".join(" ".join(Elements(PLAIN).text).split())
    assert "10 images of 1 class in 2 splits, from 12 files" in text
    assert "train 0.7" not in text and "train 7 70.0%" in text


def test_splits_are_compared_in_their_order() -> None:
    def fact(total: int) -> dict[str, int]:
        return {"scale": 10, "records": 5, "sum": total}

    totals = {"test": {"mean": fact(500), "std": fact(50)}, "train": {"mean": fact(510), "std": fact(5)}, "val": {}}
    moved = {"mean": {"wasserstein": "2.0000"}, "std": {"wasserstein": "0.9000"}, "entropy": {"wasserstein": "0.0000"}}
    drift = {
        "distances": {
            "train,test": {"labels": {"l_infinity": "0.1000", "jensen_shannon": "0.2000"}, "facts": moved},
            "train,val": {"labels": {"l_infinity": None, "jensen_shannon": None}, "facts": {}},
        },
        "feature_summary": {split: {"facts": facts} for split, facts in totals.items()},
    }
    # Means are 10.1 and 0.55: contrast moved farther for its size.
    assert compared_view(drift, ["train", "val", "test"]) == [
        ("train", "val", "-", "-", []),
        ("train", "test", "0.1000", "0.2000", [("std", "0.9000"), ("mean", "2.0000")]),
    ]
    assert compared_view({}, ["train"]) == []


def test_what_the_rules_say_is_set_as_code() -> None:
    quality = {
        "dark": {"rule": "high < 48", "what": "are dark", "remedy": "a filter on `high` leaves them out", "records": 2, "splits": {}}
    }
    text = render_page(page(findings={"records": 4, "quality": quality}))
    assert "They are dark; high &lt; 48" in text
    assert "A filter on <code>high</code> leaves them out.</p>" in text


def test_a_share_is_told_in_percent() -> None:
    shortcut = {"words": "the camera", "values": 2, "cramers_v": "0.9958", "accuracy": "0.0467", "most_frequent": "0.0500", "tested": 300,
                "measured_on": "test", "fitted_on": "train", "warned": False}  # fmt: skip
    text = " ".join(" ".join(Elements(render_page(page(findings={"records": 4, "shortcuts": [shortcut]}))).text).split())
    assert "right of 300 in test 4.7% by the commonest label 5.0% Cramér's V 0.9958" in text
    assert "None tells the label by more than chance." in text


def test_the_way_of_the_records() -> None:
    ledger = LedgerPage(
        5, [(True, "Input", "", "label_missing", 1), (True, "Filters", "few", "filtered", 3), (False, "Input", "decode", "damaged", 1)], []
    )
    facts = report(
        records_in=14,
        steps=[
            ("", "few", "kept", 10), ("", "few", "lost", 3), ("train", "Splits", "kept", 7), ("test", "Splits", "kept", 3),
            ("train", "more", "generated", 4), ("train", "more", "replaced", 2),
        ],
        operations=[("Filters", "few", "random_sample", {}, ["train", "test"]), ("Generation", "more", "copy", {}, ["train"])],
        counts={"train": 8, "test": 3},
    )  # fmt: skip
    steps = funnel(facts, ledger)
    assert [(s.title, s.total, s.lost, s.generated, list(s.why)) for s in steps] == [
        ("Files listed", 14, 0, 0, []),
        ("Readable and labelled", 13, 1, 0, [("label_missing", 1)]),
        ("few", 10, 3, 0, [("filtered", 3)]),
        ("Splits", 10, 0, 0, []),
        ("more", 12, 2, 4, []),
        ("Stored", 11, 1, 0, [("damaged", 1)]),
    ]


def test_an_instance_that_counts_no_steps_has_two() -> None:
    steps = funnel(report(steps=[]), LedgerPage(2, [(True, "Input", "decode", "damaged", 2)], []))
    assert [(s.title, s.total, s.lost) for s in steps] == [("Files listed", 12, 0), ("Stored", 10, 2)]


def test_the_size_is_bounded() -> None:
    """Every list is longer than its bound, every name longer than what is shown, and pictures fill their room."""
    name = "<&\u202e" * 40
    many = 30_000
    splits = [f"{i}{name}" for i in range(20)]
    labels = [f"{name}{i:06}" for i in range(many)]
    records = [Record(f"{name}{i}{name}", splits[i % 20], labels[i]) for i in range(1_000)]
    picture = Picture("image/jpeg", bytes(bounds.PICTURE_BYTES // 1_000), 128, 128)
    rows = [{"record_id": r.record_id, "split": r.split, "label": r.label, "value": name} for r in records]
    ledger = [LedgerRow(f"{name}{i}", name, name, name, name, name * 30) for i in range(1_000)]
    full = filled(name)
    kinds = ("dark", "bright", "blurry", "low_information", "odd_size", "odd_aspect", "grey")
    facts = replace(
        full,
        report=replace(
            full.report,
            counts=dict.fromkeys(splits, many),
            classes={split: dict.fromkeys(labels, 1) for split in splits},
            operations=list(full.report.operations) * 1_000,
            warnings=[(name, name * 100)] * 1_000,
            sources=list(full.report.sources) * 1_000,
            expectations=list(full.report.expectations) * 1_000,
            messages=[name * 100] * 1_000,
            fitted={str(i): {"mean": [0.5] * 300, "std": [0.5] * 300} for i in range(500)},
            steps=[(split, "Splits", "kept", many) for split in splits],
        ),
        ledger=LedgerPage(10**6, [(True, name, name, f"{name}{i}", 1) for i in range(2_000)], ledger),
        recipe=name * 10_000,
        samples=records,
        pictures={record.record_id: picture for record in records},
        drawn=[Drawn(str(i), Picture("image/png", bytes(bounds.DRAWN_BYTES // 20), 9, 9)) for i in range(20)],
        findings={
            "records": 10**6,
            "quality": {
                kind: {"rule": name * 100, "why": name * 100, "records": 10**5, "splits": {}, "first": rows[:100]} for kind in kinds
            },
            "duplicates": {k: {"groups": 10**5, "records": 10**6, "across": {}, "first": [rows[:100]] * 100} for k in ("exact", "near")},
            "label_conflicts": {k: {"pairs": 10**5, "first": [rows[:2]] * 100} for k in ("exact", "near")},
            "shortcuts": [{**full.findings["shortcuts"][0], "table": [[name, name, 1]] * 100}] * 500,
        },
        properties=full.properties._replace(classes=[(label, 1, [name] * 8) for label in labels[: bounds.STRIPS]], more_classes=many),
        selection={"sources": [full.selection["sources"][0]] * 1_000},
        environment={"packages": {f"{name}{i}": name for i in range(5_000)}},
    )
    size = len(render_page(facts).encode())
    assert bounds.PICTURE_BYTES < size <= bounds.PAGE_BYTES


@pytest.mark.parametrize(("text", "most", "expected"), [("short", 20, "short"), ("a" * 30, 10, "aaaaa…(20 more)…aaaaa")])
def test_shortened(text: str, most: int, expected: str) -> None:
    assert shortened(text, most) == expected


def test_templates_are_in_the_package() -> None:
    folder = Path(__import__("refinery_beam.reporting.page", fromlist=["x"]).__file__).parent / "templates"
    assert {path.name for path in folder.iterdir()} == {"page.html.j2", "style.css", "script.js"}
