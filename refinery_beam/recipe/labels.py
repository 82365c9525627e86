"""How labels are read off paths, if they are: the one reading of ``Labels.source`` and of the featurizations that write the label."""

from __future__ import annotations

from typing import NamedTuple, get_args

from refinery_beam.errors import RecipeError, did_you_mean
from refinery_beam.plugins.base import DerivesLabel, Plugin
from refinery_beam.recipe.load import Recipe
from refinery_beam.recipe.model import Derivation
from refinery_beam.recipe.params import op_params

DERIVATIONS: tuple[Derivation, ...] = get_args(Derivation)


class LabelRule(NamedTuple):
    """``derivation`` is a word of `DERIVATIONS`, or None where no label is derived or ``errors`` say why none can be."""

    derivation: Derivation | None
    errors: tuple[RecipeError, ...] = ()


def label_rule(recipe: Recipe, plugin: Plugin) -> LabelRule:
    """The rule that derives labels: ``Labels.source.derivation``, or that of the featurization that writes the label.

    Wrong are a derived label that nothing derives (``label-not-made``) and two rules that differ (``label-made-twice``). Operations that
    the plugin does not have, or whose parameters do not validate, are passed over: other checks refuse them.
    """
    labels, found = recipe.model.Labels, recipe.model.Labels.source.derivation
    if labels.source.kind != "derived":
        return LabelRule(None)
    errors: list[RecipeError] = []
    makers = 0
    for i, step in enumerate(recipe.model.Featurizations):
        if step.output_field != labels.field:
            continue
        op: object = plugin.op(step.op)
        params, _ = op_params(recipe, "Featurizations", i, step, plugin=plugin)
        makers += params is None or isinstance(op, DerivesLabel)
        if params is None or not isinstance(op, DerivesLabel):
            continue
        written, at = op.derivation(params), recipe.at(("Featurizations", i))
        if written not in DERIVATIONS:
            errors.append(
                RecipeError(
                    f"the featurization {step.name!r} derives the label by {written!r}, which is no rule",
                    code="label-not-made",
                    at=at,
                    value=written,
                    rule="rules: " + ", ".join(DERIVATIONS),
                    remedy=did_you_mean(written, DERIVATIONS),
                )
            )
        elif found is not None and found != written:
            errors.append(
                RecipeError(
                    f"the label is derived by {found}, and by {written} in the featurization {step.name!r}",
                    code="label-made-twice",
                    at=at,
                    value=written,
                )
            )
        else:
            found = next(word for word in DERIVATIONS if word == written)
    if found is None and not makers:
        errors.append(
            RecipeError(
                "the label is derived, but nothing derives it",
                code="label-not-made",
                at=recipe.at(("Labels", "source")),
                value=labels.field,
            )
        )
    return LabelRule(None if errors else found, tuple(errors))
