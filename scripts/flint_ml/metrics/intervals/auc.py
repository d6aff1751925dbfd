"""Area under the ROC curve under resampling: it is a function of ranks, not of sums, and ranks stay."""

from __future__ import annotations

import numpy as np


class Ranked:
    """Scores sorted once, so that the AUC for any counts of samples is two sums.

    Parameters
    ----------
    score
        Shape (n,); higher means the positive class.
    positive
        Shape (n,), boolean.
    """

    def __init__(self, score: np.ndarray, positive: np.ndarray) -> None:
        self.order = np.argsort(score, kind="stable")
        ordered = score[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.positive = positive[self.order].astype(float)
        self.tied = len(self.starts) < len(score)

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """AUC for counts of shape (m, n): the chance that a positive scores above a negative, ties half."""
        ordered = weights[:, self.order].astype(float)
        positive = ordered * self.positive
        negative = ordered - positive
        if self.tied:
            positive = np.add.reduceat(positive, self.starts, axis=1)
            negative = np.add.reduceat(negative, self.starts, axis=1)
        below = np.cumsum(negative, axis=1)
        total = positive.sum(axis=1) * below[:, -1]
        won = np.einsum("ij,ij->i", positive, below - negative / 2)
        return np.asarray(np.divide(won, total, out=np.full(len(won), np.nan), where=total > 0))

    def with_influence(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AUC for counts of shape (m, n), and how much one more count of each sample moves it, shape (m, n).

        The influences are the placement values of DeLong et al. (1988), doi:10.2307/2531595, in the input's order.
        """
        ordered = weights[:, self.order].astype(float)
        positive, negative = ordered * self.positive, ordered * (1 - self.positive)
        if self.tied:
            positive = np.add.reduceat(positive, self.starts, axis=1)
            negative = np.add.reduceat(negative, self.starts, axis=1)
        sizes = np.diff(np.append(self.starts, len(self.order)))
        all_positive, all_negative = (part.sum(axis=1, keepdims=True) for part in (positive, negative))
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.repeat((np.cumsum(negative, axis=1) - negative / 2) / all_negative, sizes, axis=1)
            above = np.repeat(1 - (np.cumsum(positive, axis=1) - positive / 2) / all_positive, sizes, axis=1)
            area = np.einsum("ij,ij,j->i", ordered, below, self.positive)[:, None] / all_positive
            moved = np.where(self.positive > 0, (below - area) / all_positive, (above - area) / all_negative)
        result = np.empty_like(moved)
        result[:, self.order] = moved
        return area[:, 0], result
