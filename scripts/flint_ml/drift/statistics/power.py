"""What a comparison of this size could have found."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flint_ml.drift.statistics.distributions import normal_quantile

# A shift that takes half of the distribution elsewhere: a check that would miss it cannot say "no drift".
TOO_LARGE = 0.5


@dataclass(frozen=True)
class Detectable:
    """Smallest KS distance in one column, and the shift of a normal variable in sd, found in 80 of 100 batches."""

    distance: float
    shift: float | None

    @property
    def blind(self) -> bool:
        """Whether even a gross shift could have been missed."""
        return self.distance > TOO_LARGE


def detectable(n: tuple[float, float], tests: int, alpha: float, min_effect: float) -> Detectable:
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
