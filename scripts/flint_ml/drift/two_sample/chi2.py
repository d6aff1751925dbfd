"""Chi-squared of counts of classes, of numbers that repeat a handful of values, and of missing values."""

from __future__ import annotations

import math

import numpy as np

from flint_ml.drift.statistics.distributions import Floats, Ints, chi2_sf, fisher_exact, monte_carlo_p
from flint_ml.drift.two_sample.base import BlockCounts, ScannedNumbers, Statistic, TestResult, TwoSampleTest
from flint_ml.errors import InputError

_DRAWS = 9_999
_BATCH = 1_111
# Besag and Clifford (1991): a Monte Carlo test may stop after so many draws at least as large as the one seen.
_STOP_AT = 25
# Up to so many categories all are kept; above, those with an expected count under 5 are pooled.
_POOL_ABOVE = 50


class ChiSquared(TwoSampleTest):
    """Counts of classes; of numbers, each different value is a class."""

    title, effect_name = "chi-squared", "V"
    distinct = 65_536

    def in_memory(self, reference: Floats, current: Floats) -> TestResult:
        return chi_squared(*number_counts(reference, current))

    def of_classes(self, reference: Ints, current: Ints) -> TestResult:
        return chi_squared(reference, current)

    def on_grid(self, numbers: ScannedNumbers) -> TestResult:
        reference, current = numbers.counts
        if reference is None or current is None:
            raise InputError(
                f"`{numbers.column}` has too many different numbers for `chi2` in a scan",
                where=f"columns.{numbers.column}",
                hint="name `ks` as its test, or set `engine: memory`",
                code="invalid-test",
            )
        values = sorted({*reference, *current})
        counts = [np.array([side.get(v, 0) for v in values], dtype=np.int64) for side in (reference, current)]
        return chi_squared(counts[0], counts[1])

    def block_statistic(self, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
        return v_statistic, counts


def number_counts(reference: Floats, current: Floats) -> tuple[Ints, Ints]:
    """Counts of each different value of two sorted samples, in order of the values."""
    values = np.unique(np.concatenate([reference, current]))
    counts = [np.diff(np.append(np.searchsorted(side, values), len(side))) for side in (reference, current)]
    return counts[0].astype(np.int64), counts[1].astype(np.int64)


def balanced_v(reference: Ints, current: Ints) -> float:
    """Cramér's V of a 2 × K table with both samples given equal weight, between 0 and 1.

    The textbook V of the raw counts shrinks when one sample is much larger than the other; a small batch against a
    large reference would then never pass any minimum. For samples of one size the two are the same.
    """
    p, q = reference / reference.sum(), current / current.sum()
    total = p + q
    keep = total > 0
    return float(math.sqrt(np.sum((p - q)[keep] ** 2 / total[keep]) / 2))


def _statistic(reference: Ints, current: Ints) -> tuple[float, Floats]:
    """Pearson's chi-squared of a 2 × K table and the smaller expected count of each column."""
    both = reference + current
    share = reference.sum() / both.sum()
    expected = both * share
    other = both * (1 - share)
    value = np.sum((reference - expected) ** 2 / expected) + np.sum((current - other) ** 2 / other)
    return float(value), np.minimum(expected, other)


def _pooled(reference: Ints, current: Ints) -> tuple[Ints, Ints, int]:
    """The table with all columns of an expected count under 5 made one, and how many these were."""
    _, expected = _statistic(reference, current)
    rare = expected < 5
    if rare.sum() < 2:
        return reference, current, 0
    one = np.append(reference[~rare], reference[rare].sum())
    two = np.append(current[~rare], current[rare].sum())
    return one, two, int(rare.sum())


def _monte_carlo(reference: Ints, current: Ints, seen: float) -> float:
    """p of chi-squared given both margins, by random tables (fixed seed, stops early where p is large)."""
    rng = np.random.default_rng(20211)
    both = reference + current
    n = int(current.sum())
    share = 1 - n / both.sum()
    exceeded = drawn = 0
    while drawn < _DRAWS and exceeded < _STOP_AT:
        tables = rng.multivariate_hypergeometric(both, n, size=_BATCH, method="marginals")
        first = both - tables
        values = np.sum((first - both * share) ** 2 / (both * share), axis=1)
        values += np.sum((tables - both * (1 - share)) ** 2 / (both * (1 - share)), axis=1)
        exceeded += int(np.sum(values >= seen * (1 - 1e-12)))
        drawn += _BATCH
    return monte_carlo_p(exceeded, drawn)


def chi_squared(reference: Ints, current: Ints) -> TestResult:
    """Two-sample chi-squared test of category counts, aligned by category.

    Cochran's rule decides: asymptotic where no expected count is under 1 and at most a fifth under 5; otherwise
    Fisher's exact test for two categories, Monte Carlo tables with the same margins for more.
    """
    keep = (reference + current) > 0
    reference, current = reference[keep], current[keep]
    effect = balanced_v(reference, current)
    if len(reference) < 2:
        return TestResult("chi-squared", "exact", 0.0, 1.0, effect, "V", "one category only")
    note = ""
    if len(reference) > _POOL_ABOVE:
        reference, current, rare = _pooled(reference, current)
        note = f"{rare} rare categories pooled" if rare else ""
    if len(reference) < 2:
        return TestResult("chi-squared", "exact", 0.0, 1.0, effect, "V", note)
    value, expected = _statistic(reference, current)
    if expected.min() >= 1 and np.mean(expected < 5) <= 0.2:
        return TestResult("chi-squared", "asymptotic", value, chi2_sf(value, len(reference) - 1), effect, "V", note)
    if len(reference) == 2:
        table = [[int(reference[0]), int(reference[1])], [int(current[0]), int(current[1])]]
        return TestResult("Fisher", "exact", value, fisher_exact(table), effect, "V", note)
    return TestResult("chi-squared", "Monte Carlo", value, _monte_carlo(reference, current, value), effect, "V", note)


def proportions(missing: tuple[int, int], total: tuple[int, int]) -> TestResult:
    """Two-proportion test: chi-squared of the 2 × 2 table, Fisher's exact test where a count is expected under 5.

    The effect is the difference of the two shares.
    """
    one = np.array([missing[0], total[0] - missing[0]], dtype=np.int64)
    two = np.array([missing[1], total[1] - missing[1]], dtype=np.int64)
    difference = abs(missing[0] / total[0] - missing[1] / total[1])
    if not (one + two).all():
        return TestResult("two proportions", "exact", 0.0, 1.0, difference, "difference")
    value, expected = _statistic(one, two)
    if expected.min() >= 5:
        return TestResult("two proportions", "asymptotic", value, chi2_sf(value, 1), difference, "difference")
    table = [one.tolist(), two.tolist()]
    return TestResult("two proportions", "exact", value, fisher_exact(table), difference, "difference")


def v_statistic(one: Floats, two: Floats) -> Floats:
    """Cramér's V with both maps weighted equally (see :func:`balanced_v`), for each row of counts."""
    p = one / np.maximum(one.sum(axis=-1, keepdims=True), 1)
    q = two / np.maximum(two.sum(axis=-1, keepdims=True), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.nan_to_num((p - q) ** 2 / (p + q))
    result: Floats = np.sqrt(parts.sum(axis=-1) / 2)
    return result


TEST = ChiSquared()
