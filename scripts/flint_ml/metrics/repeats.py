"""Run-to-run spread: how much a metric moves when only the seed of the training changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flint_ml.metrics import text
from flint_ml.metrics.compare import Interval, Row
from flint_ml.metrics.read import MetricsFile
from flint_ml.record import Finding

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
    found = {name: runs for name, runs in values.items() if len(runs) >= MIN_RUNS}
    return {name: Spread(float(np.std(runs, ddof=1)), len(runs)) for name, runs in found.items()}


def widened(interval: Interval | None, row: Row, spread: Spread, level: float) -> Interval | None:
    """The interval of a row's change with the spread of both sides' runs in it; made from it where there is none."""
    if row.base is None or row.head is None:
        return interval
    extra = spread.half_width(level)
    change, total = row.head - row.base, row.head + row.base
    if interval is None:
        both = (total - extra, total + extra) if row.rule.direction == "zero" else None
        return Interval(change - extra, change + extra, level, total=both)

    def wider(centre: float, low: float, high: float) -> tuple[float, float]:
        return centre - math.hypot(centre - low, extra), centre + math.hypot(high - centre, extra)

    low, high = wider(change, interval.low, interval.high)
    both = wider(total, *interval.total) if interval.total else None
    # More samples do not settle what the seed does, so the number needed is not known.
    return replace(interval, low=low, high=high, total=both, error=None)


def notes(rows: Sequence[Row], found: Mapping[str, Spread], further: int = 0) -> list[Finding]:
    """How much the most important metrics vary from run to run; ``further`` runs were given beside this one."""
    shown = [(row, found[row.name]) for row in rows if row.name in found and row.rule.weight > 0][:5]
    if not shown and further:
        message = (
            f"no spread from run to run: {further} further run{'s' if further > 1 else ''} with none of these metrics"
        )
        if further + 1 < MIN_RUNS:
            message = f"no spread from run to run: {further} further run is too few, at least {MIN_RUNS - 1} are needed"
        return [Finding(severity="warning", code="run-spread", message=message, hint="see the input `repeats`")]
    if not shown:
        return []
    parts = []
    for row, spread in shown:
        digits = text.decimals(row.head, step=spread.deviation)
        unit = f" {row.rule.unit}" if row.rule.unit else ""
        parts.append(f"{row.rule.label} ± {text.fixed(spread.deviation, digits)}{unit}")
    runs = max(spread.runs for _, spread in shown)
    message = f"from run to run ({runs} seeds): {', '.join(parts)}; the intervals hold this spread"
    return [Finding(severity="info", code="run-spread", message=message)]
