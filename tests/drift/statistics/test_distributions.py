"""p-values are scipy's, to a relative 1e-10."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from flint_ml.drift.statistics import distributions as ours

CLOSE = {"rel": 1e-10, "abs": 1e-300}


@pytest.mark.parametrize("df", [1, 2, 3, 7, 40, 199, 1000])
def test_chi_squared_tail(df: int) -> None:
    for factor in (1e-6, 0.01, 0.5, 0.9, 1.0, 1.1, 2.0, 5.0):
        x = df * factor
        assert ours.chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), **CLOSE)
    assert ours.chi2_sf(0.0, df) == 1.0
    assert ours.chi2_sf(np.inf, df) == 0.0


@pytest.mark.parametrize("n", [500, 501, 999, 4_321, 99_999, 100_001, 1_000_000, 1_000_001, 20_000_000])
def test_kolmogorov_tail_at_every_method_switch(n: int) -> None:
    z = np.concatenate([np.geomspace(0.6 / np.sqrt(n), 0.2, 8), np.linspace(0.21, 1.4, 20)])
    # scipy needs a second for each tail at a million.
    z = np.append(z, [2.0, 19.3] if n == 1_000_000 else [1.6, 2.0, 3.5, 8.0, 18.9, 19.3, 25.0])
    for d in np.minimum(z / np.sqrt(n), 1.0):
        expected = float(stats.kstwo.sf(d, n))
        assert ours.kolmogorov_sf(n, float(d)) == pytest.approx(expected, **CLOSE), (n, d)


@pytest.mark.parametrize("d", [0.0, 0.0005, 0.5, 0.75, 0.9999, 1.0])
def test_kolmogorov_tail_at_the_ends(d: float) -> None:
    assert ours.kolmogorov_sf(600, d) == pytest.approx(float(stats.kstwo.sf(d, 600)), **CLOSE)


@pytest.mark.parametrize("n", [500, 12_345, 300_000, 2_000_000])
def test_smirnov_tail(n: int) -> None:
    for d in np.array([0.3, 1.0, 2.5, 8.0]) / np.sqrt(n):
        assert ours.smirnov_sf(n, float(d)) == pytest.approx(float(special.smirnov(n, d)), **CLOSE)
    assert ours.smirnov_sf(n, 0.0) == 1.0
    assert ours.smirnov_sf(n, 1.0) == 0.0


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 1), (5, 5), (30, 7), (126, 30), (400, 400), (611, 89), (997, 400)])
def test_exact_two_sample_tail(m: int, n: int) -> None:
    rng = np.random.default_rng(m * n)
    shifts = (0.0, 0.2, 0.8, 3.0)
    cases = [stats.ks_2samp(rng.normal(size=m), rng.normal(shift, size=n), method="exact") for shift in shifts]
    steps = [round(case.statistic * np.lcm(m, n)) for case in cases]
    found = ours.ks_exact_sf(m, n, steps)
    assert found == pytest.approx([case.pvalue for case in cases], **CLOSE)
    assert ours.ks_exact_sf(m, n, [0])[0] == 1.0


def test_fisher_exact() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        table = rng.integers(0, 40, (2, 2)) * np.array([[1], [rng.integers(1, 30)]])
        if table.sum():
            expected = stats.fisher_exact(table).pvalue
            assert ours.fisher_exact(table.tolist()) == pytest.approx(expected, rel=1e-9)
