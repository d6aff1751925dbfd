"""Many tests at once: adjusted p-values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Correction = Literal["holm", "benjamini-hochberg", "none"]


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
