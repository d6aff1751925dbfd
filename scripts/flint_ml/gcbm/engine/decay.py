"""Decay of dead organic matter (2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine import libm
from flint_ml.gcbm.engine.pools import (
    AG_SLOW,
    BG_SLOW,
    CO2,
    DOM,
    FAST,
    FLOW_AIR,
    FLOW_DECAY,
    FLOW_MIX,
    FLOW_SLOW,
    INDEX,
    LIVE_END,
)

Array = NDArray[np.float64]
_SLOW_TARGET = [BG_SLOW if name.startswith("Below") else AG_SLOW for name in FAST]


@dataclass(frozen=True)
class DecayParameters:
    """Columns of ``decay_parameter``, one entry for each dead organic matter pool."""

    base: Array
    reference: Array
    log_q10: Array
    to_air: Array
    highest: Array

    @classmethod
    def build(cls, rows: Sequence[dict[str, Any]], where: str) -> DecayParameters:
        by_pool = {row["pool"]: row for row in rows}
        missing = [name for name in DOM if name not in by_pool]
        if missing:
            raise InputError(
                f"decay parameters are missing for {', '.join(missing)}",
                where=where,
                hint="add them to decay_parameter and dom_pool",
                code="gcbm-decay",
            )
        keys = ("organic_matter_decay_rate", "reference_temp", "q10", "prop_to_atmosphere", "max_decay_rate_soft")
        columns = [np.array([float(by_pool[name][key]) for name in DOM]) for key in keys]
        return cls(columns[0], columns[1], libm.log(columns[2]), columns[3], columns[4])

    def rates(self, temperature: Array) -> Array:
        """Yearly rates (11, n) at a mean annual temperature (n,), degrees C."""
        distinct, place = np.unique(temperature, return_inverse=True)
        response = libm.exp((distinct - self.reference[:, None]) * self.log_q10[:, None] * 0.1)
        return np.minimum(self.base[:, None] * response, self.highest[:, None])[:, place]


def decay_year(pools: Array, flows: Array, rates: Array, to_air: Array, mixing: Array) -> None:
    """One year of decay: fast pools together, then the slow pools, then slow mixing. In place.

    Parameters
    ----------
    pools, flows
        (pools, n) and (51, n), tC/ha.
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
