"""Spinup: dead organic matter in balance with the historic disturbance, then growth to today's age (2.10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.decay import FLOWS as DECAY_FLOWS
from flint_ml.gcbm.engine.decay import DomYears, Sparse, affine, decay_year, matrix_power
from flint_ml.gcbm.engine.disturbance import apply_matrix
from flint_ml.gcbm.engine.growth import FLOWS, GrowthTable, grow_year
from flint_ml.gcbm.engine.model import Matrix
from flint_ml.gcbm.pools import ATMOSPHERE, CO2, DOM_END, LIVE_END

Array = NDArray[np.float64]
Index = NDArray[np.int64]

STABLE = (0.999, 1.001)
NEAR = 1e-9
CHUNK = 8192


@dataclass
class SpinupKeys:
    """One column for each spinup key.

    ``growth``: growth key; ``interval``, ``rotations``, ``minimum``: years of a rotation, most and fewest
    rotations; ``historic``, ``last``: index into ``matrices``; ``rates`` (11, n), ``mixing`` (n,).
    """

    growth: Index
    interval: Index
    rotations: Index
    minimum: Index
    historic: Index
    last: Index
    rates: Array
    mixing: Array
    matrices: list[Matrix]

    @property
    def count(self) -> int:
        return int(self.growth.size)

    def take(self, columns: Index) -> SpinupKeys:
        names = ("growth", "interval", "rotations", "minimum", "historic", "last", "mixing")
        picked = {name: getattr(self, name)[columns] for name in names}
        return SpinupKeys(**picked, rates=np.ascontiguousarray(self.rates[:, columns]), matrices=self.matrices)


@dataclass
class Trajectory:
    """Growth without dead pools: per year of age, biomass, litter and the atmosphere's loss.

    ``live`` (ages + 1, 10, n) before each year and after the last; ``litter`` (ages, 11, n);
    ``fallen`` (ages + 1, n) litter so far; ``air`` (ages + 1, n) the Atmosphere pool's change so far.
    """

    live: Array
    litter: Array
    fallen: Array
    air: Array


def trajectory(table: GrowthTable, growth: Index, live: Array, years: int, pool_count: int) -> Trajectory:
    """Grow (10, n) biomass from age 0 for some years; the litter is taken away each year."""
    n = growth.size
    pools = np.zeros((pool_count, n))
    pools[:LIVE_END] = live
    flows = np.zeros((len(FLOWS), n))
    out = Trajectory(
        np.empty((years + 1, LIVE_END, n)),
        np.empty((years, DOM_END - LIVE_END, n)),
        np.zeros((years + 1, n)),
        np.zeros((years + 1, n)),
    )
    out.live[0] = live
    for year in range(years):
        pools[LIVE_END:DOM_END] = 0.0
        grow_year(table, pools, flows, growth, np.full(n, year))
        out.live[year + 1] = pools[:LIVE_END]
        out.litter[year] = pools[LIVE_END:DOM_END]
        total = out.fallen[year].copy()
        for row in out.litter[year]:
            total += row
        out.fallen[year + 1] = total
        out.air[year + 1] = pools[ATMOSPHERE]
    return out


def spin_up(
    table: GrowthTable, keys: SpinupKeys, to_air: Array, pool_count: int
) -> tuple[Array, Index, NDArray[np.bool_]]:
    """Rotations until the slow pools are stable.

    Returns
    -------
    Pools (pools, keys) in tC/ha at the end of the last rotation (2.10, step 2), the number of rotations,
    and whether the slow pools were stable then.
    """
    pools = np.zeros((pool_count, keys.count))
    rotations = np.zeros(keys.count, dtype=np.int64)
    stable = np.zeros(keys.count, dtype=bool)
    growth, place = np.unique(keys.growth, return_inverse=True)
    longest = int(keys.interval.max())
    curve = trajectory(table, growth, np.zeros((LIVE_END, growth.size)), longest, pool_count)
    for interval in np.unique(keys.interval):
        members = np.flatnonzero(keys.interval == interval)
        for start in range(0, members.size, CHUNK):
            chosen = members[start : start + CHUNK]
            part = _Rotations(
                table=table,
                keys=keys.take(chosen),
                place=place[chosen],
                curve=curve,
                interval=int(interval),
                to_air=to_air,
                pool_count=pool_count,
            )
            pools[:, chosen], rotations[chosen], stable[chosen] = part.run()
    return pools, rotations, stable


class _Rotations:
    """All rotations of keys that share one return interval."""

    def __init__(
        self,
        *,
        table: GrowthTable,
        keys: SpinupKeys,
        place: Index,
        curve: Trajectory,
        interval: int,
        to_air: Array,
        pool_count: int,
    ) -> None:
        self.keys, self.place, self.curve, self.interval = keys, place, curve, interval
        self.years = DomYears(keys.rates, to_air, keys.mixing, snag_rates(table, keys.growth))
        self.pool_count = pool_count
        self.grown = curve.live[interval][:, place]
        self.fallen = curve.fallen[interval][place]
        self.air = curve.air[interval][place]

    def run(self) -> tuple[Array, Index, NDArray[np.bool_]]:
        constant = self._years(np.zeros((DOM_END - LIVE_END, self.keys.count)), self.years, self.place)
        matrix = matrix_power(self.years.matrix(), self.interval)
        pools, turns, stable, close = self._rotate(constant, matrix)
        doubtful = np.flatnonzero(close)
        if doubtful.size:  # the affine map's rounding could flip the count: step these year by year
            part = object.__new__(_Rotations)
            part.keys, part.place = self.keys.take(doubtful), self.place[doubtful]
            part.curve, part.interval, part.pool_count = self.curve, self.interval, self.pool_count
            part.years = self.years.take(doubtful)
            part.grown = np.ascontiguousarray(self.grown[:, doubtful])
            part.fallen, part.air = self.fallen[doubtful], self.air[doubtful]
            p, t, s, _ = part._rotate(constant[:, doubtful], None)
            pools[:, doubtful], turns[doubtful], stable[doubtful] = p, t, s
        return pools, turns, stable

    def _years(self, x: Array, years: DomYears, place: Index) -> Array:
        for year in range(self.interval):
            years.step(x, self.curve.litter[year][:, place])
        return x

    def _rotate(
        self, constant: Array, matrix: Sparse | None
    ) -> tuple[Array, Index, NDArray[np.bool_], NDArray[np.bool_]]:
        keys = self.keys
        n = keys.count
        pools = np.zeros((self.pool_count, n))
        result = np.zeros_like(pools)
        turns, stable = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
        close, running = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
        previous = np.zeros(n)
        turn = 0
        while running.any():
            turn += 1
            dead = pools[LIVE_END:DOM_END]
            before = _total(dead)
            if turn == 1:
                after = constant.copy()
            elif matrix is None:
                after = self._years(dead.copy(), self.years, self.place)
            else:
                after = affine(matrix, dead, constant)
            pools[LIVE_END:DOM_END] = after
            pools[:LIVE_END] = self.grown
            pools[ATMOSPHERE] += self.air
            pools[CO2] += self.fallen + before - _total(after)
            slow = pools[DOM_END - 2] + pools[DOM_END - 1]
            ratio = np.where(previous != 0.0, slow / np.where(previous != 0.0, previous, 1.0), 0.0)
            close |= running & ((np.abs(ratio - STABLE[0]) < NEAR) | (np.abs(ratio - STABLE[1]) < NEAR))
            steady = (ratio > STABLE[0]) & (ratio < STABLE[1])
            previous = slow
            ended = running & ((steady & (turn > keys.minimum)) | (turn >= keys.rotations))
            result[:, ended] = pools[:, ended]
            turns[ended], stable[ended] = turn, steady[ended]
            running &= ~ended
            if running.any():
                disturb(pools, keys.historic, keys.matrices)
                pools[:LIVE_END] = 0.0
        return result, turns, stable, close


def _total(dead: Array) -> Array:
    total: Array = dead[0].copy()
    for row in dead[1:]:
        total += row
    return total


def snag_rates(table: GrowthTable, growth: Index) -> Array:
    """(4, n) yearly fall of snags, in the order of the dead pools."""
    return np.stack([table.snags[side, kind].take(growth) for side in range(2) for kind in range(2)])


def disturb(pools: Array, which: Index, matrices: list[Matrix]) -> None:
    """Apply to each column the matrix that ``which`` names; -1 is none."""
    for number in np.unique(which):
        if number < 0:
            continue
        columns = np.flatnonzero(which == number)
        if columns.size == which.size:
            apply_matrix(matrices[number], pools)
            continue
        part = pools[:, columns]
        apply_matrix(matrices[number], part)
        pools[:, columns] = part


def grow_to_age(
    table: GrowthTable, keys: SpinupKeys, pools: Array, to_air: Array, *, stand_key: Index, stand_age: Index
) -> Array:
    """Last-pass disturbance on the spun-up pools, then growth to each stand's age.

    Returns pools (pools, stands). Biomass depends on (curve, interval, last-pass matrix) only; dead pools
    are stepped once for all keys, and each stand is copied out at its own age.
    """
    disturb(pools, keys.last, keys.matrices)
    oldest = np.zeros(keys.count, dtype=np.int64)
    np.maximum.at(oldest, stand_key, stand_age)
    joint = (keys.growth * (int(keys.interval.max()) + 1) + keys.interval) * (len(keys.matrices) + 1) + keys.last
    _, first, place = np.unique(joint, return_index=True, return_inverse=True)
    live = np.ascontiguousarray(pools[:LIVE_END, first])
    curve = trajectory(table, keys.growth[first], live, int(oldest.max(initial=0)), pools.shape[0])
    out = pools[:, stand_key]
    order = np.lexsort((stand_key, stand_age))
    where = place[stand_key]
    out[:LIVE_END] = curve.live[stand_age, :, where].T
    out[ATMOSPHERE] += curve.air[stand_age, where]
    ageing = _Ageing(keys, pools, curve, place, oldest, snag_rates(table, keys.growth), to_air)
    for start in range(0, keys.count, CHUNK):
        inside = order[(stand_key[order] >= start) & (stand_key[order] < start + CHUNK)]
        ageing.chunk(start, stand_key[inside] - start, stand_age[inside], inside, out)
    return out


def wait(table: GrowthTable, keys: SpinupKeys, pools: Array, to_air: Array, *, stand_key: Index, years: Index) -> None:
    """The inventory delay: ``years`` (stands,) of turnover and decay without growth; no stand ages. In place."""
    for year in range(int(years.max(initial=0))):
        waiting = np.flatnonzero(years > year)
        part, key = np.ascontiguousarray(pools[:, waiting]), stand_key[waiting]
        growth, flows = keys.growth[key], np.zeros((max(len(FLOWS), len(DECAY_FLOWS)), waiting.size))
        grow_year(table, part, flows, growth, np.zeros(waiting.size, dtype=np.int64), growing=False)
        decay_year(part, flows, keys.rates[:, key], to_air, keys.mixing[key])
        pools[:, waiting] = part


@dataclass
class _Ageing:
    """Dead pools from the last-pass disturbance to each stand's age."""

    keys: SpinupKeys
    pools: Array
    curve: Trajectory
    place: Index
    oldest: Index
    snags: Array
    to_air: Array

    def chunk(self, start: int, local_key: Index, ages: Index, stands: Index, out: Array) -> None:
        """One chunk of keys; a key drops out when its oldest stand is reached. ``ages`` are ascending."""
        columns = np.arange(start, min(start + CHUNK, self.keys.count))
        columns = columns[np.argsort(-self.oldest[columns], kind="stable")]
        rank = np.empty(CHUNK, dtype=np.int64)
        rank[columns - start] = np.arange(columns.size)
        part = self.keys.take(columns)
        years = DomYears(part.rates, self.to_air, part.mixing, np.ascontiguousarray(self.snags[:, columns]))
        dead = np.ascontiguousarray(self.pools[LIVE_END:DOM_END, columns])
        first = _total(dead)
        where, last = self.place[columns], self.oldest[columns]
        bounds = np.searchsorted(ages, np.arange(int(last.max(initial=0)) + 2))
        for age in range(bounds.size - 1):
            mine = slice(bounds[age], bounds[age + 1])
            if mine.start < mine.stop:
                local = rank[local_key[mine]]
                out[LIVE_END:DOM_END, stands[mine]] = dead[:, local]
                fallen = self.curve.fallen[age][where[local]]
                out[CO2, stands[mine]] += fallen + first[local] - _total(dead[:, local])
            count = int(np.searchsorted(-last, -(age + 1), side="right"))
            if count == 0:
                break
            if count < dead.shape[1]:
                dead, first, where = np.ascontiguousarray(dead[:, :count]), first[:count], where[:count]
                years, last = years.head(count), last[:count]
            years.step(dead, self.curve.litter[age][:, where])
