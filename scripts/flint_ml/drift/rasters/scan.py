"""The two passes over the cells of a layer: a sample that says what it holds, then all cells, counted by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.rasters.bins import ClassBins, NumberBins
from flint_ml.drift.rasters.blocks import FINEST
from flint_ml.drift.rasters.change import Change
from flint_ml.drift.rasters.grid import Grid
from flint_ml.drift.rasters.source import Cells, MaskReader, Window
from flint_ml.drift.statistics.distributions import Codes, Floats, Ints, Mask

# Cells that are looked at before: in so many places, so many of them in all.
_PLACES, _SAMPLE = 128, 400_000
# The first two numbers of a cell's bin say that it has no value, and that the mask leaves it out.
_MISSING, _OUTSIDE, _SHIFT = 0, 1, 2


@dataclass(frozen=True)
class Sample:
    """Values of a part of the cells, and where the cells with a value lie: first and last row and column."""

    values: npt.NDArray[Any]
    box: tuple[int, int, int, int]
    whole: bool


def sample(cells: Cells, mask: MaskReader | None) -> Sample:
    """Look at windows spread over the raster at random (fixed seed), or at all where they are few."""
    band = cells.band
    windows = _pieces(band.grid, band.tile)
    whole = len(windows) <= _PLACES
    if not whole:
        chosen = np.sort(np.random.default_rng(20221).choice(len(windows), _PLACES, replace=False))
        windows = [windows[i] for i in chosen]
    most = max(1, _SAMPLE // len(windows))
    parts: list[npt.NDArray[Any]] = []
    box = (band.grid.height, 0, band.grid.width, 0)
    for window in windows:
        values, there = cells.read(window)
        if mask is not None:
            there &= mask.read(band.grid, window)
        if there.any():
            rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
            top, left = window[0], window[1]
            box = (
                min(box[0], top + int(rows[0])),
                max(box[1], top + int(rows[-1]) + 1),
                min(box[2], left + int(columns[0])),
                max(box[3], left + int(columns[-1]) + 1),
            )
            known = values[there]
            parts.append(known[:: max(1, -(-len(known) // most))])
    if not parts:
        return Sample(np.empty(0, dtype=band.stored), (0, band.grid.height, 0, band.grid.width), whole)
    return Sample(np.concatenate(parts), box, whole)


def _pieces(grid: Grid, tile: tuple[int, int]) -> list[Window]:
    """Windows of about 65,536 cells, whole tiles or strips."""
    high, wide = tile
    columns = min(grid.width, wide * max(1, 256 // wide))
    rows = min(grid.height, high * max(1, 65_536 // (columns * high)))
    return [
        (row, column, min(rows, grid.height - row), min(columns, grid.width - column))
        for row in range(0, grid.height, rows)
        for column in range(0, grid.width, columns)
    ]


@dataclass(frozen=True)
class Ground:
    """The division of a raster into blocks: the block of each row and of each column."""

    rows: Codes
    columns: Codes

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.rows[-1]) + 1, int(self.columns[-1]) + 1

    def parts(self, window: Window) -> list[tuple[int, int, slice, slice]]:
        """The blocks that a window touches, and its cells in each: (row, column, rows, columns)."""
        row, column, height, width = window
        down = _runs(self.rows[row : row + height])
        across = _runs(self.columns[column : column + width])
        return [(r, c, rs, cs) for r, rs in down for c, cs in across]


def _runs(blocks: Codes) -> list[tuple[int, slice]]:
    cuts = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(blocks)]
    return [(int(blocks[start]), slice(start, stop)) for start, stop in pairwise(cuts)]


def ground(grid: Grid, box: tuple[int, int, int, int], side: tuple[int, int]) -> Ground:
    """Blocks of ``side`` (rows, columns) cells within ``box``; cells beyond it belong to the blocks at its edge."""
    parts = []
    for size, low, high, cells in ((grid.height, *box[:2], side[0]), (grid.width, *box[2:], side[1])):
        last = max(0, -(-(high - low) // cells) - 1)
        parts.append(np.clip((np.arange(size) - low) // cells, 0, last).astype(np.intp))
    return Ground(parts[0], parts[1])


def side_of(box: tuple[int, int, int, int]) -> int:
    """Cells along a block so that there are at most 32 on the longer side of the box."""
    return max(1, math.ceil(max(box[1] - box[0], box[3] - box[2]) / FINEST))


class CellCounts:
    """Counts of the cells of one raster: in all, and by block."""

    def __init__(self, ground: Ground, bins: NumberBins | ClassBins, given: tuple[float, float] | None) -> None:
        self.ground = ground
        self.bins = bins
        self.given = given
        wide = int(bins.coarse.max()) + 1 if isinstance(bins, NumberBins) else 16
        self._blocks = np.zeros((*ground.shape, wide + _SHIFT), dtype=np.int64)
        self._fine = np.zeros(bins.count + _SHIFT, dtype=np.int64)
        self.low, self.high = math.inf, -math.inf
        self.beyond = 0
        self.infinite = 0

    @property
    def blocks(self) -> Ints:
        """Cells with a value by block and coarse bin or class."""
        bins = self.bins
        wide = int(bins.coarse.max()) + 1 if isinstance(bins, NumberBins) else bins.count
        self._reserve(wide)
        return self._blocks[:, :, _SHIFT : _SHIFT + wide]

    @property
    def missing_blocks(self) -> Ints:
        """Cells without and with a value by block."""
        missing = self._blocks[:, :, _MISSING]
        return np.stack([missing, self._blocks[:, :, _SHIFT:].sum(axis=2)], axis=2)

    @property
    def fine(self) -> Ints:
        """Cells with a value by bin of numbers."""
        return self._fine[_SHIFT:]

    @property
    def missing(self) -> int:
        return int(self._blocks[:, :, _MISSING].sum())

    @property
    def present(self) -> int:
        return int(self._blocks[:, :, _SHIFT:].sum())

    def _reserve(self, wide: int) -> None:
        lacking = wide + _SHIFT - self._blocks.shape[2]
        if lacking > 0:
            self._blocks = np.pad(self._blocks, ((0, 0), (0, 0), (0, max(lacking, self._blocks.shape[2]))))

    def add(self, window: Window, values: npt.NDArray[Any], there: Mask, inside: Mask | None, side: int) -> Codes:
        """Count a window; returns the class of each cell (classes), or its bin."""
        if isinstance(self.bins, ClassBins):
            index = self.bins.index(values, there, side)
            there = index >= 0
            self._reserve(self.bins.count)
        else:
            index = self.bins.index(values)
            self._extremes(values, there)
        numbers = np.where(there, index + _SHIFT, _MISSING)
        if inside is not None:
            numbers[~inside] = _OUTSIDE
        if isinstance(self.bins, NumberBins):
            self._fine += np.bincount(numbers.ravel(), minlength=len(self._fine))
            numbers = np.concatenate([[_MISSING, _OUTSIDE], self.bins.coarse + _SHIFT])[numbers]
        wide = self._blocks.shape[2]
        for row, column, rows, columns in self.ground.parts(window):
            self._blocks[row, column] += np.bincount(numbers[rows, columns].ravel(), minlength=wide)
        return index

    def _extremes(self, values: npt.NDArray[Any], there: Mask) -> None:
        if not there.any():
            return
        # fmin and fmax pass over NaN, and a bound where the cell does not count passes over nodata.
        info = np.finfo(values.dtype) if values.dtype.kind == "f" else None
        top = np.inf if info else np.iinfo(values.dtype).max
        low = values.min(where=there, initial=top)
        high = values.max(where=there, initial=-np.inf if info else np.iinfo(values.dtype).min)
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        if info and not (np.isfinite(low) and np.isfinite(high)):
            self.infinite += int(np.count_nonzero(np.isinf(values) & there))
        if self.given is not None and (low < self.given[0] or high > self.given[1]):
            self.beyond += int(np.count_nonzero(((values < self.given[0]) | (values > self.given[1])) & there))


def scan(cells: Cells, counts: CellCounts, mask: MaskReader | None, side: int) -> None:
    """Count all cells of a raster."""
    grid = cells.band.grid
    for window in cells.band.windows():
        values, there = cells.read(window)
        inside = mask.read(grid, window) if mask is not None else None
        counts.add(window, values, there if inside is None else there & inside, inside, side)


def scan_both(
    pair: tuple[Cells, Cells], cell_counts: tuple[CellCounts, CellCounts], mask: MaskReader | None, change: Change
) -> None:
    """Count all cells of two rasters of one grid, and compare them cell by cell."""
    grid = pair[0].band.grid
    for window in pair[0].band.windows():
        inside = mask.read(grid, window) if mask is not None else None
        values, known, index = [], [], []
        for side, (cells, counts) in enumerate(zip(pair, cell_counts, strict=True)):
            read, there = cells.read(window)
            there = there if inside is None else there & inside
            index.append(counts.add(window, read, there, inside, side))
            values.append(read)
            known.append(there)
        if isinstance(cell_counts[0].bins, ClassBins):
            change.classes(window, (index[0], index[1]))
        else:
            change.numbers(window, (values[0], values[1]), (known[0], known[1]))


def pooled(samples: tuple[Sample, Sample]) -> npt.NDArray[Any]:
    """Values of both samples, as many of each, in a type that holds both."""
    one, two = (part.values for part in samples)
    if one.dtype == two.dtype and one.dtype.kind == "f" and one.dtype.itemsize <= 4:
        return np.concatenate([one, two]).astype(np.float32)
    if one.dtype == two.dtype and one.dtype.kind in "iub" and one.dtype.itemsize <= 2:
        return np.concatenate([one, two])
    result: Floats = np.concatenate([one.astype(np.float64), two.astype(np.float64)])
    return result
