"""Yield tables to carbon curves (Boudewyn et al. 2007), and the reference's smoother of young ages (2.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm import libm
from flint_ml.gcbm.engine.weibull import fit_weibull
from flint_ml.gcbm.pools import SIDES
from flint_ml.gcbm.project.variables import records

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


@dataclass
class CarbonCurve:
    """Above-ground carbon (tC/ha) of a stand by age.

    ``parts``: forest type -> (3, ages) merchantable, foliage, other; a type without yield table or
    parameters is absent. ``factors``: forest type -> its row of ``volume_to_biomass_parameters``.
    """

    parts: dict[str, Array] = field(default_factory=dict)
    factors: dict[str, dict[str, Any]] = field(default_factory=dict)
    empty: bool = False  # neither yield table has a row: no spinup

    @property
    def ages(self) -> int:
        return max((part.shape[1] for part in self.parts.values()), default=1)

    def increments(self) -> Array:
        """(6, ages) growth of a year that starts at each age: Merch, Foliage, Other of both types."""
        out = np.zeros((6, self.ages))
        for number, side in enumerate(SIDES):
            if side in self.parts:
                part = self.parts[side]
                out[3 * number : 3 * number + 3, : part.shape[1] - 1] = np.diff(part, axis=1)
        return out

    def above_ground(self) -> Array:
        """Summed curve of all types, which a 'yield' age reset searches."""
        total = np.zeros(self.ages)
        for part in self.parts.values():
            total[: part.shape[1]] += part[0] + part[1] + part[2]
        return total


@dataclass(frozen=True)
class CurveSource:
    """What a curve is made of: query results, and a name for messages."""

    name: str
    softwood: Any
    hardwood: Any
    factors: Any


def interpolate_yield(rows: Sequence[dict[str, Any]], name: str) -> Array | None:
    """A yield table's volumes (m3/ha) at ages 0..max; None for an empty table or one that sums to 0."""
    if not rows:
        return None
    pairs = [(int(row["age"]), float(row["merchantable_volume"])) for row in rows]
    ages = sorted({age for age, _ in pairs})
    if len(ages) < 2 or ages[0] < 0:
        raise InputError(
            f"the yield table of growth curve {name} has ages {ages}; the C++ needs at least two, from 0 up",
            where="growth_curve_component_value",
            hint="give the yield table at least two ages",
            code="gcbm-yield-table",
        )
    top, step = ages[-1], ages[1] - ages[0]
    volume = np.zeros(top + 1)
    for age, value in pairs:
        volume[age] += value
    for age in range(top):  # volumes after the last one given are not zero
        if volume[age + 1] == 0.0:
            volume[age + 1] = volume[age]
    for x0 in range(0, top, step):
        x1 = min(x0 + step, top)
        y0, y1 = volume[x0], volume[x1]
        run = np.arange(x1 - x0)
        volume[x0:x1] = y0 + (y1 - y0) * run / (x1 - x0)
    return volume if float(np.cumsum(volume)[-1]) > 0 else None


def stand_volume(tables: dict[str, Array]) -> tuple[Array, Array]:
    """Stand volume V and the softwood share at each age; shorter tables keep their last value."""
    size = max(table.size for table in tables.values())
    full = {side: np.pad(table, (0, size - table.size), mode="edge") for side, table in tables.items()}
    soft, hard = full.get("Softwood", np.zeros(size)), full.get("Hardwood")
    if hard is None:
        return soft, np.ones(size)
    total = soft + hard
    return total, np.where(total == 0.0, 1.0, soft / np.where(total == 0.0, 1.0, total))


def nonmerch_factor(stemwood: Array, k: float, a: float, b: float) -> Array:
    """Equations 2 and 3 of Boudewyn et al.: k + a m**b, exp(a) where there is no stemwood."""
    positive = stemwood > 0.0
    return np.where(positive, k + a * libm.power(np.where(positive, stemwood, 1.0), b), math.exp(a))


def _bounded(factor: Array, cap: float) -> Array:
    factor = np.where((factor < 1.0) | ~np.isfinite(factor), 1.0, factor)
    return np.where(factor > cap, cap, factor)


