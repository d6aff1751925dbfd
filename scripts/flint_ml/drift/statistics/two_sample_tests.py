"""Two samples of one column: the statistic, its p-value, the size of the effect.

Pure functions of arrays. The p-value says whether a difference is more than chance; the effect says whether it is
large enough to matter. A column drifts only where both do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flint_ml.drift.statistics.distributions import (
    Floats,
    chi2_sf,
    fisher_exact,
    kolmogorov_sf,
    ks_exact_sf,
    monte_carlo_p,
)

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

# Exact p below this effective sample size n·m/(n + m); above it the asymptotic one differs by 0.003 at most.
EXACT_BELOW = 500
_EXACT_LARGEST = 10_000
_DRAWS = 9_999
_BATCH = 1_111
# Besag and Clifford (1991): a Monte Carlo test may stop after so many draws at least as large as the one seen.
_STOP_AT = 25
# Samples from this size are compared on a grid first, of at most so many values.
_GRID_ABOVE, _GRID_MOST = 1_024, 4_096
_FINER = 4
# Up to so many categories all are kept; above, those with an expected count under 5 are pooled.
_POOL_ABOVE = 50


@dataclass(frozen=True)
class Test:
    """One test of two samples. ``effect`` is between 0 and 1 for D and V, in standard deviations for Wasserstein."""

    name: str
    method: str
    statistic: float
    p_value: float
    effect: float
    effect_name: str
    note: str = ""


def ks_distance(reference: Floats, current: Floats) -> float:
    """The largest distance D between two empirical distribution functions; both samples sorted, without NaN.

    Between two values of one sample its own function is flat and the other's rises, so D lies just before or just
    after a value of the smaller sample. Large samples are first compared at a grid of values; between two of these
    the distance is bounded by the functions at both, and only where that bound is above the largest distance seen are
    a finer grid and then the values themselves looked at. The result is the same.
    """
    small, large = (current, reference) if len(current) <= len(reference) else (reference, current)
    if len(small) < _GRID_ABOVE:
        return _distance_at(small, large, None)
    fine = max(1, len(large) // min(_GRID_MOST, len(small) // 16))
    step = fine * _FINER
    edges = np.arange(0, len(large), step)
    below, upto = zip(_positions(small, large[edges]), _own_positions(large, edges), strict=True)
    # Ends of the open intervals between grid values, outside the first and last too, as counts.
    starts = tuple(np.concatenate([[0], side]) for side in upto)
    ends = tuple(np.concatenate([side, [len(values)]]) for side, values in zip(below, (small, large), strict=True))
    seen, inside = _candidates(small, large, starts, ends, 0.0)
    if not len(inside):
        return seen
    # In an interval before the first value of the larger sample the distance is largest at its end: never inside.
    inner = edges[inside - 1][:, None] + np.arange(0, step, fine)
    inner = np.minimum(inner, len(large) - 1)
    flat = inner.ravel()
    below, upto = zip(_positions(small, large[flat]), _own_positions(large, flat), strict=True)
    starts = tuple(side.reshape(inner.shape) for side in upto)
    ends = tuple(
        np.column_stack([side.reshape(inner.shape)[:, 1:], last[inside]])
        for side, last in zip(below, ends, strict=True)
    )
    starts, ends = tuple(side.ravel() for side in starts), tuple(side.ravel() for side in ends)
    seen, inside = _candidates(small, large, starts, ends, seen)
    lengths = (ends[0] - starts[0])[inside]
    if not len(inside):
        return seen
    shift = np.repeat(starts[0][inside] - np.cumsum(lengths) + lengths, lengths)
    return max(seen, _distance_at(small, large, np.arange(lengths.sum()) + shift))


def _candidates(
    small: Floats, large: Floats, starts: tuple[Places, ...], ends: tuple[Places, ...], seen: float
) -> tuple[float, Places]:
    """The largest distance at the ends of intervals (or ``seen``), and the intervals that may hold a larger one."""
    n, m = len(small), len(large)
    first = (starts[0] / n, starts[1] / m)
    last = (ends[0] / n, ends[1] / m)
    seen = max(seen, float(np.abs(last[0] - last[1]).max()), float(np.abs(first[0] - first[1]).max()))
    bound = np.maximum(last[0] - first[1], last[1] - first[0])
    return seen, np.flatnonzero((bound > seen) & (ends[0] > starts[0]))


def _positions(ordered: Floats, values: Floats) -> tuple[Places, Places]:
    """How many of ``ordered`` are below each value, and how many are not above it."""
    below = np.searchsorted(ordered, values, side="left")
    equal = ordered[np.minimum(below, len(ordered) - 1)] == values
    # Without equal values, which is the rule for measurements, the second search is not needed.
    return below, np.searchsorted(ordered, values, side="right") if equal.any() else below


def _own_positions(ordered: Floats, places: Places) -> tuple[Places, Places]:
    """As :func:`_positions`, for the values of ``ordered`` at ``places``: without ties, nothing is searched."""
    values = ordered[places]
    before, after = np.maximum(places - 1, 0), np.minimum(places + 1, len(ordered) - 1)
    tied = ((ordered[before] == values) & (before < places)) | ((ordered[after] == values) & (after > places))
    if tied.any():
        return _positions(ordered, values)
    return places, places + 1


def _distance_at(small: Floats, large: Floats, index: Places | None) -> float:
    """The largest distance just before and just after values of ``small``: all, or those of a sorted ``index``.

    With ties the function of ``small`` jumps from its first to its last equal value, so only these count; an index
    holds all of a tie or none.
    """
    values = small if index is None else small[index]
    rank = np.arange(len(values)) if index is None else index
    ties = values[1:] == values[:-1]
    below, upto = _positions(large, values)
    left, right = below / len(large), upto / len(large)
    after = np.abs(right - (rank + 1) / len(small))[np.append(~ties, True)]
    before = np.abs(left - rank / len(small))[np.insert(~ties, 0, True)]
    return max(float(np.max(after)), float(np.max(before)))


def is_exact(m: int, n: int) -> bool:
    """Whether :func:`ks_p_values` are exact for these sample sizes."""
    return m * n < EXACT_BELOW * (m + n) and max(m, n) <= _EXACT_LARGEST


def ks_p_values(cases: Sequence[tuple[int, int, float]]) -> list[tuple[float, str]]:
    """p of the two-sample Kolmogorov–Smirnov test and the method, for each (m, n, D).

    Equal to ``scipy.stats.ks_2samp`` with the same method: ``exact`` below an effective n of 500 and up to 10,000
    values, else ``asymptotic``, the one-sample distribution for the rounded effective n. Columns of one table
    share their sample sizes, so the exact ones are walked together.
    """
    steps: dict[tuple[int, int], set[int]] = {}
    for m, n, distance in cases:
        if is_exact(m, n):
            steps.setdefault((m, n), set()).add(round(distance * math.lcm(m, n)))
    exact: dict[tuple[int, int, int], float] = {}
    for (m, n), wanted in steps.items():
        ordered = sorted(wanted)
        for start in range(0, len(ordered), 64):
            block = ordered[start : start + 64]
            exact |= {(m, n, h): float(p) for h, p in zip(block, ks_exact_sf(m, n, block), strict=True)}
    result: list[tuple[float, str]] = []
    for m, n, distance in cases:
        if is_exact(m, n):
            result.append((exact[m, n, round(distance * math.lcm(m, n))], "exact"))
        else:
            large, small = float(max(m, n)), float(min(m, n))
            result.append((kolmogorov_sf(round(large * small / (large + small)), distance), "asymptotic"))
    return result


def ks(reference: Floats, current: Floats) -> Test:
    """Two-sample Kolmogorov–Smirnov test of sorted values without NaN; ±inf are ranked like any other value."""
    distance = ks_distance(reference, current)
    [(p_value, method)] = ks_p_values([(len(reference), len(current), distance)])
    return Test("KS", method, distance, p_value, distance, "D")


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


def chi_squared(reference: Ints, current: Ints) -> Test:
    """Two-sample chi-squared test of category counts, aligned by category.

    Cochran's rule decides: asymptotic where no expected count is under 1 and at most a fifth under 5; otherwise
    Fisher's exact test for two categories, Monte Carlo tables with the same margins for more.
    """
    keep = (reference + current) > 0
    reference, current = reference[keep], current[keep]
    effect = balanced_v(reference, current)
    if len(reference) < 2:
        return Test("chi-squared", "exact", 0.0, 1.0, effect, "V", "one category only")
    note = ""
    if len(reference) > _POOL_ABOVE:
        reference, current, rare = _pooled(reference, current)
        note = f"{rare} rare categories pooled" if rare else ""
    if len(reference) < 2:
        return Test("chi-squared", "exact", 0.0, 1.0, effect, "V", note)
    value, expected = _statistic(reference, current)
    if expected.min() >= 1 and np.mean(expected < 5) <= 0.2:
        return Test("chi-squared", "asymptotic", value, chi2_sf(value, len(reference) - 1), effect, "V", note)
    if len(reference) == 2:
        table = [[int(reference[0]), int(reference[1])], [int(current[0]), int(current[1])]]
        return Test("Fisher", "exact", value, fisher_exact(table), effect, "V", note)
    return Test("chi-squared", "Monte Carlo", value, _monte_carlo(reference, current, value), effect, "V", note)


def proportions(missing: tuple[int, int], total: tuple[int, int]) -> Test:
    """Two-proportion test: chi-squared of the 2 × 2 table, Fisher's exact test where a count is expected under 5.

    The effect is the difference of the two shares.
    """
    one = np.array([missing[0], total[0] - missing[0]], dtype=np.int64)
    two = np.array([missing[1], total[1] - missing[1]], dtype=np.int64)
    difference = abs(missing[0] / total[0] - missing[1] / total[1])
    if not (one + two).all():
        return Test("two proportions", "exact", 0.0, 1.0, difference, "difference")
    value, expected = _statistic(one, two)
    if expected.min() >= 5:
        return Test("two proportions", "asymptotic", value, chi2_sf(value, 1), difference, "difference")
    table = [one.tolist(), two.tolist()]
    return Test("two proportions", "exact", value, fisher_exact(table), difference, "difference")


def _wasserstein_distance(steps: Floats, is_current: npt.NDArray[np.bool_]) -> Floats:
    """∫|F − G| for each row of labels over the same sorted values; ``steps`` are the gaps between these."""
    n = is_current.sum(axis=-1, keepdims=True)
    total = is_current.shape[-1]
    current = np.cumsum(is_current, axis=-1) / n
    reference = np.cumsum(~is_current, axis=-1) / (total - n)
    distances: Floats = np.abs(current - reference)[..., :-1] @ steps
    return distances


def wasserstein(reference: Floats, current: Floats) -> Test:
    """First Wasserstein distance in standard deviations of the reference; p by permutation of the labels.

    Values that are not finite are left out: the distance to them is infinite.
    """
    reference, current = reference[np.isfinite(reference)], current[np.isfinite(current)]
    if min(len(reference), len(current)) < 2:
        return Test("Wasserstein", "permutation", 0.0, 1.0, 0.0, "W / sd", "too few finite values")
    values = np.concatenate([reference, current])
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])
    labels = (order >= len(reference))[None, :]
    seen = float(_wasserstein_distance(steps, labels)[0])
    spread = float(np.std(reference)) or float(np.std(values)) or 1.0
    rng = np.random.default_rng(20212)
    batch = max(1, min(_BATCH, 4_000_000 // len(values)))
    exceeded = drawn = 0
    while drawn < _DRAWS and exceeded < _STOP_AT:
        shuffled = rng.permuted(np.broadcast_to(labels, (batch, labels.shape[1])), axis=1)
        exceeded += int(np.sum(_wasserstein_distance(steps, shuffled) >= seen * (1 - 1e-12)))
        drawn += batch
    return Test("Wasserstein", "permutation", seen, monte_carlo_p(exceeded, drawn), seen / spread, "W / sd")


def psi(reference: Floats, current: Floats) -> Test:
    """Population stability index over the tenths of the reference; p by chi-squared on the same bins.

    Half a count is added to each bin, so that an empty one does not make the index infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0.1, 0.9, 9), method="lower"))
    bins = len(edges) + 1
    one = np.bincount(np.searchsorted(edges, reference, side="left"), minlength=bins)
    two = np.bincount(np.searchsorted(edges, current, side="left"), minlength=bins)
    return psi_of(one, two)


def psi_of(one: Ints, two: Ints) -> Test:
    """Population stability index of counts in the same bins."""
    bins = len(one)
    p = (one + 0.5) / (one.sum() + 0.5 * bins)
    q = (two + 0.5) / (two.sum() + 0.5 * bins)
    index = float(np.sum((q - p) * np.log(q / p)))
    test = chi_squared(one, two)
    return Test("PSI", test.method, index, test.p_value, index, "PSI")
