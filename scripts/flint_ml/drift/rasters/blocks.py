"""Two maps compared by blocks: neighbouring cells are alike, so only whole blocks of ground are permuted.

A test that takes a million cells for independent always rejects. Here the counts of cells by block and bin are all that
is needed. The blocks are as large as the maps are smooth; what correlation is left between neighbouring blocks widens
the distribution under permutation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flint_ml.drift.statistics.cluster_permutation import PERMUTATIONS, Clustering
from flint_ml.drift.statistics.distributions import Codes, Floats, Ints
from flint_ml.drift.two_sample.base import BlockCounts, Statistic

# Blocks along the longer side of the ground at the finest, and how many of them are merged to larger ones.
FINEST = 32
_MERGES = (1, 2, 4, 8)
# With fewer independent blocks hardly any drift can be found, and the correlation between blocks not be told.
FEWEST = 16
# Blocks whose correlation is below this count as independent.
_UNRELATED = 0.05
_NOISE = 0.1


@dataclass(frozen=True)
class Blocks:
    """How the ground was divided: ``side`` in finest blocks, ``counts`` of blocks with values in each map.

    ``spread`` is by how much the correlation of neighbouring blocks widens the variance of a difference (1: none).
    ``smooth``: the maps are alike over so long a way that blocks cannot be told from one another.
    """

    side: int
    counts: tuple[int, int]
    reach: int
    spread: float
    smooth: bool


@dataclass(frozen=True)
class BlockTest:
    """Result of a permutation of whole blocks; ``critical`` is the smallest statistic that is significant alone."""

    statistic: float
    p_value: float
    blocks: Blocks
    ordered: Floats

    def critical(self, alpha: float) -> float:
        """The statistic that chance exceeds with probability ``alpha``."""
        return float(np.quantile(self.ordered, max(0.0, 1 - alpha)))


def difference_statistic(one: Floats, two: Floats) -> Floats:
    """Difference of the share of the first of two classes, for each row of counts."""
    p = one[..., 0] / np.maximum(one.sum(axis=-1), 1)
    q = two[..., 0] / np.maximum(two.sum(axis=-1), 1)
    result: Floats = np.abs(p - q)
    return result


def merged(counts: Ints, side: int) -> Ints:
    """Ints of blocks of ``side`` × ``side`` blocks."""
    if side == 1:
        return counts
    rows, columns, bins = counts.shape
    high, wide = -(-rows // side), -(-columns // side)
    padded = np.zeros((high * side, wide * side, bins), dtype=counts.dtype)
    padded[:rows, :columns] = counts
    result: Ints = padded.reshape(high, side, wide, side, bins).sum(axis=(1, 3))
    return result


def _features(counts: BlockCounts) -> Floats:
    """What the correlation is measured on: a number's mid-rank, or a class's share in units of its sd.

    On one grid it is the number itself, the outer twentieths pulled in: where all numbers rose alike, the ranks rise
    here more and there less, and smoothly so, and what is the same everywhere would look like chance.
    """
    both = counts.reference.sum(axis=(0, 1)) + counts.current.sum(axis=(0, 1))
    share = both / both.sum()
    if not counts.ordered:
        return np.diag(1 / np.sqrt(np.maximum(share, 1e-12)))
    upto = np.cumsum(share)
    if counts.paired and counts.values is not None:
        low, high = (counts.values[min(int(np.searchsorted(upto, q)), len(upto) - 1)] for q in (0.05, 0.95))
        if high > low:
            scaled: Floats = (np.clip(counts.values, low, high)[:, None] - low) / (high - low)
            return scaled
    ranks: Floats = (upto - share / 2 - 0.5)[:, None]
    return ranks


def _influence(counts: Ints, features: Floats) -> Floats:
    """What each block adds to the mean of the features: (rows, columns, features); it sums to zero."""
    total = counts.sum(axis=(0, 1))
    mean = (total @ features) / total.sum()
    summed: Floats = (counts @ features - counts.sum(axis=2, keepdims=True) * mean) / total.sum()
    return summed


def _autocovariance(field: Floats) -> Floats:
    """Σ u·u' over all pairs of blocks at each lag, (rows, columns) of lags, zero lag first."""
    rows, columns, _ = field.shape
    shape = (2 * rows, 2 * columns)
    seen = np.fft.rfft2(field, shape, axes=(0, 1))
    result: Floats = np.fft.irfft2((np.abs(seen) ** 2).sum(axis=2), shape)
    return result


