"""A classifier two-sample test (Lopez-Paz and Oquab 2017): can anything tell the new rows from the reference?

It finds what no single column shows: a small shift common to many columns, or a change of their correlation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flint_ml.drift.statistics.distributions import Codes, Floats, Mask, monte_carlo_p
from flint_ml.drift.statistics.spectra import fit, is_complete, project

MIN_AUC = 0.55
MIN_ROWS = 30
_ROWS_A_SIDE = 2_000
_FOLDS = 5
_FIRST, _MOST = 199, 9_999
_BATCH = 400
_LARGEST_SCORE = 4.0
_SPECTRAL_SCORES = 10


@dataclass(frozen=True)
class Feature:
    """Values of both tables (reference rows, then new rows), made without looking at which table a row is from."""

    column: str
    values: Floats
    numeric: bool


@dataclass(frozen=True)
class ClassifierResult:
    """How well new rows can be told from the reference; 0.5 is chance. ``contributors``: the columns that help most."""

    auc: float
    p_value: float
    permutations: int
    rows: tuple[int, int]
    contributors: tuple[str, ...]


def numeric_feature(column: str, reference: Floats, current: Floats) -> Feature | None:
    """A column as normal scores of its ranks: no scale, no wild values; missing ones in the middle."""
    values = np.concatenate([reference, current])
    known = ~np.isnan(values)
    count = int(np.count_nonzero(known))
    if count < 2:
        return None
    order = np.argsort(values, kind="stable")[:count]
    ordered = values[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    if len(first) < 2:
        return None
    if len(first) == count:
        scores = _scores(count)
    else:
        sizes = np.diff(np.append(first, count))
        scores = np.repeat(_normal_quantile((first + (sizes + 1) / 2) / (count + 1)), sizes)
    result = np.zeros(len(values))
    result[order] = scores
    spread = result.std()
    return Feature(column, (result - result.mean()) / spread, True) if spread > 0 else None


@lru_cache(maxsize=64)
def _scores(count: int) -> Floats:
    """The normal scores of so many different values, in order."""
    return _normal_quantile(np.arange(1, count + 1) / (count + 1))


def _normal_quantile(p: Floats) -> Floats:
    """Quantiles of the standard normal distribution, to 5e-4 (Abramowitz and Stegun 26.2.23): enough for a feature."""
    tail = np.sqrt(-2 * np.log(np.minimum(p, 1 - p)))
    top = 2.515517 + tail * (0.802853 + tail * 0.010328)
    bottom = 1 + tail * (1.432788 + tail * (0.189269 + tail * 0.001308))
    result: Floats = np.where(p < 0.5, -1, 1) * (tail - top / bottom)
    return result


def class_features(column: str, reference: Codes, current: Codes, levels: int) -> list[Feature]:
    """Indicators of the twenty commonest categories; codes below 0 are missing."""
    codes = np.concatenate([reference, current])
    counts = np.bincount(codes[codes >= 0], minlength=levels)
    common = [k for k in np.argsort(-counts, kind="stable")[:20] if counts[k] >= 5]
    result = []
    for k in common:
        values = (codes == k).astype(float)
        spread = values.std()
        if spread > 0:
            result.append(Feature(column, (values - values.mean()) / spread, False))
    return result


def spectral_features(label: str, reference: Floats, current: Floats) -> list[Feature]:
    """Leading scores of spectra, the components being those of both tables together."""
    both = np.concatenate([reference, current])
    good = is_complete(both)
    if good.sum() < MIN_ROWS:
        return []
    model = fit(both[good])
    scores = np.zeros((len(both), model.components))
    scores[good] = np.clip(
        project(model, both[good]).scores / np.sqrt(model.variances), -_LARGEST_SCORE, _LARGEST_SCORE
    )
    return [Feature(label, scores[:, k], True) for k in range(min(_SPECTRAL_SCORES, model.components))]


def _products(linear: Floats, numeric: list[int], rows: int) -> tuple[Floats, list[tuple[int, int]]]:
    """Squares and products of the numeric features, as many as the rows can bear, and the features of each."""
    most = int((np.sqrt(1 + 8 * rows / 10) - 1) / 2)
    used = numeric[:most]
    pairs = [(i, j) for at, i in enumerate(used) for j in used[at:]]
    result = np.empty((len(linear), len(pairs)))
    for position, (i, j) in enumerate(pairs):
        values = linear[:, i] * linear[:, j]
        spread = values.std()
        result[:, position] = (values - values.mean()) / spread if spread > 0 else 0.0
    return result, pairs


class _ByColumns:
    """Ridge discriminant analysis by the matrix of sums of squares of the columns, for designs with few of them.

    That matrix does not depend on the labels, so that all permutations are one linear solve.
    """

    def __init__(self, design: Floats, folds: Codes) -> None:
        self.design, self.folds = design, folds
        self.gram: Floats = design.T @ design
        # The ridge grows with columns over rows: the mean of the eigenvalues times p / n.
        self.penalty = float(np.trace(self.gram)) / len(design)

    def held_out(self, labels: Floats) -> Iterator[tuple[Mask, Floats]]:
        """The rows of each fold, and their scores (labels × rows) by the discriminant of all other rows."""
        moment = self.design.T @ labels
        ridge = np.eye(len(self.gram)) * self.penalty
        for fold in range(self.folds.max() + 1):
            inside = self.folds == fold
            held = self.design[inside]
            weights = np.linalg.solve(self.gram - held.T @ held + ridge, moment - held.T @ labels[inside])
            yield inside, weights.T @ held.T

    def weights(self, labels: Floats) -> Floats:
        """The discriminant of all rows."""
        ridge = np.eye(len(self.gram)) * self.penalty
        return np.asarray(np.linalg.solve(self.gram + ridge, self.design.T @ labels), dtype=np.float64)


class _ByRows:
    """The same by the products of the rows, for designs with more columns than rows: work and memory are of rows².

    X(XᵀX + λI)⁻¹Xᵀ = (XXᵀ + λI)⁻¹XXᵀ (the kernel form of ridge regression, Saunders et al. 1998).
    """

    def __init__(self, design: Floats, folds: Codes) -> None:
        self.design, self.folds = design, folds
        self.products: Floats = design @ design.T
        self.penalty = float(np.trace(self.products)) / len(design)
        self.smoothers = [self._smoother(folds == fold) for fold in range(folds.max() + 1)]

    def _smoother(self, inside: Mask) -> Floats:
        """What makes the scores of held rows from the labels of the others."""
        fitted = self.products[np.ix_(~inside, ~inside)]
        np.fill_diagonal(fitted, fitted.diagonal() + self.penalty)
        return np.asarray(np.linalg.solve(fitted, self.products[np.ix_(~inside, inside)]).T, dtype=np.float64)

    def held_out(self, labels: Floats) -> Iterator[tuple[Mask, Floats]]:
        """As in the other form."""
        for fold, smoother in enumerate(self.smoothers):
            inside = self.folds == fold
            yield inside, (smoother @ labels[~inside]).T

    def weights(self, labels: Floats) -> Floats:
        """As in the other form."""
        ridge = np.eye(len(self.products)) * self.penalty
        result: Floats = self.design.T @ np.linalg.solve(self.products + ridge, labels)
        return result


_Discriminant = _ByColumns | _ByRows


def _discriminant(design: Floats, folds: Codes) -> _Discriminant:
    return (_ByRows if design.shape[1] > design.shape[0] else _ByColumns)(design, folds)


def _aucs(discriminant: _Discriminant, labels: Floats) -> Floats:
    """Cross-validated AUC for each column of ``labels`` (±1), by ridge discriminant analysis."""
    total = np.zeros(labels.shape[1])
    used = np.zeros(labels.shape[1])
    for inside, scores in discriminant.held_out(labels):
        # Rows are permutations, so that each is sorted in one piece of memory.
        order = np.argsort(scores, axis=1)
        positive = np.take_along_axis(np.ascontiguousarray(labels[inside].T) > 0, order, axis=1)
        count = positive.sum(axis=1)
        held = scores.shape[1]
        other = held - count
        able = (count > 0) & (other > 0)
        pairs = np.where(able, count * other, 1)
        value = (positive @ np.arange(1.0, held + 1) - count * (count + 1) / 2) / pairs
        total += np.where(able, value, 0.0)
        used += able
    return np.where(used > 0, total / np.maximum(used, 1), 0.5)


def sample_rows(size: int, side: int) -> Codes:
    """Rows of one table that take part, in order: all, or 2,000 at random. ``side`` is 0 or 1."""
    if size <= _ROWS_A_SIDE:
        return np.arange(size)
    return np.sort(np.random.default_rng([20216, side]).choice(size, _ROWS_A_SIDE, replace=False))


def classifier_test(
    features: list[Feature], sizes: tuple[int, int], tests: int, alpha: float, units: Codes | None = None
) -> ClassifierResult | None:
    """Test whether a classifier tells the two tables apart better than chance.

    Parameters
    ----------
    features
        Columns of the design.
    sizes
        Rows of the reference and of the new data.
    tests, alpha
        Size of the family and its error rate: they decide how small a p-value must be able to get.
    units
        Group of each row (site, profile); whole groups are then permuted, and folds hold whole groups.

    Returns None for fewer than thirty rows a side or no feature.
    """
    if not features or min(sizes) < MIN_ROWS:
        return None
    rng = np.random.default_rng(20216)
    rows = sum(sizes)
    truth = np.where(np.arange(rows) < sizes[0], -1.0, 1.0)
    linear = np.column_stack([f.values for f in features])
    products, pairs = _products(linear, [i for i, f in enumerate(features) if f.numeric], rows)
    designs = [linear, np.column_stack([linear, products])] if pairs else [linear]
    _, unit = np.unique(np.arange(rows) if units is None else units, return_inverse=True)
    count = int(unit.max()) + 1
    folds = rng.permutation(np.arange(count) % min(_FOLDS, count))[unit]
    discriminants = [_discriminant(design, folds) for design in designs]
    first = np.zeros(count)
    first[unit] = truth

    def best(labels: Floats) -> Floats:
        values: Floats = np.max([_aucs(discriminant, labels) for discriminant in discriminants], axis=0)
        return values

    values = [float(_aucs(discriminant, truth[:, None])[0]) for discriminant in discriminants]
    seen = max(values)
    needed = min(_MOST, max(999, int(np.ceil(2 * tests / alpha))))
    exceeded = drawn = 0
    while drawn < needed and (drawn < _FIRST or exceeded < max(5, 0.2 * drawn)):
        size = min(_BATCH, needed - drawn) if drawn else _FIRST
        shuffled = rng.permuted(np.broadcast_to(first, (size, count)), axis=1)[:, unit].T
        exceeded += int(np.sum(best(np.ascontiguousarray(shuffled)) >= seen))
        drawn += size
        if exceeded >= 25:
            break
    names = [(f.column,) for f in features] + [(features[i].column, features[j].column) for i, j in pairs]
    return ClassifierResult(
        seen,
        monte_carlo_p(exceeded, drawn),
        drawn,
        sizes,
        _contributors(discriminants[int(np.argmax(values))], truth, names),
    )


def _contributors(discriminant: _Discriminant, truth: Floats, names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The columns whose features move the discriminant most between the two tables."""
    design = discriminant.design
    weights = discriminant.weights(truth - truth.mean())
    gap = design[truth > 0].mean(axis=0) - design[truth < 0].mean(axis=0)
    by_column: dict[str, float] = {}
    for columns, value in zip(names, weights * gap, strict=False):
        for column in columns:
            by_column[column] = by_column.get(column, 0.0) + float(value) / len(columns)
    return tuple(sorted(by_column, key=lambda name: -by_column[name])[:5])
