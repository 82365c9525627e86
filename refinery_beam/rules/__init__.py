"""The catalogue of errors: what each code means, which rule it says was broken, and what to do.

`errors` fills the texts of an error from it, and the page docs/errors.md is written from it (`make docs-errors`). A new code gets an entry
in the file of its section; ``tests/rules`` finds a code without one, and an entry that nothing uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from refinery_beam.rules.checks_of_inputs import INPUTS
from refinery_beam.rules.checks_of_steps import STEPS
from refinery_beam.rules.data import DATA
from refinery_beam.rules.engine import ENGINE
from refinery_beam.rules.environment import ENVIRONMENT
from refinery_beam.rules.language import TEXT, WORDS
from refinery_beam.rules.rule import Rule, Section, fill
from refinery_beam.rules.usage import USAGE

__all__ = ["RULES", "SECTIONS", "Rule", "Section", "fill"]

SECTIONS = (
    Section("The recipe's text", 1, TEXT),
    Section("Words and values of a recipe", 1, WORDS),
    Section("Checks of a recipe", 1, {**INPUTS, **STEPS}),
    Section("Data", 1, DATA),
    Section("Usage", 2, USAGE),
    Section("Environment, plugins, cache", 3, ENVIRONMENT),
    Section("Engine", 4, ENGINE),
)

RULES: Mapping[str, Rule] = MappingProxyType({code: rule for section in SECTIONS for code, rule in section.rules.items()})
"""Every code of this package."""
