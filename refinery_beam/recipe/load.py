"""From recipe text to a `Recipe`: parse, version gate, overlays, migrations, validation; every error with its position."""

from __future__ import annotations

import errno
import json
import os
import re
import select
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from refinery_beam.errors import RecipeError, RefineryError, UsageError, display, raise_all
from refinery_beam.locations import VARIABLE, StrPath, basename
from refinery_beam.masking import mask, remember_variable
from refinery_beam.recipe.migrate import migrate
from refinery_beam.recipe.model import SEED_MAX, SEED_MIN, RecipeModel
from refinery_beam.recipe.overlays import apply_overlays, rename_overlays
from refinery_beam.recipe.words import dotted, plain, shown, translate
from refinery_beam.recipe.yaml import parse as yaml_parse
from refinery_beam.recipe.yaml.nodes import Node, to_data

SUPPORTED = (1, 2, 3)

_PIPE_SECONDS = 2

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A loaded recipe: the validated model, and where it came from.

    ``path`` is the name used in messages and ``base_dir`` the absolute folder relative paths count from. ``seed`` is the effective master
    seed (an override wins over the recipe). ``overlays`` are the applied names in order. ``name`` is what people call it: the name of its
    file without the ending, or what the recipe in an instance says of itself. ``text`` is what was read, '' where it is not UTF-8.
    ``variables`` are values for ``${env:NAME}`` where the environment has none.
    """

    model: RecipeModel
    path: str
    base_dir: str
    overlays: tuple[str, ...]
    seed: int
    schema_version_written: int
    name: str = ""
    text: str = field(default="", repr=False, compare=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    _root: Node = field(repr=False, compare=False)

    def at(self, dotted_path: str | Sequence[str | int], *, key: bool = False) -> str:
        """``file:line:col`` of what is written at a path of the model, or of its closest written ancestor.

        Paths are ``"Splits.ratios"``, ``"Input.sources[0].path"``, ``"Input.sources.0.path"`` or tuples of steps. Scalars and collections
        in brackets (``[...]``, ``{...}``) are shown where they start; block collections, and everything with ``key=True``, at their key.
        After an overlay or a migration it is the position of the text that the value came from.
        """
        steps = parse_path(dotted_path) if isinstance(dotted_path, str) else tuple(dotted_path)
        return position_in(self._root, self.path, steps, key=key)

    def resolve(self, location: str) -> str:
        """A location as something that can be opened: an absolute path, or the URL of a remote one as it is.

        ``${env:NAME}`` at its start is replaced; RecipeError ``env-missing`` names a variable that is not set. ``file://`` URLs become
        paths.
        """
        text = self._expand(location)
        if text.startswith("file://"):
            text = unquote(urlsplit(text).path)
        if _SCHEME.match(text):
            return text
        return os.path.normpath(os.path.join(self.base_dir, text))

    def absolute(self, location: str) -> str:
        """A location as it can be written into another file: relative paths made absolute, variables and URLs left as they are."""
        if location.startswith("${env:") or _SCHEME.match(location):
            return location
        return os.path.normpath(os.path.join(self.base_dir, location))

    def _expand(self, location: str) -> str:
        match = VARIABLE.match(location)
        if match is None:
            return location
        value = os.environ.get(match[1], self.variables.get(match[1]))
        if not value:
            raise RecipeError(
                f"the environment variable {match[1]} is not set" if value is None else f"the environment variable {match[1]} is empty",
                code="env-missing",
                at=self._at_of_location(location),
                value=location,
                name=match[1],
            )
        if match[1] in os.environ:
            remember_variable(match[1], value if _SCHEME.match(value) else os.path.normpath(os.path.join(self.base_dir, value)))
        return value + location[match.end() :]

    def shown(self, location: str) -> str:
        """A location as it may be stored: as `resolve` gives it, except that a variable of the environment stays one, and a URL loses what
        is secret in it.
        """
        match = VARIABLE.match(location)
        return location.rstrip("/") if match is not None and match[1] in os.environ else mask(self.resolve(location))

    def _at_of_location(self, location: str) -> str:
        for path, value in scalars(to_data(self._root)):
            if value == location and is_location(path):
                return self.at(path)
        return f"{self.path}:1:1"


def load_recipe(
    source: StrPath,
    *,
    overlays: Sequence[str] = (),
    seed: int | None = None,
    text: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Recipe:
    """Load a recipe file (or `text` under the name `source`), apply overlays, and validate its shape. ``variables`` are those of `Recipe`.

    Accepts schema_version 1, 2 and 3; the model is always in the words of 3. Raises RecipeError, or an ErrorGroup of everything found at
    once, each with position, value, rule and remedy. Nothing in a recipe is executed, and no file but the recipe is opened.

    >>> text = "schema_version: 3\\nplugin: p\\nInput: {sources: [{name: a, type: image_folder, path: x}]}\\n"
    >>> text += "Output: {record_schema: {label: {dtype: str}}}\\nLabels: {field: label, source: {kind: direct}}"
    >>> recipe = load_recipe("r.yaml", text=text)
    >>> recipe.model.Input.sources[0].name, recipe.at("Input.sources[0].path")
    ('a', 'r.yaml:3:55')
    """
    name = os.fspath(source)
    if seed is not None and (isinstance(seed, bool) or not SEED_MIN <= seed <= SEED_MAX):
        raise UsageError(f"the seed {seed} is out of range", code="bad-seed", value=seed, least=SEED_MIN, most=SEED_MAX)
    given = text if text is not None else _read(name)
    root = yaml_parse.parse_yaml(given, name=name)
    if not root.is_map:
        raise RecipeError(
            "the recipe is empty" if root.value is None else f"a recipe is a mapping, not {shown(to_data(root))}",
            code="not-a-mapping",
            at=position_in(root, name, ()),
        )
    rename_overlays(root, file=name)
    root = apply_overlays(root, tuple(overlays), file=name)
    version = _gate(root, name)
    errors: list[RecipeError] = migrate(root, version, file=name)
    data = to_data(root)
    errors += _misplaced_variables(root, name, data)
    model = None
    try:
        # JSON mode is the strictest: text never becomes a number, and lists are what tuples come from.
        model = RecipeModel.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        errors += translate(error, data=data, model=RecipeModel, position_of=lambda path, key=False: position_in(root, name, path, key=key))
    raise_all(sorted(errors, key=_in_text_order))
    assert model is not None
    return Recipe(
        model=_normal(model),
        path=name,
        base_dir=os.path.dirname(os.path.abspath(name)),
        overlays=tuple(overlays),
        seed=model.seed if seed is None else seed,
        schema_version_written=version,
        name=recipe_name(name, given),
        text=_text(given),
        variables=variables or {},
        _root=root,
    )


NAME_LINE = "# The effective recipe of "
"""How the recipe in an instance begins; the name of the recipe that was run follows."""


def recipe_name(path: str, given: str | bytes = "") -> str:
    """What people call a recipe; see `Recipe`.

    >>> recipe_name("/data/cats.yaml"), recipe_name("/c/instances/a/b/0/recipe.yaml", "# The effective recipe of cats\\n...")
    ('cats', 'cats')
    """
    first = _text(given[:200] if isinstance(given, str) else given[:200].partition(b"\n")[0]).partition("\n")[0]
    if first.startswith(NAME_LINE):
        return display(first[len(NAME_LINE) :].strip())
    return display(os.path.splitext(basename(path))[0])


def _text(given: str | bytes) -> str:
    try:
        return given if isinstance(given, str) else given.decode()
    except UnicodeDecodeError:
        return ""


def parse_path(text: str) -> tuple[str | int, ...]:
    """The steps of a dotted path.

    >>> parse_path("Input.sources[0].path")
    ('Input', 'sources', 0, 'path')
    """
    steps: list[str | int] = []
    for part in _STEP.findall(text):
        bare = part.strip("[]")
        steps.append(int(bare) if bare.isdigit() else bare)
    return tuple(steps)


def position_in(root: Node, file: str, path: Sequence[str | int], *, key: bool = False) -> str:
    """``file:line:col`` of a path in a tree, or of its closest written ancestor."""
    node, known = root.find(tuple(path))
    line, column = node.key if key and node.key and known == len(path) else node.at
    return f"{file}:{line}:{column}"


def is_location(path: Sequence[str | int]) -> bool:
    """Whether a path of the model holds a location: ``${env:NAME}`` is legal only there."""
    if path[:2] == ("Input", "sources") and len(path) > 3:
        return tuple(path[3:]) in (("path",), ("label_from", "path"))
    return tuple(path[2:]) in (("params", "stats_from_instance", "recipe"), ("assertion", "reference", "instance"))


def scalars(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every scalar of plain data with its path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from scalars(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from scalars(value, (*path, index))
    else:
        yield path, data


def _read(name: str) -> bytes:
    try:
        # Opened without waiting: a pipe that nobody writes to would keep a run for ever.
        with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISFIFO(facts.st_mode) and not select.select([file], [], [], _PIPE_SECONDS)[0]:
                raise OSError(errno.EAGAIN, f"it is a pipe, and nobody wrote to it for {_PIPE_SECONDS} seconds")
            os.set_blocking(file.fileno(), True)
            if facts.st_size > yaml_parse.MAX_BYTES:
                raise yaml_parse.too_large(name, facts.st_size)
            return file.read(yaml_parse.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (getattr(error, "strerror", None) or str(error)).lower()
        raise RecipeError(f"cannot read the recipe: {reason}", code="recipe-unreadable", at=name, value=name) from None


def _gate(root: Node, file: str) -> int:
    node = root.get("schema_version")
    if node is None:
        raise RecipeError(
            "the recipe lacks 'schema_version'",
            code="schema-version",
            at=position_in(root, file, ()),
            rule="every recipe says which version of the language it speaks",
            remedy="write 'schema_version: 3' as its first line",
        )
    value = to_data(node)
    if isinstance(value, bool) or not isinstance(value, int) or value not in SUPPORTED:
        quoted = isinstance(value, str) and value.isdigit()
        raise RecipeError(
            f"schema_version must be 1, 2 or 3, not {shown(value)}",
            code="schema-version",
            at=position_in(root, file, ("schema_version",)),
            value=plain(value),
            remedy="remove the quotes" if quoted else None,
        )
    return value


def _misplaced_variables(root: Node, file: str, data: Any) -> list[RecipeError]:
    """Environment variables outside locations, and locations that use them in a way that means nothing."""
    errors = []
    for path, value in scalars({k: v for k, v in data.items() if k != "overlays"}):
        if not isinstance(value, str) or "${" not in value:
            continue
        at = position_in(root, file, path)
        if not is_location(path):
            if "${env:" in value:
                errors.append(RecipeError(f"{dotted(path)} uses an environment variable", code="env-not-location", at=at, value=value))
        elif not VARIABLE.match(value) or value.count("${") > 1:
            errors.append(
                RecipeError(
                    f"{dotted(path)} is not of the form ${{env:NAME}}/sub",
                    code="bad-location",
                    at=at,
                    value=value,
                    remedy="write ${env:NAME}/rest/of/the/path",
                )
            )
    return errors


def _normal(model: RecipeModel) -> RecipeModel:
    """The model with mappings whose order means nothing in sorted order, so that nothing downstream can depend on it."""
    output = model.Output.model_copy(update={"record_schema": dict(sorted(model.Output.record_schema.items()))})
    update: dict[str, Any] = {"Output": output}
    keys = model.Splits.key_assignment
    if keys is not None:
        keys = keys.model_copy(update={"mapping": dict(sorted(keys.mapping.items()))})
        update["Splits"] = model.Splits.model_copy(update={"key_assignment": keys})
    return model.model_copy(update=update)


def _in_text_order(error: RefineryError) -> tuple[int, int]:
    parts = error.at.rsplit(":", 2)
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 and parts[1].isdigit() else (0, 0)
