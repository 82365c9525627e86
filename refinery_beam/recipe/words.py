"""Turns validation errors into words for a person: position, value, rule and remedy, without the vocabulary of the validating library."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from refinery_beam.errors import RecipeError, closest, did_you_mean

Path: TypeAlias = "tuple[str | int, ...]"
PositionOf: TypeAlias = Callable[..., str]

_SHAPES = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
_LENGTHS = ("too_short", "too_long", "too_few", "string_too_short", "string_too_long")


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it.

    >>> dotted(("Input", "sources", 0, "path"))
    'Input.sources[0].path'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else str(step))
    return text


def shown(value: Any) -> str:
    """A value in the words of a message.

    >>> shown("5"), shown(5), shown(None), shown([1])
    ("the text '5'", 'the number 5', 'nothing (null)', 'a list')
    """
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value[:80]!r}"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def plain(value: Any) -> Any:
    """The value for an error's ``value``: scalars as they are; a collection is shown by its position only."""
    return value if isinstance(value, str | int | float | bool) else None


def translate(
    error: ValidationError,
    *,
    data: Any,
    model: type[BaseModel],
    position_of: PositionOf,
    prefix: Path = (),
    codes: Mapping[str, str] | None = None,
) -> list[RecipeError]:
    """Every error of a validation as RecipeErrors.

    `data` is the validated value and `prefix` its path in the recipe; ``position_of(path, key=bool)`` gives ``file:line:col``.
    Errors of several branches of one value ("a whole number" or "a list") are one error here. Codes: ``unknown-field``, ``missing-field``,
    ``bad-type``, ``bad-value``, or the rule's own.
    """
    grouped: dict[tuple[Path, str], list[Any]] = {}
    misspelt: set[Path] = set()
    for raw in error.errors(include_url=False):
        detail: dict[str, Any] = {**raw}
        if detail["type"] == "missing" and isinstance(detail["loc"][-1], int):
            # An item a tuple of fixed length lacks: the list is at fault, not a key.
            detail = {**detail, "type": "too_few", "loc": detail["loc"][:-1], "ctx": {"items": detail["loc"][-1] + 1}}
        path = _clean(detail["loc"], data, detail["type"])
        kind = detail["type"] if detail["type"] in ("missing", "extra_forbidden") else "value"
        if detail["type"] == "too_short" and _length(data, path) > 0:
            continue  # only because its items were already refused
        if kind == "extra_forbidden":
            meant = closest(str(path[-1]), known_fields(model, path[:-1]))
            misspelt |= {(*path[:-1], meant)} if meant else set()
        grouped.setdefault((path, kind), []).append(detail)
    found = []
    for (path, kind), details in grouped.items():
        if kind == "value" and any(other != path and other[: len(path)] == path for other, _ in grouped):
            continue  # a deeper error says more than "not of the other kind"
        if kind == "missing" and path in misspelt:
            continue  # it is there, misspelt, and reported as that
        build = {"missing": _missing, "extra_forbidden": _unknown}.get(kind, _value)
        words = build(path, details, data, model, prefix)
        key = words.pop("at_key")
        at = words.pop("path")
        found.append(RecipeError(at=position_of((*prefix, *at), key=key), **words))
    return found


def _missing(path: Path, details: list[Any], data: Any, model: type[BaseModel], prefix: Path) -> dict[str, Any]:
    owner = dotted((*prefix, *path[:-1])) or "the recipe"
    return {
        "message": f"{owner} lacks {str(path[-1])!r}",
        "code": "missing-field",
        "rule": f"{str(path[-1])!r} is required",
        "remedy": f"add '{path[-1]}:' here",
        "path": path[:-1],
        "at_key": bool(path[:-1]),
    }


def _unknown(path: Path, details: list[Any], data: Any, model: type[BaseModel], prefix: Path) -> dict[str, Any]:
    owner = dotted((*prefix, *path[:-1])) or "a recipe"
    known = known_fields(model, path[:-1])
    return {
        "message": f"unknown key {str(path[-1])!r} in {owner}",
        "code": "unknown-field",
        "value": str(path[-1]),
        "rule": f"{owner} takes {', '.join(known)}" if known else f"{owner} takes nothing",
        "remedy": did_you_mean(str(path[-1]), known) if known else "remove it",
        "path": path,
        "at_key": True,
    }


def _value(path: Path, details: list[Any], data: Any, model: type[BaseModel], prefix: Path) -> dict[str, Any]:
    name = dotted((*prefix, *path)) or "the recipe"
    value = _at(data, path)
    own = next((d for d in details if d["type"] == "recipe_rule"), None)
    if own is not None:
        context = own.get("ctx", {})
        at = (*path, context["at"]) if context.get("at") else path
        inner = _at(data, at)
        return {
            "message": f"{name}: {own['msg']}",
            "code": context.get("code", "bad-value"),
            "value": plain(inner if context.get("at") else value),
            "rule": context.get("rule"),
            "remedy": context.get("remedy"),
            "path": at,
            "at_key": False,
        }
    bare = [_plain_rule(d) for d in details if d["type"] in ("value_error", "assertion_error")]
    if bare:
        return {
            "message": f"{name}: {bare[0]}",
            "code": "bad-value",
            "value": plain(value),
            "rule": bare[0],
            "path": path,
            "at_key": False,
        }
    if any(d["type"] in _BOUNDS or d["type"] in _LENGTHS for d in details):
        # The value is of a kind that is taken, so what another kind would look like is no help.
        details = [d for d in details if d["type"] not in _SHAPES]
    wanted = list(dict.fromkeys(_wanted(d) for d in details))
    rule = "must not be empty" if wanted == ["not empty"] else "must be " + " or ".join(wanted)
    words = [w for d in details if d["type"] in ("literal_error", "enum") for w in _literals(d, every=True)]
    return {
        "message": f"{name} {rule}" + ("" if wanted == ["not empty"] else f", not {_counted(value, details)}"),
        "code": "bad-type" if all(d["type"] in _SHAPES for d in details) else "bad-value",
        "value": plain(value),
        "rule": f"{name} {rule}",
        "remedy": _remedy(value, details, words),
        "path": path,
        "at_key": False,
    }


