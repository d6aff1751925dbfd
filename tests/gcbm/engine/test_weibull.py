"""The smoother's fit, against numbers from the C++'s own minimiser (moja.canada lmmin.cpp, g++ -O2)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flint_ml.gcbm.engine import weibull
from flint_ml.gcbm.engine.weibull import fit_weibull, residual

# start age, rate, shape, bump -> p0, p1 from the C++
CPP = {
    (40, 0.02, 3.0, 0.0): (2.8005452512387419, 2.7715195747394734),
    (12, 0.05, 0.9, 0.04): (3.3718544592180488, 0.99539979503635556),
    (55, 0.08, 5.0, 0.03): (3.8499551436222794, 0.7),  # ends on the clamp
    (3, 0.015, 0.6, 0.05): (2.2948431746748441, 0.85870218573743395),
}


def series(start: int, rate: float, shape: float, bump: float) -> tuple[list[float], list[float]]:
    ages = [0, *(start + i for i in range(1, 50))]
    values = [0.0, *((1 - math.exp(-rate * a)) ** shape * (1 + bump * math.sin(a / 7)) for a in ages[1:])]
    return [a / ages[-1] for a in ages], [v / max(values) for v in values]


def columns() -> tuple[np.ndarray, np.ndarray]:
    pairs = [series(*key) for key in CPP]
    return np.array([t for t, _ in pairs]).T.copy(), np.array([y for _, y in pairs]).T.copy()


def test_fits_equal_the_reference_to_rounding() -> None:
    assert pytest.approx(np.array(list(CPP.values())), rel=1e-13) == fit_weibull(*columns()).T


def test_a_fit_does_not_depend_on_how_many_are_made_with_it() -> None:
    t, y = columns()
    together = fit_weibull(t, y)
    alone = [fit_weibull(t[:, [i]], y[:, [i]])[:, 0] for i in range(t.shape[1])]
    assert np.array_equal(together, np.array(alone).T)


def test_the_model_clamps_the_parameters_it_is_given() -> None:
    p = np.array([[-2.0, 1.0], [0.1, 3.0]])
    t, y = np.zeros((3, 2)), np.zeros((3, 2))
    residual(p, t, y)
    assert p.tolist() == [[0.0, 1.0], [0.7, 3.0]]


def test_trap_fit_without_the_clamp_is_another_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that clamps a copy leaves the minimiser where the parameter has no effect."""
    clamped = weibull.residual
    monkeypatch.setattr(weibull, "residual", lambda p, t, y: clamped(p.copy(), t, y))
    free = fit_weibull(*columns())
    for found, right in zip(free.T, CPP.values(), strict=True):
        assert found != pytest.approx(np.array(right), rel=1e-2)


def test_scipy_agrees_when_its_buffer_is_clamped() -> None:
    """MINPACK itself, given the same clamp through its live buffer; fails if scipy starts passing a copy."""
    optimize = pytest.importorskip("scipy.optimize")
    t, y = columns()
    for i, (p0, p1) in enumerate(CPP.values()):

        def misfit(p: np.ndarray, i: int = i) -> np.ndarray:
            p[0], p[1] = max(p[0], 0.0), max(p[1], 0.7)
            return np.asarray(y[:, i] - (1 - np.exp(-p[0] * t[:, i] ** p[1])))

        found = optimize.leastsq(misfit, [1.0, 0.1], ftol=1e-14, xtol=1e-14, gtol=1e-14, epsfcn=1e-14, maxfev=3000)[0]
        assert found == pytest.approx([p0, p1], rel=1e-5)


def test_a_series_with_nan_keeps_the_clamped_start() -> None:
    t, y = columns()
    y[3, 1] = math.nan
    found = fit_weibull(t, y)
    assert found[:, 1].tolist() == [1.0, 0.7]
    assert found[:, 0] == pytest.approx(next(iter(CPP.values())), rel=1e-13)
