"""Recipes: their text, their typed value, their identity and their checks."""

from __future__ import annotations

from refinery_beam.recipe.canonical import canonical
from refinery_beam.recipe.checks import CheckResult, complete, refuse_unexecuted, run_checks
from refinery_beam.recipe.checks.compiler import LABELS
from refinery_beam.recipe.digest import digest_of_recipe
from refinery_beam.recipe.effective import effective_yaml, location_variables
from refinery_beam.recipe.load import Recipe, load_recipe
from refinery_beam.recipe.model import RecipeModel
from refinery_beam.recipe.params import decode_limits, decode_policy, full_params, op_params
from refinery_beam.recipe.schema import json_schema
from refinery_beam.recipe.seeds import section_seed

__all__ = [
    "LABELS",
    "CheckResult",
    "Recipe",
    "RecipeModel",
    "canonical",
    "complete",
    "decode_limits",
    "decode_policy",
    "digest_of_recipe",
    "effective_yaml",
    "full_params",
    "json_schema",
    "load_recipe",
    "location_variables",
    "op_params",
    "refuse_unexecuted",
    "run_checks",
    "section_seed",
]
