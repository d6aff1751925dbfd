"""Is a change more than chance? Paired bootstrap intervals, permutation p-values, Holm's correction.

Both sides are scored on the same resampled samples (or blocks), and the interval is that of the difference. The default
is the symmetric bootstrap-t: each resample's change is divided by its own standard error, from the influence of each
sample, and the quantile of the absolute ratios takes the place of 1.96 (Hall 1988, doi:10.1214/aos/1176350933). Errors
such as the RMSE are compared by their ratio, and the interval of the relative change is shown at the base's value. With
skewed soil data this holds its level where BCa (also offered) does not: benchmarks/results/metrics_coverage.md. Beyond
5,000 samples all agree with the plain symmetric bootstrap, which is used there.

p-values swap both sides' predictions at random, sample by sample or block by block. Holm (1979) corrects for several
questions; scores that are functions of each other on one benchmark (RMSE, R², RPIQ) are one question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from flint_ml.metrics.catalogue import AUC, SCORES
from flint_ml.metrics.intervals import resample
from flint_ml.metrics.intervals.auc import Ranked
from flint_ml.metrics.intervals.interval import Interval, bca, p_of, symmetric
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.scores import Score, SumTable, by_block, class_table, regression_table

MIN_UNITS = 20
MAX_AUC_RESAMPLES = 2_000


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are made: level of confidence, number of resamples, seed, correction, kind (``t``, ``bca``).

    ``swaps`` is the number of permutations, as many as resamples unless said.
    """

    level: float = 0.95
    resamples: int = 10_000
    seed: int = 1
    correction: str = "holm"
    method: str = "t"
    swaps: int | None = None


@dataclass
class Estimate:
    """A change of one score with its resamples.

    Attributes
    ----------
    base, head
        The score of both sides.
    boots
        Both sides' scores of the resamples, each of shape (resamples,).
    errors
        The standard error of each resample's change (for a ``ratio`` of the change's logarithm), shape (resamples,);
        None where they were not computed.
    influence
        How much one more count of a unit moves the change, shape (units,).
    own_error
        The standard error of the sample, of the same quantity as ``errors``.
    total
        The same for the sum of both sides.
    """

    key: str
    base: float
    head: float
    boots: tuple[np.ndarray, np.ndarray]
    errors: np.ndarray | None
    influence: np.ndarray
    own_error: float
    p_value: float
    ratio: bool = False
    total: Estimate | None = None

    @property
    def change(self) -> float:
        return self.head - self.base

    @property
    def units(self) -> int:
        return len(self.influence)

    @property
    def error(self) -> float:
        """Standard error of the change, by the jackknife."""
        return float(np.sqrt(np.sum(self.influence**2)))

    def interval(self, level: float, method: str = "t") -> tuple[float, float]:
        """The confidence interval of the change at ``level``; of a ratio, at the base's value as it is."""
        base, head = self.boots
        if method == "bca":
            return bca(self.change, head - base, self.influence, level)
        if not self.ratio or min(self.base, self.head) <= 0:
            errors = None if self.ratio else self.errors
            half = symmetric(self.change, head - base, errors, self.own_error, level)
            return self.change - half, self.change + half
        with np.errstate(divide="ignore", invalid="ignore"):
            boot = np.log(head) - np.log(base)
        change = math.log(self.head / self.base)
        half = symmetric(change, boot, self.errors, self.own_error, level)
        return self.base * math.expm1(change - half), self.base * math.expm1(min(change + half, 700.0))


def estimates(pairs: Pairs, keys: Sequence[str], settings: IntervalSettings) -> dict[str, Estimate]:
    """The change of each score in ``keys``, resampled; a score that cannot be had is left out."""
    rng = np.random.Generator(np.random.SFC64(settings.seed))
    made: dict[str, Estimate] = {}
    for kind, make in (("regression", regression_table), ("classes", class_table)):
        scores = [score for score in SCORES.values() if score.kind == kind and score.key in keys]
        table = make(pairs) if scores and (kind != "regression" or pairs.numeric) else None
        if table is not None:
            computable = [score for score in scores if score.needs is None or score.needs in table.names]
            made |= _of_sums(by_block(table, pairs.block), computable, settings, rng)
    if AUC.key in keys and pairs.positive is not None:
        made[AUC.key] = _of_auc(pairs, settings, rng)
    return {key: made[key] for key in keys if key in made}


