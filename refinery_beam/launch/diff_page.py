"""The page of a comparison: one file that loads nothing, with stored pictures of records side by side. Jinja2 escapes all of it."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RefineryError
from refinery_beam.inspection.compare import Where
from refinery_beam.inspection.values import ValueChange
from refinery_beam.launch.diff_result import WORDS, DiffResult, telling
from refinery_beam.locations import StrPath
from refinery_beam.reading.instance import Instance
from refinery_beam.visible import name, shorten, visible

PAIRS = 48
"""Records whose pictures are drawn; a page stays below some megabytes."""

SIDE = 128
"""The longest side of a picture, in pixels."""

PICTURED = ("changed", "relabelled", "pixels", "added", "removed", "renamed", "moved")
"""Kinds of differences that are shown with pictures, the most telling first."""

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>What differs</title>
<style>
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #d4d4d4; --soft: #f1f1f1; --muted: #5c5c5c }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #161616; --line: #444; --soft: #242424; --muted: #b0b0b0 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 1rem; max-width: 72rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.wide { overflow-x: auto } table { border-collapse: collapse }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top }
th, td { min-width: 4.5rem; max-width: 26rem; overflow-wrap: anywhere }
th { background: var(--soft) } td.number { text-align: right; min-width: 0; white-space: nowrap }
code, td { font-size: .92rem } .muted { color: var(--muted) } img { image-rendering: auto; max-width: 128px; background: var(--soft) }
@media (max-width: 40rem) { th, td { min-width: 3rem; padding: .3rem .4rem } img { max-width: 72px } }
</style></head><body><main>
{% macro table(title, heads) %}<div class="wide" tabindex="0" role="region" aria-label="{{ title }}"><table><thead><tr>
{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead><tbody>{% endmacro %}
{% macro changes(section) %}{% if section.rows %}
<h2>{{ section.title }}</h2>
{{ table(section.title, ["field", "a", "b"]) }}
{% for row in section.rows %}<tr><td><code>{{ row.at }}</code></td><td>{{ row.a }}</td><td>{{ row.b }}</td></tr>
{% endfor %}</tbody></table></div>
{% if section.more %}<p class="muted">{{ section.more }} more: refinery-beam diff --json has all.</p>{% endif %}
{% endif %}{% endmacro %}
<h1>What differs</h1>
<p>{{ summary }}</p>
<p>a: <code>{{ a }}</code><br>b: <code>{{ b }}</code></p>
{{ changes(recipe) }}
{% if counts %}
<h2>counts</h2>
{{ table("counts", ["split", "label", "a", "b"]) }}
{% for row in counts %}<tr><td>{{ row.split }}</td><td>{{ row.label }}</td><td class="number">{{ row.a }}</td>
<td class="number">{{ row.b }}</td></tr>
{% endfor %}</tbody></table></div>
{% endif %}
{% for section in records %}
<h2>{{ section.title }}: {{ section.total }}</h2>
{{ table(section.title, ["record", "label", "split", "a", "b"] if section.pictures else ["record", "label", "split"]) }}
{% for row in section.rows %}<tr><td>{{ row.record }}</td><td>{{ row.label }}</td><td>{{ row.split }}</td>
{% if section.pictures %}{% for picture in row.pictures %}
<td>{% if picture %}<img alt="{{ row.record }} in {{ 'ab'[loop.index0] }}" src="{{ picture }}">{% endif %}</td>{% endfor %}{% endif %}</tr>
{% endfor %}</tbody></table></div>
{% if section.more %}<p class="muted">{{ section.more }} more: --limit 0 names all.</p>{% endif %}
{% endfor %}
{% if through_steps %}<p>{{ through_steps }} rows of equal files hold other content, because the steps differ.</p>{% endif %}
{{ changes(statistics) }}
{{ changes(versions) }}
{% if moved %}
<h2>drift</h2>
{{ table("drift", ["what", "mean in a", "mean in b", "moved by"]) }}
{% for row in moved %}<tr><td>{{ row.what }}</td><td class="number">{{ row.a }}</td><td class="number">{{ row.b }}</td>
<td>{{ row.by }}</td></tr>
{% endfor %}</tbody></table></div>
{% endif %}
{% if notes %}<h2>notes</h2><ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
</main></body></html>
"""

