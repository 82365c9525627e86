"""`validate`: every static check of a recipe, by number and name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.index import check_sources
from refinery_beam.launch.options import Options, keywords
from refinery_beam.launch.prepare import check_recipe
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.recipe import LABELS, CheckResult, complete


@dataclass(frozen=True, kw_only=True)
class ValidateResult:
    """What the checks found; true if the recipe is valid. `checks` is empty for a text that is no recipe at all, and `errors` says why."""

    checks: tuple[CheckResult, ...]
    errors: tuple[RefineryError, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    def __bool__(self) -> bool:
        return self.valid

    @property
    def warnings(self) -> tuple[RefineryError, ...]:
        """What a check warns of; a run does it all the same."""
        return tuple(error for check in self.checks if check.status == "warn" for error in check.errors)

    def to_dict(self) -> dict[str, Any]:
        """The object `validate --json` prints (contract 1)."""
        checks = [{"number": c.number, "name": c.name, "status": c.status, "errors": [e.to_dict() for e in c.errors]} for c in self.checks]
        status = "valid" if self.valid else "invalid"
        return {"contract": CONTRACT, "status": status, "checks": checks, "errors": [e.to_dict() for e in self.errors]}

    def __str__(self) -> str:
        if not self.checks:
            return f"invalid: {_errors(len(self.errors))}no check was made"
        passed, skipped = (sum(c.status in words for c in self.checks) for words in (("pass", "warn"), ("skip",)))
        unmade = f", {skipped} not made" if skipped else ""
        found = _errors(len(self.errors))
        return f"{'valid' if self.valid else 'invalid'}: {found}{passed} of {len(self.checks)} checks passed{unmade}"


@keywords(Options)
def validate(recipe: StrPath, options: Options) -> ValidateResult:
    """Check a recipe, and that its files have labels, without reading any image: names and label tables only. What is wrong is in the
    result; faults of the environment are raised.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> [error.at for error in rb.validate("recipe.yaml").errors]        # doctest: +SKIP
    ['recipe.yaml:6:11']
    """
    return validate_with(recipe, Settings.of(options))


def validate_with(recipe: StrPath, settings: Settings) -> ValidateResult:
    """`validate` with its settings in one value; what the command line calls."""
    settings.check()
    try:
        loaded, plugin, checks, errors = check_recipe(recipe, settings)
    except RefineryError as error:
        if not all(isinstance(one, RecipeError) for one in error.errors()):
            raise
        return ValidateResult(checks=(), errors=error.errors())
    if errors:
        # Labels are not asked for where the recipe is at fault: the answer would be about something else.
        return ValidateResult(checks=checks, errors=tuple(errors))
    with locations.put_in_words():
        data = check_sources(loaded, plugin)
    checks = complete(checks, data.errors, planned=False, warnings=data.warnings, unmade=(LABELS,) if data.unlisted else ())
    return ValidateResult(checks=checks, errors=data.errors)


def _errors(count: int) -> str:
    return f"{count} error{'s' if count > 1 else ''}; " if count else ""
