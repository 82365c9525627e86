"""Two recipes in their canonical form, field by field.

Steps are found by their names, wherever they stand; ratios, which are pairs there, by the splits. What is left out of the form (comments,
locations, pictures) makes no difference, and so is none here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refinery_beam.launch.reasons.difference import Difference, said
from refinery_beam.recipe import Recipe

Path = tuple[str | int, ...]

_LAWS = {"law": "the law of hashing and random numbers"}


def recipe_differences(before: Mapping[str, Any], after: Mapping[str, Any], recipe: Recipe) -> list[Difference]:
    """The differences between two canonical recipes, in the order of sections; ``recipe`` is the one that is now, for positions."""
    return list(_mappings(before, after, (), "", recipe))


def _mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: Path, name: str, recipe: Recipe) -> Iterator[Difference]:
    for key in dict.fromkeys((*after, *before)):
        yield from _values(before.get(key), after.get(key), (*path, key), f"{name}.{key}" if name else key, recipe)


def _values(before: Any, after: Any, path: Path, name: str, recipe: Recipe) -> Iterator[Difference]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _mappings(before, after, path, name, recipe)
    elif isinstance(before, list) and isinstance(after, list) and _pairs(before) and _pairs(after):
        yield from _keyed(dict(before), dict(after), path, name, recipe, steps=False)
    elif isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        yield from _keyed(_by_name(before), _by_name(after), path, name, recipe, steps=True)
    else:
        yield _changed(before, after, path, name, recipe)


def _keyed(
    before: Mapping[str, Any], after: Mapping[str, Any], path: Path, name: str, recipe: Recipe, *, steps: bool
) -> Iterator[Difference]:
    """Members of a list that have names: steps of a section, or pairs."""
    what = "step" if path[-1] not in ("sources", "ratios") else "source" if path[-1] == "sources" else "split"
    for number, key in enumerate(after):
        here: Path = (*path, number if steps else key)
        if key in before:
            yield from _values(before[key], after[key], here, f"{name}.{key}", recipe)
        else:
            value = after[key]
            op = f" ({value['op']})" if isinstance(value, Mapping) and value.get("op") not in (None, key) else ""
            amount = "" if isinstance(value, Mapping) else f": {said(value)}"
            sentence = f"{name} has a new {what}, {key}{op}{amount}"
            yield Difference(
                part="recipe", change="added", name=f"{name}.{key}", after=value, at=recipe.at(here), sentence=_at(sentence, recipe, here)
            )
    for key in before:
        if key not in after:
            sentence = f"{name} has no {what} {key} any more"
            value = before[key]
            yield Difference(
                part="recipe",
                change="removed",
                name=f"{name}.{key}",
                before=value,
                at=recipe.at(path),
                sentence=_at(sentence, recipe, path),
            )
    old, new = [k for k in before if k in after], [k for k in after if k in before]
    if old != new:
        sentence = f"the order of {name} is {', '.join(new)}; it was {', '.join(old)}"
        yield Difference(
            part="order", change="changed", name=name, before=old, after=new, at=recipe.at(path), sentence=_at(sentence, recipe, path)
        )


def _changed(before: Any, after: Any, path: Path, name: str, recipe: Recipe) -> Difference:
    if name in _LAWS:
        sentence = f"{_LAWS[name]} is version {after} in this release, and was {before}"
        return Difference(part="law", change="changed", name=name, before=before, after=after, sentence=sentence)
    sentence = f"{name} changed from {said(before)} to {said(after)}"
    if said(before) == said(after):
        sentence += f" (from {type(before).__name__} to {type(after).__name__})"
    return Difference(
        part="recipe",
        change="changed",
        name=name,
        before=before,
        after=after,
        at=recipe.at(path),
        sentence=_at(sentence, recipe, path),
    )


def _at(sentence: str, recipe: Recipe, path: Path) -> str:
    return f"{sentence} ({recipe.at(path)})"


def _same(before: Any, after: Any) -> bool:
    """Whether two values are the same in the canonical form: 5, 5.0, "5" and true all differ there."""
    if type(before) is not type(after):
        return False
    if isinstance(before, Mapping):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(_same(b, a) for b, a in zip(before, after, strict=True))
    return bool(before == after)


def _named(value: Sequence[Any]) -> bool:
    names = [v.get("name") if isinstance(v, Mapping) else None for v in value]
    return all(isinstance(n, str) for n in names) and len(set(names)) == len(names)


def _by_name(value: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {v["name"]: v for v in value}


def _pairs(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(v, list) and len(v) == 2 and isinstance(v[0], str) for v in value)
