"""Samples that come in sites, profiles or series: whole groups are permuted, because only these are independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flint_ml.drift.arrow import vector
from flint_ml.drift.statistics.distributions import Codes, Floats, Mask

PERMUTATIONS = 1_999
_CELLS = 1 << 18
_CLUSTERED = 0.1


@dataclass(frozen=True)
class Sample:
    """Values of both tables with the group of each: numbers to rank, or codes of classes (``classes`` of them)."""

    values: Floats
    units: Codes
    classes: int = 0


@dataclass(frozen=True)
class Clustering:
    """How alike samples of one group are in one column, by one-way analysis of variance.

    ``icc`` is the intra-class correlation, ``effect`` the design effect 1 + (n₀ − 1)·icc, ``effective`` the number
    of independent samples that carry as much information, in the reference and in the new data.
    """

    icc: float
    effect: float
    effective: tuple[float, float]


def codes_of(columns: Sequence[Any]) -> Codes:
    """Group numbers of the rows from one or more Arrow columns; a missing value is a group of its own row."""
    import pyarrow as pa

    parts = []
    for column in columns:
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        labels = plain.cast(pa.string()).to_pylist()
        parts.append([f"\0{row}" if label is None else label for row, label in enumerate(labels)])
    _, codes = np.unique(np.array(["\x1f".join(key) for key in zip(*parts, strict=True)]), return_inverse=True)
    return codes.astype(np.intp)


def blocks_of(x: Any, y: Any, size: float) -> Codes:
    """Group numbers of the rows from coordinates: squares of ``size``; a row without coordinates is its own group."""
    squares = np.column_stack([np.floor(vector(x) / size), np.floor(vector(y) / size)])
    lost = np.isnan(squares).any(axis=1)
    squares[lost] = np.column_stack([np.full(lost.sum(), np.inf), np.flatnonzero(lost)])
    _, codes = np.unique(squares, axis=0, return_inverse=True)
    return codes.reshape(-1).astype(np.intp)


def _rank_statistics(sample: Sample, labels: Mask) -> Floats:
    """KS distance for each column of ``labels`` (groups × permutations: which groups count as new)."""
    order = np.argsort(sample.values, kind="stable")
    ordered = sample.values[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    units = sample.units[order]
    new = labels.astype(np.float64)
    ones = np.bincount(units, minlength=len(labels)) @ new
    twos = np.maximum(len(units) - ones, 1)
    # F − G = a/n − (k − a)/m, with a new values among the first k; in place, for memory is what takes the time.
    both = 1 / np.maximum(ones, 1) + 1 / twos
    rank = np.arange(1.0, len(units) + 1)[:, None]
    result = np.empty(labels.shape[1])
    step = max(1, _CELLS // len(units))
    for start in range(0, labels.shape[1], step):
        part = slice(start, start + step)
        distance = np.cumsum(new[:, part][units], axis=0)
        distance *= both[part]
        distance -= rank / twos[part]
        np.abs(distance, out=distance)
        result[part] = (distance if last.all() else distance[last]).max(axis=0)
    return result


def _class_statistics(sample: Sample, labels: Mask) -> Floats:
    """Pearson's chi-squared for each column of ``labels``."""
    table = np.zeros((labels.shape[0], sample.classes))
    np.add.at(table, (sample.units, sample.values.astype(np.intp)), 1)
    both = table.sum(axis=0)
    new = labels.T @ table
    share = new.sum(axis=1, keepdims=True) / both.sum()
    expected = both * share
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (new - expected) ** 2 / (expected * (1 - share))
    result: Floats = np.nan_to_num(value).sum(axis=1)
    return result


@dataclass(frozen=True)
class Permuted:
    """p-values of each sample alone, and adjusted for all together (Westfall and Young 1993)."""

    p_values: list[float]
    p_adjusted: list[float]


