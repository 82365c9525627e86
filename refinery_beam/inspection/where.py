r"""The small language of ``--where``: comparisons of columns, joined by and, or, not and parentheses. Data, not code: nothing is evaluated.

    sharpness < 10.5 and not label in ('cat', 'dog')
    width > height or camera is null
    record_id contains 'IMG_' and bytes >= 1e6

A fact with a scale is stored as a whole number (12.34 as 1234); the number in the text is brought to that scale exactly, so no comparison
is rounded. A comparison with a value that is not there (null) holds for no record; ``is null`` asks for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from refinery_beam.errors import UsageError, did_you_mean
from refinery_beam.visible import display

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CHARACTERS = 4_000
DEEPEST = 50

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?(?![\w.]))
      | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<quoted>`[^`]+`)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign><=|>=|==|!=|<>|=|<|>)
      | (?P<bracket>[(),])
    )""",
    re.VERBOSE,
)
_SIGNS = {"=": "==", "<>": "!="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = ("and", "or", "not", "in", "is", "null", "contains", "startswith", "endswith", "true", "false")
GRAMMAR = (
    "a condition is COLUMN, one of < <= = != >= >, and a number, a text in quotes or another column; or COLUMN in (VALUE, ...), "
    "COLUMN is null, COLUMN contains 'TEXT' (startswith, endswith); joined by and, or, not and parentheses"
)

Kind = Literal["number", "text", "truth"]


class Column(NamedTuple):
    """A column that conditions may name: `kind` of its values, and the `scale` of numbers that are stored as whole ones."""

    kind: Kind
    scale: int = 1
    exact: bool = True
    """Whether numbers are whole ones, and not floating-point."""


@dataclass(frozen=True)
class Condition:
    """A condition on rows: the columns that it names, and the test itself."""

    text: str
    columns: tuple[str, ...]
    _test: Any

    def mask(self, table: pa.Table) -> pa.ChunkedArray:
        """Which rows of a table it holds for; null where a value is not there."""
        return self._test(table)


def parse_condition(text: str, columns: Mapping[str, Column], *, without: str = "") -> Condition:
    """A condition over the columns; `without` says which others there might be, and why they are not. UsageError ``where-syntax``,
    ``where-column``, ``where-type``, which say where and what is meant.

    >>> parse_condition("sharpness < 10.5 and label = 'cat'", {"sharpness": Column("number", 100), "label": Column("text")}).columns
    ('label', 'sharpness')
    """
    return _Parser(text, columns, without).condition()


class _Part(NamedTuple):
    kind: str
    text: str
    start: int


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, Column], without: str) -> None:
        self._text, self._columns, self._used, self._without = text, columns, set[str](), without
        self._deep = 0
        if len(text) > MOST_CHARACTERS:
            self._wrong(MOST_CHARACTERS, f"it is longer than {MOST_CHARACTERS:,} characters")
        self._parts = [*self._cut(), _Part("end", "the end", len(text))]
        self._next = 0

    def condition(self) -> Condition:
        test = self._any()
        if self._part.kind != "end":
            self._wrong(self._part.start, f"{display(self._part.text)} is not expected here; join conditions with and, or")
        return Condition(self._text, tuple(sorted(self._used)), test)

    # -- and, or, not -------------------------------------------------------------------------------------------------------------

    def _any(self) -> Any:
        tests = [self._all()]
        while self._word("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else _joined("or_kleene", tests)

    def _all(self) -> Any:
        tests = [self._one()]
        while self._word("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else _joined("and_kleene", tests)

    def _one(self) -> Any:
        self._deep += 1
        if self._deep > DEEPEST:
            self._wrong(self._part.start, f"parentheses and not are nested more than {DEEPEST} deep")
        try:
            if self._word("not"):
                return _called("invert", self._one())
            if self._bracket("("):
                test = self._any()
                if not self._bracket(")"):
                    self._wrong(self._part.start, "a ) is missing")
                return test
            return self._comparison()
        finally:
            self._deep -= 1

    # -- one comparison -----------------------------------------------------------------------------------------------------------

    def _comparison(self) -> Any:
        start = self._part.start
        left, turned = self._operand(), False
        if self._word("is"):
            negated = self._word("not")
            if not self._word("null"):
                self._wrong(self._part.start, "after is stands null, or not null")
            test = _of_column("is_null", self._named(left))
            return _called("invert", test) if negated else test
        negated = self._word("not")
        for word, function in (("contains", "match_substring"), ("startswith", "starts_with"), ("endswith", "ends_with")):
            if self._word(word):
                name = self._named(left)
                self._must_be("text", name, left, word)
                part = self._take()
                if part.kind != "text":
                    self._wrong(part.start, f"after {word} stands a text in quotes")
                test = _of_column(function, name, pattern=_unquoted(part.text))
                return _called("invert", test) if negated else test
        if self._word("in"):
            test = self._among(left)
            return _called("invert", test) if negated else test
        if negated:
            self._wrong(self._part.start, "after not stands in, contains, startswith or endswith")
        sign = self._take()
        if sign.kind != "sign":
            self._wrong(sign.start, f"a comparison is missing after {display(left.text)}")
        right = self._operand()
        if not self._is_column(left):
            left, right, turned = right, left, True
        operation = _SIGNS.get(sign.text, sign.text)
        operation = _TURNED[operation] if turned else operation
        name = self._named(left, start)
        if self._is_column(right):
            return self._two_columns(operation, name, self._named(right), right)
        return self._with_value(operation, name, right)

    def _among(self, left: _Part) -> Any:
        name = self._named(left)
        if not self._bracket("("):
            self._wrong(self._part.start, "after in stands a list in parentheses: in ('cat', 'dog')")
        tests = []
        while True:
            tests.append(self._with_value("==", name, self._take()))
            if self._bracket(")"):
                return tests[0] if len(tests) == 1 else _joined("or_kleene", tests)
            if not self._bracket(","):
                self._wrong(self._part.start, "values of a list are parted by commas, and the list ends with )")

    def _with_value(self, operation: str, name: str, value: _Part) -> Any:
        column = self._columns[name]
        if value.kind == "number":
            self._must_be("number", name, value, value.text)
            return _with_number(operation, name, column, Fraction(value.text))
        if value.kind == "text":
            self._must_be("text", name, value, value.text)
            return _compared(operation, name, _unquoted(value.text))
        if value.kind == "name" and value.text.lower() in ("true", "false"):
            self._must_be("truth", name, value, value.text)
            return _compared(operation, name, value.text.lower() == "true")
        self._wrong(value.start, f"{display(value.text)} is no value; a value is a number, a text in quotes, true or false")

    def _two_columns(self, operation: str, one: str, other: str, at: _Part) -> Any:
        left, right = self._columns[one], self._columns[other]
        if left.kind != right.kind or left.scale != right.scale:
            self._type(at, f"{one} and {other} are not of one kind and scale")
        return _two(operation, one, other)

    def _must_be(self, kind: Kind, name: str, at: _Part, said: str) -> None:
        have = self._columns[name].kind
        if have == kind:
            return
        meant = {"number": f"{name} is a number: write it without quotes", "text": f"{name} is text: write '{said}' in quotes"}
        self._type(at, meant.get(have, f"{name} is true or false"))

    # -- names and parts ----------------------------------------------------------------------------------------------------------

    def _operand(self) -> _Part:
        part = self._take()
        if part.kind in ("bracket", "sign", "end"):
            self._wrong(part.start, "a column is missing")
        return part

    def _is_column(self, part: _Part) -> bool:
        return part.kind == "quoted" or (part.kind == "name" and part.text.lower() not in ("true", "false"))

    def _named(self, part: _Part, start: int | None = None) -> str:
        if not self._is_column(part):
            self._wrong(part.start if start is None else start, "one side of a comparison is a column")
        name = part.text.strip("`")
        if name not in self._columns:
            raise UsageError(
                f"{_pointed(self._text, part.start)}: there is no column '{display(name)}'",
                code="where-column",
                at="--where",
                value=name,
                remedy=f"{did_you_mean(name, self._columns)} (texts stand in quotes)",
                rule=f"columns are: {', '.join(sorted(self._columns))}{self._without}",
            )
        self._used.add(name)
        return name

    @property
    def _part(self) -> _Part:
        return self._parts[self._next]

    def _take(self) -> _Part:
        part = self._part
        self._next += part.kind != "end"
        return part

    def _word(self, word: str) -> bool:
        found = self._part.kind == "name" and self._part.text.lower() == word
        self._next += found
        return found

    def _bracket(self, sign: str) -> bool:
        found = self._part.kind == "bracket" and self._part.text == sign
        self._next += found
        return found

    def _cut(self) -> Iterator[_Part]:
        at = 0
        while self._text[at:].strip():
            found = _TOKEN.match(self._text, at)
            if found is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                rest = self._text[start]
                self._wrong(start, "a text is not closed by its quote" if rest in "'\"`" else f"{display(rest)} has no meaning")
            kind = str(found.lastgroup)
            yield _Part(kind, found.group(kind), found.start(kind))
            at = found.end()

    def _wrong(self, at: int, problem: str) -> NoReturn:
        raise UsageError(f"{_pointed(self._text, at)}: {problem}", code="where-syntax", at="--where", value=self._text, rule=GRAMMAR)

    def _type(self, part: _Part, problem: str) -> NoReturn:
        raise UsageError(f"{_pointed(self._text, part.start)}: {problem}", code="where-type", at="--where", value=self._text, rule=GRAMMAR)


def _pointed(text: str, at: int) -> str:
    """A position of the text, with what stands there."""
    rest = text[at : at + 20]
    return f"at character {at + 1}" + (f" ('{display(rest)}')" if rest else "")


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def _with_number(operation: str, name: str, column: Column, value: Fraction) -> Any:
    """A comparison with a number, by whole numbers where the column has them: x < 10.5 is x < 11."""
    if not column.exact:
        return _compared(operation, name, float(value) * column.scale)
    scaled = value * column.scale
    if operation in ("<", ">="):
        return _compared(operation, name, _bounded(ceil(scaled)))
    if operation in (">", "<="):
        return _compared(operation, name, _bounded(floor(scaled)))
    if scaled.denominator != 1:
        return _constant(operation == "!=", name)
    return _compared(operation, name, _bounded(int(scaled)))


def _bounded(value: int) -> int:
    """Within what 64 bits hold: no stored number lies beyond."""
    return max(-(1 << 63) + 1, min((1 << 63) - 1, value))


def _compared(operation: str, name: str, value: Any) -> Any:
    def test(table: pa.Table) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _plain(table.column(name))
        if isinstance(value, int) and not isinstance(value, bool):
            return _FUNCTIONS[operation](pc, column.cast(pa.int64()), pa.scalar(value, pa.int64()))
        return _FUNCTIONS[operation](pc, column, pa.scalar(value))

    return test


def _two(operation: str, one: str, other: str) -> Any:
    def test(table: pa.Table) -> Any:
        import pyarrow.compute as pc

        return _FUNCTIONS[operation](pc, _plain(table.column(one)), _plain(table.column(other)))

    return test


def _constant(value: bool, name: str) -> Any:
    """True or false for every record that has a value."""

    def test(table: pa.Table) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _plain(table.column(name))
        return pc.if_else(pc.is_valid(column), pa.scalar(value), pa.scalar(None, pa.bool_()))

    return test


def _of_column(function: str, name: str, **options: Any) -> Any:
    def test(table: pa.Table) -> Any:
        import pyarrow.compute as pc

        return getattr(pc, function)(_plain(table.column(name)), **options)

    return test


def _called(function: str, inner: Any) -> Any:
    def test(table: pa.Table) -> Any:
        import pyarrow.compute as pc

        return getattr(pc, function)(inner(table))

    return test


def _joined(function: str, tests: list[Any]) -> Any:
    def test(table: pa.Table) -> Any:
        import pyarrow.compute as pc

        found = tests[0](table)
        for one in tests[1:]:
            found = getattr(pc, function)(found, one(table))
        return found

    return test


_FUNCTIONS: dict[str, Any] = {
    "<": lambda pc, a, b: pc.less(a, b),
    "<=": lambda pc, a, b: pc.less_equal(a, b),
    ">": lambda pc, a, b: pc.greater(a, b),
    ">=": lambda pc, a, b: pc.greater_equal(a, b),
    "==": lambda pc, a, b: pc.equal(a, b),
    "!=": lambda pc, a, b: pc.not_equal(a, b),
}


def _plain(column: Any) -> Any:
    """A column without its dictionary."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
