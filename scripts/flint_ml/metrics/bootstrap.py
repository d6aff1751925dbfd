"""Is a change more than chance? Paired bootstrap intervals, permutation p-values, Holm's correction.

Intervals are BCa (Efron 1987, doi:10.1080/01621459.1987.10478410) of the difference of both sides' scores on the same
resampled samples, with the tails widened as for Student's t (Hesterberg 2015, doi:10.1080/00031305.2015.1089789),
because plain bootstrap intervals of few samples are too narrow. p-values swap both sides' predictions at random, sample
by sample or block by block. Holm (1979) corrects for several questions; scores that are functions of each other on one
benchmark (RMSE, R², RPIQ) are one question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flint_ml.metrics import resample
from flint_ml.metrics.auc import Ranked
from flint_ml.metrics.compare import Interval
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.scores import (
    AUC,
    CLASSES,
    LOGLOSS,
    REGRESSION,
    Score,
    Table,
    by_block,
    class_table,
    regression_table,
)

MIN_UNITS = 20
MAX_AUC_RESAMPLES = 2_000
_SCORES: dict[str, Score] = {score.key: score for score in (*REGRESSION, *CLASSES, LOGLOSS)}


@dataclass(frozen=True)
class Settings:
    """How intervals are made: ``level`` of confidence, number of ``resamples``, ``seed``, ``correction``."""

    level: float = 0.95
    resamples: int = 10_000
    seed: int = 1
    correction: str = "holm"


@dataclass
class Estimate:
    """A change of one score with its resamples.

    ``change`` is this change − base; ``boot`` has shape (resamples,); ``influence`` has shape (units,): how much one
    more count of a unit moves the change. ``total`` is the same for the sum of both sides.
    """

    key: str
    base: float
    head: float
    boot: np.ndarray
    influence: np.ndarray
    p_value: float
    total: Estimate | None = None

    @property
    def change(self) -> float:
        return self.head - self.base

    @property
    def units(self) -> int:
        return len(self.influence)

    def interval(self, level: float) -> tuple[float, float]:
        """The BCa interval of the change at ``level``."""
        return bca(self.change, self.boot, self.influence, level)


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
    wanted = bias + np.array([tail, -tail])
    low, high = np.quantile(boot, np.sort(ndtr(bias + wanted / (1 - acceleration * wanted))))
    return float(low), float(high)


def estimates(pairs: Pairs, keys: Sequence[str], settings: Settings) -> dict[str, Estimate]:
    """The change of each score in ``keys``, resampled; a score that cannot be had is left out."""
    rng = np.random.Generator(np.random.SFC64(settings.seed))
    found: dict[str, Estimate] = {}
    for scores, make in ((REGRESSION, regression_table), ((*CLASSES, LOGLOSS), class_table)):
        wanted = [score for score in scores if score.key in keys]
        table = make(pairs) if wanted and (scores is not REGRESSION or pairs.numeric) else None
        if table is not None:
            wanted = [s for s in wanted if s is not LOGLOSS or "nll" in table.names]
            found |= _of_sums(by_block(table, pairs.block), wanted, settings, rng)
    if AUC in keys and pairs.positive is not None:
        found[AUC] = _of_auc(pairs, settings, rng)
    return {key: found[key] for key in keys if key in found}


def observed(pairs: Pairs, keys: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Both sides' scores, without resampling."""
    return {key: (e.base, e.head) for key, e in estimates(pairs, keys, Settings(resamples=0)).items()}


def _of_sums(
    table: Table, scores: Sequence[Score], settings: Settings, rng: np.random.Generator
) -> dict[str, Estimate]:
    """All scores that are functions of sums, from one stream of weights and one of coins."""
    shared, base, head = table.shared, table.base, table.head
    whole = (shared.sum(0, keepdims=True), base.sum(0, keepdims=True), head.sum(0, keepdims=True))
    cut = np.cumsum([shared.shape[1], base.shape[1]])
    count = settings.resamples
    drawn = resample.bootstrap_sums(np.hstack([shared, base, head]), count, rng) if count else np.empty((0, 0))
    boot = np.split(drawn, cut, axis=1) if count else [part[:0] for part in (shared, base, head)]
    swapped = resample.swap_sums(head - base, count, rng) if count else base[:0]
    left = [whole_part - part for whole_part, part in zip(whole, (shared, base, head), strict=True)]
    result = {}
    for score in scores:
        one, two = (float(table.values(score, whole[0], side)[0]) for side in whole[1:])
        b1, b2 = (table.values(score, boot[0], side) for side in boot[1:])
        j1, j2 = (table.values(score, left[0], side) for side in left[1:])
        mirrored = table.values(score, np.repeat(whole[0], len(swapped), 0), whole[2] - swapped)
        mirrored = mirrored - table.values(score, np.repeat(whole[0], len(swapped), 0), whole[1] + swapped)
        p_value = p_of(two - one, mirrored)
        total = None
        if score.family == "mean error":
            total = Estimate(score.key, -one, two, b1 + b2, (one + two) - (j1 + j2), 1.0)
        result[score.key] = Estimate(score.key, one, two, b2 - b1, (two - one) - (j2 - j1), p_value, total)
    return result


