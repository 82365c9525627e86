"""YAML text to a tree that remembers where everything was written.

A recipe is read as *events*, twice: the first pass enforces every limit and builds nothing, the second builds the tree of a text that is
known to be small and shallow, aliases written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from refinery_beam.errors import RecipeError, raise_all
from refinery_beam.recipe.yaml.nodes import Node, Scalar
from refinery_beam.recipe.yaml.scalars import resolve_scalar

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_REPORTED = 25
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str | bytes, *, name: str) -> Node:
    """Parse one YAML document under the limits of this module.

    Raises RecipeError (or an ErrorGroup of several) that names ``name:line:column``: malformed YAML, text that is not UTF-8, more than 1
    MiB, deeper than 64, more than 100,000 values (an alias counts as all that it stands for), anchors of mappings, tags, duplicate keys,
    keys that are not text, a second document, numbers that are not finite.
    """
    return _Builder(_decode(text, name), name).build()


@dataclass(slots=True)
class _Frame:
    node: Node
    key: str | None = None
    key_at: tuple[int, int] | None = None
    awaiting_value: bool = False


class _Builder:
    """Builds the tree from events with an explicit stack: depth costs no Python recursion."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.errors: list[RecipeError] = []
        self.root: Node | None = None
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.depth = 0
        self.documents = 0
        self.sizes: dict[str, tuple[int, int]] = {}  # by anchor: values, and how deep they are nested
        self.open: list[tuple[str | None, int, int]] = []  # of open collections: anchor, values before, depth inside
        self.anchored: dict[str, Node] = {}

    def error(self, message: str, *, code: str, mark: Any = None, at: tuple[int, int] | None = None, **words: Any) -> RecipeError:
        line, column = at or ((mark.line + 1, mark.column + 1) if mark else (1, 1))
        return RecipeError(message, code=code, at=f"{self.name}:{line}:{column}", **words)

    def build(self) -> Node:
        try:
            for event in self.events():
                self.limit(event)
            for event in self.events():
                self.take(event)
        except yaml.YAMLError as error:
            raise self.translate(error) from None
        raise_all(self.errors)
        if self.root is None:
            return Node(None, 1, 1)
        return self.root

    def events(self) -> Iterator[Any]:
        loader = _LOADER(self.text)
        try:
            while loader.check_event():
                yield loader.get_event()
        finally:
            loader.dispose()

    def limit(self, event: Any) -> None:
        """The first pass: nothing is built before the whole text is known to be one document, shallow and small with its aliases."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.sizes:
                raise self.refuse_alias(event, "stands before its anchor, or in it")
            values, depth = self.sizes[event.anchor]
            self.count(values, event.start_mark)
            if self.depth + depth > MAX_DEPTH:
                raise self.too_deep(event.start_mark)
            self.reached(self.depth + depth)
        elif isinstance(event, yaml.NodeEvent):
            self.count(1, event.start_mark)
            if event.anchor is not None and isinstance(event, yaml.MappingStartEvent):
                raise self.refuse_alias(event, "names a mapping")
            if isinstance(event, yaml.CollectionStartEvent):
                self.depth += 1
                if self.depth > MAX_DEPTH:
                    raise self.too_deep(event.start_mark)
                self.sizes.pop(event.anchor or "", None)
                self.open.append((event.anchor, self.nodes - 1, self.depth))
            elif event.anchor is not None:
                self.sizes[event.anchor] = (1, 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before, deepest = self.open.pop()
            self.depth -= 1
            if anchor is not None:
                self.sizes[anchor] = (self.nodes - before, deepest - self.depth)
            self.reached(deepest)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.error("a second YAML document starts here", code="yaml-many-documents", mark=event.start_mark)

    def count(self, values: int, mark: Any) -> None:
        self.nodes += values
        if self.nodes > MAX_NODES:
            raise self.error(f"more than {MAX_NODES} values", code="yaml-too-many-values", mark=mark, limit=MAX_NODES)

    def reached(self, depth: int) -> None:
        """Note how deep the innermost open collection goes."""
        if self.open:
            anchor, before, deepest = self.open[-1]
            self.open[-1] = (anchor, before, max(deepest, depth))

    def too_deep(self, mark: Any) -> RecipeError:
        return self.error(f"nested deeper than {MAX_DEPTH} levels", code="yaml-too-deep", mark=mark, limit=MAX_DEPTH)

    def take(self, event: Any) -> None:
        """The second pass: one event into the tree."""
        if isinstance(event, yaml.AliasEvent):
            where: Any = event.start_mark
            self.put(Node(_copied(self.anchored[str(event.anchor)]), where.line + 1, where.column + 1))
        elif isinstance(event, yaml.ScalarEvent):
            self.check_tag(event)
            self.take_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.check_tag(event)
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            mark: Any = event.start_mark
            node = Node(value, mark.line + 1, mark.column + 1, at_key=not event.flow_style)
            self.put(node)
            self.stack.append(_Frame(node))
            if event.anchor is not None:
                self.anchored[event.anchor] = node
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()

    def take_scalar(self, event: Any) -> None:
        mark = event.start_mark
        text = event.value
        value: Scalar = text
        plain = event.implicit[0]
        if plain:
            try:
                value = resolve_scalar(text)
            except ValueError as error:
                self.report(self.error(f"{event.value[:60]!r} is {error}", code="yaml-number", mark=mark, value=event.value[:60]))
                value = 0
        elif not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise self.error(
                "half of a surrogate pair is no character", code="yaml-characters", mark=mark, rule="text is Unicode", remedy="remove it"
            )
        node = Node(value, mark.line + 1, mark.column + 1, None, plain and text == "")
        if event.anchor is not None:
            self.anchored[event.anchor] = node
        self.put(node)

    def check_tag(self, event: Any) -> None:
        if event.tag is not None:
            self.report(
                self.error(
                    f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')[:80]} is not allowed",
                    code="yaml-tag",
                    mark=event.start_mark,
                    value=event.tag[:80],
                )
            )

    def refuse_alias(self, event: Any, problem: str) -> RecipeError:
        kind, sign = ("alias", "*") if isinstance(event, yaml.AliasEvent) else ("anchor", "&")
        return self.error(
            f"the {kind} {sign}{event.anchor} {problem}", code="yaml-alias", mark=event.start_mark, value=f"{sign}{event.anchor}"
        )

    def put(self, node: Node) -> None:
        """Hang a node under its parent, as list item, key or value."""
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif frame.awaiting_value:
            node.key = frame.key_at
            if frame.key is not None:
                frame.node.value[frame.key] = node
            frame.awaiting_value = False
        else:
            frame.key = self.key_text(node, frame)
            frame.key_at = (node.line, node.column)
            frame.awaiting_value = True

    def key_text(self, node: Node, frame: _Frame) -> str | None:
        """The key's text, or None (with a report) when it cannot be one; its value is then read and left out."""
        where = (node.line, node.column)
        if not isinstance(node.value, str):
            shown = "a collection" if isinstance(node.value, dict | list) else repr(node.value).replace("None", "null")
            self.report(
                self.error(
                    f"the key {shown} is not text",
                    code="yaml-key-not-text",
                    at=where,
                    value=shown,
                    remedy=f'write it in quotes: "{shown}"' if not isinstance(node.value, dict | list) else "use a name as key",
                )
            )
            return None
        before = frame.node.value.get(node.value)
        if before is not None:
            line, column = before.key or before.at
            self.report(
                self.error(
                    f"the key {node.value!r} is written twice; the first is at {self.name}:{line}:{column}",
                    code="yaml-duplicate-key",
                    at=where,
                    value=node.value,
                )
            )
            return None
        return node.value

    def report(self, error: RecipeError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_REPORTED:
            raise_all(self.errors)

    def translate(self, error: yaml.YAMLError) -> RecipeError:
        if isinstance(error, yaml.reader.ReaderError):
            # With text as input the position counts bytes in the C reader; the first odd character is found again here.
            at = _first_odd(self.text)
            line, column = _line_column(self.text, at)
            return self.error(
                f"the character U+{ord(self.text[at]):04X} is not allowed in YAML" if at < len(self.text) else "unreadable text",
                code="yaml-characters",
                at=(line, column),
            )
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "malformed YAML"
        if "nesting depth" in problem:
            # The scanner of newer libraries looks ahead as far as a thousand brackets, and gives up there before our own count is asked.
            return self.too_deep(mark)
        context = getattr(error, "context", None)
        begun = getattr(error, "context_mark", None)
        since = f" that begins at {begun.line + 1}:{begun.column + 1}" if begun is not None and mark is not begun else ""
        remedy = "check indentation, quotes and brackets " + ("between there and here" if since else "around this place")
        if mark is not None and self.text[mark.index : mark.index + 1] == "\t":
            remedy = "indent with spaces, not tabs"
        elif "escape" in problem:
            remedy = "backslashes in double quotes are escapes: use single quotes, or forward slashes"
        elif "mapping values are not allowed" in problem:
            remedy = "put text that holds ': ' in quotes, or check the indentation"
        return self.error(
            f"malformed YAML: {problem}" + (f" ({context}{since})" if context else ""), code="yaml-syntax", mark=mark, remedy=remedy
        )


def _copied(node: Node) -> Any:
    """The value of a node, its items copied: what one alias stands for may be rewritten without the others. Items keep their positions."""
    if isinstance(node.value, list):
        return [Node(_copied(item), item.line, item.column, item.key, item.at_key) for item in node.value]
    if isinstance(node.value, dict):
        return {key: Node(_copied(item), item.line, item.column, item.key, item.at_key) for key, item in node.value.items()}
    return node.value


def too_large(name: str, size: int) -> RecipeError:
    """The refusal of a recipe of more than `MAX_BYTES`."""
    return RecipeError(f"the recipe has {size} bytes", code="yaml-too-large", at=f"{name}:1:1", value=size, limit=MAX_BYTES)


def _decode(text: str | bytes, name: str) -> str:
    if isinstance(text, str):
        if len(text) > MAX_BYTES:
            raise too_large(name, len(text))
        try:
            encoded = text.encode()
        except UnicodeEncodeError as error:
            line, column = _line_column(text, error.start)
            raise RecipeError("half of a surrogate pair is no character", code="yaml-not-utf8", at=f"{name}:{line}:{column}") from None
    else:
        encoded = text
    if len(encoded) > MAX_BYTES:
        raise too_large(name, len(encoded))
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = encoded[: error.start]
        line, column = _line_column(before.decode("utf-8", "replace"), len(before.decode("utf-8", "replace")))
        raise RecipeError(
            f"the byte 0x{encoded[error.start]:02X} is not UTF-8", code="yaml-not-utf8", at=f"{name}:{line}:{column}"
        ) from None


def _line_column(text: str, at: int) -> tuple[int, int]:
    head = text[:at]
    return head.count("\n") + 1, at - (head.rfind("\n") + 1) + 1


_ODD = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _first_odd(text: str) -> int:
    found = _ODD.search(text)
    return found.start() if found else len(text)
