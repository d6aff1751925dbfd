"""The population stability index over the tenths of the reference."""

from __future__ import annotations

import numpy as np

from flint_ml.drift.statistics.distributions import Floats, Ints, Mask
from flint_ml.drift.statistics.ecdf_grid import Grid
from flint_ml.drift.two_sample.base import BlockCounts, ScannedNumbers, Statistic, TestResult, TwoSampleTest
from flint_ml.drift.two_sample.chi2 import chi_squared


class StabilityIndex(TwoSampleTest):
    """The index, with p by chi-squared on the same bins."""

    title = effect_name = "PSI"

    def in_memory(self, reference: Floats, current: Floats) -> TestResult:
        return psi(reference, current)

    def open_intervals(self, grid: Grid) -> Mask:
        intervals = super().open_intervals(grid)
        for rank in decile_ranks(grid.sizes[0]):
            interval = grid.interval_of_rank(0, rank)
            if interval is not None:
                intervals[interval] = True
        return intervals

    def on_grid(self, numbers: ScannedNumbers) -> TestResult:
        grid = numbers.grid
        edges = np.unique([grid.value_at(0, rank) for rank in decile_ranks(grid.sizes[0])])
        upto = [[grid.count_upto(side, float(edge)) for edge in edges] for side in (0, 1)]
        counts = [np.diff([0, *upto[side], grid.sizes[side]]) for side in (0, 1)]
        return psi_of(counts[0], counts[1])

    def block_statistic(self, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
        return psi_statistic, _tenths(counts)


def decile_ranks(size: int) -> list[int]:
    """Ranks of the lower deciles of a sample, as ``numpy.quantile`` takes them."""
    return [int(rank) for rank in np.floor((size - 1) * np.linspace(0.1, 0.9, 9))]


def _tenths(counts: BlockCounts) -> BlockCounts:
    """The bins put together to about tenths of the reference."""
    upto = np.cumsum(counts.reference.sum(axis=(0, 1)))
    tenth = np.minimum((10 * (upto - 1)) // max(1, int(upto[-1])), 9).clip(min=0)
    starts = np.flatnonzero(np.append(True, tenth[1:] != tenth[:-1]))
    reference, current = (np.add.reduceat(side, starts, axis=2) for side in (counts.reference, counts.current))
    return BlockCounts(reference, current, ordered=True, paired=counts.paired)


def psi(reference: Floats, current: Floats) -> TestResult:
    """Population stability index over the tenths of the reference; p by chi-squared on the same bins.

    Half a count is added to each bin, so that an empty one does not make the index infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0.1, 0.9, 9), method="lower"))
    bins = len(edges) + 1
    one = np.bincount(np.searchsorted(edges, reference, side="left"), minlength=bins)
    two = np.bincount(np.searchsorted(edges, current, side="left"), minlength=bins)
    return psi_of(one, two)


def psi_of(one: Ints, two: Ints) -> TestResult:
    """Population stability index of counts in the same bins."""
    bins = len(one)
    p = (one + 0.5) / (one.sum() + 0.5 * bins)
    q = (two + 0.5) / (two.sum() + 0.5 * bins)
    index = float(np.sum((q - p) * np.log(q / p)))
    test = chi_squared(one, two)
    return TestResult("PSI", test.method, index, test.p_value, index, "PSI")


def psi_statistic(one: Floats, two: Floats) -> Floats:
    """Population stability index over the bins given, for each row of counts; half a cell is added to each bin."""
    p = (one + 0.5) / (one + 0.5).sum(axis=-1, keepdims=True)
    q = (two + 0.5) / (two + 0.5).sum(axis=-1, keepdims=True)
    result: Floats = np.sum((q - p) * np.log(q / p), axis=-1)
    return result


TEST = StabilityIndex()
