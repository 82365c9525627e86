"""Beam's pipeline options, whose views are made once each.

Why: Beam asks for a view of the options some seven times for every transform that is applied, and each view of its own `PipelineOptions`
builds an argument parser and parses all flags again. For a recipe with filters, generation and fits that was two thirds of the time in
which its pipeline is built: more than a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class ParsedOnce(PipelineOptions):
    """Options as Beam's own, with every view kept. Views share one dictionary of values, so a value set in one view is set in all.

    >>> from apache_beam.options.pipeline_options import StandardOptions
    >>> options = ParsedOnce(["--streaming"])
    >>> options.view_as(StandardOptions) is options.view_as(StandardOptions)
    True
    """

    def view_as(self, cls: type[Any]) -> Any:
        # Not an attribute: setting one would make it an option.
        views: dict[type[Any], Any] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles make their own views."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_views"}


def pipeline_options_of(flags: Sequence[str]) -> ParsedOnce:
    """The options of a job. Nothing of the main program is pickled for workers (for Dataflow Beam would): they have the code installed."""
    return ParsedOnce(list(flags), save_main_session=False)
