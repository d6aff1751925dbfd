"""A confidence interval of a change, and how one is made from resamples: pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A confidence interval of this change − base, in the metric's unit.

    Attributes
    ----------
    low, high
        The ends, at ``level``.
    total
        The interval of the sum of both sides; only for metrics whose best value is zero. The sizes of two biases
        differ exactly where difference and sum both differ from zero.
    p_value, p_adjusted
        Permutation p-value of no change, and corrected for several metrics.
    error, units
        Standard error of the change, and the number of samples or blocks behind it.
    """

    low: float
    high: float
    level: float = 0.95
    total: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    error: float | None = None
    units: int | None = None

    @property
    def _ends(self) -> list[tuple[float, float]]:
        return [(self.low, self.high)] + ([self.total] if self.total else [])

    def within(self, margin: float) -> bool:
        """Whether the change is surely no larger than ``margin``."""
        return any(-margin <= low and high <= margin for low, high in self._ends)

    def differs(self) -> bool:
        """Whether the two sides surely differ: by the interval, and by the p-value corrected for several metrics."""
        chance = self.p_adjusted is not None and self.p_adjusted >= 1 - self.level
        return not chance and all(low > 0 or high < 0 for low, high in self._ends)


def symmetric(estimate: float, boot: np.ndarray, errors: np.ndarray | None, error: float, level: float) -> float:
    """Half the width of a symmetric bootstrap interval; studentised where the resamples' standard errors are given.

    A resample without spread of its own (all samples alike) says nothing about the ratio and is left out; where these
    are many, the plain interval is taken.
    """
    far = np.abs(boot - estimate)
    known = np.isfinite(far)
    if not known.any():
        return float("inf")
    plain = float(np.quantile(far[known], level))
    if errors is None or plain <= 1e-12 * max(1.0, abs(estimate)):
        return plain
    usable = known & np.isfinite(errors) & (errors > 1e-9 * error)
    if usable.sum() < 0.9 * len(boot):
        return plain
    return float(np.quantile(far[usable] / errors[usable], level)) * error


def bca(estimate: float, boot: np.ndarray, influence: np.ndarray, level: float) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval, its tails widened for few units.

    Parameters
    ----------
    estimate
        The statistic of the sample.
    boot
        The statistic of the resamples, shape (resamples,).
    influence
        How much one more count of each unit moves the statistic, shape (units,).
    level
        Confidence, such as 0.95.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    boot = boot[np.isfinite(boot)]
    units = len(influence)
    if not len(boot) or units < 2:
        return float("-inf"), float("inf")
    if np.ptp(boot) <= 1e-12 * max(1.0, abs(estimate)):
        return estimate, estimate
    below = (np.sum(boot < estimate) + 0.5 * np.sum(boot == estimate)) / len(boot)
    bias = ndtri(np.clip(below, 1 / len(boot), 1 - 1 / len(boot)))
    squares = np.sum(influence**2)
    acceleration = np.sum(influence**3) / (6 * squares**1.5) if squares else 0.0
    tail = np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 - level) / 2)
    shifted = bias + np.array([tail, -tail])
    low, high = np.quantile(boot, np.sort(ndtr(bias + shifted / (1 - acceleration * shifted))))
    return float(low), float(high)


def p_of(change: float, mirrored: np.ndarray) -> float:
    """Two-sided permutation p-value: the share of swaps that change at least as much, the sample's own included."""
    mirrored = mirrored[np.isfinite(mirrored)]
    # Swaps that give the same change but for rounding count as such.
    reached = np.sum(np.abs(mirrored) >= abs(change) * (1 - 1e-9))
    return float((1 + reached) / (1 + len(mirrored)))


def needed(change: float, error: float, units: int, margin: float, level: float = 0.95) -> int | None:
    """How many samples (or blocks) would settle whether a change matters, if it stays as large as it is now.

    To show a change larger than ``margin``: so many that it is found with a chance of 80 %. To show one within it: so
    many that the interval fits. None where no number would do.
    """
    from scipy.special import ndtri

    tail = float(ndtri(0.5 + level / 2))
    size = abs(change)
    if size > margin:
        ratio = (tail + float(ndtri(0.8))) * error / size
    elif size < margin:
        ratio = tail * error / (margin - size)
    else:
        return None
    count = units * ratio**2
    return max(units + 1, int(np.ceil(count))) if np.isfinite(count) and count < 1e12 else None
