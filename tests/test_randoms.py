"""Arrays of random numbers: the distributions they claim, exact values, and nothing that depends on the machine."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from refinery_beam import randoms
from refinery_beam.identity import Stream


def stream(replica: int | str = 0) -> Stream:
    return Stream(seed=7, op="x", key=b"k" * 32, replica=replica)


def test_uniforms_are_those_of_the_stream() -> None:
    one, two = stream(), stream()
    assert randoms.uniforms(one, (3, 2), -1.0, 2.0).ravel().tolist() == [two.uniform(-1.0, 2.0) for _ in range(6)]


def test_integers_fill_their_range_evenly() -> None:
    found = np.bincount(randoms.integers(stream(), (30_000,), -1, 2) + 1)
    assert len(found) == 3 and abs(found - 10_000).max() < 300


def test_normals() -> None:
    ideal = statistics.NormalDist()
    u = np.array([2**-53, 1e-12, 0.01, 0.0749, 0.0751, 0.3, 0.5, 0.7, 0.9251, 1 - 1e-12])
    assert np.abs(randoms.inverse_normal(u) - [ideal.inv_cdf(float(p)) for p in u]).max() < 1e-14
    found = randoms.normals(stream(), (200_000,), 3.0, 2.0)
    assert abs(found.mean() - 3.0) < 0.02 and abs(found.std() - 2.0) < 0.02


def test_logarithm_of_arrays() -> None:
    x = np.array([1e-300, 0.1, 0.7071, 0.70711, 1.0, 1.5, 1e300])
    assert np.abs(randoms.natural_log(x) - [math.log(v) for v in x]).max() < 2e-13


@pytest.mark.parametrize("mean", [0.01, 1.0, 7.5, 60.0])
def test_poisson_is_exact(mean: float) -> None:
    table = randoms.poisson_table(mean)
    total, term = 0.0, math.exp(-mean)
    for k, share in enumerate(table[:20]):
        total += term
        assert abs(share / 2**53 - total) < 1e-14
        term *= mean / (k + 1)
    found = randoms.poissons(stream(), np.ones(100_000, np.int64), [0.0, mean])
    assert abs(found.mean() - mean) < 5 * math.sqrt(mean / 100_000)
    assert abs(found.var() - mean) < 0.05 * mean + 0.01
    assert randoms.poissons(stream(), np.zeros(5, np.int64), [0.0, mean]).tolist() == [0] * 5


@pytest.mark.parametrize("angle", [-360.0, -135.0, -45.0, 0.0, 1e-9, 33.3, 90.0, 180.0, 359.9])
def test_angles(angle: float) -> None:
    sine, cosine = randoms.sine_cosine(angle)
    assert abs(sine - math.sin(math.radians(angle))) < 1e-15 and abs(cosine - math.cos(math.radians(angle))) < 1e-15


def test_first_numbers() -> None:
    """Golden: another number here changes every dataset that draws it."""
    assert [float(v).hex() for v in randoms.normals(stream(), (3,))] == NORMALS
    assert randoms.integers(stream(), (6,), -4, 4).tolist() == INTEGERS
    assert randoms.poissons(stream(), np.ones(6, np.int64), [0.0, 7.5]).tolist() == POISSONS
    assert stream("fog:1").word() != stream("fog:2").word()


NORMALS = ["-0x1.803adce7c2ab4p-1", "-0x1.379b5da4f7909p+0", "0x1.98d9853b114fdp-3"]
INTEGERS = [-3, -4, 0, -4, -3, -1]
POISSONS = [5, 4, 8, 3, 5, 7]
