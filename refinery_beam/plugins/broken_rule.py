"""The error of a parameter model whose fields break a rule together: an error code, the rule, a remedy and the field to point to."""

from __future__ import annotations

from pydantic_core import PydanticCustomError


def broken_rule(
    message: str, *, at: str = "", code: str = "bad-value", rule: str | None = None, remedy: str | None = None
) -> PydanticCustomError:
    """The error for a validator to raise. `at` names the field to point to; without it the whole mapping is shown."""
    return PydanticCustomError("recipe_rule", "{text}", {"code": code, "rule": rule, "remedy": remedy, "at": at, "text": message})
