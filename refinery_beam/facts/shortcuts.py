"""Shortcuts: what is not the picture and tells the label. A model that finds one learns nothing else.

Of each property (the file format, the size, the camera, ...) and the labels two numbers say how much it tells:

* Cramer's V with the bias correction of W. Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", J. Korean Stat. Soc. 42, 2013: 0
  where it tells nothing, 1 where it tells everything. Over all records with a label.
* The accuracy, on a split that is not train, of guessing for each value the label that is most frequent with it in train; beside it that of
  guessing the most frequent label of train. What only seems to tell, because each record has a value of its own, does not help there.

And of each value and label whether the one stands for the other: the records of the label have the value, and no others have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

from refinery_beam.errors import display
from refinery_beam.plugins.fact_columns import fixed

GAIN = Fraction(1, 10)
"""An accuracy so much above that of the most frequent label is worth a warning."""

LEAST_V = Fraction(3, 10)
"""Below this V there is no warning: the property and the label have little to do with each other."""

LEAST_TESTED = 20
"""Records that an accuracy is measured on, at least."""

SURE = 3
"""Standard deviations by which an accuracy is above that of the most frequent label, at least."""

TELLS = Fraction(9, 10)
"""A value stands for a label where so many of the label's records have it, and so many of the records that have it are the label's."""

LEAST_TELLS = 10
"""Records of a label that a value stands for, at least."""

SHOWN = 20
"""Values and labels that are listed of a property."""

Cells = Mapping[tuple[str, str, int], int]
"""Records by (split, value, number of the label)."""


@dataclass(frozen=True, kw_only=True)
class Tell:
    """A value that stands for a label: of the label's `of_label` records `both` have it, and of the other `others` so do `with_value`."""

    value: str
    label: str
    both: int
    of_label: int
    with_value: int
    others: int


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """How much a property tells of the label. Of `tested` records so many are guessed right. `warned`: it is enough for a warning."""

    property: str
    words: str
    values: int
    records: int
    cramers_v: str
    tested: int
    right: int
    most_frequent: int
    fitted_on: str
    measured_on: str
    tells: tuple[Tell, ...]
    warned: bool
    table: tuple[tuple[str, str, int], ...]

    def sentence(self) -> str:
        """What a person needs to know."""
        said = []
        if self.tested and self._gains():
            said.append(
                f"{self.words} alone predicts the label of {_percent(self.right, self.tested)} of the records of {self.measured_on}; "
                f"guessing the most frequent label gets {_percent(self.most_frequent, self.tested)}"
            )
        for tell in self.tells[:3]:
            shares = (
                f"{_percent(tell.both, tell.of_label)} of its records have it, and {_percent(tell.with_value, tell.others)} of the others"
            )
            said.append(f"{self.words} {display(tell.value) or 'none'!r} gives label {display(tell.label)!r} away: {shares}")
        if len(self.tells) > 3:
            said.append(f"and so do other values of {len(self.tells) - 3} more labels")
        return "; ".join(said)

    def _gains(self) -> bool:
        return _gains(self.right, self.most_frequent, self.tested)


def shortcut(name: str, words: str, cells: Cells, labels: Sequence[str], *, train: str, test: str) -> Shortcut | None:
    """How much one property tells. None where all records have one value, or one label."""
    total: Counter[tuple[str, int]] = Counter()
    for (_, value, label), count in cells.items():
        total[value, label] += count
    values, of_label = Counter[str](), Counter[int]()
    for (value, label), count in total.items():
        values[value] += count
        of_label[label] += count
    if len(values) < 2 or len(of_label) < 2:
        return None
    squared = cramers_v_squared(total)
    right, most_frequent, tested = accuracy(cells, labels, train=train, test=test)
    tells = _tells(total, values, of_label, labels)
    gains = _gains(right, most_frequent, tested) and squared >= LEAST_V**2
    ranked = sorted(total.items(), key=lambda pair: (-pair[1], pair[0][0], labels[pair[0][1]]))[:SHOWN]
    return Shortcut(
        property=name,
        words=words,
        values=len(values),
        records=sum(values.values()),
        cramers_v=_root(squared),
        tested=tested,
        right=right,
        most_frequent=most_frequent,
        fitted_on=train,
        measured_on=test,
        tells=tells,
        warned=gains or bool(tells),
        table=tuple((value, labels[label], count) for (value, label), count in ranked),
    )


