"""Many tests at once: adjusted p-values, and the smallest effect that such a family finds reliably."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flint_ml.drift.statistics.distributions import normal_quantile

if TYPE_CHECKING:
    from flint_ml.drift.rules import Correction

# A shift that takes half of the distribution elsewhere: a check that would miss it cannot say "no drift".
TOO_LARGE = 0.5


def adjust(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Adjusted p-values, in the given order; compare each with alpha.

    ``holm`` (1979) keeps the chance of any false alarm at alpha, whatever the dependence between the tests;
    ``benjamini-hochberg`` (1995) keeps the expected share of false ones among the alarms; ``none`` keeps nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    count = len(p)
    if correction == "none" or count == 0:
        return [float(v) for v in p]
    order = np.argsort(p, kind="stable")
    ordered = p[order]
    if correction == "holm":
        stepped = np.maximum.accumulate(ordered * (count - np.arange(count)))
    else:
        stepped = np.minimum.accumulate((ordered * count / np.arange(1, count + 1))[::-1])[::-1]
    result = np.empty(count)
    # Never below the p-value itself, which rounding could bring about.
    result[order] = np.maximum(np.minimum(stepped, 1.0), ordered)
    return [float(v) for v in result]


@dataclass(frozen=True)
class Detectable:
    """Smallest KS distance in one column, and the shift of a normal variable in sd, found in 80 of 100 batches."""

    distance: float
    shift: float | None

    @property
    def blind(self) -> bool:
        """Whether even a gross shift could have been missed."""
        return self.distance > TOO_LARGE


def smallest_detectable(n: tuple[float, float], tests: int, alpha: float, min_effect: float) -> Detectable:
    """Minimum detectable effect of one column among ``tests``, from (effective) sample sizes.

    The smallest significant D is √(ln(2m/α) / 2ñ), with ñ = n₁n₂/(n₁ + n₂). Where the distributions themselves are
    0.1/√ñ further apart, 80 to 90 of 100 samples are significant (simulated for m = 1 to 200, n = 30 to 2,000). A
    normal variable moved by δ sd has D = 2Φ(δ/2) − 1.
    """
    if min(n) < 1:
        return Detectable(1.0, None)
    effective = n[0] * n[1] / (n[0] + n[1])
    critical = math.sqrt(math.log(2 * max(1, tests) / alpha) / (2 * effective))
    distance = min(1.0, max(critical + 0.1 / math.sqrt(effective), min_effect))
    shift = 2 * normal_quantile((1 + distance) / 2) if distance < 0.999 else None
    return Detectable(distance, shift)
