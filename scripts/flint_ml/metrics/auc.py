"""Area under the ROC curve under resampling: it is no function of sums, but of ranks, and ranks stay."""

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

    def influence(self) -> np.ndarray:
        """How much one more count of each sample moves the AUC, shape (n,), in the order of the input.

        The placement values of DeLong et al. (1988), doi:10.2307/2531595.
        """
        group = np.zeros(len(self.order), int)
        group[self.starts[1:]] = 1
        group = np.cumsum(group)
        positive = np.bincount(group, self.positive)
        negative = np.bincount(group, 1 - self.positive)
        below = (np.cumsum(negative) - negative / 2)[group] / negative.sum()
        above = (positive.sum() - np.cumsum(positive) + positive / 2)[group] / positive.sum()
        n = len(self.order)
        share = self.positive.mean()
        area = float((self.positive * below).sum() / positive.sum())
        value = np.where(self.positive > 0, (below - area) / share, (above - area) / (1 - share)) / n
        result = np.empty(n)
        result[self.order] = value
        return result
