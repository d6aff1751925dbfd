"""Sums over resampled units: one stream of weights serves every score that is a function of sums.

A resample of n units is a vector of counts w; a score such as the RMSE needs Σ w e² and Σ w only. So all resamples
of all scores are one matrix product of counts and columns, and never a copy of the data.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# From here on counts are drawn one by one (Poisson bootstrap) instead of n out of n, and added in single precision.
LARGE = 5_000
_CELLS = 1_000_000
# Blocks of the fast path: rows of data, resamples.
_ROWS, _STEP = 8_192, 488
# Counts of a Poisson(1) in 256 equally likely cells: mean 1 and variance 1 exactly, third moment 4.98 (5).
_POISSON = np.repeat(np.arange(6), (94, 95, 46, 16, 4, 1)).astype(np.float32)


def multinomial(rng: np.random.Generator, units: int, resamples: int) -> np.ndarray:
    """Counts of ``units`` drawn with replacement, shape (resamples, units)."""
    drawn = rng.integers(0, units, (resamples, units), dtype=np.int64)
    drawn += (np.arange(resamples) * units)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * units).reshape(resamples, units).astype(float)


def poisson(rng: np.random.Generator, units: int, resamples: int) -> np.ndarray:
    """Independent counts with mean and variance one, shape (resamples, units), single precision.

    Equivalent to drawing with replacement for large n when scores are normalised by Σ w (Chamandy et al. 2012,
    "Estimating uncertainty for massive data streams").
    """
    cells = np.frombuffer(rng.bytes(units * resamples), np.uint8)
    return _POISSON.take(cells).reshape(resamples, units)


def coins(rng: np.random.Generator, units: int, resamples: int) -> np.ndarray:
    """Zeros and ones with equal chance, shape (resamples, units), single precision."""
    packed = np.frombuffer(rng.bytes((units * resamples + 7) // 8), np.uint8)
    return np.unpackbits(packed, count=units * resamples).reshape(resamples, units).astype(np.float32)


def weights(rng: np.random.Generator, units: int, resamples: int) -> Iterator[np.ndarray]:
    """Counts for all resamples, in blocks of shape (some resamples, units)."""
    draw = multinomial if units <= LARGE else poisson
    step = max(1, _CELLS // units)
    for start in range(0, resamples, step):
        yield draw(rng, units, min(step, resamples - start))


def bootstrap_sums(columns: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Σ w x of each column for each resample.

    Parameters
    ----------
    columns
        Shape (units, k). The first column must be the number of samples in each unit.
    resamples
        How many.

    Returns
    -------
    numpy.ndarray
        Shape (resamples, k).
    """
    if len(columns) <= LARGE:
        return np.concatenate([w @ columns for w in weights(rng, len(columns), resamples)])
    return _blocked(columns, resamples, rng, poisson)


def swap_sums(columns: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Σ of each column over a random half of the units (each in or out by a coin), shape (resamples, k)."""
    if len(columns) <= LARGE:
        step = max(1, _CELLS // len(columns))
        parts = [
            coins(rng, len(columns), min(step, resamples - start)).astype(float) @ columns
            for start in range(0, resamples, step)
        ]
        return np.concatenate(parts)
    return _blocked(columns, resamples, rng, coins)


def _blocked(columns: np.ndarray, resamples: int, rng: np.random.Generator, draw) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The same in single precision, block by block, so that memory stays small.

    Columns are centred and scaled first: the rounding error of a sum is then far below its own spread.
    """
    units, k = columns.shape
    centre = columns.mean(axis=0)
    scale = columns.std(axis=0)
    scale[scale == 0] = 1.0
    ready = np.hstack([np.ones((units, 1)), (columns - centre) / scale]).astype(np.float32)
    step = _STEP
    result = np.empty((resamples, k))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        total = np.zeros((size, k + 1))
        for row in range(0, units, _ROWS):
            part = ready[row : row + _ROWS]
            total += draw(rng, len(part), size) @ part
        result[start : start + size] = total[:, 1:] * scale + total[:, :1] * centre
    return result
