"""Kolmogorov and Smirnov: the largest distance D between two empirical distribution functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from flint_ml.drift.statistics.distributions import Floats, Ints, Mask, kolmogorov_sf, ks_exact_sf
from flint_ml.drift.statistics.ecdf_grid import Grid
from flint_ml.drift.two_sample.base import (
    BY_BLOCKS,
    BlockCounts,
    FineCounts,
    ScannedNumbers,
    Statistic,
    TestResult,
    TwoSampleTest,
)

Places = npt.NDArray[np.intp]

# Exact p below this effective sample size n·m/(n + m); above it the asymptotic one differs by 0.003 at most.
EXACT_BELOW = 500
_EXACT_LARGEST = 10_000
# Samples from this size are compared on a grid first, of at most so many values.
_GRID_ABOVE, _GRID_MOST = 1_024, 4_096
_FINER = 4


class KolmogorovSmirnov(TwoSampleTest):
    """D, with p computed for all columns together: many share their sample sizes."""

    title, effect_name = "KS", "D"
    # With few different values the test is far too cautious.
    many_values = True

    def in_memory(self, reference: Floats, current: Floats) -> TestResult:
        distance = ks_distance(reference, current)
        return self._unfinished(distance, tied=_tied(reference) or _tied(current))

    def _unfinished(self, distance: float, *, tied: bool, bound: float = 0.0) -> TestResult:
        note = "ties" if tied else ""
        return TestResult(self.title, "", distance, math.nan, distance, self.effect_name, note, bound)

    def finished(self, sizes: Sequence[tuple[int, int]], results: Sequence[TestResult]) -> list[TestResult]:
        cases = [(*size, result.statistic) for size, result in zip(sizes, results, strict=True)]
        return [
            replace(result, p_value=p, method=method)
            for result, (p, method) in zip(results, ks_p_values(cases), strict=True)
        ]

    def open_intervals(self, grid: Grid) -> Mask:
        return grid.distance()[2]

    def on_grid(self, numbers: ScannedNumbers) -> TestResult:
        least, most, _ = numbers.grid.distance()
        return self._unfinished(least, tied=numbers.tied, bound=most - least)

    def block_statistic(self, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
        return ks_statistic, counts

    def on_blocks(self, statistic: float, p_value: float, counts: BlockCounts, fine: FineCounts | None) -> TestResult:
        if fine is None:
            raise ValueError("D needs ranges of numbers")
        distance, bound = binned_distance(fine)
        note = "" if bound < 1e-12 else f"D exact to {bound:.2g}"
        return TestResult(self.title, BY_BLOCKS, distance, p_value, distance, self.effect_name, note, bound)


def _tied(ordered: Floats) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())


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
    after = np.abs(right - (rank + 1) / len(small))
    before = np.abs(left - rank / len(small))
    if ties.any():
        after, before = after[np.append(~ties, True)], before[np.append(True, ~ties)]
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


def ks(reference: Floats, current: Floats) -> TestResult:
    """Two-sample Kolmogorov–Smirnov test of sorted values without NaN; ±inf are ranked like any other value."""
    distance = ks_distance(reference, current)
    [(p_value, method)] = ks_p_values([(len(reference), len(current), distance)])
    return TestResult("KS", method, distance, p_value, distance, "D")


def binned_distance(counts: FineCounts) -> tuple[float, float]:
    """D at the edges of the bins, and how much larger it may be between them.

    Within a bin both distribution functions rise from one edge to the other, so |F − G| cannot exceed the difference
    of the one at the upper and the other at the lower edge.
    """
    first, second = (_shares(side) for side in (counts.reference, counts.current))
    at_edges = float(np.abs(first - second).max())
    before = [np.concatenate([[0.0], side[:-1]]) for side in (first, second)]
    inside = np.maximum(first - before[1], second - before[0])[~counts.atoms]
    return at_edges, max(0.0, float(inside.max(initial=0.0)) - at_edges)


def _shares(counts: Ints) -> Floats:
    shares: Floats = np.cumsum(counts) / counts.sum()
    return shares


def ks_statistic(one: Floats, two: Floats) -> Floats:
    """D at the edges of the bins, for each row of counts."""
    first, second = np.cumsum(one, axis=-1), np.cumsum(two, axis=-1)
    first /= np.maximum(first[..., -1:], 1)
    second /= np.maximum(second[..., -1:], 1)
    result: Floats = np.abs(first - second).max(axis=-1)
    return result


TEST = KolmogorovSmirnov()
