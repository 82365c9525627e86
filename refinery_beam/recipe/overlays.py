"""Overlays: named whole-section replacements, applied in the order they are asked for. ``variants`` is their old name."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import RecipeError, did_you_mean, raise_all
from refinery_beam.recipe.model import RecipeModel
from refinery_beam.recipe.yaml.nodes import Node

NAMES = ("overlays", "variants")
OUTSIDE = ("overlays", "variants", "extensions")
SECTIONS = tuple(name for name in RecipeModel.model_fields if name not in OUTSIDE)


def rename_overlays(root: Node, *, file: str) -> None:
    """Give ``variants`` its newer name, in place; RecipeError when a recipe has both."""
    old = root.value.get("variants")
    if old is None:
        return
    if "overlays" in root.value:
        line, column = old.key or old.at
        raise RecipeError("a recipe has 'variants' or 'overlays', not both", code="variants-and-overlays", at=f"{file}:{line}:{column}")
    root.value["overlays"] = root.value.pop("variants")


def apply_overlays(root: Node, names: Sequence[str], *, file: str) -> Node:
    """The recipe with the sections of the named overlays in place of its own, the last writer winning.

    The replaced sections keep the positions of the overlay's text. Raises RecipeError for a name the recipe does not declare (with the
    closest one), an overlay that is no mapping, and a section an overlay cannot replace.
    """
    if not names:
        return root
    declared = root.get("overlays")
    known = list(declared.value) if declared is not None and declared.is_map else []
    sections = dict(root.value)
    errors = []
    for name in names:
        overlay = declared.get(name) if declared is not None else None
        if overlay is None:
            line, column = (declared or root).at
            errors.append(
                RecipeError(
                    f"the recipe has no overlay {name!r}",
                    code="unknown-overlay",
                    at=f"{file}:{line}:{column}",
                    value=name,
                    remedy=did_you_mean(name, known) if known else "this recipe declares none",
                )
            )
        elif not overlay.is_map:
            line, column = overlay.at
            errors.append(
                RecipeError(
                    f"the overlay {name!r} must be a mapping of sections",
                    code="bad-type",
                    at=f"{file}:{line}:{column}",
                    rule="an overlay is a mapping of section names to whole sections",
                    remedy="write 'Section: ...' below it, or {} for an overlay that changes nothing",
                )
            )
        else:
            for section, node in overlay.value.items():
                if section not in SECTIONS:
                    line, column = node.key or node.at
                    errors.append(overlay_section_error(name, section, at=f"{file}:{line}:{column}"))
                sections[section] = node
    raise_all(errors)
    return Node(sections, root.line, root.column)


def overlay_section_error(overlay: str, section: str, *, at: str) -> RecipeError:
    """The refusal of a section that an overlay cannot replace."""
    return RecipeError(
        f"the overlay {overlay!r} replaces {section!r}, which is no section an overlay can replace",
        code="unknown-field",
        at=at,
        value=section,
        rule="an overlay replaces whole sections: " + ", ".join(SECTIONS),
        remedy=did_you_mean(section, SECTIONS),
    )