def cramers_v_squared(table: Mapping[tuple[Any, Any], int]) -> Fraction:
    """The square of the bias-corrected V of a table of counts, exact.

    With n records, r values, c labels and phi2 = chi2 / n: max(0, phi2 - (r-1)(c-1)/(n-1)) / (min(r', c') - 1), where
    r' = r - (r-1)^2/(n-1) and c' = c - (c-1)^2/(n-1).

    >>> cramers_v_squared({("a", 0): 50, ("b", 1): 50})
    Fraction(1, 1)
    """
    rows, columns = Counter[Any](), Counter[Any]()
    for (value, label), count in table.items():
        rows[value] += count
        columns[label] += count
    n, r, c = sum(rows.values()), len(rows), len(columns)
    if n < 2 or min(r, c) < 2:
        return Fraction(0)
    # chi2 / n = sum(n_ij^2 / (n_i n_j)) - 1; gathered by row, so that denominators stay small.
    phi2 = Fraction(-1)
    by_row: dict[Any, Fraction] = {}
    for (value, label), count in table.items():
        by_row[value] = by_row.get(value, Fraction(0)) + Fraction(count * count, columns[label])
    for value, part in by_row.items():
        phi2 += part / rows[value]
    excess = max(Fraction(0), phi2 - Fraction((r - 1) * (c - 1), n - 1))
    wide = min(r - Fraction((r - 1) ** 2, n - 1), c - Fraction((c - 1) ** 2, n - 1)) - 1
    return min(Fraction(1), excess / wide) if wide > 0 else Fraction(0)


def accuracy(cells: Cells, labels: Sequence[str], *, train: str, test: str) -> tuple[int, int, int]:
    """(right guesses by value, right guesses of the most frequent label, records) on `test`, as fitted on `train`.

    Of equals the first label in the order of their names is guessed; for a value that train has not, the most frequent one.
    """
    fitted: dict[str, Counter[int]] = {}
    frequent: Counter[int] = Counter()
    for (split, value, label), count in cells.items():
        if split == train:
            fitted.setdefault(value, Counter())[label] += count
            frequent[label] += count
    if not frequent:
        return 0, 0, 0
    most = _first(frequent, labels)
    guesses = {value: _first(counts, labels) for value, counts in fitted.items()}
    right = plain = tested = 0
    for (split, value, label), count in cells.items():
        if split == test:
            tested += count
            right += count * (guesses.get(value, most) == label)
            plain += count * (most == label)
    return right, plain, tested


def _first(counts: Counter[int], labels: Sequence[str]) -> int:
    return min(counts, key=lambda label: (-counts[label], labels[label]))


def _gains(right: int, most_frequent: int, tested: int) -> bool:
    """Whether an accuracy is above that of the most frequent label by enough to tell, and by more than chance."""
    gained = right - most_frequent
    if tested < LEAST_TESTED or gained < GAIN * tested:
        return False
    return gained * gained * tested >= SURE * SURE * most_frequent * (tested - most_frequent)


def _tells(
    total: Mapping[tuple[str, int], int], values: Mapping[str, int], of_label: Mapping[int, int], labels: Sequence[str]
) -> tuple[Tell, ...]:
    records = sum(values.values())
    found = []
    for (value, label), both in total.items():
        if of_label[label] >= LEAST_TELLS and both >= TELLS * of_label[label] and both >= TELLS * values[value]:
            found.append(
                Tell(
                    value=value,
                    label=labels[label],
                    both=both,
                    of_label=of_label[label],
                    with_value=values[value] - both,
                    others=records - of_label[label],
                )
            )
    return tuple(sorted(found, key=lambda tell: (-tell.both, tell.label)))


def _root(squared: Fraction) -> str:
    """The square root as a decimal of four digits, rounded half up."""
    unit = 10**4
    # floor(2 u sqrt(x)) decides how u sqrt(x) is rounded.
    doubled = isqrt(4 * unit * unit * squared.numerator // squared.denominator)
    return fixed((doubled + 1) // 2, unit)


def _percent(part: int, whole: int) -> str:
    """A share in percent: whole where it is, else one digit.

    >>> _percent(1, 1), _percent(2, 3)
    ('100%', '66.7%')
    """
    text = fixed(100 * part, max(1, whole), 1)
    return f"{text.removesuffix('.0')}%"


def as_document(found: Shortcut) -> dict[str, Any]:
    """A shortcut for findings.json."""
    tested = found.tested
    return {
        "property": found.property,
        "words": found.words,
        "values": found.values,
        "records": found.records,
        "cramers_v": found.cramers_v,
        "fitted_on": found.fitted_on,
        "measured_on": found.measured_on,
        "tested": tested,
        "accuracy": fixed(found.right, tested) if tested else None,
        "most_frequent": fixed(found.most_frequent, tested) if tested else None,
        "tells": [
            {
                "value": t.value,
                "label": t.label,
                "of_label": fixed(t.both, t.of_label),
                "of_others": fixed(t.with_value, max(1, t.others)),
                "records": t.both,
            }
            for t in found.tells[:SHOWN]
        ],
        "warned": found.warned,
        "sentence": found.sentence() if found.warned else "",
        "table": [list(row) for row in found.table],
    }
