"""The thirteen kinds of assertion of the language. Any plugin may take them over (``assertions=STANDARD``) and add its own."""

from __future__ import annotations

from collections.abc import Mapping

from refinery_beam.plugins.assertions.base import AnyAssertion
from refinery_beam.plugins.assertions.counts import (
    CountByField,
    CountByFields,
    PerClassEquals,
    PerClassPerSplit,
    RecordCount,
    SplitRecordCounts,
)
from refinery_beam.plugins.assertions.distributional import Distribution, Distributional
from refinery_beam.plugins.assertions.facts import FactInRange
from refinery_beam.plugins.assertions.values import DtypeEquals, InRange, InSet, RequiredField, ShapeEquals, Values

__all__ = ["STANDARD", "Distribution", "InRange", "Values"]

STANDARD: Mapping[str, AnyAssertion] = {
    a.spec.kind: a
    for a in (
        RecordCount(),
        RequiredField(),
        DtypeEquals(),
        InRange(),
        Distributional(),
        SplitRecordCounts(),
        PerClassPerSplit(),
        CountByField(),
        CountByFields(),
        ShapeEquals(),
        InSet(),
        PerClassEquals(),
        FactInRange(),
    )
}
"""The thirteen kinds by their words."""
