"""Two empirical distribution functions on a grid of values: what can be said of them without the values between.

Counts of values below and not above each grid value add up over parts of a table, so batches and machines merge by
addition. Between two grid values both functions are bounded by those at the ends, which bounds their distance. Where a
number is needed exactly, the values of the few intervals that matter are collected, and become grid values themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flint_ml.drift.statistics.distributions import Floats, Ints, Mask

Counts = tuple[Ints, Ints]


@dataclass(frozen=True)
class Intervals:
    """Ends of open intervals, in order; the first may take in all that is smaller, the last all that is larger."""

    low: Floats
    high: Floats
    from_start: bool = False
    to_end: bool = False


def count(ordered: Floats, edges: Floats) -> Counts:
    """How many of the sorted values are below each edge, and how many are not above it."""
    below = np.searchsorted(ordered, edges, side="left").astype(np.int64)
    if not len(ordered):
        return below, below
    equal = ordered[np.minimum(below, len(ordered) - 1)] == edges
    if not equal.any():
        return below, below
    return below, np.searchsorted(ordered, edges, side="right").astype(np.int64)


@dataclass(frozen=True)
class Grid:
    """Counts of two samples, reference first, at sorted ``edges`` without repetition.

    The ``len(edges) + 1`` intervals are the open ones before, between and after the edges; values equal to an edge
    belong to none. ``complete`` marks the intervals that are known to hold no value of either sample.
    """

    edges: Floats
    below: Counts
    upto: Counts
    sizes: tuple[int, int]
    complete: Mask

    def starts(self, side: int) -> Ints:
        """Values of one sample before each interval."""
        return np.concatenate([[0], self.upto[side]])

    def ends(self, side: int) -> Ints:
        """Values of one sample before the end of each interval."""
        return np.concatenate([self.below[side], [self.sizes[side]]])

    def inside(self) -> Ints:
        """Values of both samples in each interval."""
        inside: Ints = self.ends(0) - self.starts(0) + self.ends(1) - self.starts(1)
        return inside

    def distance(self) -> tuple[float, float, Mask]:
        """The least and the largest that D can be, and the intervals that may hold more than the least."""
        first = [self.starts(side) / self.sizes[side] for side in (0, 1)]
        last = [self.ends(side) / self.sizes[side] for side in (0, 1)]
        # At a grid value, just before it and just after: these distances are attained.
        least = max(float(np.abs(first[0] - first[1]).max()), float(np.abs(last[0] - last[1]).max()))
        bound = np.maximum(last[0] - first[1], last[1] - first[0])
        # Where only one sample has values inside, its function moves monotonically: the ends say all.
        both = (self.ends(0) > self.starts(0)) & (self.ends(1) > self.starts(1))
        open_ = (bound > least) & both
        return least, max(least, float(bound[open_].max(initial=least))), open_

    def interval_of(self, value: float) -> int | None:
        """The interval that holds ``value``; None where it is an edge."""
        place = int(np.searchsorted(self.edges, value, side="left"))
        if place < len(self.edges) and self.edges[place] == value:
            return None
        return place

    def interval_of_rank(self, side: int, rank: int) -> int | None:
        """The interval that holds the value of this rank (from 0) of one sample; None where that is an edge."""
        place = int(np.searchsorted(self.upto[side], rank, side="right"))
        if place < len(self.edges) and self.below[side][place] <= rank:
            return None
        return place

    def value_at(self, side: int, rank: int) -> float:
        """The value of this rank (from 0) of one sample; it must be an edge."""
        return float(self.edges[int(np.searchsorted(self.upto[side], rank, side="right"))])

    def count_below(self, side: int, value: float) -> int:
        """How many values of one sample are below ``value``, which is an edge or in an empty interval."""
        place = int(np.searchsorted(self.edges, value, side="left"))
        return int(self.ends(side)[place])

    def count_upto(self, side: int, value: float) -> int:
        """How many values of one sample are not above ``value``, which is an edge or in an empty interval."""
        place = int(np.searchsorted(self.edges, value, side="right"))
        return int(self.starts(side)[place])

    def limits(self, wanted: Mask) -> Intervals:
        """The ends of the wanted intervals."""
        low = np.concatenate([[-np.inf], self.edges])[wanted]
        high = np.concatenate([self.edges, [np.inf]])[wanted]
        return Intervals(low, high, bool(wanted[0]), bool(wanted[-1]))

    def refined(self, edges: Floats, below: Counts, upto: Counts, complete: Mask | None = None) -> Grid:
        """The grid with further ``edges`` and the counts at them; ``complete`` marks old intervals with no other value.

        Each new edge parts its interval in two.
        """
        order = np.argsort(np.concatenate([self.edges, edges]), kind="stable")
        merged = [
            np.concatenate([old, new])[order]
            for old, new in zip((*self.below, *self.upto), (*below, *upto), strict=True)
        ]
        place = np.searchsorted(self.edges, edges, side="left")
        done = self.complete if complete is None else complete
        done = np.repeat(done, np.bincount(place, minlength=len(done)) + 1)
        edges = np.concatenate([self.edges, edges])[order]
        return Grid(edges, (merged[0], merged[1]), (merged[2], merged[3]), self.sizes, done)

    def with_values(self, wanted: Mask, values: Sequence[Floats]) -> Grid:
        """The grid with all values that both samples have in the wanted intervals as edges of their own."""
        found = [np.sort(side) for side in values]
        edges = np.unique(np.concatenate(found))
        below, upto = [], []
        place = np.searchsorted(self.edges, edges, side="left")
        for side in (0, 1):
            # Of the collected values those before the interval's own are counted in its start already.
            left = np.concatenate([[-np.inf], self.edges])[place]
            before = np.searchsorted(found[side], left, side="right")
            before[place == 0] = 0
            base = self.starts(side)[place] - before
            below.append((base + np.searchsorted(found[side], edges, side="left")).astype(np.int64))
            upto.append((base + np.searchsorted(found[side], edges, side="right")).astype(np.int64))
        return self.refined(edges, (below[0], below[1]), (upto[0], upto[1]), self.complete | wanted)

    def spread(self, side: int, keep: int) -> Floats:
        """About ``keep`` values of one sample, evenly by rank, for figures: each the grid value at or above it."""
        ranks = np.linspace(0, self.sizes[side] - 1, min(keep, self.sizes[side])).round()
        place = np.searchsorted(self.upto[side], ranks, side="right")
        values: Floats = self.edges[np.minimum(place, len(self.edges) - 1)]
        return values


def new_grid(edges: Floats, reference: Counts, current: Counts, sizes: tuple[int, int]) -> Grid:
    """A grid from the counts of both samples below and not above its edges."""
    below, upto = (reference[0], current[0]), (reference[1], current[1])
    grid = Grid(edges, below, upto, sizes, np.zeros(len(edges) + 1, dtype=bool))
    return replace(grid, complete=grid.inside() == 0)


def within(ordered: Floats, intervals: Intervals) -> Floats:
    """The sorted values that lie in one of the intervals."""
    first = np.searchsorted(ordered, intervals.low, side="right")
    last = np.searchsorted(ordered, intervals.high, side="left")
    if intervals.from_start:
        first[0] = 0
    if intervals.to_end:
        last[-1] = len(ordered)
    lengths = np.maximum(last - first, 0)
    values: Floats = ordered[np.arange(lengths.sum()) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)]
    return values