def p_of(change: float, mirrored: np.ndarray) -> float:
    """Two-sided permutation p-value: the share of swaps that change at least as much, the sample's own included."""
    mirrored = mirrored[np.isfinite(mirrored)]
    # Swaps that give the same change but for rounding count as such.
    reached = np.sum(np.abs(mirrored) >= abs(change) * (1 - 1e-9))
    return float((1 + reached) / (1 + len(mirrored)))


def _of_auc(pairs: Pairs, settings: Settings, rng: np.random.Generator) -> Estimate:
    """The AUC of both sides; its p-value is DeLong's, from the influences, because swapped scores may not compare."""
    from scipy.special import ndtr

    assert pairs.positive is not None
    assert pairs.score is not None
    sides = [Ranked(score, pairs.positive) for score in pairs.score]
    ones = np.ones((1, pairs.n))
    one, two = (float(side.auc(ones)[0]) for side in sides)
    influence = sides[1].influence() - sides[0].influence()
    index = None
    if pairs.block is not None:
        index = np.unique(pairs.block, return_inverse=True)[1]
        influence = np.bincount(index, influence)
    boots = [np.empty(0)]
    for w in resample.weights(rng, len(influence), min(settings.resamples, MAX_AUC_RESAMPLES)):
        spread = w if index is None else w[:, index]
        boots.append(sides[1].auc(spread) - sides[0].auc(spread))
    error = float(np.sqrt(np.sum(influence**2)))
    p_value = float(2 * ndtr(-abs(two - one) / error)) if error else 1.0
    return Estimate(AUC, one, two, np.concatenate(boots), influence, p_value)


def judge_all(
    found: Mapping[str, Estimate], families: Mapping[str, str], settings: Settings
) -> dict[str, Interval]:  # fmt: skip
    """Intervals of all estimates, with Holm's correction over the families, in the order of ``found``.

    Families are taken by their smallest p-value and rejected while the interval at the corrected level of their first
    score leaves out zero; from the first that does not, none is.
    """
    alpha = 1 - settings.level
    first: dict[str, str] = {}
    for name, family in families.items():
        if name in found:
            first.setdefault(family, name)
    ordered = sorted(first, key=lambda family: found[first[family]].p_value)
    levels: dict[str, float] = {}
    adjusted: dict[str, float] = {}
    open_ = True
    stopped: set[str] = set()
    reached = 0.0
    for place, family in enumerate(ordered):
        left = len(ordered) - place if settings.correction == "holm" else 1
        estimate = found[first[family]]
        reached = max(reached, min(1.0, left * estimate.p_value))
        adjusted[family] = reached
        levels[family] = 1 - alpha / left
        low, high = estimate.interval(levels[family])
        open_ = open_ and (low > 0 or high < 0 or settings.correction != "holm")
        if not open_:
            stopped.add(family)
    return {
        name: _interval(estimate, levels[families[name]], adjusted[families[name]], settings, families[name] in stopped)
        for name, estimate in found.items()
    }


def _interval(estimate: Estimate, level: float, adjusted: float, settings: Settings, stopped: bool) -> Interval:
    low, high = estimate.interval(settings.level)
    decide = estimate.interval(level)
    if stopped:
        decide = min(decide[0], 0.0), max(decide[1], 0.0)
    total = None
    if estimate.total is not None:
        total = (*estimate.total.interval(settings.level), *estimate.total.interval(level))
    error = float(np.std(estimate.boot, ddof=1)) if len(estimate.boot) > 1 else None
    return Interval(
        low, high, *decide, level=settings.level, total=total, p_value=estimate.p_value, p_adjusted=adjusted,
        error=error, units=estimate.units,
    )  # fmt: skip


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
    wanted = units * ratio**2
    return max(units + 1, int(np.ceil(wanted))) if np.isfinite(wanted) and wanted < 1e12 else None
