"""Scores as functions of sums over samples, so that resampling needs the sums only.

Regression, with error e = prediction − truth over n samples: RMSE = √(Σe²/n), MAE = Σ|e|/n, bias = Σe/n,
R² = 1 − Σe²/Σ(t − t̄)², RPD = sd(t)/RMSE, RPIQ = IQR(t)/RMSE with the interquartile range of the whole benchmark, held
fixed (Bellon-Maurel et al. 2010, doi:10.1016/j.trac.2010.05.006). Classes, with counts of true, predicted and hit
samples of each class: accuracy, balanced accuracy, Cohen's kappa, precision, recall and F1 (of the last class in order
of the alphabet, of the mean over classes, or weighted by class), log loss = −Σ ln p(true class)/n.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flint_ml.metrics.predictions import Pairs

MAX_CLASSES = 30
Kind = Literal["regression", "classes", "ranks"]
Sums = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """A way to compute a metric from predictions.

    Attributes
    ----------
    key
        Its name in records.
    kind
        Where its sums come from: ``regression`` or ``classes``; ``ranks``: it is not a function of sums.
    family
        Scores of one family are functions of each other on one benchmark, so they are one question.
    value
        Maps sums, each of shape (m,) or (m, classes), to scores of shape (m,).
    ratio
        Compared by its relative change, because resampled errors are skewed and their logarithms nearly are not.
    needs
        A sum that is there only where the predictions have what it is made from (``nll``: probabilities).
    """

    key: str
    kind: Kind
    family: str
    value: Callable[[Sums], np.ndarray]
    ratio: bool = False
    needs: str | None = None


def rmse(s: Sums) -> np.ndarray:
    return np.sqrt(np.maximum(s["e2"], 0.0) / s["n"])


def spread(s: Sums) -> np.ndarray:
    return np.asarray(s["t2"] - s["t"] ** 2 / s["n"])


def squared_correlation(s: Sums) -> np.ndarray:
    covariance = s["tp"] - s["t"] * s["p"] / s["n"]
    return np.asarray(covariance**2 / (spread(s) * (s["p2"] - s["p"] ** 2 / s["n"])))


def rpd(s: Sums) -> np.ndarray:
    return np.asarray(np.sqrt(spread(s) / (s["n"] - 1)) / rmse(s))


def accuracy(s: Sums) -> np.ndarray:
    return np.asarray(s["hit"].sum(axis=1) / s["n"])


def precision(s: Sums) -> np.ndarray:
    """Of each class, shape (m, classes)."""
    return share(s["hit"], s["predicted"])


def recall(s: Sums) -> np.ndarray:
    """Of each class, shape (m, classes)."""
    return share(s["hit"], s["true"])


def f1(s: Sums) -> np.ndarray:
    return share(2 * s["hit"], s["predicted"] + s["true"])


def share(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0))


def mean_of_present(s: Sums, values: np.ndarray) -> np.ndarray:
    """Mean over the classes that have a sample."""
    seen = s["true"] > 0
    return np.asarray((values * seen).sum(axis=1) / seen.sum(axis=1))


def kappa(s: Sums) -> np.ndarray:
    agreed = s["hit"].sum(axis=1) / s["n"]
    chance = (s["true"] * s["predicted"]).sum(axis=1) / s["n"] ** 2
    return np.asarray((agreed - chance) / (1 - chance))


def weighted_f1(s: Sums) -> np.ndarray:
    return np.asarray((f1(s) * s["true"]).sum(axis=1) / s["n"])


class _Seen(dict[str, np.ndarray]):
    """Sums that remember which of them were asked for."""

    def __init__(self, sums: Sums) -> None:
        super().__init__(sums)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.names.add(name)
        return super().__getitem__(name)


@dataclass(frozen=True)
class SumTable:
    """Columns of sums for both sides.

    ``shared`` has shape (units, ks), its first column the number of samples; ``base`` and ``head`` have shape
    (units, k). ``names`` tell which columns belong together: name → slice of the columns, with ``shared:`` before the
    names of shared ones. ``fixed`` are numbers that do not change with the resample.
    """

    shared: np.ndarray
    base: np.ndarray
    head: np.ndarray
    names: Mapping[str, tuple[bool, int, int]]
    fixed: Mapping[str, float]

    def sums(self, shared: np.ndarray, side: np.ndarray) -> Sums:
        """Sums by name from arrays of shape (m, ks) and (m, k)."""
        sums: dict[str, np.ndarray] = {name: np.full(len(shared), value) for name, value in self.fixed.items()}
        for name, (is_shared, start, stop) in self.names.items():
            array = shared if is_shared else side
            sums[name] = array[:, start] if stop == start else array[:, start:stop]
        return sums

    def used(self, score: Score) -> tuple[np.ndarray, np.ndarray]:
        """Which shared and which side columns ``score`` depends on, as two arrays of indices."""
        seen = _Seen(self.sums(self.shared[:1], self.base[:1]))
        with np.errstate(all="ignore"):
            score.value(seen)
        indices: tuple[set[int], set[int]] = (set(), set())
        for name in seen.names & set(self.names):
            is_shared, start, stop = self.names[name]
            indices[0 if is_shared else 1].update(range(start, max(stop, start + 1)))
        return np.array(sorted(indices[0]), int), np.array(sorted(indices[1]), int)

    def values(self, score: Score, shared: np.ndarray, side: np.ndarray) -> np.ndarray:
        """``score`` for sums of shape (m, ks) and (m, k); shape (m,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return score.value(self.sums(shared, side))


def _single(names: list[str], *, shared: bool, start: int = 0) -> dict[str, tuple[bool, int, int]]:
    return {name: (shared, start + index, start + index) for index, name in enumerate(names)}


def regression_table(pairs: Pairs) -> SumTable:
    """Columns for scores of the kind ``regression``; for precision, relative to the mean truth."""
    centre = np.average(pairs.truth, weights=_weights(pairs)[:, 0])
    truth = pairs.truth - centre

    def side(prediction: np.ndarray, bounds: np.ndarray | None) -> np.ndarray:
        error = prediction - pairs.truth
        own = prediction - centre
        columns = [error, error**2, np.abs(error), own, own**2, own * truth]
        if bounds is not None:
            low, high = bounds.T
            columns += [(low <= pairs.truth) & (pairs.truth <= high), high - low]
            columns += [np.maximum(low - pairs.truth, 0.0) + np.maximum(pairs.truth - high, 0.0)]
        return np.column_stack(columns)

    lower, upper = np.quantile(pairs.truth, [0.25, 0.75])
    names = ["e", "e2", "abs", "p", "p2", "tp", *(["inside", "width", "outside"] if pairs.bounds else [])]
    base, head = pairs.bounds or (None, None)
    return SumTable(
        shared=np.column_stack([np.ones(pairs.n), truth, truth**2]) * _weights(pairs),
        base=side(pairs.base, base) * _weights(pairs),
        head=side(pairs.head, head) * _weights(pairs),
        names=_single(["n", "t", "t2"], shared=True) | _single(names, shared=False),
        fixed={"iqr": float(upper - lower)},
    )


def _weights(pairs: Pairs) -> np.ndarray:
    """Weights with a mean of one, shape (n, 1); ones where there are none."""
    weight = pairs.weight
    return np.ones((pairs.n, 1)) if weight is None or not weight.sum() else (weight / weight.mean())[:, None]


def interval_score(level: float) -> Callable[[Sums], np.ndarray]:
    """Winkler's interval score at ``level`` (Gneiting and Raftery 2007, doi:10.1198/016214506000001437, eq. 43)."""
    return lambda s: (s["width"] + 2 / (1 - level) * s["outside"]) / s["n"]


def classes_of(pairs: Pairs) -> np.ndarray:
    """All classes of truth and predictions, in order."""
    return np.unique(np.concatenate([pairs.truth, pairs.base, pairs.head]))


def class_table(pairs: Pairs) -> SumTable | None:
    """Columns for scores of the kind ``classes``, with probabilities also ``nll``; None for more than 30 classes."""
    classes = classes_of(pairs)
    k = len(classes)
    if not 2 <= k <= MAX_CLASSES:
        return None
    truth = pairs.truth[:, None] == classes

    def side(prediction: np.ndarray, likelihood: np.ndarray | None) -> np.ndarray:
        predicted = prediction[:, None] == classes
        parts = [predicted & truth, predicted]
        if likelihood is not None:
            parts.append(-np.log(np.clip(likelihood, np.finfo(float).eps, 1.0))[:, None])
        return np.hstack(parts).astype(float)

    names = {"n": (True, 0, 0), "true": (True, 1, 1 + k), "hit": (False, 0, k), "predicted": (False, k, 2 * k)}
    if pairs.likelihood is not None:
        names["nll"] = (False, 2 * k, 2 * k)
    base, head = pairs.likelihood or (None, None)
    return SumTable(
        np.hstack([np.ones((pairs.n, 1)), truth]) * _weights(pairs),
        side(pairs.base, base) * _weights(pairs),
        side(pairs.head, head) * _weights(pairs),
        names,
        {},
    )


def by_block(table: SumTable, block: np.ndarray | None) -> SumTable:
    """``table`` summed over blocks (sites, plots), so that whole blocks are resampled."""
    if block is None:
        return table
    _, index = np.unique(block, return_inverse=True)
    units = int(index.max()) + 1

    def total(columns: np.ndarray) -> np.ndarray:
        return np.column_stack([np.bincount(index, column, units) for column in columns.T])

    return SumTable(total(table.shared), total(table.base), total(table.head), table.names, table.fixed)
