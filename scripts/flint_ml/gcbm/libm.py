"""exp, log and power from the C library, element by element.

numpy's own versions differ in the last bit between processors, and the smoother's fits magnify that to
1e-6; the C library's are also what the reference calls, so curves and fits agree with it to the bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    return math.log(x) if x > 0.0 else (-math.inf if x == 0.0 else math.nan)


def _pow(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return math.inf
    except ValueError:  # 0 to a negative power, or a negative base
        return math.inf if x == 0.0 else math.nan


_quick_exp: Any = np.frompyfunc(math.exp, 1, 1)
_quick_pow: Any = np.frompyfunc(math.pow, 2, 1)
_safe_exp: Any = np.frompyfunc(_exp, 1, 1)
_safe_log: Any = np.frompyfunc(_log, 1, 1)
_safe_pow: Any = np.frompyfunc(_pow, 2, 1)


def exp(x: Array) -> Array:
    try:
        return np.asarray(_quick_exp(x), dtype=np.float64)
    except OverflowError:
        return np.asarray(_safe_exp(x), dtype=np.float64)


def log(x: Array) -> Array:
    return np.asarray(_safe_log(x), dtype=np.float64)


def power(x: Array, y: Array | float) -> Array:
    try:
        return np.asarray(_quick_pow(x, y), dtype=np.float64)
    except (OverflowError, ValueError):
        return np.asarray(_safe_pow(x, y), dtype=np.float64)
