"""Smoothing of young ages: Weibull curves replace the first years of a carbon curve (2.4, step 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine import libm
from flint_ml.gcbm.engine.weibull import fit_weibull

Array = NDArray[np.float64]

SAMPLES = 50
EXTENSION = 15


@dataclass
class SmoothingTask:
    """One forest type of one curve: ``parts[side]`` is replaced where the smoother says so."""

    parts: dict[str, Array]
    side: str
    start: int
    max_age: int


def start_age(volume: Array, factors: dict[str, Any]) -> int | None:
    """Age from which the curve is sampled, or None for no smoothing.

    Parameters
    ----------
    volume
        Stand volume by age (m3/ha).
    factors
        The forest type's volume-to-biomass parameters.
    """
    low, cap = float(factors["min_volume"]), float(factors["cap_non_merch"])
    if not volume.max() > low:
        return None
    k, a, b = (float(factors[f"{x}_non_merch"]) for x in "kab")
    first_max = int(np.argmax(volume))
    with np.errstate(all="ignore"):
        wood = float(factors["a"]) * libm.power(volume, float(factors["b"]))
        raw = np.where(wood > 0.0, k + a * libm.power(np.where(wood > 0.0, wood, 1.0), b), math.exp(a)).tolist()
    v = volume.tolist()
    factor, ready = 0.0, False
    for age in range(len(v) - 3, -1, -1):
        previous, factor = factor, raw[age]
        ready = ready or factor < cap
        factor = 1.0 if factor < 1.0 else factor
        capped = factor >= cap
        factor = cap if capped else factor
        if ready and v[age] == 0.0 and age > 1:
            return age + 1
        if age <= 1:
            return None
        if age < first_max:
            crossing = v[age] < low < v[age + 1]
            turned = capped and previous < cap and (v[age] >= low or crossing)
            if turned or (not capped and crossing):
                return age + 1 if ready else None
    return None


def smooth(tasks: Sequence[SmoothingTask]) -> None:
    """Fit and replace, for all tasks at once."""
    if not tasks:
        return
    times, series, scales = [], [], []
    for task in tasks:
        curve = task.parts[task.side]
        ages = task.start + np.arange(1, SAMPLES)
        picked = curve[:, np.minimum(ages, task.max_age)]
        rows = np.zeros((3, SAMPLES))
        rows[0, 1:], rows[1, 1:] = picked[0], picked[1]
        rows[2, 1:] = picked[0] + picked[1] + picked[2]
        top = rows.max(axis=1)
        time = np.concatenate([[0.0], ages.astype(np.float64)]) / float(ages[-1])
        with np.errstate(all="ignore"):
            series.append(rows / top[:, None])
        times.append(np.repeat(time[None, :], 3, axis=0))
        scales.append(top)
    found = fit_weibull(np.ascontiguousarray(np.concatenate(times).T), np.ascontiguousarray(np.concatenate(series).T))
    wild = found[0] > 150.0
    found[1] = np.where(wild, np.minimum(found[1], 5.0), found[1])
    found[0] = np.where(wild, 150.0, found[0])
    for number, task in enumerate(tasks):
        _replace(task, found[:, 3 * number : 3 * number + 3], scales[number])


def _replace(task: SmoothingTask, fit: Array, top: Array) -> None:
    """Put the fitted curves in place of ages 0..join, where the fit first meets the curve."""
    curve = task.parts[task.side]
    last = task.start + EXTENSION
    ages = np.arange(last + 1)
    raw = curve[:, np.minimum(ages, curve.shape[1] - 1)]
    total = raw[0] + raw[1] + raw[2]
    time = ages / float(task.start + SAMPLES - 1)
    with np.errstate(all="ignore"):
        merch, foliage, whole = ((1.0 - libm.exp(-fit[0, i] * libm.power(time, fit[1, i]))) * top[i] for i in range(3))
    total = np.where(total == 0.0, 1e-5, total)
    merch = np.where(np.isnan(merch), 0.0, merch)
    whole = np.where(whole < merch, merch, whole)
    foliage = np.where(whole - merch < foliage, whole - merch, foliage)
    foliage = np.where(np.isnan(foliage), 0.0, foliage)
    error = np.abs(total - whole) / total
    join = last
    for limit in (0.01, 0.03, 0.05):
        near = np.flatnonzero(error[task.start : last] < limit)
        if near.size:
            join = task.start + int(near[0])
            break
    fitted = np.stack([merch, foliage, whole - foliage - merch])
    if join + 1 > curve.shape[1]:  # the fit reaches beyond the table: the curve grows longer
        curve = np.concatenate([curve, np.zeros((3, join + 1 - curve.shape[1]))], axis=1)
    curve[:, : join + 1] = fitted[:, : join + 1]
    task.parts[task.side] = curve
