"""Probabilities of the test statistics, in plain numpy.

``scipy.stats`` has them all, but its import costs two CPU seconds and that of ``scipy.special`` half a second, on
each run of a check that itself takes less. Every function is held against scipy in ``tests/drift``, to a relative
1e-10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_SQRT_2PI = math.sqrt(2 * math.pi)
_PI2 = math.pi**2
# Beyond these scipy, whose p-values ours equal, returns 0, and changes to a closed approximation.
_SF_IS_ZERO = 370.0
_SMIRNOV_MAX_N = 1_000_000


def chi2_sf(x: float, df: float) -> float:
    """P(X ≥ x) of the chi-squared distribution with ``df`` degrees of freedom.

    Series below the mean, Lentz's continued fraction above it (Numerical Recipes, 6.2).
    """
    a, half = df / 2, x / 2
    if half <= 0:
        return 1.0
    if math.isinf(half):
        return 0.0
    front = math.exp(-half + a * math.log(half) - math.lgamma(a))
    if half < a + 1:
        term = total = 1 / a
        k = a
        while abs(term) > abs(total) * 1e-17:
            k += 1
            term *= half / k
            total += term
        return max(0.0, 1 - front * total)
    tiny = 1e-300
    b = half + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / ((an * d + b) or tiny)
        c = (b + an / c) or tiny
        h *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return front * h


def normal_quantile(p: float) -> float:
    """The value that a standard normal variable stays below with probability ``p``, 0 < p < 1."""
    return NormalDist().inv_cdf(p)


def _stirling_error(n: Floats) -> Floats:
    """log n! − log(√(2πn) (n/e)^n), to the precision of a double."""
    small = np.array(
        [0.0, *(math.lgamma(k + 1) - (k + 0.5) * math.log(k) + k - math.log(_SQRT_2PI) for k in range(1, 16))]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        r = 1 / n
        series = r * (1 / 12 - r**2 * (1 / 360 - r**2 * (1 / 1260 - r**2 * (1 / 1680 - r**2 / 1188))))
    return np.where(n < 16, small[np.minimum(n, 15).astype(np.intp)], series)


def smirnov_sf(n: int, x: float) -> float:
    """P(D_n⁺ ≥ x): the one-sided, one-sample Smirnov distribution.

    The sum of Birnbaum and Tingey (1951) is one of binomial probabilities b(j; n, x + j/n) / (x + j/n); these are
    computed by Loader's saddle-point form (2000), which keeps all digits for large ``n``. Above a million the
    approximation exp(−(6nx + 1)² / 18n), as in ``scipy.special.smirnov``.
    """
    if x >= 1:
        return 0.0
    if x <= 0:
        return 1.0
    if n > _SMIRNOV_MAX_N:
        return math.exp(-((6 * n * x + 1) ** 2) / 18 / n)
    t = n * x
    last = math.floor(n * (1 - x))
    j = np.arange(1, min(last, n - 1) + 1, dtype=np.float64)
    j = j[n - j - t > 0]
    rest = n - j
    deviance = j * np.log1p(t / j) + rest * np.log1p(-t / rest)
    exponent = _stirling_error(np.array([float(n)])) - _stirling_error(j) - _stirling_error(rest) + deviance
    terms = np.exp(exponent) * np.sqrt(n / (2 * math.pi * j * rest)) / (x + j / n)
    first = math.exp(n * math.log1p(-x)) / x
    return float(min(1.0, x * (float(np.sum(terms)) + first)))


def _durbin_cdf(n: int, d: float) -> float:
    """P(D_n < d) by the matrix of Durbin (1968) in the form of Marsaglia, Tsang and Wang (2003)."""
    k = math.ceil(n * d)
    h = k - n * d
    m = 2 * k - 1
    i = np.arange(1, m + 1)
    factorial = np.array([1 / math.factorial(v) for v in range(m + 1)])
    matrix = np.zeros((m, m))
    for column in range(1, m):
        matrix[column - 1 :, column] = factorial[: m - column + 1]
    edge = (1 - h**i) * factorial[1:]
    edge[-1] = (1 - 2 * h**m + max(0.0, 2 * h - 1) ** m) * factorial[m]
    matrix[:, 0] = edge
    matrix[-1, :] = edge[::-1]
    power, log_scale = np.eye(m), 0.0
    base, base_log, left = matrix, 0.0, n
    while left:
        if left & 1:
            power = power @ base
            log_scale += base_log
            largest = float(power.max())
            power, log_scale = power / largest, log_scale + math.log(largest)
        base = base @ base
        base_log *= 2
        largest = float(base.max())
        base, base_log = base / largest, base_log + math.log(largest)
        left >>= 1
    value: float = float(power[k - 1, k - 1])
    log_factorial = float(_stirling_error(np.array([float(n)]))[0]) + 0.5 * math.log(2 * math.pi * n) - n
    return float(math.exp(log_factorial + log_scale + math.log(value))) if value > 0 else 0.0


def _pelz_good_cdf(n: int, x: float) -> float:
    """P(D_n < x) by the expansion of Pelz and Good (1976), to the order n^(−3/2)."""
    z = math.sqrt(n) * x
    z2 = z * z
    exponent = -_PI2 / (8 * z2)
    if exponent < -708:
        return 0.0
    m = 2.0 * np.arange(math.ceil(16 * z / math.pi), 0, -1) - 1
    m2 = m * m
    q = np.exp(exponent * m2)
    k0 = float(np.sum(q)) * _SQRT_2PI / z
    k1 = float(np.sum(q * (_PI2 / 4 * m2 - z2))) * _SQRT_2PI / (6 * z**4)
    second = 6 * z**6 + 2 * z**4 + (2 * z**4 - 5 * z2) * _PI2 / 4 * m2 + _PI2**2 * (1 - 2 * z2) / 16 * m2**2
    third = (
        -30 * z**6
        - 90 * z**8
        + _PI2 * (135 * z**4 - 96 * z**6) / 4 * m2
        + _PI2**2 * (212 * z**4 - 60 * z2) / 16 * m2**2
        + _PI2**3 * (5 - 30 * z2) / 64 * m2**3
    )
    k = np.arange(1, len(m) + 1, dtype=np.float64)
    k2 = k * k
    even = np.exp(-_PI2 / (2 * z2) * k2)
    two = float(np.sum(q * second)) / (72 * z**7) - float(np.sum(k2 * even)) * _PI2 / (36 * z**3)
    three = float(np.sum(q * third)) / (6480 * z**10)
    three += float(np.sum((3 * z2 - _PI2 * k2) * k2 * even)) * _PI2 / (216 * z**6)
    return k0 + k1 / math.sqrt(n) + _SQRT_2PI * (two / n + three / math.pow(n, 1.5))


def kolmogorov_sf(n: int, d: float) -> float:
    """P(D_n ≥ d): the two-sided, one-sample Kolmogorov distribution for a finite ``n``.

    The choice of methods is that of Simard and L'Ecuyer (2011), J. Stat. Softw. 39(11).
    """
    t = n * d
    if d >= 1:
        return 0.0
    if t <= 0.5:
        return 1.0
    if t <= 1:
        log_factorial = float(_stirling_error(np.array([float(n)]))[0]) + 0.5 * math.log(2 * math.pi * n) - n
        return 1 - math.exp(log_factorial + n * math.log(2 * t - 1)) if t > 0.5 else 1.0
    if t >= n - 1:
        return 2.0 * math.pow(1 - d, n)
    square = t * d
    if n > 140 and d < 0.5 and square >= _SF_IS_ZERO:
        return 0.0
    if d >= 0.5 or square >= (4 if n <= 140 else 2.2):
        return float(min(1.0, 2 * smirnov_sf(n, d)))
    if n <= 140 or (n <= 100_000 and n * d**1.5 <= 1.4):
        return max(0.0, 1 - _durbin_cdf(n, d))
    return min(1.0, max(0.0, 1 - _pelz_good_cdf(n, d)))


def ks_exact_sf(m: int, n: int, steps: Sequence[int]) -> Floats:
    """P(D ≥ h / lcm(m, n)) of the two-sample statistic, for each ``h`` of ``steps``: exact without ties.

    Lattice paths (Hodges 1957): the share f(i, j) of paths to (i, j) that have touched the boundary is 1 on it and
    otherwise f(i−1, j) i/(i+j) + f(i, j−1) j/(i+j). Walked by anti-diagonals, for all ``h`` at once; every term is
    positive, so small probabilities keep their digits.
    """
    if n > m:
        m, n = n, m
    divisor = math.gcd(m, n)
    up, right = m // divisor, n // divisor
    h = np.asarray(steps, dtype=np.int64)[:, None]
    j = np.arange(n + 1, dtype=np.int64)
    share = np.zeros((len(h), n + 1))
    share[:, :] = (h <= 0).astype(float)
    # Zeros, not empty: values outside the window are multiplied by 0, which a leftover NaN would survive.
    moved = np.zeros_like(share)
    for total in range(1, m + n + 1):
        low, high = max(0, total - m), min(n, total)
        window = j[low : high + 1]
        weight = window / total
        moved[:, low : high + 1] = share[:, low : high + 1] * (1 - weight)
        start = max(low, 1)
        moved[:, start : high + 1] += share[:, start - 1 : high] * (j[start : high + 1] / total)
        distance = np.abs((total - window) * right - window * up)
        moved[:, low : high + 1][distance[None, :] >= h] = 1.0
        share, moved = moved, share
    return np.minimum(share[:, n], 1.0)


def fisher_exact(table: Sequence[Sequence[int]]) -> float:
    """Two-sided p of Fisher's exact test of a 2 × 2 table: the sum over tables no likelier than the one seen."""
    (a, b), (c, d) = table
    row, column, total = a + b, a + c, a + b + c + d
    low, high = max(0, row + column - total), min(row, column)

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    logs = np.array([log_choose(column, k) + log_choose(total - column, row - k) for k in range(low, high + 1)])
    logs -= logs.max()
    weights = np.exp(logs)
    seen = weights[a - low]
    return float(min(1.0, weights[weights <= seen * (1 + 1e-7)].sum() / weights.sum()))


def monte_carlo_p(exceeded: int, drawn: int) -> float:
    """p of a Monte Carlo test in which ``exceeded`` of ``drawn`` values were at least the one seen."""
    return (exceeded + 1) / (drawn + 1)
