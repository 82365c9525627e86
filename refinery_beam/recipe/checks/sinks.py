"""Checks of Sinks: names, fields, and templates that cannot leave the instance."""

from __future__ import annotations

import re

from refinery_beam.errors import did_you_mean
from refinery_beam.recipe.checks.context import Context, Findings

FILTERS = ("stem", "lower", "upper", "str")
MAX_PART = 200
"""Bytes of one part of a sink's path, which leaves room below what file systems take."""

_TOKEN = re.compile(r"\{([^{}]*)\}")


def sinks(c: Context) -> Findings:
    """24: sinks have names of their own, write fields and splits that exist, and cannot leave the instance."""
    names: set[str] = set()
    known = c.known_fields()
    for i, sink in enumerate(c.model.Sinks):
        if sink.name.casefold() in names:
            yield c.error(
                f"two sinks are named {sink.name!r}",
                ("Sinks", i, "name"),
                code="duplicate-name",
                value=sink.name,
                rule="sinks have names of their own",
            )
        names.add(sink.name.casefold())
        if sink.field not in known and not c.open_fields:
            yield c.unknown(f"the sink {sink.name!r} writes {sink.field!r}, which is no field", sink.field, known, ("Sinks", i, "field"))
        for j, name in enumerate(sink.splits or ()):
            if name not in c.split_names and name != "_records" and not c.split_layouts:
                yield c.unknown_split(f"unknown split {name!r}", name, ("Sinks", i, "splits", j))
        problem = template_problem(sink.path_template, known if not c.open_fields else None)
        if problem:
            yield c.error(
                f"the path_template {sink.path_template!r} {problem}",
                ("Sinks", i, "path_template"),
                code="bad-template",
                value=sink.path_template,
            )


def template_problem(template: str, known: list[str] | None) -> str:
    """The fault of a sink's path template; '' if its text shows none.

    >>> template_problem("a/{path|stem}.png", ["path"]), template_problem("../{path}", None)
    ('', 'leaves the instance')
    """
    if template.startswith(("/", "~")) or re.match(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://", template):
        return "is absolute"
    if ".." in re.split(r"[/\\]", template):
        return "leaves the instance"
    if any(ord(ch) < 32 for ch in template):
        return "holds a control character"
    rest = _TOKEN.sub("", template)
    if "{" in rest or "}" in rest:
        return "has an unbalanced brace"
    tokens = _TOKEN.findall(template)
    if not tokens:
        return "names every file the same"
    if any(len(part.encode()) > MAX_PART for part in rest.split("/")):
        return f"has a part of more than {MAX_PART} bytes"
    for token in tokens:
        name, bar, word = token.partition("|")
        if bar and word not in FILTERS:
            return f"uses the unknown filter {word!r}: {did_you_mean(word, FILTERS)}"
        if known is not None and name != "split" and name not in known:
            return f"names the unknown field {name!r}: {did_you_mean(name, [*known, 'split'])}"
    if template.startswith("{path}"):
        return "starts with the source path, which may be absolute"
    return ""


def npy_sink_targets_pre_normalize_field(c: Context) -> Findings:
    """30: arrays are written before a fitted featurization replaces their values."""
    fitted = {}
    for section, _, operation in c.operations("Featurizations"):
        spec = c.spec(section, operation)
        if spec is not None and spec.fitted:
            fitted[operation.output_field] = operation.name
    for i, sink in enumerate(c.model.Sinks):
        if sink.format == "npy_per_record" and sink.field in fitted:
            yield c.error(
                f"the sink {sink.name!r} writes {sink.field!r}, the output of the fitted {fitted[sink.field]!r}",
                ("Sinks", i, "field"),
                code="sink-after-fit",
                value=sink.field,
            )
