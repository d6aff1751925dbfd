"""The metrics of earlier commits of the main branch: is this change part of a trend?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics.sources import At
from flint_ml.metrics.verdict import Row
from flint_ml.metrics.wording import decimals, fixed
from flint_ml.record import Cell, Column, Table

BARS = "▁▂▃▄▅▆▇█"
MAX_METRICS = 5


@dataclass(frozen=True)
class HistoryLine:
    """One metric over the commits, oldest first; the last value is this change's. None: the commit does not have it."""

    row: Row
    values: tuple[float | None, ...]

    @property
    def shown(self) -> bool:
        """Whether there is more to see than base and change."""
        return sum(value is not None for value in self.values) > 2


def sparkline(values: Sequence[float | None]) -> str:
    """Eight heights between least and greatest; a gap where a value is missing."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(" " if value is None else BARS[round((value - low) / step)] for value in values)


def collect_history(at: At, rows: Sequence[Row], limit: int) -> tuple[list[str], list[HistoryLine]]:
    """The commits (oldest first, base last) that changed the metrics, and a line for each of the first metrics.

    A commit whose metrics cannot be read gives no value: history must not stop a comparison.
    """
    decisive = [row for row in rows if row.head is not None and row.base is not None and row.rule.weight > 0]
    shown = [row for row in decisive if row.path != "functions"][:MAX_METRICS]
    paths = list(dict.fromkeys(row.path for row in shown))
    if not paths or limit < 1:
        return [], []
    watched = [name for path in paths for name in (at.full(path), f"{at.full(path)}.dvc")]
    watched += [at.full("dvc.lock")] if not all(at.git.show(at.commit, at.full(path)) for path in paths) else []
    commits = at.git.history(at.commit, watched, limit)[::-1]
    values: list[list[float | None]] = [[] for _ in shown]
    for commit in commits:
        numbers = _numbers(replace(at, commit=commit), paths)
        for series, row in zip(values, shown, strict=True):
            series.append(numbers.get((row.path, row.name.removeprefix(f"{row.path}:"))))
    lines = [HistoryLine(row, (*series, row.head)) for row, series in zip(shown, values, strict=True)]
    return commits, [line for line in lines if line.shown]


def _numbers(at: At, paths: Sequence[str]) -> dict[tuple[str, str], float | None]:
    try:
        files = at.read(paths)
    except InputError:
        return {}
    return {(path, name): reading.value for path, file in files.items() for name, reading in file.readings.items()}


def history_table(lines: Sequence[HistoryLine]) -> Table:
    """One line a metric: a sparkline from old to new, this change last."""
    columns = [Column(name="metric"), Column(name="history, this change last"), Column(name="from"), Column(name="to")]
    rows: list[list[Cell]] = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        digits = decimals(*known)
        ends = (fixed(known[0], digits), fixed(known[-1], digits))
        rows.append([line.row.rule.title, sparkline(line.values), *ends])
    return Table(title=f"History of {len(lines[0].values) - 1} commits", columns=columns, rows=rows)


def history_dict(commits: Sequence[str], lines: Sequence[HistoryLine]) -> dict[str, Any]:
    """For the record's details."""
    return {"commits": list(commits), "metrics": {line.row.name: list(line.values) for line in lines}}
