"""Renders the page: Jinja2 with autoescape, one style sheet and one script inside, and a policy that lets the browser load nothing else.

The same facts give the same bytes. There is no clock, no location and no random number in them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from refinery_beam.amounts import size_in_words
from refinery_beam.reporting.page import bounds, charts, words
from refinery_beam.reporting.page.model import PageFacts, Picture, Record
from refinery_beam.reporting.page.views import view


def render_page(facts: PageFacts) -> str:
    """The page as text: HTML that loads nothing, at most `bounds.PAGE_BYTES`."""
    style, script = _asset("style.css"), _asset("script.js")
    text = page_template().render(
        **view(facts),
        facts=facts,
        report=facts.report,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )
    return text + "\n"


def page_template() -> jinja2.Template:
    """The template of the page, compiled once."""
    return _environment().get_template("page.html.j2")


def _policy(style: str, script: str) -> str:
    """The content security policy: nothing but this style, this script and pictures in the file itself. A name that became markup could
    neither run nor load anything.
    """
    allowed = f"img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        n=words.number,
        name=words.name,
        plain=words.plain,
        sentence=words.sentence,
        coded=words.coded,
        size=size_in_words,
        parameters=words.parameters,
        lines=words.lines,
        src=_source,
        parts=_parts,
        series=_series,
        greatest=_greatest,
        as_record=lambda row: Record(row.record_id, row.split, ""),
    )
    environment.globals.update(
        stacked=charts.stacked,
        steps=charts.steps,
        areas=charts.areas,
        cells=charts.cells,
        ranked=charts.ranked,
        share=words.share,
        plural=words.plural,
        bounds=bounds,
        head=_head,
    )
    return environment


def _source(picture: Picture) -> str:
    """The address of a picture that lies in the page itself."""
    return f"data:{picture.type};base64,{base64.b64encode(picture.data).decode()}"


def _parts(counts: Mapping[str, int], tint: Mapping[str, str]) -> list[tuple[str, int]]:
    """Counts by split as the parts of a bar, in the order of the splits."""
    order = list(tint)
    return [(tint.get(split, "none"), counts[split]) for split in sorted(counts, key=lambda one: order.index(one) if one in order else -1)]


def _series(counts: Mapping[str, Sequence[int]], tint: Mapping[str, str]) -> list[tuple[str, Sequence[int]]]:
    """Histograms by split as outlines; the first ones, because more cannot be kept apart."""
    return [(f"outline {tint[split]}", counts[split]) for split in tint if split in counts][:6]


def _greatest(rows: Sequence[tuple[str, Mapping[str, int]]]) -> int:
    return max((sum(counts.values()) for _, counts in rows), default=0)


def _head(rows: Sequence[Any], most: int) -> Sequence[Any]:
    return rows[:most]


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
