"""Decay of dead organic matter (2.6), one year or many years at once (6.2).

In spinup the litter input of a year depends on the growth curve only, and a year's change of the eleven dead pools is
linear: x' = A x + B u. So R years are one affine map, made once for each key.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.growth import GrowthKeys
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.engine.state import State
from flint_ml.gcbm.pools import AG_SLOW, BG_SLOW, CO2, FAST, INDEX, LIVE_END

Array = NDArray[np.float64]
_SLOW_TARGET = [BG_SLOW if name.startswith("Below") else AG_SLOW for name in FAST]
DECAY_SLOW = tuple((p, "BelowGroundSlowSoil" if p.startswith("Below") else "AboveGroundSlowSoil") for p in FAST)
DECAY_AIR = tuple((p, "CO2") for p in FAST)
SLOW_DECAY = (("AboveGroundSlowSoil", "CO2"), ("BelowGroundSlowSoil", "CO2"))
MIXING = (("AboveGroundSlowSoil", "BelowGroundSlowSoil"),)
# Rows of the flux array: first row of each kind of transfer.
FLOWS = (*DECAY_SLOW, *DECAY_AIR, *SLOW_DECAY, *MIXING)
FLOW_DECAY = 0
FLOW_AIR = len(DECAY_SLOW)
FLOW_SLOW = FLOW_AIR + len(DECAY_AIR)
FLOW_MIX = FLOW_SLOW + len(SLOW_DECAY)


def decay_year(pools: Array, flows: Array, rates: Array, to_air: Array, mixing: Array) -> None:
    """One year of decay: fast pools together, then the slow pools, then slow mixing. In place.

    Parameters
    ----------
    pools, flows
        (pools, n) and (21, n), tC/ha; rows of ``flows`` are those of ``FLOWS``.
    rates
        (11, n) yearly decay rates.
    to_air
        (11,) share that leaves as CO2.
    mixing
        (n,) share of AboveGroundSlowSoil that moves to BelowGroundSlowSoil.
    """
    amounts = []
    for i in range(len(FAST)):
        x = pools[LIVE_END + i]
        rate = rates[i]
        amounts.append((x * (rate * (1.0 - to_air[i])), x * (rate * to_air[i])))
    for i, (kept, air) in enumerate(amounts):
        source = LIVE_END + i
        pools[source] -= kept
        pools[_SLOW_TARGET[i]] += kept
        pools[source] -= air
        pools[CO2] += air
        flows[FLOW_DECAY + i] += kept
        flows[FLOW_AIR + i] += air
    for i, source in enumerate((AG_SLOW, BG_SLOW)):
        air = pools[source] * (rates[9 + i] * to_air[9 + i])
        pools[source] -= air
        pools[CO2] += air
        flows[FLOW_SLOW + i] += air
    moved = pools[AG_SLOW] * mixing
    pools[AG_SLOW] -= moved
    pools[BG_SLOW] += moved
    flows[FLOW_MIX] += moved


assert INDEX["AboveGroundSlowSoil"] == LIVE_END + 9


class Decay:
    """CBMDecayModule: decay of the stands whose dead organic matter is modelled (2.6, 2.9)."""

    name: ClassVar[str] = "CBMDecayModule"
    identity: ClassVar[tuple[int, int, int, int]] = (3, 5, 5, 7)
    flows: ClassVar[tuple[tuple[str, str], ...]] = FLOWS

    def __init__(self, model: Model, keys: GrowthKeys) -> None:
        self.to_air = model.decay.to_air

    def step(self, state: State, flows: Array) -> None:
        """Decay of every living stand that decays."""
        stands = state.stands
        active = np.flatnonzero(stands.alive & state.land.decaying)
        if active.size == stands.count:
            decay_year(stands.pools, flows, stands.rates, self.to_air, stands.mixing)
        elif active.size:
            pools, own = stands.pools[:, active], flows[:, active]
            decay_year(pools, own, stands.rates[:, active], self.to_air, stands.mixing[active])
            stands.pools[:, active] = pools
            flows[:, active] = own


Sparse = dict[tuple[int, int], Array]

# Positions in pools.DOM.
_AGVF, _BGVF, _AGF, _BGF, _MED = range(5)
_SNAGS = (5, 6, 7, 8)
_SLOW_A, _SLOW_B = 9, 10
_SNAG_TARGET = {5: _MED, 6: _AGF, 7: _MED, 8: _AGF}
_ABOVE = (_AGVF, _AGF, _MED, *_SNAGS)
_BELOW = (_BGVF, _BGF)


class DomYears:
    """The yearly step of (11, n) dead pools.

    Parameters
    ----------
    rates
        (11, n) decay rates.
    to_air
        (11,) share of decay that leaves as CO2.
    mixing
        (n,) slow mixing rate.
    snags
        (4, n) yearly fall of SoftwoodStem, SoftwoodBranch, HardwoodStem, HardwoodBranch snags.
    """

    def __init__(self, rates: Array, to_air: Array, mixing: Array, snags: Array) -> None:
        self.keep = 1.0 - rates[:9]
        self.gain = rates[:9] * (1.0 - to_air[:9, None])
        self.slow = 1.0 - rates[9:] * to_air[9:, None]
        self.mixing = mixing
        self.fall = snags
        self.stay = 1.0 - snags

    def head(self, count: int) -> DomYears:
        """The first ``count`` columns."""
        part = object.__new__(DomYears)
        for name in ("keep", "gain", "slow", "mixing", "fall", "stay"):
            setattr(part, name, getattr(self, name)[..., :count])
        return part

    def take(self, columns: NDArray[np.int64]) -> DomYears:
        part = object.__new__(DomYears)
        for name in ("keep", "gain", "slow", "mixing", "fall", "stay"):
            setattr(part, name, np.ascontiguousarray(getattr(self, name)[..., columns]))
        return part

    def step(self, x: Array, litter: Array) -> None:
        """One year in place: snag fall and litter (11, n), then decay."""
        fallen = [x[5 + i] * self.fall[i] for i in range(4)]
        for i in range(4):
            x[5 + i] *= self.stay[i]
        x[_MED] += fallen[0] + fallen[2]
        x[_AGF] += fallen[1] + fallen[3]
        x += litter
        above = x[_SLOW_A]
        for i in _ABOVE:
            above += x[i] * self.gain[i]
        below = x[_SLOW_B]
        for i in _BELOW:
            below += x[i] * self.gain[i]
        x[:9] *= self.keep
        above *= self.slow[0]
        below *= self.slow[1]
        moved = above * self.mixing
        above -= moved
        below += moved

    def matrix(self) -> Sparse:
        """A of one year without litter: (row, column) -> (n,) entries."""
        a: Sparse = {(i, i): self.keep[i].copy() for i in range(5)}
        for i in _SNAGS:
            a[i, i] = self.keep[i] * self.stay[i - 5]
            target = _SNAG_TARGET[i]
            a[target, i] = self.keep[target] * self.fall[i - 5]
        after = (1.0 - self.mixing) * self.slow[0]
        across = self.mixing * self.slow[0]
        for i in _ABOVE:
            gained = self.gain[i]
            if i in _SNAG_TARGET:
                gained = self.stay[i - 5] * self.gain[i] + self.fall[i - 5] * self.gain[_SNAG_TARGET[i]]
            a[_SLOW_A, i] = gained * after
            a[_SLOW_B, i] = gained * across
        for i in _BELOW:
            a[_SLOW_B, i] = self.gain[i] * self.slow[1]
        a[_SLOW_A, _SLOW_A] = after
        a[_SLOW_B, _SLOW_A] = across
        a[_SLOW_B, _SLOW_B] = self.slow[1].copy()
        return a


def matrix_product(a: Sparse, b: Sparse) -> Sparse:
    """Product of two matrices of this pattern (it is closed: dead carbon only moves one way)."""
    out: Sparse = {}
    for (i, k), left in a.items():
        for (row, j), right in b.items():
            if row == k:
                term = left * right
                out[i, j] = out[i, j] + term if (i, j) in out else term
    return out


def matrix_power(a: Sparse, exponent: int) -> Sparse:
    """A to a whole power, by repeated squaring."""
    result: Sparse | None = None
    square = a
    while exponent:
        if exponent & 1:
            result = square if result is None else matrix_product(result, square)
        exponent >>= 1
        if exponent:
            square = matrix_product(square, square)
    if result is None:
        one = np.ones_like(next(iter(a.values())))
        return {(i, i): one for i in range(11)}
    return result


def affine(a: Sparse, x: Array, constant: Array) -> Array:
    """a x + constant for (11, n) columns."""
    out = constant.copy()
    for (i, j), entry in a.items():
        out[i] += entry * x[j]
    return out