def permute_groups(samples: Sequence[Sample], is_new: Mask) -> Permuted:
    """Permutation test of whole groups, the same permutations for all ``samples``.

    Parameters
    ----------
    samples
        One for each hypothesis; a group has the same number in all of them.
    is_new
        For each group whether it belongs to the new data.

    The statistics are standardised by their permutation distribution; the step-down maximum over them keeps the
    family-wise error rate, with the dependence between the columns as it is.
    """
    rng = np.random.default_rng(20217)
    labels = np.empty((len(is_new), PERMUTATIONS + 1), dtype=bool)
    labels[:, 0] = is_new
    labels[:, 1:] = rng.permuted(np.broadcast_to(is_new, (PERMUTATIONS, len(is_new))), axis=1).T
    table = np.empty((len(samples), PERMUTATIONS + 1))
    for row, sample in enumerate(samples):
        table[row] = (_class_statistics if sample.classes else _rank_statistics)(sample, labels)
    alone = (table >= table[:, :1] * (1 - 1e-12)).mean(axis=1)
    spread = table.std(axis=1, keepdims=True)
    scaled = (table - table.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    order = np.argsort(-scaled[:, 0], kind="stable")
    # From the least to the most extreme: the maximum over those not yet rejected.
    largest = np.maximum.accumulate(scaled[order][::-1], axis=0)[::-1]
    stepped = (largest >= scaled[order, 0][:, None] - 1e-12).mean(axis=1)
    adjusted = np.empty(len(samples))
    adjusted[order] = np.maximum.accumulate(stepped)
    return Permuted([float(p) for p in alone], [float(p) for p in adjusted])


def _variance_parts(values: Floats, codes: Codes) -> tuple[float, float, float] | None:
    """Mean squares between and within groups, and the typical group size n₀ of unbalanced groups."""
    _, inverse, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    count, total = len(sizes), len(values)
    if count < 2 or total <= count:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.bincount(inverse, weights=values) / sizes
        between = float(np.sum(sizes * (means - values.mean()) ** 2)) / (count - 1)
        within = float(np.sum((values - means[inverse]) ** 2)) / (total - count)
    if not np.isfinite(between + within):
        return None
    typical = (total - float(np.sum(sizes**2)) / total) / (count - 1)
    return between, within, typical


def clustering(values: tuple[Floats, Floats], codes: tuple[Codes, Codes]) -> Clustering | None:
    """Intra-class correlation and its price, from the values of both tables and their groups."""
    iccs, sizes, effective = [], [], []
    for side, groups in zip(values, codes, strict=True):
        known = np.isfinite(side)
        parts = _variance_parts(side[known], groups[known])
        if parts is None:
            return None
        between, within, typical = parts
        bottom = between + (typical - 1) * within
        iccs.append(max(0.0, (between - within) / bottom) if bottom > 0 else 0.0)
        sizes.append(typical)
        effective.append(int(known.sum()))
    icc = float(np.mean(iccs))
    effects = [1 + max(0.0, size - 1) * icc for size in sizes]
    return Clustering(icc, float(np.mean(effects)), (effective[0] / effects[0], effective[1] / effects[1]))


def looks_clustered(codes: Codes, columns: Sequence[Floats]) -> float | None:
    """Median intra-class correlation of ``columns`` within ``codes`` if it is high and no chance, else None."""
    found = []
    for values in columns:
        known = np.isfinite(values)
        parts = _variance_parts(values[known], codes[known]) if known.sum() > 20 else None
        if parts is None or parts[1] <= 0:
            continue
        between, within, typical = parts
        groups = len(np.unique(codes[known]))
        # The variance ratio is about 1 ± √(2/(groups − 1)) by chance.
        likely = between / within < 1 + 3 * np.sqrt(2 / (groups - 1))
        found.append(0.0 if likely else (between - within) / (between + (typical - 1) * within))
    median = float(np.median(found)) if found else 0.0
    return median if median > _CLUSTERED else None