def observed(pairs: Pairs, keys: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Both sides' scores, without resampling."""
    return {key: (e.base, e.head) for key, e in estimates(pairs, keys, IntervalSettings(resamples=0)).items()}


def _of_sums(
    table: SumTable, scores: Sequence[Score], settings: IntervalSettings, rng: np.random.Generator
) -> dict[str, Estimate]:
    """All scores that are functions of sums, from one stream of weights and one of coins."""
    shared, base, head = table.shared, table.base, table.head
    whole = (shared.sum(0, keepdims=True), base.sum(0, keepdims=True), head.sum(0, keepdims=True))
    count = settings.resamples
    boots, errors, own = _resampled(table, scores, count, rng)
    swapped = resample.swap_sums(head - base, settings.swaps or count, rng) if count else base[:0]
    left = [whole_part - part for whole_part, part in zip(whole, (shared, base, head), strict=True)]
    result = {}
    for score in scores:
        value_base, value_head = (float(table.values(score, whole[0], side)[0]) for side in whole[1:])
        without_base, without_head = (table.values(score, left[0], side) for side in left[1:])
        mirrored = table.values(score, np.repeat(whole[0], len(swapped), 0), whole[2] - swapped)
        mirrored = mirrored - table.values(score, np.repeat(whole[0], len(swapped), 0), whole[1] + swapped)
        (b1, b2), (spread, other) = boots[score.key], errors.get(score.key, (None, None))
        error, error_total = own.get(score.key, (1.0, 1.0))
        total = None
        if score.family == "mean error":
            influence = (value_base + value_head) - (without_base + without_head)
            total = Estimate(score.key, -value_base, value_head, (-b1, b2), other, influence, error_total, 1.0)
        result[score.key] = Estimate(
            score.key,
            value_base,
            value_head,
            (b1, b2),
            spread,
            (value_head - value_base) - (without_head - without_base),
            error,
            p_of(value_head - value_base, mirrored),
            score.ratio,
            total,
        )
    return result


_Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def _resampled(
    table: SumTable, scores: Sequence[Score], count: int, rng: np.random.Generator
) -> tuple[_Pairs, _Pairs, dict[str, tuple[float, float]]]:
    """Both sides' scores of all resamples; for few units also the standard errors of change and sum, of the resamples
    and of the sample itself."""
    columns = np.hstack([table.shared, table.base, table.head])
    if not count or len(columns) > resample.LARGE:
        sums = resample.bootstrap_sums(columns, count, rng) if count else columns[:0]
        shared, base, head = _split(table, sums)
        return {s.key: (table.values(s, shared, base), table.values(s, shared, head)) for s in scores}, {}, {}
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {score.key: [] for score in scores}
    for w in chain([np.ones((1, len(columns)))], resample.weights(rng, len(columns), count)):
        split = _split(table, w @ columns)
        for score in scores:
            parts[score.key].append(_studied(table, score, w, split))
    joined = {key: [np.concatenate(values) for values in zip(*kept, strict=True)] for key, kept in parts.items()}
    boots = {key: (v[0][1:], v[1][1:]) for key, v in joined.items()}
    errors = {key: (v[2][1:], v[3][1:]) for key, v in joined.items()}
    return boots, errors, {key: (float(v[2][0]), float(v[3][0])) for key, v in joined.items()}


def _split(table: SumTable, sums: np.ndarray) -> list[np.ndarray]:
    return np.split(sums, np.cumsum([table.shared.shape[1], table.base.shape[1]]), axis=1)


def _studied(table: SumTable, score: Score, w: np.ndarray, sums: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Both sides' scores, and the standard errors of their change and their sum, for counts ``w`` (m, units).

    ``sums`` are those of the shared columns, the base's and this change's.
    """
    shared, base, head = sums
    value_base, pull_base = _pulled(table, score, shared, base, table.base)
    value_head, pull_head = _pulled(table, score, shared, head, table.head)
    if score.ratio:
        with np.errstate(divide="ignore", invalid="ignore"):
            pull_base, pull_head = pull_base / value_base[:, None], pull_head / value_head[:, None]
    pulls = (pull_head - pull_base, pull_head + pull_base)
    errors = [np.sqrt(np.einsum("ij,ij->i", w, pull**2)) for pull in pulls]
    return value_base, value_head, *errors


def _pulled(
    table: SumTable, score: Score, shared: np.ndarray, side: np.ndarray, columns: np.ndarray
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


def _of_auc(pairs: Pairs, settings: IntervalSettings, rng: np.random.Generator) -> Estimate:
    """The AUC of both sides; its p-value is DeLong's, from the influences, because swapped scores may not compare."""
    from scipy.special import ndtr

    assert pairs.positive is not None
    assert pairs.score is not None
    sides = [Ranked(score, pairs.positive) for score in pairs.score]
    index = None if pairs.block is None else np.unique(pairs.block, return_inverse=True)[1]
    order = None if index is None else np.argsort(index, kind="stable")
    starts = None if order is None else np.flatnonzero(np.r_[True, np.diff(index[order]) > 0])  # type: ignore[index]

    def both(spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (base, into_base), (head, into_head) = (side.with_influence(spread) for side in sides)
        pull = into_head - into_base
        return base, head, pull if starts is None else np.add.reduceat(pull[:, order], starts, axis=1)

    first, second, whole = both(np.ones((1, pairs.n)))
    kept: list[list[np.ndarray]] = [[np.empty(0)], [np.empty(0)], [np.empty(0)]]
    units = whole.shape[1]
    for w in resample.weights(rng, units, min(settings.resamples, MAX_AUC_RESAMPLES)):
        spread = w if index is None else w[:, index]
        if units > resample.LARGE:
            drawn = [side.auc(spread) for side in sides]
        else:
            base, head, pull = both(spread)
            drawn = [base, head, np.sqrt(np.einsum("ij,ij->i", w, pull**2))]
        for values, more in zip(kept, drawn, strict=False):
            values.append(more)
    b1, b2, errors = (np.concatenate(values) for values in kept)
    error = float(np.sqrt(np.sum(whole[0] ** 2)))
    change = float(second[0] - first[0])
    p_value = float(2 * ndtr(-abs(change) / error)) if error else 1.0
    known = errors if units <= resample.LARGE else None
    return Estimate(AUC.key, float(first[0]), float(second[0]), (b1, b2), known, whole[0], error, p_value)


def corrected_intervals(
    changes: Mapping[str, Estimate], families: Mapping[str, str], settings: IntervalSettings
) -> dict[str, Interval]:
    """Intervals of all estimates, with p-values corrected over the families by Holm's method.

    A family's p-value is that of its first score in the order of ``changes``.
    """
    first: dict[str, float] = {}
    for name, estimate in changes.items():
        first.setdefault(families[name], estimate.p_value)
    adjusted: dict[str, float] = {}
    reached = 0.0
    for rank, family in enumerate(sorted(first, key=first.__getitem__)):
        left = len(first) - rank if settings.correction == "holm" else 1
        reached = max(reached, min(1.0, left * first[family])) if settings.correction == "holm" else first[family]
        adjusted[family] = reached
    return {name: _interval(estimate, adjusted[families[name]], settings) for name, estimate in changes.items()}


def _interval(estimate: Estimate, adjusted: float, settings: IntervalSettings) -> Interval:
    low, high = estimate.interval(settings.level, settings.method)
    total = estimate.total.interval(settings.level, settings.method) if estimate.total else None
    return Interval(
        low,
        high,
        level=settings.level,
        total=total,
        p_value=estimate.p_value,
        p_adjusted=adjusted,
        error=estimate.error,
        units=estimate.units,
    )
