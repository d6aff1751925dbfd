"""The first Wasserstein distance: by how much mass must move how far; in standard deviations of the reference."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from flint_ml.drift.statistics.distributions import Floats, monte_carlo_p
from flint_ml.drift.two_sample.base import (
    BY_BLOCKS,
    BlockCounts,
    FineCounts,
    Statistic,
    TestResult,
    TwoSampleTest,
)

_DRAWS = 9_999
_BATCH = 1_111
# Besag and Clifford (1991), as in chi2.py.
_STOP_AT = 25


class Wasserstein(TwoSampleTest):
    """∫|F − G|; p by permutation, so that a scan gives it a sample."""

    title, effect_name = "Wasserstein", "W / sd"
    sampled = True

    def in_memory(self, reference: Floats, current: Floats) -> TestResult:
        return wasserstein(reference, current)

    def block_statistic(self, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
        return wasserstein_statistic(_values(counts)), counts

    def on_blocks(self, statistic: float, p_value: float, counts: BlockCounts, fine: FineCounts | None) -> TestResult:
        values = _values(counts)
        share = counts.reference.sum(axis=(0, 1)) / counts.reference.sum()
        mean = float(share @ values)
        spread = math.sqrt(float(share @ (values - mean) ** 2)) or 1.0
        note = "of values in 128 bins"
        return TestResult(self.title, BY_BLOCKS, statistic, p_value, statistic / spread, self.effect_name, note)


def _values(counts: BlockCounts) -> Floats:
    if counts.values is None:
        raise ValueError("the Wasserstein distance needs ranges of numbers")
    return counts.values


def _wasserstein_distance(steps: Floats, is_current: npt.NDArray[np.bool_]) -> Floats:
    """∫|F − G| for each row of labels over the same sorted values; ``steps`` are the gaps between these."""
    n = is_current.sum(axis=-1, keepdims=True)
    total = is_current.shape[-1]
    current = np.cumsum(is_current, axis=-1) / n
    reference = np.cumsum(~is_current, axis=-1) / (total - n)
    distances: Floats = np.abs(current - reference)[..., :-1] @ steps
    return distances


def wasserstein(reference: Floats, current: Floats) -> TestResult:
    """First Wasserstein distance in standard deviations of the reference; p by permutation of the labels.

    Values that are not finite are left out: the distance to them is infinite.
    """
    reference, current = reference[np.isfinite(reference)], current[np.isfinite(current)]
    if min(len(reference), len(current)) < 2:
        return TestResult("Wasserstein", "permutation", 0.0, 1.0, 0.0, "W / sd", "too few finite values")
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
    return TestResult("Wasserstein", "permutation", seen, monte_carlo_p(exceeded, drawn), seen / spread, "W / sd")


def wasserstein_statistic(values: Floats) -> Statistic:
    """∫|F − G| for counts of the given ascending values."""
    steps = np.diff(values)

    def statistic(one: Floats, two: Floats) -> Floats:
        first = np.cumsum(one, axis=-1) / np.maximum(one.sum(axis=-1, keepdims=True), 1)
        second = np.cumsum(two, axis=-1) / np.maximum(two.sum(axis=-1, keepdims=True), 1)
        result: Floats = np.abs(first - second)[..., :-1] @ steps
        return result

    return statistic


TEST = Wasserstein()
