"""Run-to-run spread: how much a metric moves when only the seed of the training changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from flint_ml.metrics.intervals.interval import Interval
from flint_ml.metrics.read import MetricsFile

MIN_RUNS = 3


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a metric over ``runs`` trainings that differ by their seed, in the metric's unit."""

    deviation: float
    runs: int

    def half_width(self, level: float) -> float:
        """Half the interval of the difference of two single runs, of which both vary as much: t · s · √2."""
        from scipy.special import stdtrit

        return float(stdtrit(self.runs - 1, 0.5 + level / 2)) * self.deviation * math.sqrt(2)


def spreads(head: Mapping[str, MetricsFile], others: Iterable[MetricsFile]) -> dict[str, Spread]:
    """The spread of each metric by its name in the files, over this change's run and ``others``.

    A metric needs a number in at least three runs; a standard deviation of two says nothing.
    """
    values: dict[str, list[float]] = {}
    for file in (*head.values(), *others):
        for name, reading in file.readings.items():
            if reading.value is not None:
                values.setdefault(name, []).append(reading.value)
    return {
        name: Spread(float(np.std(runs, ddof=1)), len(runs)) for name, runs in values.items() if len(runs) >= MIN_RUNS
    }


def widened(
    interval: Interval | None, base: float, head: float, spread: Spread, level: float, *, zero: bool
) -> Interval:
    """The interval of a change with the spread of both sides' runs in it; made from the spread where there is none.

    ``zero``: the metric's best value is zero, so the interval of the sum of both sides is needed too.
    """
    extra = spread.half_width(level)
    change, total = head - base, head + base
    if interval is None:
        both = (total - extra, total + extra) if zero else None
        return Interval(change - extra, change + extra, level, total=both)

    def wider(centre: float, low: float, high: float) -> tuple[float, float]:
        return centre - math.hypot(centre - low, extra), centre + math.hypot(high - centre, extra)

    low, high = wider(change, interval.low, interval.high)
    both = wider(total, *interval.total) if interval.total else None
    # More samples do not settle what the seed does, so the number needed is not known.
    return replace(interval, low=low, high=high, total=both, error=None)
