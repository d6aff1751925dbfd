"""Statistics and p-values of single columns against scipy, and what they must do at the edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flint_ml.drift.statistics.multiple_testing import adjust
from flint_ml.drift.two_sample.base import TestResult
from flint_ml.drift.two_sample.chi2 import balanced_v, chi_squared, proportions
from flint_ml.drift.two_sample.ks import ks, ks_distance, ks_p_values
from flint_ml.drift.two_sample.psi import psi
from flint_ml.drift.two_sample.wasserstein import wasserstein

finite = st.floats(allow_nan=False, allow_infinity=True)
samples = st.lists(st.one_of(finite, st.integers(-3, 3).map(float)), min_size=1, max_size=60)


def ks_of(a: object, b: object) -> TestResult:
    return ks(np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float)))


@settings(max_examples=200, deadline=None)
@given(samples, samples)
def test_distance_and_exact_p_are_scipys(a: list[float], b: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            expected = stats.ks_2samp(a, b, method="exact")
        except RuntimeWarning:  # scipy gives up where rounding takes its p above 1
            assert ks_of(a, b).p_value == pytest.approx(1.0)
            return
    found = ks_of(a, b)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10, abs=1e-300)
    assert found.method == "exact"


@pytest.mark.parametrize(("m", "n"), [(1000, 1000), (1001, 5000), (20_000, 300), (30_000, 700), (12_000, 100)])
def test_method_follows_the_effective_size(m: int, n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=m), rng.normal(0.05, 1.1, size=n)
    found = ks_of(a, b)
    method = "exact" if m * n / (m + n) < 500 and max(m, n) <= 10_000 else "asymp"
    expected = stats.ks_2samp(a, b, method=method)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-14)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.method == {"exact": "exact", "asymp": "asymptotic"}[method]


def test_asymptotic_p_is_scipys_with_ties_infinities_and_extremes() -> None:
    rng = np.random.default_rng(3)
    for make in (
        lambda n: rng.integers(0, 30, n).astype(float),
        lambda n: rng.normal(size=n) * 1e300,
        lambda n: rng.normal(size=n) * 1e-300,
        lambda n: np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
        np.zeros,
    ):
        a, b = make(1500), make(1700)
        expected = stats.ks_2samp(a, b, method="asymp")
        found = ks_of(a, b)
        assert found.statistic == pytest.approx(expected.statistic, abs=1e-14)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("kind", ["normal", "shifted", "rounded", "constant", "apart", "infinite", "narrow"])
@pytest.mark.parametrize(("m", "n"), [(1_024, 1_024), (5_000, 1_500), (1_500, 60_000)])
def test_distance_by_grid_is_scipys(kind: str, m: int, n: int) -> None:
    rng = np.random.default_rng(m + n)
    a, b = rng.normal(size=m), rng.normal(size=n)
    a, b = {
        "normal": (a, b),
        "shifted": (a, b + 0.3),
        "rounded": (np.round(a, 1), np.round(b, 1)),
        "constant": (np.ones(m), np.ones(n)),
        "apart": (a, b + 100),
        "infinite": (np.where(a > 1, np.inf, a), np.where(b < -1, -np.inf, b)),
        "narrow": (a, np.where(b > 0, 0.5, b / 1000)),
    }[kind]
    expected = stats.ks_2samp(a, b, method="asymp").statistic
    assert ks_distance(np.sort(a), np.sort(b)) == pytest.approx(expected, abs=1e-15)
    assert ks_distance(np.sort(b), np.sort(a)) == pytest.approx(expected, abs=1e-15)


def test_p_values_of_many_columns_at_once_are_those_of_one() -> None:
    cases = [(100, 90, 0.1), (100, 90, 0.3), (2000, 2000, 0.05), (100, 90, 0.1), (7, 90, 0.5)]
    together = ks_p_values(cases)
    assert together == [ks_p_values([case])[0] for case in cases]


def test_chi_squared_is_scipys_where_counts_are_large() -> None:
    one, two = np.array([120, 80, 50, 30]), np.array([100, 95, 40, 45])
    expected = stats.chi2_contingency(np.array([one, two]), correction=False)
    found = chi_squared(one, two)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.method == "asymptotic"


def test_v_is_cramers_for_equal_sizes_and_does_not_shrink_for_unequal_ones() -> None:
    one, two = np.array([100, 60, 40]), np.array([70, 60, 70])
    classic = stats.contingency.association(np.array([one, two]), method="cramer")
    assert balanced_v(one, two) == pytest.approx(classic)
    assert balanced_v(one * 100, two) == pytest.approx(classic)
    assert balanced_v(np.array([5, 0]), np.array([0, 500])) == pytest.approx(1.0)


def test_small_tables_are_exact_or_drawn() -> None:
    found = chi_squared(np.array([8, 1]), np.array([2, 9]))
    assert found.name == "Fisher"
    assert found.p_value == pytest.approx(stats.fisher_exact([[8, 1], [2, 9]]).pvalue)
    drawn = chi_squared(np.array([8, 1, 2]), np.array([1, 9, 3]))
    assert drawn.method == "Monte Carlo"
    assert 0.0001 < drawn.p_value < 0.02
    assert chi_squared(np.array([8, 1, 2]), np.array([1, 9, 3])) == drawn
    assert chi_squared(np.array([4, 4, 2]), np.array([4, 4, 2])).p_value > 0.5


def test_one_category_cannot_differ() -> None:
    found = chi_squared(np.array([10, 0]), np.array([7, 0]))
    assert (found.p_value, found.effect) == (1.0, 0.0)


def test_rare_categories_are_pooled() -> None:
    rng = np.random.default_rng(0)
    one, two = (rng.multinomial(400, np.ones(200) / 200) for _ in range(2))
    found = chi_squared(one, two)
    assert "pooled" in found.note
    assert found.p_value > 0.001


def test_proportions() -> None:
    found = proportions((50, 90), (1000, 1000))
    expected = stats.chi2_contingency([[50, 950], [90, 910]], correction=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.effect == pytest.approx(0.04)
    rare = proportions((0, 4), (50, 50))
    assert rare.method == "exact"
    assert rare.p_value == pytest.approx(stats.fisher_exact([[0, 50], [4, 46]]).pvalue)
    assert proportions((5, 5), (5, 5)).p_value == 1.0


def test_wasserstein_is_scipys_and_finds_a_shift() -> None:
    rng = np.random.default_rng(1)
    a, b = np.sort(rng.normal(size=200)), np.sort(rng.normal(size=150))
    none = wasserstein(a, b)
    assert none.statistic == pytest.approx(stats.wasserstein_distance(a, b))
    assert none.p_value > 0.05
    shifted = wasserstein(a, b + 0.5)
    assert shifted.p_value < 0.001
    assert shifted.effect == pytest.approx(stats.wasserstein_distance(a, b + 0.5) / a.std())
    assert wasserstein(a, np.array([np.inf])).note == "too few finite values"


def test_psi() -> None:
    rng = np.random.default_rng(1)
    a, b = np.sort(rng.normal(size=2000)), np.sort(rng.normal(size=2000))
    assert psi(a, b).effect < 0.02
    assert psi(a, b).p_value > 0.05
    moved = psi(a, np.sort(b + 0.5))
    assert moved.effect > 0.2
    assert moved.p_value < 1e-10


def test_holm_and_benjamini_hochberg() -> None:
    p = [0.01, 0.04, 0.03, 0.5]
    assert adjust(p, "holm") == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert adjust(p, "benjamini-hochberg") == pytest.approx(stats.false_discovery_control(p))
    assert adjust(p, "none") == p
    assert adjust([], "holm") == []
