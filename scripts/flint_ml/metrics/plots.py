"""DVC's plots drawn for a report: the base's line behind this change's, matrices beside each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flint_ml.dvc_project import Plot
from flint_ml.metrics.figures import BLUE, DPI, ORANGE, SIZE, _axes, _save
from flint_ml.record import Fallback, Series

MAX_PLOTS = 6
MAX_CLASSES = 12
_FALLBACK_POINTS = 200
Point = tuple[Any, float]


def draw(plot: Plot, path: Path) -> tuple[str, Fallback | None] | None:
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
    places = [_number(x) for x, _ in points]
    if plot.kind != "bar" and all(place is not None for place in places):
        return [(place, y) for place, (_, y) in zip(places, points, strict=True)]
    return [(str(x)[:40], y) for x, y in points]


def _lines(plot: Plot, sides: dict[str, list[Point]], path: Path) -> tuple[str, Fallback]:
    figure, axes = _axes()
    style = {"base": {"color": ORANGE}, "this change": {"color": BLUE}}
    for name, points in sides.items():
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if plot.kind == "scatter":
            marker = "x" if name == "base" else "o"
            axes.scatter(xs, ys, s=14, marker=marker, alpha=0.6, label=name, **style[name])
        else:
            axes.plot(xs, ys, linewidth=2, linestyle="--" if name == "base" else "-", label=name, **style[name])
    axes.set_xlabel(plot.x[:60], fontsize=11)
    axes.set_ylabel(plot.y[:60], fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    _save(figure, path)
    ends = "; ".join(f"{name}: {plot.y} {points[0][1]:.4g} to {points[-1][1]:.4g}" for name, points in sides.items())
    spread = "; ".join(f"{name}: {len(points)} points" for name, points in sides.items())
    alt = f"{plot.title}: {plot.y} over {plot.x}. {spread if plot.kind == 'scatter' else ends}."
    return alt, _series(sides)


def _series(sides: dict[str, list[Point]]) -> Fallback:
    """The points of both sides where they share their places on the x-axis, else those of this change."""
    mine = sides["this change"][:: max(1, -(-len(sides["this change"]) // _FALLBACK_POINTS))]
    places = [x for x, _ in mine]
    found = [Series(name="this change", y=[y for _, y in mine])]
    theirs = dict(sides.get("base", []))
    if theirs and all(x in theirs for x in places):
        found.insert(0, Series(name="base", y=[theirs[x] for x in places]))
    return Fallback(kind="line", x=[f"{x:.4g}" if isinstance(x, float) else str(x) for x in places], series=found)


def _bars(plot: Plot, sides: dict[str, list[Point]], path: Path) -> tuple[str, Fallback]:
    names = list(dict.fromkeys(str(x) for points in sides.values() for x, _ in points))[:30]
    figure, axes = _axes()
    height = 0.8 / len(sides)
    found = []
    for number, (side, points) in enumerate(sides.items()):
        values = dict(points)
        hatch, colour = ("//", ORANGE) if side == "base" else ("", BLUE)
        places = [-place + height * (0.5 * (len(sides) - 1) - number) for place in range(len(names))]
        widths = [values.get(name, 0.0) for name in names]
        axes.barh(places, widths, height, color=colour, hatch=hatch, edgecolor="white", label=side)
        found.append(Series(name=side, y=[values.get(name) for name in names]))
    axes.set_yticks([-place for place in range(len(names))], [name[:28] for name in names])
    axes.set_xlabel(plot.y[:60], fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    _save(figure, path)
    listed = ", ".join(f"{x} {y:.4g}" for x, y in sides["this change"][:10])
    return f"{plot.title}: {plot.y} of this change: {listed}.", Fallback(kind="bar", x=names, series=found)


def _counts(plot: Plot, rows: Sequence[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((str(row.get(plot.x))[:30], str(row.get(plot.y))[:30]) for row in rows)


def _confusion(plot: Plot, path: Path) -> tuple[str, Fallback] | None:
    """How often each class was taken for each, of both sides; counts stand in the cells."""
    from matplotlib.figure import Figure

    sides = {name: _counts(plot, rows) for name, rows in (("base", plot.base), ("this change", plot.head)) if rows}
    if "this change" not in sides:
        return None
    classes = sorted({name for counts in sides.values() for pair in counts for name in pair})
    if len(classes) > MAX_CLASSES:
        return None
    figure = Figure(figsize=(SIZE[0] * (1 if len(sides) == 1 else 1.4), SIZE[1]), dpi=DPI, layout="constrained")
    for number, (side, counts) in enumerate(sides.items()):
        axes = figure.add_subplot(1, len(sides), number + 1)
        grid = [[counts[actual, predicted] for predicted in classes] for actual in classes]
        axes.imshow(grid, cmap="Blues", vmin=0)
        most = max(max(row) for row in grid)
        for row, values in enumerate(grid):
            for column, value in enumerate(values):
                colour = "white" if value > most / 2 else "black"
                axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=10)
        axes.set_xticks(range(len(classes)), classes, rotation=45 if len(classes) > 4 else 0)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel(plot.y[:40], fontsize=11)
        axes.set_ylabel(plot.x[:40], fontsize=11)
        axes.set_title(side, fontsize=11)
    _save(figure, path)
    mine = sides["this change"]
    right = sum(count for (actual, predicted), count in mine.items() if actual == predicted)
    alt = f"{plot.title}: {right} of {mine.total()} right with this change"
    if "base" in sides:
        theirs = sides["base"]
        alt += f", {sum(c for (a, p), c in theirs.items() if a == p)} of {theirs.total()} in the base"
    series = [
        Series(name=f"{plot.y} {name}"[:100], y=[float(mine[actual, name]) for actual in classes]) for name in classes
    ]
    return f"{alt}.", Fallback(kind="table", x=[f"{plot.x} {name}" for name in classes], series=series)
