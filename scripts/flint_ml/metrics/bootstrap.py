"""Is a change more than chance? Paired bootstrap intervals, permutation p-values, Holm's correction.

Both sides are scored on the same resampled samples (or blocks), and the interval is that of the difference. The default
is the symmetric bootstrap-t: each resample's change is divided by its own standard error, from the influence of each
sample, and the quantile of the absolute ratios takes the place of 1.96 (Hall 1988, doi:10.1214/aos/1176350933). With
skewed soil data it holds its level where BCa (Efron 1987, doi:10.1080/01621459.1987.10478410; also offered) does not:
benchmarks/results/metrics_coverage.md. Beyond 5,000 samples both agree with the plain symmetric bootstrap, which is
used there.

p-values swap both sides' predictions at random, sample by sample or block by block. Holm (1979) corrects for several
questions; scores that are functions of each other on one benchmark (RMSE, R², RPIQ) are one question.
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
    """How intervals are made: level of confidence, number of resamples, seed, correction, kind (``t``, ``bca``)."""

    level: float = 0.95
    resamples: int = 10_000
    seed: int = 1
    correction: str = "holm"
    method: str = "t"


@dataclass
class Estimate:
    """A change of one score with its resamples.

    ``boot`` are the resamples' changes, shape (resamples,), and ``errors`` their own standard errors, where they were
    computed. ``influence`` has shape (units,): how much one more count of a unit moves the change. ``total`` is the
    same for the sum of both sides.
    """

    key: str
    base: float
    head: float
    boot: np.ndarray
    errors: np.ndarray | None
    influence: np.ndarray
    p_value: float
    total: Estimate | None = None

    @property
    def change(self) -> float:
        return self.head - self.base

    @property
    def units(self) -> int:
        return len(self.influence)

    @property
    def error(self) -> float:
        """Standard error of the change, from the influences."""
        return float(np.sqrt(np.sum(self.influence**2)))

    def interval(self, level: float, method: str = "t") -> tuple[float, float]:
        """The confidence interval of the change at ``level``."""
        if method == "bca":
            return bca(self.change, self.boot, self.influence, level)
        half = symmetric(self.change, self.boot, self.errors, self.error, level)
        return self.change - half, self.change + half


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
    count = settings.resamples
    boots, errors = _resampled(table, scores, count, rng)
    swapped = resample.swap_sums(head - base, count, rng) if count else base[:0]
    left = [whole_part - part for whole_part, part in zip(whole, (shared, base, head), strict=True)]
    result = {}
    for score in scores:
        one, two = (float(table.values(score, whole[0], side)[0]) for side in whole[1:])
        j1, j2 = (table.values(score, left[0], side) for side in left[1:])
        mirrored = table.values(score, np.repeat(whole[0], len(swapped), 0), whole[2] - swapped)
        mirrored = mirrored - table.values(score, np.repeat(whole[0], len(swapped), 0), whole[1] + swapped)
        b1, b2 = boots[score.key]
        e_change, e_total = errors.get(score.key, (None, None))
        total = None
        if score.family == "mean error":
            total = Estimate(score.key, -one, two, b1 + b2, e_total, (one + two) - (j1 + j2), 1.0)
        result[score.key] = Estimate(
            score.key, one, two, b2 - b1, e_change, (two - one) - (j2 - j1), p_of(two - one, mirrored), total
        )
    return result


_Sides = dict[str, tuple[np.ndarray, np.ndarray]]


def _resampled(
    table: Table, scores: Sequence[Score], count: int, rng: np.random.Generator
) -> tuple[_Sides, _Sides]:  # fmt: skip
    """Both sides' scores of all resamples; and for few units the standard errors of their difference and sum."""
    columns = np.hstack([table.shared, table.base, table.head])
    cut = np.cumsum([table.shared.shape[1], table.base.shape[1]])
    if not count or len(columns) > resample.LARGE:
        sums = resample.bootstrap_sums(columns, count, rng) if count else columns[:0]
        shared, base, head = np.split(sums, cut, axis=1)
        return {s.key: (table.values(s, shared, base), table.values(s, shared, head)) for s in scores}, {}
    parts: dict[str, list[list[np.ndarray]]] = {score.key: [[], [], [], []] for score in scores}
    for w in resample.weights(rng, len(columns), count):
        shared, base, head = np.split(w @ columns, cut, axis=1)
        for score in scores:
            one, into_one = _pulled(table, score, shared, base, table.base)
            two, into_two = _pulled(table, score, shared, head, table.head)
            spread = [np.sqrt(np.einsum("ij,ij->i", w, pull**2)) for pull in (into_two - into_one, into_two + into_one)]
            for kept, values in zip(parts[score.key], (one, two, *spread), strict=True):
                kept.append(values)
    joined = {key: [np.concatenate(values) for values in kept] for key, kept in parts.items()}
    return {key: (v[0], v[1]) for key, v in joined.items()}, {key: (v[2], v[3]) for key, v in joined.items()}


