"""Simulated tables of the drift study, as numpy arrays by column: the same for check-drift and for its peers.

Only numpy is imported: the peers have interpreters of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Columns = dict[str, np.ndarray]
LEVELS = (3, 5, 10, 50, 200)


def mixed(rng: np.random.Generator, n: int, one: float = 0.0, every: float = 0.0) -> Columns:
    """15 normal columns (the first moved by ``one`` sd, all by ``every``), 5 of categories."""
    values = rng.normal(size=(n, 15)) + every
    values[:, 0] += one
    columns = {f"v{i}": values[:, i] for i in range(15)}
    return columns | {f"c{k}": np.array([f"k{v}" for v in rng.integers(0, k, n)]) for k in LEVELS}


def independent(rng: np.random.Generator, n: int) -> Columns:
    """20 normal columns."""
    values = rng.normal(size=(n, 20))
    return {f"v{i}": values[:, i] for i in range(20)}


def correlated(rng: np.random.Generator, n: int, change: float = 0.0) -> Columns:
    """20 normal columns with a correlation of 0.7, or of 0.7 + ``change``."""
    shared = 0.7 + change
    values = math.sqrt(shared) * rng.normal(size=(n, 1)) + math.sqrt(1 - shared) * rng.normal(size=(n, 20))
    return {f"v{i}": values[:, i] for i in range(20)}


def spectra(rng: np.random.Generator, n: int, bands: int, component: float = 0.0, noise: float = 1.0) -> Columns:
    """Twelve smooth components, gain, noise; the third component moved by ``component`` sd."""
    x = np.linspace(0, 1, bands)
    shapes = np.array([np.cos(math.pi * k * x + k) / k for k in range(1, 13)])
    scores = rng.normal(size=(n, 12))
    scores[:, 2] += component
    gain = 1 + 0.02 * rng.normal(size=(n, 1))
    values = gain * (5 + scores @ shapes) + 0.01 * noise * rng.normal(size=(n, bands))
    return {f"nm_{350 + i}": np.ascontiguousarray(values[:, i]) for i in range(bands)}


def sites(rng: np.random.Generator, icc: float, shift: float = 0.0) -> Columns:
    """40 sites of 25 samples, 20 columns of the given intra-class correlation."""
    unit = np.repeat(np.arange(40), 25)
    values = math.sqrt(icc) * rng.normal(size=(40, 20))[unit] + math.sqrt(1 - icc) * rng.normal(size=(1000, 20))
    values[:, 0] += shift
    label = rng.integers(0, 10**9)
    return {f"v{i}": values[:, i] for i in range(20)} | {"site": np.array([f"{label}-{u}" for u in unit])}


def twice(make: Callable[..., Columns], *same: float, **moved: float) -> Callable[..., tuple[Columns, Columns]]:
    """A maker of pairs: the reference as it is, the new data ``moved``."""
    return lambda rng: (make(rng, *same), make(rng, *same, **moved))


# Name, pair of tables, and trials as a share of those of the study. A case keeps its seed: its place in this list.
CASES: dict[str, tuple[Callable[[np.random.Generator], tuple[Columns, Columns]], float]] = {
    "no drift: 20 mixed columns, n = 2,000": (twice(mixed, 2000), 1),
    "no drift: 20 independent columns, n = 2,000": (twice(independent, 2000), 1),
    "no drift: 20 correlated columns, n = 500": (twice(correlated, 500), 1),
    "no drift: 206 spectral bands, n = 300 and 150": (lambda r: (spectra(r, 300, 206), spectra(r, 150, 206)), 1),
    "no drift: 2,151 spectral bands, n = 500": (twice(spectra, 500, 2151), 1),
    "no drift: 40 sites, ICC 0.3, groups named": (twice(sites, 0.3), 1),
    "no drift: 40 sites, ICC 0.6, groups named": (twice(sites, 0.6), 1),
    "0.25 sd in one of 20 columns, n = 2,000": (twice(mixed, 2000, one=0.25), 0.4),
    "0.15 sd in one of 20 columns, n = 2,000": (twice(mixed, 2000, one=0.15), 0.4),
    "0.15 sd in all 15 numeric columns, n = 2,000": (twice(mixed, 2000, every=0.15), 0.4),
    "0.05 sd in all 15 numeric columns, n = 2,000": (twice(mixed, 2000, every=0.05), 0.4),
    "correlation 0.7 → 0.6 among 20 columns, n = 500": (twice(correlated, 500, change=-0.1), 0.4),
    "206 bands: one component + 0.5 sd, n = 300 and 150": (
        lambda r: (spectra(r, 300, 206), spectra(r, 150, 206, component=0.5)),
        0.4,
    ),
    "206 bands: noise × 1.1, n = 300 and 150": (
        lambda r: (spectra(r, 300, 206), spectra(r, 150, 206, noise=1.1)),
        0.4,
    ),
    "40 sites, ICC 0.3: one of 20 columns + 1 sd": (twice(sites, 0.3, shift=1.0), 0.4),
}
# Those that the peers see too; the first says where their own statistic alarms in 5 % of the batches.
FOR_PEERS = (
    "no drift: 20 mixed columns, n = 2,000",
    "0.25 sd in one of 20 columns, n = 2,000",
    "0.15 sd in one of 20 columns, n = 2,000",
    "0.15 sd in all 15 numeric columns, n = 2,000",
    "0.05 sd in all 15 numeric columns, n = 2,000",
)


def pair(case: str, seed: int) -> tuple[Columns, Columns]:
    """Reference and new data of one trial."""
    return CASES[case][0](np.random.default_rng([seed, list(CASES).index(case)]))
