"""What a two-sample test is, for the three forms in which values come: arrays, counts at a grid, blocks of a map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from flint_ml.drift.statistics.distributions import Floats, Ints, Mask
from flint_ml.drift.statistics.ecdf_grid import Grid

# How the p-value of a layer of rasters is found.
BY_BLOCKS = "permutation of blocks"

Statistic = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class TestResult:
    """One test of two samples.

    ``effect`` is between 0 and 1 for D and V, in standard deviations for Wasserstein. By ``bound`` the statistic may
    be larger than stated, where the values are known by their counts only.
    """

    __test__ = False

    name: str
    method: str
    statistic: float
    p_value: float
    effect: float
    effect_name: str
    note: str = ""
    bound: float = 0.0


@dataclass(frozen=True)
class ScannedNumbers:
    """What a scan knows of a column of numbers, reference first.

    ``counts`` are those of each different value, None where there are too many; ``sample`` gives sampled values,
    sorted.
    """

    column: str
    grid: Grid
    counts: tuple[Mapping[float, int] | None, Mapping[float, int] | None]
    tied: bool
    sample: Callable[[], tuple[Floats, Floats]]


@dataclass(frozen=True)
class BlockCounts:
    """Cells with a value by block and bin, shape (rows, columns, bins), of the reference and of the new map.

    ``paired``: both maps have one grid, so that block i, j is the same ground in both. ``ordered``: the bins are
    ranges of numbers, in order; else classes. ``values`` of the bins, ascending, where they are numbers.
    """

    reference: Ints
    current: Ints
    ordered: bool
    paired: bool
    values: Floats | None = None


@dataclass(frozen=True)
class FineCounts:
    """Cells of two maps by narrow ranges of numbers; ``atoms`` marks ranges that hold one value only."""

    reference: Ints
    current: Ints
    atoms: Mask


class TwoSampleTest(ABC):
    """One test of the values of a column. A subclass says what it needs, and gives its result in each form.

    ``title`` and ``effect_name`` are for people. ``many_values``: numbers that repeat a handful of values are not for
    this test. ``distinct``: so many different numbers a scan counts one by one. ``sampled``: a scan gives it a sample
    of the values, for counts at a grid do not suffice.
    """

    title: ClassVar[str]
    effect_name: ClassVar[str]
    many_values: ClassVar[bool] = False
    distinct: ClassVar[int] = 64
    sampled: ClassVar[bool] = False

    @abstractmethod
    def in_memory(self, reference: Floats, current: Floats) -> TestResult:
        """The result for two sorted samples without NaN; p is NaN where :meth:`finished` computes it."""

    def of_classes(self, reference: Ints, current: Ints) -> TestResult:
        """The result for counts of classes, aligned by class."""
        raise NotImplementedError(f"{self.title} is not a test of classes")

    def finished(self, sizes: Sequence[tuple[int, int]], results: Sequence[TestResult]) -> list[TestResult]:
        """The results of many columns with their p-values, where these are cheaper to compute together."""
        return list(results)

    def open_intervals(self, grid: Grid) -> Mask:
        """The intervals of the grid whose values a scan must collect before :meth:`on_grid` is exact."""
        return np.zeros(len(grid.complete), dtype=bool)

    def on_grid(self, numbers: ScannedNumbers) -> TestResult:
        """The result for a column that was scanned: by default that of the sampled values."""
        reference, current = numbers.sample()
        result = self.in_memory(reference, current)
        if len(reference) + len(current) < sum(numbers.grid.sizes):
            return replace(result, note=f"on a sample of {len(reference):,} and {len(current):,} values")
        return result

    @abstractmethod
    def block_statistic(self, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
        """The statistic of rows of counts by bin, for the permutation of blocks, and the counts it is for."""

    def on_blocks(self, statistic: float, p_value: float, counts: BlockCounts, fine: FineCounts | None) -> TestResult:
        """The result for two maps, from the statistic and p of the permutation; ``fine`` for maps of numbers."""
        return TestResult(self.title, BY_BLOCKS, statistic, p_value, statistic, self.effect_name)