FIELDS = 500
"""Fields and numbers that are listed."""

CHARACTERS = 400
"""Of a longer text the beginning and the end are shown."""


def diff_page(result: DiffResult) -> str:
    """The page as text. A picture that cannot be read is left out."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    left = iter(range(PAIRS))
    return environment.from_string(_PAGE).render(
        summary=_text(str(result)),
        a=_text(result.a),
        b=_text(result.b),
        recipe=_section("recipe", result.recipe),
        statistics=_section("fitted statistics", telling(result.statistics), len(result.statistics)),
        versions=_section("versions", result.identity),
        counts=[
            {"split": c.split, "label": "all" if c.label is None else name(c.label, CHARACTERS), "a": _number(c.a), "b": _number(c.b)}
            for c in result.counts
            if c.a != c.b
        ],
        moved=[{"what": _text(m.what), "a": _text(m.a), "b": _text(m.b), "by": _text(m.by)} for m in result.moved],
        records=list(_records(result, left)),
        through_steps=f"{result.through_steps:,}" if result.through_steps else "",
        notes=[_text(note) for note in result.notes],
    )


def write_diff_page(result: DiffResult, path: StrPath) -> str:
    """Write the page to a file or URL; gives where it is."""
    location = os.fspath(path)
    locations.write(location, diff_page(result).encode())
    return locations.absolute(location)


def _section(title: str, changes: Sequence[ValueChange], total: int | None = None) -> dict[str, Any]:
    rows = [{"at": _text(change.at), "a": _text(change.a), "b": _text(change.b)} for change in changes[:FIELDS]]
    more = (len(changes) if total is None else total) - len(rows)
    return {"title": title, "rows": rows, "more": f"{more:,}" if more else ""}


def _records(result: DiffResult, left: Iterator[int]) -> Iterator[dict[str, Any]]:
    order = [*PICTURED, *(kind for kind in result.records if kind not in PICTURED)]
    for kind in order:
        found = result.records.get(kind)
        if found is None or not found.total:
            continue
        rows = []
        for change in found.first:
            pictures = ["", ""]
            if result.instances is not None and kind in PICTURED and next(left, None) is not None:
                pictures = [_picture(result.instances[0], change.row_a), _picture(result.instances[1], change.row_b)]
            rows.append(
                {
                    "record": _both(change.a, change.b),
                    "label": _both(change.label_a, change.label_b),
                    "split": _both(change.split_a, change.split_b),
                    "pictures": pictures,
                }
            )
        yield {
            "title": WORDS[kind],
            "total": f"{found.total:,}",
            "rows": rows,
            "pictures": any(any(row["pictures"]) for row in rows),
            "more": f"{found.total - len(found.first):,}" if found.total > len(found.first) else "",
        }


def _picture(instance: Instance, row: Where | None) -> str:
    """The stored content of a row as a picture in the page; '' where there is none."""
    content = instance.manifest.image_field
    if row is None or content is None:
        return ""
    try:
        pixels = instance.split(row.split, raw=True, columns=[content])[row.position][content]
    except (RefineryError, ValueError, IndexError):
        return ""
    if getattr(pixels, "ndim", 0) not in (2, 3):
        return ""
    from PIL import Image

    from refinery_beam.plugins.common.canvas import shown

    values = shown(pixels)
    image = Image.fromarray(values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values).convert("RGB")
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _both(a: str, b: str) -> str:
    """One name where both are the same or one is missing, else both."""
    one, other = name(a, CHARACTERS), name(b, CHARACTERS)
    return one or other if not one or not other or one == other else f"{one} → {other}"


def _text(value: Any) -> str:
    return visible(shorten("null" if value is None else str(value), CHARACTERS))


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
