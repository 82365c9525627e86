"""Checks of the recipe as a whole: version, plugin, sections, overlays, extensions, names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from refinery_beam.errors import did_you_mean
from refinery_beam.recipe.checks.context import Context, Finding, Findings, Step
from refinery_beam.recipe.model_ops import OP_SECTIONS
from refinery_beam.recipe.overlays import SECTIONS, overlay_section_error

MAX_NAME = 100


def schema_version_recognized(c: Context) -> Findings:
    """1: the schema version is 1, 2 or 3."""
    yield c.note(f"written in schema_version {c.recipe.schema_version_written}")


def plugin_name_discoverable(c: Context) -> Findings:
    """2: the plugin that the recipe names is there."""
    if c.model.plugin != c.plugin.name:
        yield c.error(
            f"the recipe asks for plugin {c.model.plugin!r}, the one bound is {c.plugin.name!r}",
            ("plugin",),
            code="plugin-mismatch",
            value=c.model.plugin,
            remedy=did_you_mean(c.model.plugin, [c.plugin.name]),
        )


def section_names_valid_for_plugin(c: Context) -> Findings:
    """3: an op of a declared section is known to the plugin at all, in that section."""
    has = {op.spec.section for op in c.plugin.ops.values()} | set(c.plugin.known.values()) | set(c.plugin.sections)
    for section in OP_SECTIONS:
        if getattr(c.model, section) and section not in has:
            yield c.error(
                f"the plugin {c.plugin.name!r} has no section {section}",
                (section,),
                key=True,
                code="section-unknown-to-plugin",
                value=section,
                section=section,
            )


def overlays_reference_declared_sections(c: Context) -> Findings:
    """12: overlays, selected or not, replace sections that exist."""
    for name, body in c.model.overlays.items():
        for section in body:
            if section not in SECTIONS:
                path = ("overlays", name, section)
                yield Finding("error", overlay_section_error(name, section, at=c.recipe.at(path, key=True)))


def extension_keys_declared(c: Context) -> Findings:
    """28: extensions are those the plugin declares."""
    declared = c.plugin.extension_keys
    for namespace, body in c.model.extensions.items():
        for key in body or [""]:
            if key not in declared.get(namespace, ()):
                yield c.error(
                    f"the plugin {c.plugin.name!r} declares no extension {namespace}{'.' if key else ''}{key}",
                    ("extensions", namespace, *([key] if key else [])),
                    key=True,
                    code="unknown-extension",
                    value=key or namespace,
                )


def op_names_unique(c: Context) -> Findings:
    """102: no two operations share a name (statistics, seeds and lineage are filed under it), nor two sources, pictures or sinks."""
    groups: list[tuple[str, list[tuple[str, tuple[Step, ...]]]]] = [
        ("sources", [(s.name, ("Input", "sources", i, "name")) for i, s in enumerate(c.model.Input.sources)]),
        ("operations", [(o.name, (section, i, "name")) for section, i, o in c.operations()]),
        ("visualizations", [(v.name, ("Visualizations", i, "name")) for i, v in enumerate(c.model.Visualizations)]),
    ]
    for kind, names in groups:
        first_uses: dict[str, tuple[str, tuple[Step, ...]]] = {}
        for name, path in names:
            folded = unicodedata.normalize("NFC", name).casefold()
            if folded in first_uses:
                first, where = first_uses[folded]
                yield c.error(
                    f"two {kind} are named {name!r}"
                    + ("" if first == name else f" and {first!r}, which differ in letter case only")
                    + f"; the first is at {c.recipe.at(where)}",
                    path,
                    code="duplicate-name",
                    value=name,
                    kind=kind,
                )
            else:
                first_uses[folded] = (name, path)


def names_path_safe(c: Context) -> Findings:
    """103: names that become parts of paths hold nothing a path gives meaning to."""
    for what, name, path in _names(c):
        reason = unsafe(name)
        if reason:
            yield c.error(
                f"the {what} {name[:MAX_NAME]!r} {reason}",
                path,
                key=bool(path) and path[-1] == name,
                code="unsafe-name",
                value=name[:200],
                limit=MAX_NAME,
                name=safe(name),
            )
    folded: dict[str, str] = {}
    for name in c.split_names:
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            yield c.error(
                f"the splits {other!r} and {name!r} differ in letter case only",
                ("Splits",),
                code="duplicate-name",
                value=name,
                rule="split names are folder names, and some file systems do not tell case apart",
            )


def unsafe(name: str) -> str:
    """Why a name is not fit to be part of a path; '' if it is.

    >>> unsafe("train"), unsafe("../x"), unsafe("")
    ('', 'starts with a dot', 'is empty')
    """
    if not name:
        return "is empty"
    if len(name) > MAX_NAME or len(name.encode("utf-8", "replace")) > 2 * MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if name.startswith("."):
        return "starts with a dot"
    odd = next((ch for ch in name if not (ch.isalnum() or ch in "._-")), None)
    if odd is not None:
        return f"holds the character {odd!r}"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode NFC form"
    return ""


def safe(name: str) -> str:
    """The closest name that is fit for paths."""
    text = "".join(ch if ch.isalnum() or ch in "._-" else "_" for ch in unicodedata.normalize("NFC", name))
    return text.strip("._")[: MAX_NAME // 2] or "name"


def _names(c: Context) -> Iterable[tuple[str, str, tuple[Step, ...]]]:
    m = c.model
    for i, source in enumerate(m.Input.sources):
        yield "source name", source.name, ("Input", "sources", i, "name")
        if source.partition is not None:
            yield "partition", source.partition, ("Input", "sources", i, "partition")
    for section, i, operation in c.operations():
        yield "operation name", operation.name, (section, i, "name")
    for i, picture in enumerate(m.Visualizations):
        yield "visualization name", picture.name, ("Visualizations", i, "name")
    for i, sink in enumerate(m.Sinks):
        yield "sink name", sink.name, ("Sinks", i, "name")
    for name in m.Splits.ratios or ():
        yield "split name", name, ("Splits", "ratios", name)
    if m.Splits.key_assignment is not None:
        for key, name in m.Splits.key_assignment.mapping.items():
            yield "split name", name, ("Splits", "key_assignment", "mapping", key)
    for i, item in enumerate(m.Filters):
        if isinstance(item.params.get("label"), str):
            yield "tag", item.params["label"], ("Filters", i, "params", "label")