def _lags(rows: int, columns: int) -> Floats:
    """Distance of each lag of :func:`_autocovariance`, in blocks."""
    down = np.minimum(np.arange(2 * rows), 2 * rows - np.arange(2 * rows))
    across = np.minimum(np.arange(2 * columns), 2 * columns - np.arange(2 * columns))
    distance: Floats = np.hypot(down[:, None], across[None, :])
    return distance


@dataclass(frozen=True)
class _Dependence:
    """Correlation between blocks of the finest size: how far it reaches, and the variance of a sum of them.

    ``freedom``: degrees of freedom of that variance, about the number of patches that are not alike, less one.
    """

    reach: int
    variance: float
    freedom: float
    whole: bool


def _dependence(fields: list[Floats]) -> _Dependence:
    """Sum the autocovariance outwards until blocks are no longer alike."""
    rows, columns = fields[0].shape[:2]
    distance = np.round(_lags(rows, columns)).astype(np.intp)
    most = max(1, max(rows, columns) // 2)
    sums, pairs, squares, blocks, everything = np.zeros(most + 1), np.zeros(most + 1), 0.0, 0, 0.0
    for field in fields:
        there = np.any(field != 0, axis=2)
        sums += _by_distance(distance, field, most)
        pairs += _by_distance(distance, there[:, :, None].astype(float), most)
        squares += float(np.sum(field**2))
        blocks += int(there.sum())
        everything += float(there.sum()) ** 2
    if squares <= 0 or blocks < 3:
        return _Dependence(0, squares, math.inf, whole=False)
    inside = np.cumsum(pairs) / everything
    variance, reach = squares, 0
    # The fields sum to zero, which takes variance/blocks² from every pair; what it takes depends on the variance.
    for _ in range(6):
        mended = sums + pairs * variance / everything
        correlation = mended / np.maximum(pairs, 1) / (mended[0] / blocks)
        noise = np.minimum(2 / np.sqrt(np.maximum(pairs / 2, 1)), _NOISE)
        alike = correlation[1:] > np.maximum(_UNRELATED, noise[1:])
        reach = int(np.argmin(alike)) if not alike.all() else most
        upto = min(most, reach + 1)
        variance = max(squares, float(sums[: upto + 1].sum()) / max(0.2, 1 - float(inside[upto])))
    # Of a correlation that reaches over more than an eighth of the map a part cannot be seen: the mean takes it away.
    # The factor is from simulations (benchmarks/drift_raster.py); from a quarter of the map on it is 2.5.
    variance *= 1 + 1.5 * min(1.0, max(0.0, 4 * reach / most - 1))
    freedom = max(1.0, 1 / float(inside[upto]) - 1) if reach else math.inf
    return _Dependence(reach, variance, freedom, whole=reach >= most)


def _by_distance(distance: Codes, field: Floats, most: int) -> Floats:
    """The autocovariance added up by distance, from 0 to ``most`` blocks."""
    summed = np.bincount(distance.ravel(), _autocovariance(field).ravel(), minlength=most + 1)
    return summed[: most + 1].astype(np.float64)


def _side(reach: int, counts: BlockCounts) -> tuple[int, Ints, Ints]:
    """Blocks as large as the correlation reaches, while enough of them are left."""
    chosen = (1, counts.reference, counts.current)
    for side in _MERGES[1:]:
        one, two = merged(counts.reference, side), merged(counts.current, side)
        if min(_filled(one), _filled(two)) < FEWEST:
            break
        if chosen[0] > reach:
            break
        chosen = (side, one, two)
    return chosen


def _filled(counts: Ints) -> int:
    return int(np.count_nonzero(counts.any(axis=2)))


def permute_blocks(counts: BlockCounts, statistic: Statistic, *, side: int | None = None) -> BlockTest:
    """Test whether two maps have one distribution.

    On one grid the two maps change places within whole blocks at random, so that what differs from place to place
    does not count; else the blocks of both maps are mixed. ``side`` (in finest blocks) is chosen from the data where
    it is not given. Blocks that are still correlated widen the distribution: the permuted statistics are multiplied by
    the root of the ratio of the variances with and without that correlation, estimated as in a HAC estimator (flat
    kernel, Conley 1999).
    """
    features = _features(counts)
    fine = [_influence(side_, features) for side_ in (counts.reference, counts.current)]
    fields = [fine[1] - fine[0]] if counts.paired else fine
    dependence = _dependence(fields)
    if side is None:
        side, one, two = _side(dependence.reach, counts)
    else:
        one, two = merged(counts.reference, side), merged(counts.current, side)
    coarse = [_influence(side_, features) for side_ in (one, two)]
    parts = [coarse[1] - coarse[0]] if counts.paired else coarse
    squares = sum(float(np.sum(part**2)) for part in parts)
    variance = dependence.variance
    labels, units = _permutations(one, two, counts.paired)
    new = labels @ units
    old = units.sum(axis=0) - new
    values = statistic(old, new)
    spread = max(1.0, variance / squares) if squares > 0 else 1.0
    widened = values[1:] * math.sqrt(variance / _permuted_variance(old[1:], new[1:], features))
    if math.isfinite(dependence.freedom):
        # An estimated variance makes Student's t of the normal distribution.
        chi2 = np.random.default_rng(20220).chisquare(dependence.freedom, len(widened))
        widened = widened * np.sqrt(dependence.freedom / chi2)
    permuted = np.maximum(values[1:], widened) if dependence.reach else values[1:]
    seen = float(values[0])
    p_value = (1 + int(np.count_nonzero(permuted >= seen * (1 - 1e-12)))) / (1 + len(permuted))
    blocks = Blocks(side, (_filled(one), _filled(two)), dependence.reach, spread, dependence.whole)
    return BlockTest(seen, p_value, blocks, np.sort(permuted))


def _permutations(one: Ints, two: Ints, paired: bool) -> tuple[Floats, Floats]:
    """Which unit counts as new in each permutation, the one seen first; and the counts of the units."""
    rng = np.random.default_rng(20219)
    bins = one.shape[2]
    first, second = one.reshape(-1, bins), two.reshape(-1, bins)
    if paired:
        keep = first.any(axis=1) | second.any(axis=1)
        first, second = first[keep], second[keep]
        stays = rng.random((PERMUTATIONS + 1, len(first))) < 0.5
        stays[0] = True
        labels = np.concatenate([~stays, stays], axis=1)
    else:
        first, second = first[first.any(axis=1)], second[second.any(axis=1)]
        is_new = np.arange(len(first) + len(second)) >= len(first)
        labels = rng.permuted(np.broadcast_to(is_new, (PERMUTATIONS + 1, len(is_new))), axis=1)
        labels[0] = is_new
    return labels.astype(np.float64), np.concatenate([first, second]).astype(np.float64)


def _permuted_variance(old: Floats, new: Floats, features: Floats) -> float:
    """Variance of the difference of the features' means under permutation."""
    means = [side @ features / np.maximum(side.sum(axis=1, keepdims=True), 1) for side in (old, new)]
    return max(float(np.mean(np.sum((means[1] - means[0]) ** 2, axis=1))), 1e-300)


def block_clustering(counts: BlockCounts, blocks: Blocks) -> Clustering | None:
    """Intra-class correlation within the blocks and the effective number of cells, by one-way analysis of variance."""
    features = _features(counts)
    iccs, sizes, totals = [], [], []
    for side in (counts.reference, counts.current):
        cells = merged(side, blocks.side).reshape(-1, side.shape[2])
        cells = cells[cells.any(axis=1)].astype(np.float64)
        n, total, count = cells.sum(axis=1), float(cells.sum()), len(cells)
        if count < 2 or total <= count:
            return None
        summed = cells @ features
        mean = summed.sum(axis=0) / total
        between = float(np.sum((summed / n[:, None] - mean) ** 2 * n[:, None]))
        whole = float(cells.sum(axis=0) @ np.sum((features - mean) ** 2, axis=1))
        within = max(0.0, whole - between) / (total - count)
        between /= count - 1
        typical = (total - float(np.sum(n**2)) / total) / (count - 1)
        bottom = between + (typical - 1) * within
        iccs.append(max(0.0, (between - within) / bottom) if bottom > 0 else 0.0)
        sizes.append(typical)
        totals.append(total)
    icc = float(np.mean(iccs))
    effects = [(1 + max(0.0, size - 1) * icc) * blocks.spread for size in sizes]
    return Clustering(icc, float(np.mean(effects)), (totals[0] / effects[0], totals[1] / effects[1]))
