"""Two rasters of one grid, cell by cell: what share changed, on how many hectares, by how much, from what to what."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.rasters.grid import Grid
from flint_ml.drift.rasters.source import Window
from flint_ml.drift.statistics.distributions import Codes, Floats, Mask

# Numbers that differ by less than this part of their size differ by rounding: float32 has seven digits.
_ROUNDING = 1e-6
_MAP_CELLS = 480
_SHOWN = 20
NO_VALUE = "no value"


@dataclass(frozen=True)
class Transition:
    """Cells that went from one class to another; ``area`` in ha, None where it is not known."""

    old: str
    new: str
    cells: int
    area: float | None


class Change:
    """Sums over the cells of two rasters of one grid; of numbers, those with a value in both are compared.

    The map is made of squares of ``step`` cells: ``seen`` counts the cells with a value in both, ``moved`` those that
    changed, ``sums`` adds up the change.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.areas = grid.row_areas()
        self.step = max(1, -(-max(grid.width, grid.height) // _MAP_CELLS))
        shape = -(-grid.height // self.step), -(-grid.width // self.step)
        self.seen, self.moved, self.sums = (np.zeros(shape) for _ in range(3))
        self.compared = self.changed = self.lost = self.gained = 0
        self.area = self.compared_area = 0.0
        self.total = self.absolute = 0.0
        self.finite = 0
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._pair_areas: Counter[tuple[int, int]] = Counter()
        self.is_classes = False

    @property
    def share(self) -> float:
        """Share of the compared cells that changed."""
        return self.changed / self.compared if self.compared else 0.0

    @property
    def mean(self) -> float | None:
        """Mean change of the compared cells, new less reference; None for classes, and where it is beyond a float."""
        known = not self.is_classes and self.finite > 0 and math.isfinite(self.total)
        return self.total / self.finite if known else None

    def numbers(self, window: Window, values: tuple[npt.NDArray[Any], ...], known: tuple[Mask, Mask]) -> None:
        """Add a window of numbers."""
        both = known[0] & known[1]
        one, two = (np.where(both, side, 0).astype(np.float64) for side in values)
        with np.errstate(invalid="ignore", over="ignore"):
            difference = two - one
            moved = np.abs(difference) > _ROUNDING * np.maximum(np.abs(one), np.abs(two))
        odd = ~np.isfinite(difference)
        if odd.any():
            moved[odd] = (one != two)[odd]
            difference[odd] = 0.0
        self.lost += int(np.count_nonzero(known[0] & ~known[1]))
        self.gained += int(np.count_nonzero(known[1] & ~known[0]))
        self.finite += int(np.count_nonzero(both)) - int(np.count_nonzero(odd & both))
        self._add(window, both, moved & both)
        with np.errstate(invalid="ignore", over="ignore"):
            self.total += float(difference.sum())
            self.absolute += float(np.abs(difference).sum())
            self._map(self.sums, window, difference)

    def classes(self, window: Window, index: tuple[Codes, Codes]) -> None:
        """Add a window of classes, −1 being no value; a cell that loses or gains its value is a transition too."""
        self.is_classes = True
        one, two = index
        either = (one >= 0) | (two >= 0)
        moved = one != two
        self.lost += int(np.count_nonzero((one >= 0) & (two < 0)))
        self.gained += int(np.count_nonzero((two >= 0) & (one < 0)))
        self._add(window, either, moved)
        rows, _ = np.nonzero(moved)
        if not len(rows):
            return
        wide = int(max(one.max(), two.max())) + 2
        pairs, inverse = np.unique((one[moved] + 1) * wide + two[moved] + 1, return_inverse=True)
        counts = np.bincount(inverse.ravel())
        area = self.areas[window[0] + rows] if self.areas is not None else None
        areas = np.bincount(inverse.ravel(), weights=area) if area is not None else np.zeros(len(pairs))
        for pair, cells, size in zip(pairs.tolist(), counts.tolist(), areas.tolist(), strict=True):
            key = pair // wide - 1, pair % wide - 1
            self._pairs[key] += cells
            self._pair_areas[key] += size

    def _add(self, window: Window, seen: Mask, moved: Mask) -> None:
        compared, changed = seen.sum(axis=1), moved.sum(axis=1)
        self.compared += int(compared.sum())
        self.changed += int(changed.sum())
        if self.areas is not None:
            part = self.areas[window[0] : window[0] + window[2]]
            self.area += float(changed @ part)
            self.compared_area += float(compared @ part)
        self._map(self.seen, window, seen)
        self._map(self.moved, window, moved)

    def _map(self, target: Floats, window: Window, values: npt.NDArray[Any]) -> None:
        """Add up the squares of ``step`` cells."""
        step = self.step
        if not values.any():
            return
        (top, height), (left, width) = (window[0], window[2]), (window[1], window[3])
        rows = np.concatenate([[0], np.arange(-(-(top + 1) // step) * step, top + height, step) - top])
        columns = np.concatenate([[0], np.arange(-(-(left + 1) // step) * step, left + width, step) - left])
        part = np.add.reduceat(np.add.reduceat(values, rows, axis=0, dtype=float), columns, axis=1)
        r, c = top // step, left // step
        target[r : r + part.shape[0], c : c + part.shape[1]] += part

    def transitions(self, labels: list[str]) -> list[Transition]:
        """The transitions of the most cells first; what is beyond twenty is put together."""
        named = [*labels, NO_VALUE]
        known = self.areas is not None
        ordered = sorted(self._pairs, key=lambda key: (-self._pairs[key], key))
        found = [
            Transition(named[a], named[b], self._pairs[a, b], float(self._pair_areas[a, b]) if known else None)
            for a, b in ordered[:_SHOWN]
        ]
        rest = ordered[_SHOWN:]
        if rest:
            area = float(sum(self._pair_areas[key] for key in rest)) if known else None
            found.append(Transition("other", "other", sum(self._pairs[key] for key in rest), area))
        return found
