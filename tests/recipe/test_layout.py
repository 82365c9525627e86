"""The grammar of layouts: one for `validate` and for listing."""

from __future__ import annotations

import pytest

from refinery_beam.recipe.layout import LayoutError, layout_segments


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        ("{label}", "does not end in {file}"),
        ("{file}/{label}", "does not end in {file}"),
        ("{label}/{label}/{file}", "has {label} more than once"),
        ("**/x/**/{file}", "has ** more than once"),
        ("/{file}", "has an empty segment"),
        ("", "has an empty segment"),
        ("a\tb/{file}", "holds a control character"),
        ("../{file}", "has the segment '..'"),
        ("{lable}/{file}", "has the segment '{lable}', which is neither a token nor a plain name"),
        ("img_*/{file}", "has the segment 'img_*', which is neither a token nor a plain name"),
        ("{label}x/{file}", "has the segment '{label}x', which is neither a token nor a plain name"),
    ],
)
def test_what_breaks_the_grammar(layout: str, problem: str) -> None:
    with pytest.raises(LayoutError) as caught:
        layout_segments(layout)
    assert caught.value.problem == problem and caught.value.remedy


def test_a_broken_token_names_the_closest() -> None:
    with pytest.raises(LayoutError) as caught:
        layout_segments("{lable}/{file}")
    assert caught.value.remedy.startswith("did you mean '{label}'?")
