"""What a plain word of YAML means: the core schema of YAML 1.2, not 1.1.

``no`` and ``on`` are text, ``1e-3`` is a number, dates stay text. Whole numbers with leading zeros (``007``) stay text: 1.1 reads them as
octal, 1.2 as decimal, and a class folder of that name is neither.
"""

from __future__ import annotations

import math
import re

from refinery_beam.recipe.yaml.nodes import Scalar

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_RADIX = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


def resolve_scalar(text: str) -> Scalar:
    """The YAML 1.2 core value of a plain scalar; raises ValueError for numbers that are not finite or too long.

    >>> [resolve_scalar(t) for t in ("on", "1e-3", "0o17", "017", "2024-01-01", "~", "5")]
    ['on', 0.001, 15, '017', '2024-01-01', None, 5]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.match(text):
        if len(text) > 40:
            raise ValueError("a whole number of more than 40 digits")
        return int(text)
    if _RADIX.match(text):
        if len(text) > 40:
            raise ValueError("a whole number of more than 40 digits")
        return int(text, 0)
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("a number too large for a double")
        return number
    if _NOT_FINITE.match(text):
        raise ValueError("infinity or not-a-number")
    return text