def _proportions(volume: Array, p: dict[str, float]) -> tuple[Array, Array, Array]:
    """Shares of stemwood, bark and branches (equations 4 to 7)."""
    log = libm.log(volume + 5.0)
    terms = [libm.exp(p[f"{x}1"] + p[f"{x}2"] * volume + p[f"{x}3"] * log) for x in "abc"]
    total = 1.0 + terms[0] + terms[1] + terms[2]
    shares = (1.0 / total, terms[0] / total, terms[1] / total)
    low, high = volume < p["min_volume"], volume > p["max_volume"]
    keys = ("stemwood", "stembark", "branches")
    stem, bark, branch = (
        np.where(low, p[f"low_{key}_prop"], np.where(high, p[f"high_{key}_prop"], share))
        for key, share in zip(keys, shares, strict=True)
    )
    return stem, bark, branch


def component_carbon(volume: Array, share: Array, side: str, factors: dict[str, Any]) -> Array:
    """Carbon (3, ages) of one forest type: merchantable, foliage, other (tC/ha), before smoothing."""
    p = {key: float(value) for key, value in factors.items() if isinstance(value, (int, float))}
    merch = p["a"] * libm.power(volume, p["b"])
    factor = _bounded(nonmerch_factor(merch, p["k_non_merch"], p["a_non_merch"], p["b_non_merch"]), p["cap_non_merch"])
    nonmerch = (factor - 1.0) * merch
    factor = _bounded(nonmerch_factor(merch + nonmerch, p["k_sap"], p["a_sap"], p["b_sap"]), p["cap_sap"])
    sapling = (factor - 1.0) * (merch + nonmerch)
    stem = merch + nonmerch + sapling
    p_stem, p_bark, p_branch = _proportions(volume, p)
    p_foliage = 1.0 - p_stem - p_bark - p_branch
    tree = stem / p_stem
    bark, foliage = tree * p_bark, tree * p_foliage
    weight = share if side == "Softwood" else 1.0 - share
    tree, stem, bark, foliage, merch = (x * weight for x in (tree, stem, bark, foliage, merch))
    kind = side.lower()
    top, stump = p[f"{kind}_top_prop"], p[f"{kind}_stump_prop"]
    wooded = merch > 0.0
    merch_bark = np.where(wooded, bark * (merch / np.where(wooded, stem, 1.0)) * (1.0 - (top + stump) / 100.0), 0.0)
    wood = np.where(wooded, merch - (merch * top / 100.0 + merch * stump / 100.0), 0.0)
    other = (tree - foliage - wood - merch_bark) * 0.5
    return np.stack([np.maximum(0.0, (wood + merch_bark) * 0.5), np.maximum(0.0, foliage * 0.5), other])


def build_curves(sources: Sequence[CurveSource], *, smoothing: bool = True) -> list[CarbonCurve]:
    """Carbon curves of many growth curves at once (the smoother fits all of them side by side)."""
    curves: list[CarbonCurve] = []
    tasks: list[SmoothingTask] = []
    for source in sources:
        rows = {"Softwood": records(source.softwood), "Hardwood": records(source.hardwood)}
        curve = CarbonCurve(empty=not any(rows.values()))
        curves.append(curve)
        for row in records(source.factors):  # the last row of a forest type wins
            if row["forest_type"] in SIDES:
                curve.factors[row["forest_type"]] = row
        found = {side: interpolate_yield(table, source.name) for side, table in rows.items()}
        tables = {side: table for side, table in found.items() if table is not None}
        if not tables:
            curve.factors = {}
            continue
        volume, share = stand_volume(tables)
        curve.factors = {side: row for side, row in curve.factors.items() if side in tables}
        for side, row in curve.factors.items():
            with np.errstate(all="ignore"):
                curve.parts[side] = component_carbon(volume, share, side, row)
            start = start_age(volume, row) if smoothing else None
            if start is not None:
                tasks.append(SmoothingTask(curve.parts, side, start, volume.size - 1))
    smooth(tasks)
    return curves
