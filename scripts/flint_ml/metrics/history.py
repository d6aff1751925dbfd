"""The metrics of earlier commits of the main branch: is this change part of a trend?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics import text
from flint_ml.metrics.compare import Row
from flint_ml.metrics.source import At
from flint_ml.record import Cell, Column, Fallback, Series, Table

BARS = "▁▂▃▄▅▆▇█"
MAX_METRICS = 5


@dataclass(frozen=True)
class Line:
    """One metric over the commits, oldest first; the last value is this change's. None: not there."""

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


def collect(at: At, rows: Sequence[Row], limit: int) -> tuple[list[str], list[Line]]:
    """The commits (oldest first, base last) that changed the metrics, and a line for each of the first metrics.

    A commit whose metrics cannot be read gives no value: history must not stop a comparison.
    """
    wanted = [row for row in rows if row.head is not None and row.base is not None and row.rule.weight > 0]
    wanted = [row for row in wanted if row.path != "functions"]
    wanted = wanted[:MAX_METRICS]
    paths = list(dict.fromkeys(row.path for row in wanted))
    if not paths or limit < 1:
        return [], []
    watched = [name for path in paths for name in (at.full(path), f"{at.full(path)}.dvc")]
    watched += [at.full("dvc.lock")] if not all(at.git.show(at.commit, at.full(path)) for path in paths) else []
    commits = at.git.history(at.commit, watched, limit)[::-1]
    values: list[list[float | None]] = [[] for _ in wanted]
    for commit in commits:
        found = _at(replace(at, commit=commit), paths)
        for series, row in zip(values, wanted, strict=True):
            series.append(found.get((row.path, row.name.removeprefix(f"{row.path}:"))))
    lines = [Line(row, (*series, row.head)) for row, series in zip(wanted, values, strict=True)]
    return commits, [line for line in lines if line.shown]


def _at(at: At, paths: Sequence[str]) -> dict[tuple[str, str], float | None]:
    try:
        files = at.read(paths)
    except InputError:
        return {}
    return {(path, name): reading.value for path, file in files.items() for name, reading in file.readings.items()}


def table(lines: Sequence[Line]) -> Table:
    """One line a metric: a sparkline from old to new, this change last."""
    columns = [Column(name="metric"), Column(name="history, this change last"), Column(name="from"), Column(name="to")]
    rows: list[list[Cell]] = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        digits = text.decimals(*known)
        ends = (text.fixed(known[0], digits), text.fixed(known[-1], digits))
        rows.append([line.row.rule.title, sparkline(line.values), *ends])
    return Table(title=f"History of {len(lines[0].values) - 1} commits", columns=columns, rows=rows)


def as_dict(commits: Sequence[str], lines: Sequence[Line]) -> dict[str, Any]:
    """For the record's details."""
    return {"commits": list(commits), "metrics": {line.row.name: list(line.values) for line in lines}}


def figure(commits: Sequence[str], line: Line, path: Path) -> tuple[str, Fallback]:
    """The first metric over the commits, written to ``path``; returns alt text and fallback data."""
    from flint_ml.metrics import figures

    label = f"{line.row.rule.label} ({line.row.rule.unit})" if line.row.rule.unit else line.row.rule.label
    ticks = [*(commit[:7] for commit in commits), "this change"]
    figures.series(line.values, ticks, label, path)
    alt = f"{label} of {len(commits)} commits of the main branch and of this change: {sparkline(line.values)}."
    return alt, Fallback(kind="line", x=ticks, series=[Series(name=label, y=list(line.values))])
