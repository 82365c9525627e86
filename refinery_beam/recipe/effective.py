"""The effective recipe: what was really run, as YAML that loads again to the same identity."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from refinery_beam.recipe.canonical import ASSERTION_SECTIONS, OP_SECTIONS, full_model

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.recipe.load import Recipe

# Words that some YAML reader, of any version, takes for something else than text.
_SPECIAL = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf", "infinity"])
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")


def effective_yaml(recipe: Recipe, plugin: Plugin | None = None, *, locations: Literal["absolute", "written"] = "absolute") -> str:
    """Deterministic YAML of the recipe after overlays and migrations, with its effective seed and every default written out.

    It loads to the same `canonical` form and seed. Locations are made absolute (``locations="written"`` leaves them alone);
    ``${env:NAME}`` is never replaced by the variable's value. Empty and null entries, and overlays, are left out.
    """
    body = full_model(recipe, plugin)
    body["seed"] = recipe.seed
    del body["overlays"]
    if locations == "absolute":
        for source in body["Input"]["sources"]:
            source["path"] = recipe.absolute(source["path"])
            if source["label_from"] is not None:
                source["label_from"]["path"] = recipe.absolute(source["label_from"]["path"])
        for section in ASSERTION_SECTIONS:
            for item in body[section]:
                reference = item["assertion"].get("reference")
                if isinstance(reference, dict) and isinstance(reference.get("instance"), str):
                    reference["instance"] = recipe.absolute(reference["instance"])
        for section in OP_SECTIONS:
            for item in body[section]:
                imported = item["params"].get("stats_from_instance")
                if isinstance(imported, dict) and isinstance(imported.get("recipe"), str):
                    imported["recipe"] = recipe.absolute(imported["recipe"])
    lines: list[str] = []
    _mapping(_written(body), 0, lines)
    return "\n".join(lines) + "\n"


def _written(body: dict[str, Any]) -> dict[str, Any]:
    """The entries worth writing: not the nulls and empty lists that mean "nothing declared"."""
    out: dict[str, Any] = {}
    for section, value in body.items():
        if value is None or value == [] or (section == "extensions" and not value):
            continue
        if isinstance(value, dict) and section != "extensions":
            value = _trim(value)
        elif isinstance(value, list):
            value = [_trim(item) for item in value]
        out[section] = value
    return out


def _trim(item: dict[str, Any]) -> dict[str, Any]:
    # Only fields of models may be left out when null; params and assertions are free-form, where null is a value.
    out: dict[str, Any] = {}
    for key, value in item.items():
        if value is None:
            continue
        if key in ("sources",):
            value = [_trim(v) for v in value]
        elif key in ("label_from", "selector", "source"):
            value = _trim(value) if isinstance(value, dict) else value
        out[key] = value
    return out


def _mapping(value: dict[str, Any], depth: int, lines: list[str]) -> None:
    for key, item in value.items():
        _entry("  " * depth + quoted(key) + ":", item, depth, lines)


def _entry(head: str, item: Any, depth: int, lines: list[str]) -> None:
    if isinstance(item, dict) and item:
        lines.append(head)
        _mapping(item, depth + 1, lines)
    elif isinstance(item, list) and any(isinstance(i, dict | list) for i in item):
        lines.append(head)
        for inner in item:
            _item(inner, depth + 1, lines)
    else:
        lines.append(f"{head} {_flow(item)}")


def _item(item: Any, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    if isinstance(item, dict) and item:
        at = len(lines)
        _mapping(item, depth + 1, lines)
        lines[at] = pad + "- " + lines[at].lstrip(" ")
    else:
        lines.append(f"{pad}- {_flow(item)}")


def _flow(item: Any) -> str:
    if isinstance(item, list):
        return "[" + ", ".join(_flow(i) for i in item) + "]"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{quoted(k)}: {_flow(v)}" for k, v in item.items()) + "}"
    if isinstance(item, str):
        return quoted(item)
    return json.dumps(item, allow_nan=False)


def quoted(text: str) -> str:
    """Text as YAML that every reader takes for exactly this text: bare where that is safe, else in double quotes.

    >>> quoted("train"), quoted("no"), quoted("5"), quoted("a: b")
    ('train', '"no"', '"5"', '"a: b"')
    """
    if _PLAIN.match(text) and text.casefold() not in _SPECIAL and len(text) < 100:
        return text
    return '"' + "".join(_escape(c) for c in text) + '"'


def _escape(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c == "\n":
        return "\\n"
    code = ord(c)
    if c.isprintable() and code != 0xFEFF:
        return c
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