def _pulled(
    table: Table, score: Score, shared: np.ndarray, side: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A score for sums of shape (m, k), and how much one more count of each unit moves it, shape (m, units).

    The score is a smooth function of sums and the same for twice the data, so the pull of a unit is the gradient times
    its columns. The gradient is taken by central differences over a thousandth of each sum's own spread.
    """
    values = table.values(score, shared, side)
    pull = np.zeros((len(values), len(columns)))
    for which, (indices, sums, own) in enumerate(
        zip(table.used(score), (shared, side), (table.shared, columns), strict=True)
    ):
        for index in indices:
            step = 1e-3 * float(np.sqrt(np.sum(own[:, index] ** 2)))
            if not step:
                continue
            ends = []
            for sign in (1, -1):
                moved = sums.copy()
                moved[:, index] += sign * step
                ends.append(table.values(score, *((moved, side) if which == 0 else (shared, moved))))
            pull += ((ends[0] - ends[1]) / (2 * step))[:, None] * own[:, index]
    return values, pull


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
    index = None if pairs.block is None else np.unique(pairs.block, return_inverse=True)[1]
    order = None if index is None else np.argsort(index, kind="stable")
    starts = None if order is None else np.flatnonzero(np.r_[True, np.diff(index[order]) > 0])  # type: ignore[index]

    def both(spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (one, into_one), (two, into_two) = (side.with_influence(spread) for side in sides)
        pull = into_two - into_one
        return one, two, pull if starts is None else np.add.reduceat(pull[:, order], starts, axis=1)

    first, second, whole = both(np.ones((1, pairs.n)))
    boots, errors = [np.empty(0)], [np.empty(0)]
    units = whole.shape[1]
    for w in resample.weights(rng, units, min(settings.resamples, MAX_AUC_RESAMPLES)):
        spread = w if index is None else w[:, index]
        if units > resample.LARGE:
            boots.append(sides[1].auc(spread) - sides[0].auc(spread))
            continue
        one, two, pull = both(spread)
        boots.append(two - one)
        errors.append(np.sqrt(np.einsum("ij,ij->i", w, pull**2)))
    known = np.concatenate(errors) if units <= resample.LARGE else None
    estimate = Estimate(AUC, float(first[0]), float(second[0]), np.concatenate(boots), known, whole[0], 1.0)
    if estimate.error:
        estimate.p_value = float(2 * ndtr(-abs(estimate.change) / estimate.error))
    return estimate


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
        low, high = estimate.interval(levels[family], settings.method)
        open_ = open_ and (low > 0 or high < 0 or settings.correction != "holm")
        if not open_:
            stopped.add(family)
    return {
        name: _interval(estimate, levels[families[name]], adjusted[families[name]], settings, families[name] in stopped)
        for name, estimate in found.items()
    }


def _interval(estimate: Estimate, level: float, adjusted: float, settings: Settings, stopped: bool) -> Interval:
    low, high = estimate.interval(settings.level, settings.method)
    decide = estimate.interval(level, settings.method)
    if stopped:
        decide = min(decide[0], 0.0), max(decide[1], 0.0)
    total = None
    if estimate.total is not None:
        total = (
            *estimate.total.interval(settings.level, settings.method),
            *estimate.total.interval(level, settings.method),
        )
    return Interval(
        low, high, *decide, level=settings.level, total=total, p_value=estimate.p_value, p_adjusted=adjusted,
        error=estimate.error, units=estimate.units,
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
