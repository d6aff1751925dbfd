"""Bins for the cells of a layer: ranges of numbers, or classes by name; and the numbers that counts in them give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.rasters.names import Names
from flint_ml.drift.statistics.distributions import Codes, Floats, Ints
from flint_ml.errors import InputError

_FINE, _COARSE = 2_047, 128
# A value that so large a share of the cells has gets a bin of its own.
_ATOM = 1 / 4_000
_QUANTILES = 4_001
_MOST_CLASSES = 4_096


@dataclass
class NumberBins:
    """Ranges (edge before, edge], the last one open above; ``atoms`` are bins that hold one value only.

    ``whole``: the edges are all values that the type can hold, so that counts are exact. ``coarse``: for each bin the
    one of about 128 larger ones, by which blocks are counted.
    """

    edges: npt.NDArray[Any]
    atoms: npt.NDArray[np.bool_]
    coarse: Codes
    whole: bool
    _first: int = 0

    @property
    def count(self) -> int:
        return len(self.edges) + 1

    def index(self, values: npt.NDArray[Any]) -> Codes:
        """The bin of each value."""
        if self.whole:
            return values.astype(np.intp) - self._first
        result: Codes = np.searchsorted(self.edges, values.ravel(), side="left").reshape(values.shape)
        return result


def whole_bins(dtype: np.dtype[Any], pool: npt.NDArray[Any]) -> NumberBins:
    """A bin for each value of a type of at most 16 bits."""
    info = np.iinfo(dtype) if dtype.kind != "b" else np.iinfo(np.uint8)
    edges = np.arange(int(info.min), int(info.max) + 1, dtype=np.float64)
    share = np.append(np.bincount((pool.astype(np.int64) - int(info.min)), minlength=len(edges)), 0) / len(pool)
    return NumberBins(edges, np.ones(len(edges) + 1, dtype=bool), _coarse(share), True, int(info.min))


def sample_bins(pool: npt.NDArray[Any]) -> NumberBins:
    """Bins with about equal numbers of the cells of a sample, and bins of their own for frequent values."""
    ordered = np.sort(pool)
    values, counts = np.unique(ordered, return_counts=True)
    if len(values) <= _FINE // 2:
        heavy = values
        cuts = values[:0]
    else:
        heavy = values[counts >= max(2, _ATOM * len(pool))]
        cuts = ordered[np.linspace(0, len(ordered) - 1, _FINE).astype(np.intp)]
    below = np.nextafter(heavy, np.array(-np.inf, dtype=heavy.dtype))
    edges = np.unique(np.concatenate([cuts, heavy, below]))
    index = np.searchsorted(edges, values, side="left")
    share = np.zeros(len(edges) + 1)
    np.add.at(share, index, counts / len(pool))
    atoms = np.append(np.isin(edges, heavy), False)
    return NumberBins(edges, atoms, _coarse(share), False)


def _coarse(share: Floats) -> Codes:
    """Neighbouring bins put together until about 1/128 of the cells is in each; a heavy bin stays alone."""
    result = np.zeros(len(share), dtype=np.intp)
    current, held = 0, 0.0
    for position, part in enumerate(share):
        if held and held + part > 1 / _COARSE:
            current, held = current + 1, 0.0
        result[position] = current
        held += float(part)
    return result


def quantile_values(bins: NumberBins, counts: Ints, low: float, high: float) -> Floats:
    """Values at equal steps of probability, interpolated within bins, from ``low`` to ``high``, the extremes."""
    total = int(counts.sum())
    edges = np.append(bins.edges.astype(np.float64), high)
    seen = np.flatnonzero(counts)
    size = min(_QUANTILES, total)
    wanted = (np.arange(size) + 0.5) / size * total
    upto = np.cumsum(counts)
    place = np.searchsorted(upto, wanted, side="left")
    top = np.clip(edges[place], low, high)
    bottom = np.where(place > 0, np.clip(edges[np.maximum(place - 1, 0)], low, high), low)
    bottom = np.where(bins.atoms[place], top, bottom)
    finite = np.isfinite(bottom) & np.isfinite(top)
    part = (wanted - (upto[place] - counts[place])) / counts[place]
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.where(finite, bottom + part * (top - bottom), np.where(np.isfinite(top), top, bottom))
    if len(seen) and size > 2:
        values[0], values[-1] = low, high
    result: Floats = np.sort(values)
    return result


def coarse_values(bins: NumberBins, counts: Ints, low: float, high: float) -> Floats:
    """A value for each coarse bin: the middle of its ends, within the extremes that are finite."""
    edges = np.append(bins.edges.astype(np.float64), high)
    last = np.flatnonzero(np.append(bins.coarse[1:] != bins.coarse[:-1], True))
    upper = np.clip(edges[last], low, high)
    lower = np.concatenate([[low], upper[:-1]])
    lower = np.where(bins.atoms[last] & (np.bincount(bins.coarse) == 1), upper, lower)
    finite = upper[np.isfinite(upper)]
    middle = np.nan_to_num((lower / 2 + upper / 2), posinf=float(finite[-1]) if len(finite) else 0.0, neginf=0.0)
    result: Floats = np.maximum.accumulate(middle)
    return result


@dataclass
class ClassBins:
    """Classes by name, for both maps together: the same name is the same class, whatever its code.

    New codes get a bin when they are met. ``codes[side]`` maps the code of a cell to its class, −1 for no value.
    """

    names: tuple[Names, Names]
    labels: list[str] = field(default_factory=list)
    codes: tuple[dict[float, int], dict[float, int]] = field(default_factory=lambda: ({}, {}))
    unnamed: tuple[set[float], set[float]] = field(default_factory=lambda: (set(), set()))
    where: str = ""

    @property
    def count(self) -> int:
        return len(self.labels)

    def index(self, values: npt.NDArray[Any], there: npt.NDArray[np.bool_], side: int) -> Codes:
        """The class of each cell, −1 where it has none."""
        known = values[there]
        if values.dtype.kind in "iub" and values.dtype.itemsize <= 2:
            shift = int(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 0
            present = np.flatnonzero(np.bincount(known.astype(np.int64) - shift)) + shift
            table = np.full(65_536, -1, dtype=np.intp)
            for code in present.tolist():
                table[code - shift] = self._class_of(code, side)
            result = table[values.astype(np.int64) - shift]
        else:
            distinct, inverse = np.unique(known, return_inverse=True)
            if len(distinct) > _MOST_CLASSES:
                self._too_many()
            table = np.array([self._class_of(code, side) for code in distinct.tolist()] or [-1], dtype=np.intp)
            result = np.full(values.shape, -1, dtype=np.intp)
            result[there] = table[inverse]
        result[~there] = -1
        return result

    def _class_of(self, code: float, side: int) -> int:
        seen = self.codes[side].get(code)
        if seen is not None:
            return seen
        table = self.names[side].classes
        label: str | None = f"{code:g}"
        if table:
            if code in table:
                label = table[int(code)]
            else:
                self.unnamed[side].add(code)
                label = f"{code:g} (no name)"
        if label is None:
            number = -1
        elif label in self.labels:
            number = self.labels.index(label)
        else:
            number = len(self.labels)
            self.labels.append(label)
            if number >= _MOST_CLASSES:
                self._too_many()
        self.codes[side][code] = number
        return number

    def _too_many(self) -> None:
        raise InputError(
            f"holds more than {_MOST_CLASSES:,} different classes",
            where=self.where,
            hint="compare it as numbers (`kind: numeric` under `columns`), or leave it out with `exclude`",
            code="raster-classes",
        )
