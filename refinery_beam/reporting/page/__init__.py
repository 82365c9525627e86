"""report.html: one file that loads nothing, made of an instance's own data. Importing this package imports Jinja2; nothing else does."""

from refinery_beam.reporting.page.model import (
    Chain,
    Channels,
    Distribution,
    Drawn,
    LedgerPage,
    PageFacts,
    Picture,
    Properties,
    Record,
    Sizes,
    Stage,
    Values,
)
from refinery_beam.reporting.page.render import render_page

__all__ = [
    "Chain",
    "Channels",
    "Distribution",
    "Drawn",
    "LedgerPage",
    "PageFacts",
    "Picture",
    "Properties",
    "Record",
    "Sizes",
    "Stage",
    "Values",
    "render_page",
]
