"""Figures of a comparison: error distribution, changes of metrics, history, and the plots that dvc.yaml declares.

The looks are those of :mod:`flint_ml.text.plotting`: the base grey and dashed, this change blue and solid; what is
better or worse has the colour and the mark of its verdict, never of its sign.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flint_ml.dvc_project import Plot
from flint_ml.metrics.history import HistoryLine, sparkline
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.verdict import Row
from flint_ml.record import Fallback, Series
from flint_ml.text import numbers, plotting
from flint_ml.text.plotting import BASE, CHANGE, Role

MAX_METRICS = 12
MAX_CLASSES = 12
MAX_COMMITS = 8
_FALLBACK_POINTS = 200
# How much wider or narrower the middle half of the errors is before a heading says so.
_NOTICEABLE = 0.05
_ROLES: dict[str, Role] = {
    "better": plotting.BETTER,
    "worse": plotting.WORSE,
    "same": plotting.SAME,
    "as declared": plotting.SAME,
    "inconclusive": plotting.INCONCLUSIVE,
    "changed": CHANGE,
}
Point = tuple[Any, float]


def error_edges(errors: np.ndarray, most: int = 30) -> np.ndarray:
    """Bin edges, symmetric about zero, over the central 99 % of ``errors`` (shape (n,)); a dozen to ``most`` bins."""
    limit = float(np.quantile(np.abs(errors), 0.99)) or 1.0
    bins = int(np.clip(2 * round(np.sqrt(len(errors)) / 2), 12, most))
    return np.linspace(-limit, limit, bins + 1)


def draw_error_distribution(pairs: Pairs, unit: str | None, path: Path) -> tuple[str, Fallback]:
    """Histograms of prediction − truth of both sides, written to ``path``; returns alt text and fallback data.

    Errors beyond the outermost edges (1 % of them) are not drawn, and the axis says how many they are.
    """
    errors = {"base": pairs.base - pairs.truth, "this change": pairs.head - pairs.truth}
    edges = error_edges(np.concatenate(list(errors.values())))
    counts = {name: np.histogram(values, edges)[0] for name, values in errors.items()}
    beyond = sum(len(values) for values in errors.values()) - sum(int(count.sum()) for count in counts.values())
    middle = {name: float(np.median(values)) for name, values in errors.items()}
    spread = {name: float(np.subtract(*np.quantile(values, [0.75, 0.25]))) for name, values in errors.items()}
    unit_text = f", {unit}" if unit else ""
    axis_name = f"predicted − measured{unit_text}"
    figure, axes = plotting.new_figure(heading=f"Prediction error: {_finding(spread)}")
    axes.stairs(counts["this change"], edges, **plotting.bar(CHANGE), label="this change")
    axes.stairs(counts["base"], edges, **plotting.bar(BASE), label="base")
    axes.axvline(0, color=plotting.TEXT, linewidth=1)
    outside = f"  ({beyond} beyond ±{numbers.number(float(edges[-1]), 2)} not drawn)" if beyond else ""
    axes.set_xlabel(f"{axis_name}{outside}")
    axes.set_ylabel("samples")
    plotting.legend(axes)
    plotting.save_png(figure, path)
    alt = (
        f"Distribution of the prediction error of {pairs.n} samples, {_finding(spread)}: median "
        f"{numbers.number(middle['base'])} and middle half {numbers.number(spread['base'])} wide in the base, "
        f"{numbers.number(middle['this change'])} and {numbers.number(spread['this change'])} in this change"
        f"{f' ({unit})' if unit else ''}."
    )
    centres = (edges[:-1] + edges[1:]) / 2
    series = [Series(name=name, y=[float(c) for c in count]) for name, count in counts.items()]
    ticks = [f"{centre:.4g}" for centre in centres]
    return alt, Fallback(kind="line", x=ticks, series=series, x_name=axis_name, y_name="samples")


def _finding(spread: dict[str, float]) -> str:
    """ "wider than in the base": what the middle half of the errors says."""
    base, head = spread["base"], spread["this change"]
    if head > base * (1 + _NOTICEABLE):
        return "wider than in the base"
    return "narrower than in the base" if head < base * (1 - _NOTICEABLE) else "about as wide as in the base"


def draw_history(commits: Sequence[str], line: HistoryLine, path: Path) -> tuple[str, Fallback]:
    """A metric over the commits, oldest first, written to ``path``; returns alt text and fallback data.

    The last point, this change, is marked.
    """
    label = f"{line.row.rule.label} ({line.row.rule.unit})" if line.row.rule.unit else line.row.rule.label
    ticks = [*(commit[:7] for commit in commits), "this change"]
    values = np.array([np.nan if value is None else value for value in line.values])
    x = np.arange(len(values))
    direction = {"lower": " (lower is better)", "higher": " (higher is better)"}.get(line.row.rule.direction, "")
    figure, axes = plotting.new_figure(heading=f"{label} over {numbers.count(len(commits), 'commit')}{direction}")
    axes.plot(x[:-1], values[:-1], **plotting.style(BASE), label="base branch")
    axes.plot(x[:-1], values[:-1], **plotting.mark(BASE, 5))
    axes.plot(x[-2:], values[-2:], **plotting.style(CHANGE))
    axes.plot(x[-1:], values[-1:], **plotting.mark(CHANGE, 9), label="this change")
    shown = [*range(0, len(ticks) - 1, max(1, len(ticks) // 5))]
    axes.set_xticks(shown, [ticks[number] for number in shown])
    axes.set_xlabel("commit")
    axes.set_ylabel(label)
    plotting.legend(axes)
    plotting.save_png(figure, path)
    alt = f"{label} of {len(commits)} commits of the base branch and of this change: {sparkline(line.values)}."
    ends = slice(-MAX_COMMITS, None)
    fallback = Fallback(
        kind="line",
        x=ticks[ends],
        series=[Series(name=label, y=list(line.values)[ends])],
        x_name="commit",
        y_name=label,
    )
    return alt, fallback


def tally(rows: Sequence[Row]) -> str:
    """ "18 worse · 12 better of 30": how many metrics have each result."""
    counts: Counter[str] = Counter("same" if row.result == "as declared" else row.result for row in rows)
    order = ("worse", "inconclusive", "changed", "better", "same")
    words = [f"{counts[word]} {'the same' if word == 'same' else word}" for word in order if counts[word]]
    return f"{' · '.join(words)} of {len(rows)}"


def draw_relative_changes(rows: Sequence[Row], path: Path) -> tuple[str, Fallback] | None:
    """The loss of each metric in per cent of the base, largest first; None where no metric has one.

    A dot with its interval on one axis where right is worse, and the tolerance as a band. A bias is left out: a share
    of something that should be zero says nothing, and would dwarf the rest. Where no metric has a direction, the
    change itself is drawn.
    """
    able = [row for row in rows if row.relative is not None and row.rule.weight > 0 and row.rule.direction != "zero"]
    directed = [row for row in able if row.rule.direction != "none"]
    able = directed or able
    if not any(row.delta for row in able):
        return None
    shown = sorted(able, key=lambda row: -_share(row))[:MAX_METRICS]
    which = f"{len(shown)} of {len(able)}, largest loss first" if len(shown) < len(able) else ""
    heading = f"{tally(able)} metrics{f'; drawn: {which}' if which else ''}"
    figure, axes = plotting.new_figure(height=min(4.9, max(1.9, 1.05 + 0.32 * len(shown))), heading=heading)
    for y, row in enumerate(shown):
        _draw_change(axes, -y, row)
    axes.axvline(0, color=plotting.TEXT, linewidth=1)
    axes.set_yticks([-y for y in range(len(shown))], plotting.distinct([row.rule.label for row in shown], 22))
    axes.set_ylim(0.6 - len(shown), 0.6)
    name = "← better    loss against the base, %    worse →" if directed else "change against the base, %"
    axes.set_xlabel(name)
    plotting.save_png(figure, path)
    listed = ", ".join(f"{row.rule.label} {numbers.percent(row.relative, sign=True)} ({row.result})" for row in shown)
    series = [Series(name="change against the base, %", y=[round(100 * (row.relative or 0.0), 2) for row in shown])]
    return f"Change of each metric against the base, {tally(able)}: {listed}.", Fallback(
        kind="table", x=[row.rule.label[:40] for row in shown], series=series, x_name="metric"
    )


def _share(row: Row) -> float:
    """The loss in per cent of the base: positive is worse; without direction the change as it is."""
    return 100 * (row.relative or 0.0) * (-1 if row.rule.direction == "higher" else 1)


def _draw_change(axes: Any, y: float, row: Row) -> None:
    base = abs(row.base or 1.0)
    role = _ROLES.get(row.result, plotting.SAME)
    margin = 100 * row.rule.margin(row.base or 0.0) / base
    axes.barh(y, 2 * margin, 1.0, left=-margin, color=plotting.TOLERANCE, zorder=0)
    if row.interval is not None and math.isfinite(row.interval.low) and math.isfinite(row.interval.high):
        ends = sorted(
            100 * end / base * (-1 if row.rule.direction == "higher" else 1)
            for end in (row.interval.low, row.interval.high)
        )
        axes.plot(ends, [y, y], color=role.colour, linestyle=role.line, linewidth=2)
    axes.plot([_share(row)], [y], **plotting.mark(role))
    axes.annotate(
        row.result,
        xy=(1.01, y),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        fontsize=plotting.TICK_POINTS,
        color=plotting.TEXT,
    )


# -- DVC's plots: the base's line behind this change's, matrices one below the other ----------


def draw_plot(plot: Plot, path: Path) -> tuple[str, Fallback | None] | None:
    """Draw ``plot`` as ``path``; returns alt text and the data behind it, None where there is nothing to draw."""
    if plot.kind == "confusion":
        return _confusion(plot, path)
    sides = {"base": _numbers(plot, plot.base), "this change": _numbers(plot, plot.head)}
    sides = {name: points for name, points in sides.items() if points}
    if "this change" not in sides:
        return None
    return _bars(plot, sides, path) if plot.kind == "bar" else _lines(plot, sides, path)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _numbers(plot: Plot, rows: Sequence[dict[str, Any]]) -> list[Point]:
    """Points whose y is a number; x is one too where all are, else text."""
    points = [(row.get(plot.x), number) for row in rows if (number := _number(row.get(plot.y))) is not None]
    xs = [_number(x) for x, _ in points]
    if plot.kind != "bar" and all(x is not None for x in xs):
        return [(x, y) for x, (_, y) in zip(xs, points, strict=True)]
    return [(str(x)[:40], y) for x, y in points]


def _role(side: str) -> Role:
    return BASE if side == "base" else CHANGE


def _lines(plot: Plot, sides: dict[str, list[Point]], path: Path) -> tuple[str, Fallback]:
    figure, axes = plotting.new_figure(heading=plot.title)
    for name, points in sides.items():
        xs, ys = [x for x, _ in points], [y for _, y in points]
        look = plotting.mark(_role(name), 5) if plot.kind == "scatter" else plotting.style(_role(name))
        axes.plot(xs, ys, label=name, **look)
    axes.set_xlabel(plotting.short(plot.x, 60))
    axes.set_ylabel(plotting.short(plot.y, 40))
    plotting.legend(axes)
    plotting.save_png(figure, path)
    ends = "; ".join(
        f"{name}: {plot.y} {numbers.number(points[0][1])} to {numbers.number(points[-1][1])}"
        for name, points in sides.items()
    )
    spread = "; ".join(f"{name}: {numbers.count(len(points), 'point')}" for name, points in sides.items())
    alt = f"{plot.title}: {plot.y} over {plot.x}. {spread if plot.kind == 'scatter' else ends}."
    return alt, _series(plot, sides)


def _series(plot: Plot, sides: dict[str, list[Point]]) -> Fallback:
    """The points of both sides at the same places of the x-axis, else those of this change.

    Curves whose points lie elsewhere on each side (ROC, precision and recall) are read off, in between linearly, at
    places that both have.
    """
    head, base = sides["this change"], sides.get("base", [])
    if plot.kind != "scatter" and base and (len(dict(base)) < len(base) or not {x for x, _ in head} <= {*dict(base)}):
        head, base = _at_common_places(head, base)
    at = dict(base)
    head = head[:: max(1, -(-len(head) // _FALLBACK_POINTS))]
    xs = [x for x, _ in head]
    lines = [Series(name="this change", y=[y for _, y in head])]
    if at and all(x in at for x in xs):
        lines.insert(0, Series(name="base", y=[at[x] for x in xs]))
    ticks = [f"{x:.4g}" if isinstance(x, float) else str(x) for x in xs]
    return Fallback(kind="line", x=ticks, series=lines, x_name=plot.x[:200], y_name=plot.y[:200])


def _at_common_places(head: list[Point], base: list[Point]) -> tuple[list[Point], list[Point]]:
    """Two curves read off at equal steps of the x-axis that both cover; as they are where they are no such curves."""
    curves = [np.array(points, dtype=float) for points in (head, base) if all(isinstance(x, float) for x, _ in points)]
    # Precision over recall goes from right to left.
    curves = [curve[::-1] if curve[0, 0] > curve[-1, 0] else curve for curve in curves]
    if len(curves) < 2:
        return head, []
    lowest, highest = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
    if lowest >= highest or any((np.diff(curve[:, 0]) < 0).any() for curve in curves):
        return head, []
    places = np.linspace(lowest, highest, _FALLBACK_POINTS)
    first, second = ([*zip(places.tolist(), np.interp(places, c[:, 0], c[:, 1]).tolist(), strict=True)] for c in curves)
    return first, second


def _bars(plot: Plot, sides: dict[str, list[Point]], path: Path) -> tuple[str, Fallback]:
    names = list(dict.fromkeys(str(x) for points in sides.values() for x, _ in points))
    shown = names[:30]
    more = f" ({len(shown)} of {len(names)})" if len(shown) < len(names) else ""
    figure, axes = plotting.new_figure(height=min(4.9, max(3.0, 1.0 + 0.2 * len(shown))), heading=f"{plot.title}{more}")
    height = 0.8 / len(sides)
    bars = []
    for number, (side, points) in enumerate(sides.items()):
        values = dict(points)
        ys = [-y + height * (0.5 * (len(sides) - 1) - number) for y in range(len(shown))]
        axes.barh(ys, [values.get(name, 0.0) for name in shown], height, **plotting.bar(_role(side)), label=side)
        bars.append(Series(name=side, y=[values.get(name) for name in shown]))
    axes.set_yticks([-y for y in range(len(shown))], plotting.distinct(shown, 24))
    axes.set_xlabel(plotting.short(plot.y, 60))
    plotting.legend(axes)
    plotting.save_png(figure, path)
    listed = ", ".join(f"{x} {numbers.number(y)}" for x, y in sides["this change"][:10])
    fallback = Fallback(kind="table", x=shown, series=bars, x_name=plot.x[:200], y_name=plot.y[:200])
    return f"{plot.title}: {plot.y} of this change: {listed}.", fallback


def _counts(plot: Plot, rows: Sequence[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((str(row.get(plot.x))[:30], str(row.get(plot.y))[:30]) for row in rows)


def _confusion(plot: Plot, path: Path) -> tuple[str, Fallback] | None:
    """How often each class was taken for each, of both sides; counts stand in the cells."""
    sides = {name: _counts(plot, rows) for name, rows in (("base", plot.base), ("this change", plot.head)) if rows}
    if "this change" not in sides:
        return None
    classes = sorted({name for counts in sides.values() for pair in counts for name in pair})
    if len(classes) > MAX_CLASSES:
        return None
    hits = {side: sum(counts[name, name] for name in classes) for side, counts in sides.items()}
    right = {side: f"{hits[side]} of {counts.total()}" for side, counts in sides.items()}
    # Two small matrices stand beside each other; larger ones would have letters that nobody can read.
    beside = len(classes) <= 4
    shape = (1, len(sides)) if beside else (len(sides), 1)
    figure, panels = plotting.new_figure(
        *shape, height=3.0 if beside else 3.4 * len(sides), heading=plot.title, squeeze=False
    )
    for axes, (side, counts) in zip(panels.ravel(), sides.items(), strict=True):
        _matrix(axes, counts, classes, plot)
        axes.set_title(f"{side}: {right[side]} right", fontsize=plotting.TEXT_POINTS)
    plotting.save_png(figure, path)
    alt = f"{plot.title}: {right['this change']} right with this change"
    if "base" in right:
        alt += f", {right['base']} in the base"
    head = sides["this change"]
    series = [
        Series(name=f"{plot.y} {name}"[:100], y=[float(head[actual, name]) for actual in classes]) for name in classes
    ]
    return f"{alt}.", Fallback(kind="table", x=[f"{plot.x} {name}" for name in classes], series=series)


def _matrix(axes: Any, counts: Counter[tuple[str, str]], classes: Sequence[str], plot: Plot) -> None:
    grid = [[counts[actual, predicted] for predicted in classes] for actual in classes]
    axes.imshow(grid, cmap=plotting.COUNTS, vmin=0)
    most = max(max(row) for row in grid)
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            colour = plotting.PAPER if value > most / 2 else plotting.TEXT
            axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=plotting.TICK_POINTS)
    names = plotting.distinct(classes, 12)
    axes.set_xticks(range(len(classes)), names, rotation=45 if sum(map(len, names)) > 28 else 0)
    axes.set_yticks(range(len(classes)), names)
    axes.set_xlabel(plotting.short(plot.y, 40))
    axes.set_ylabel(plotting.short(plot.x, 40))