def _counted(value: Any, details: list[Any]) -> str:
    sized = isinstance(value, list) and all(d["type"] in _LENGTHS for d in details)
    return f"one of {len(value)}" if sized else shown(value)


def _wanted(detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _SHAPES:
        return _SHAPES[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]}"
    if kind in ("literal_error", "enum"):
        return _either([f"'{w}'" if isinstance(w, str) else str(w).lower() for w in _literals(detail, every=True)])
    if kind == "too_few":
        return f"a list of {context['items']} items"
    if kind in _LENGTHS:
        what, unit = ("text", "characters") if kind.startswith("string") else ("a list", "items")
        if kind.endswith("short"):
            return "not empty" if context["min_length"] == 1 else f"{what} of at least {context['min_length']} {unit}"
        return f"{what} of at most {context['max_length']} {unit}"
    text = str(detail["msg"])
    for head in ("Input should be ", "Value should be "):
        text = text.removeprefix(head)
    return text[:1].lower() + text[1:]


def _plain_rule(detail: Any) -> str:
    text = str(detail.get("ctx", {}).get("error", detail["msg"]))
    return text.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _literals(detail: Any, *, every: bool = False) -> list[Any]:
    text = str(detail.get("ctx", {}).get("expected", ""))
    found: list[Any] = []
    for part in text.replace(" or ", ", ").split(", "):
        word = part.strip()
        if len(word) > 1 and word[0] == word[-1] == "'":
            found.append(word[1:-1])
        elif every and word:
            found.append({"False": False, "True": True}.get(word, int(word) if word.lstrip("-").isdigit() else word))
    return found


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _remedy(value: Any, details: list[Any], words: list[str]) -> str:
    kinds = {d["type"] for d in details}
    if words:
        spelt = [w if isinstance(w, str) else str(w).lower() for w in words]
        meant = closest(value, spelt) if isinstance(value, str) else None
        return f"did you mean {meant!r}?" if meant else "one of: " + ", ".join(spelt)
    if value is None:
        empty = "[]" if kinds & {"list_type", "tuple_type"} else "{}" if kinds & {"dict_type", "model_type"} else "a value"
        return f"write {empty}, or remove the key"
    if kinds & {"bool_type", "bool_parsing"}:
        return "write true or false"
    if "string_type" in kinds and isinstance(value, int | float):
        return f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    if "int_type" in kinds and isinstance(value, float):
        return f"write {int(value)}" if value == int(value) else "write a whole number"
    if kinds & {"int_type", "float_type"} and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return "write a number"
        return "remove the quotes" if value.strip() == value and not _leading_zero(value) else "write it without leading zeros"
    if kinds & {"list_type", "tuple_type"}:
        return f"write [{value}]" if isinstance(value, str | int | float) and not isinstance(value, bool) else "write a list: [a, b]"
    if kinds & {"dict_type", "model_type", "model_attributes_type"}:
        return "write 'key: value' pairs"
    wanted = list(dict.fromkeys(_wanted(d) for d in details))
    if kinds <= set(_BOUNDS):
        return f"write a number that is {' and '.join(wanted)}"
    if kinds <= set(_LENGTHS):
        return "write " + ("something" if wanted == ["not empty"] else " or ".join(wanted))
    return "write " + " or ".join(wanted) if kinds <= set(_SHAPES) else "change the value"


def _leading_zero(value: str) -> bool:
    digits = value.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _clean(location: Iterable[str | int], data: Any, kind: str) -> Path:
    """A location without the steps that name a branch of a union instead of a key in the data."""
    steps = list(location)
    path: list[str | int] = []
    for index, step in enumerate(steps):
        if kind == "missing" and index == len(steps) - 1:
            path.append(step)
        elif _has(data, step):
            path.append(step)
            data = data[step]
    return tuple(path)


def _has(data: Any, step: str | int) -> bool:
    if isinstance(data, Mapping):
        return step in data and not str(step).startswith("<")
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


def _at(data: Any, path: Path) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _length(data: Any, path: Path) -> int:
    value = _at(data, path)
    return len(value) if isinstance(value, list | dict | str) else 0


def known_fields(model: type[BaseModel], path: Path) -> list[str]:
    """The keys the mapping at `path` below a model may have; empty if that is no model's mapping."""
    kinds: list[Any] = [model]
    for step in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    names: list[str] = []
    for kind in (bare for k in kinds for bare in _branches(k)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [info.alias or name for name, info in kind.model_fields.items()]
    return list(dict.fromkeys(names))


def _inside(kind: Any, step: str | int) -> list[Any]:
    found: list[Any] = []
    for branch in _branches(kind):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            for name, info in branch.model_fields.items():
                if step in (name, info.alias):
                    found.append(info.annotation)
        elif get_origin(branch) in (list, tuple, set, frozenset) and isinstance(step, int):
            found += [a for a in get_args(branch) if a is not Ellipsis][:1]
        elif get_origin(branch) in (dict, Mapping) or getattr(get_origin(branch), "__name__", "") == "Mapping":
            found += get_args(branch)[1:2]
    return found


def _branches(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _branches(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [b for a in get_args(kind) for b in _branches(a)]
    return [kind]
