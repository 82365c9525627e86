"""What facts of images are worth a word: the one table of thresholds. docs/looking.md shows it, and a test compares them.

The facts are those of CleanVision (github.com/cleanlab/cleanvision): percentiles of brightness, entropy, edges. The limits are our own, set
on thousands of photographs at 128 pixels a side so that what they name is what a person calls so: of 35 pictures in 300 that other limits
called dark, one or two were.
"""

from __future__ import annotations

from refinery_beam.plugins.measures import Condition, Outlier, Rule

_OWN = "set on photographs; the fact is CleanVision's"

ONE_TONE = 300
"""Below this standard deviation of luma, in 1/100, a picture is of one tone."""

RULES: tuple[Rule, ...] = (
    Rule(
        word="dark",
        what="are dark: 99% of their pixels are below 48 of 255",
        conditions=(Condition("high", "below", 48),),
        remedy="look whether they show anything; a filter on `high` leaves them out",
        source=_OWN,
        order=("high", "least"),
    ),
    Rule(
        word="bright",
        what="are almost white: 95% of their pixels are above 240 of 255",
        conditions=(Condition("low", "above", 240),),
        remedy="look whether they show anything; a filter on `low` leaves them out",
        source=_OWN,
        order=("low", "greatest"),
    ),
    Rule(
        word="blurry",
        what="have contrast but no edges: they are out of focus or shaken, or show a plain gradient",
        conditions=(Condition("detail", "below", 150), Condition("std", "above", 1500)),
        remedy="look at them; a filter on `detail` leaves them out",
        source="the variance of the Laplacian (Pech-Pacheco et al., 2000) over that of luma; set on photographs, sharp and blurred",
        order=("detail", "least"),
    ),
    Rule(
        word="low_information",
        what="are of one tone: their brightness varies by less than 3 of 255",
        conditions=(Condition("std", "below", ONE_TONE),),
        remedy="they are often failed downloads or lens caps; a filter on `std` leaves them out",
        source=_OWN,
        order=("std", "least"),
    ),
    Rule(
        word="grey",
        what="are grey among pictures in colour",
        conditions=(Condition("chroma", "below", 9),),
        remedy="decode with mode: L where colour does not matter",
        source="set on photographs; a finding where at most one in ten is grey",
        order=("chroma", "least"),
        minority=10,
    ),
)

OUTLIERS: tuple[Outlier, ...] = (
    Outlier(
        word="odd_size",
        what="have a size far from the others: more than 4 times the median side, or less than a quarter",
        fact="side",
        times=4,
        both=True,
        remedy="look whether they belong; a filter image_size leaves them out",
        source="a factor of 4 in length is 16 in pixels",
    ),
    Outlier(
        word="odd_aspect",
        what="are stripes: more than 3 times as long as wide, and twice the median",
        fact="elongation",
        times=2,
        both=False,
        least=3000,
        remedy="look whether they belong; image_size with max_aspect leaves them out",
        source="resizing to a square changes shapes by this factor",
    ),
)

PROPERTIES: dict[str, str] = {
    "format": "the file format",
    "mode": "the colour mode of the file",
    "size": "the size in pixels",
    "orientation": "the EXIF orientation",
    "jpeg_quality": "the JPEG quality",
    "jpeg_tables": "the JPEG quantisation tables",
    "camera": "the camera",
    "day": "the day it was taken",
}
"""What is not the picture, and should not tell the label. ``size`` is width and height together, ``day`` the first ten characters of the
date.
"""
