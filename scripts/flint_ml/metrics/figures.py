"""Figures of a comparison: error distribution, relative changes, history, and the plots that dvc.yaml declares.

Okabe and Ito's colours, told apart also without colour vision; the base is drawn as a line, this change filled.
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
from flint_ml.metrics.verdict import Row, loss
from flint_ml.record import Fallback, Series

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
SIZE, DPI = (5.25, 3.4), 160
MAX_BARS = 12
MAX_CLASSES = 12
_FALLBACK_POINTS = 200
Point = tuple[Any, float]


def _axes() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    # Without matplotlib's version in the file the same numbers give the same bytes, and so the same hashed name.
    figure.savefig(path, metadata={"Software": None})


def error_edges(errors: np.ndarray, most: int = 30) -> np.ndarray:
    """Bin edges, symmetric about zero, over the central 99 % of ``errors`` (shape (n,)); a dozen to ``most`` bins."""
    limit = float(np.quantile(np.abs(errors), 0.99)) or 1.0
    bins = int(np.clip(2 * round(np.sqrt(len(errors)) / 2), 12, most))
    return np.linspace(-limit, limit, bins + 1)


def draw_error_distribution(pairs: Pairs, unit: str | None, path: Path) -> tuple[str, Fallback]:
    """Histograms of prediction − truth of both sides, written to ``path``; returns alt text and fallback data.

    Errors beyond the outermost edges are counted in the outermost bins.
    """
    errors = {"base": pairs.base - pairs.truth, "this change": pairs.head - pairs.truth}
    edges = error_edges(np.concatenate(list(errors.values())))
    counts = {name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] for name, values in errors.items()}
    figure, axes = _axes()
    axes.stairs(counts["this change"], edges, fill=True, color=BLUE, alpha=0.45, label="this change")
    axes.stairs(counts["base"], edges, color=ORANGE, linewidth=2, label="base")
    axes.axvline(0, color="black", linewidth=1)
    unit_text = f" ({unit})" if unit else ""
    axes.set_xlabel(f"predicted − measured{unit_text}", fontsize=11)
    axes.set_ylabel("samples", fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    _save(figure, path)
    middle = {name: float(np.median(values)) for name, values in errors.items()}
    spread = {name: float(np.subtract(*np.quantile(values, [0.75, 0.25]))) for name, values in errors.items()}
    alt = (
        f"Distribution of the prediction error of {pairs.n} samples: median {middle['base']:.3g} and middle half "
        f"{spread['base']:.3g} wide in the base, {middle['this change']:.3g} and {spread['this change']:.3g} "
        f"in this change{unit_text}."
    )
    centres = (edges[:-1] + edges[1:]) / 2
    series = [Series(name=name, y=[float(c) for c in count]) for name, count in counts.items()]
    return alt, Fallback(kind="bar", x=[f"{centre:.3g}" for centre in centres], series=series)


def _draw_series(values: Sequence[float | None], ticks: Sequence[str], label: str, path: Path) -> None:
    """A line over commits, oldest first; the last point, this change, is marked."""
    figure, axes = _axes()
    numbers = np.array([np.nan if value is None else value for value in values])
    places = np.arange(len(numbers))
    axes.plot(places[:-1], numbers[:-1], color=ORANGE, marker="o", linewidth=2, label="main")
    axes.plot(places[-2:], numbers[-2:], color=BLUE, linestyle=":", linewidth=2)
    axes.plot(places[-1:], numbers[-1:], color=BLUE, marker="D", markersize=9, linestyle="", label="this change")
    every = max(1, len(ticks) // 6)
    shown = [*range(0, len(ticks) - 1, every)]
    axes.set_xticks(shown, [ticks[place] for place in shown])
    axes.set_ylabel(label, fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    _save(figure, path)


def draw_history(commits: Sequence[str], line: HistoryLine, path: Path) -> tuple[str, Fallback]:
    """A metric over the commits, oldest first, written to ``path``; returns alt text and fallback data."""
    label = f"{line.row.rule.label} ({line.row.rule.unit})" if line.row.rule.unit else line.row.rule.label
    ticks = [*(commit[:7] for commit in commits), "this change"]
    _draw_series(line.values, ticks, label, path)
    alt = f"{label} of {len(commits)} commits of the main branch and of this change: {sparkline(line.values)}."
    return alt, Fallback(kind="line", x=ticks, series=[Series(name=label, y=list(line.values))])


def draw_relative_changes(rows: Sequence[Row], path: Path) -> tuple[str, Fallback] | None:
    """Bars of the change in per cent of the base; None where no metric has one. Hatched bars are worse.

    A bias is left out: a share of something that should be zero says nothing, and would dwarf the rest.
    """
    shown = [row for row in rows if row.relative is not None and row.rule.weight > 0]
    shown = [row for row in shown if row.rule.direction != "zero"][:MAX_BARS]
    if not any(row.delta for row in shown):
        return None
    shares = [100 * (row.relative or 0.0) for row in shown]
    figure, axes = _axes()
    places = np.arange(len(shown))[::-1]
    for row, share, place in zip(shown, shares, places, strict=True):
        colour, hatch = _style(row)
        axes.barh(place, share, color=colour, hatch=hatch, edgecolor="white")
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(places, [row.rule.label[:28] for row in shown])
    axes.set_xlabel("change against the base, % (hatched: worse)", fontsize=11)
    _save(figure, path)
    listed = ", ".join(f"{row.rule.label} {share:+.3g} %" for row, share in zip(shown, shares, strict=True))
    bars = [Series(name="change, %", y=[float(share) for share in shares])]
    return f"Change of each metric against the base: {listed}.", Fallback(
        kind="bar", x=[row.rule.label[:28] for row in shown], series=bars
    )


def _style(row: Row) -> tuple[str, str]:
    if row.rule.direction == "none" or row.base is None or row.head is None or not row.delta:
        return GREY, ""
    worse = loss(row.head, row.rule) > loss(row.base, row.rule)
    return (ORANGE, "//") if worse else (BLUE, "")


# -- DVC's plots: the base's line behind this change's, matrices beside each other ----------


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
    lines = [Series(name="this change", y=[y for _, y in mine])]
    theirs = dict(sides.get("base", []))
    if theirs and all(x in theirs for x in places):
        lines.insert(0, Series(name="base", y=[theirs[x] for x in places]))
    return Fallback(kind="line", x=[f"{x:.4g}" if isinstance(x, float) else str(x) for x in places], series=lines)


def _bars(plot: Plot, sides: dict[str, list[Point]], path: Path) -> tuple[str, Fallback]:
    names = list(dict.fromkeys(str(x) for points in sides.values() for x, _ in points))[:30]
    figure, axes = _axes()
    height = 0.8 / len(sides)
    bars = []
    for number, (side, points) in enumerate(sides.items()):
        values = dict(points)
        hatch, colour = ("//", ORANGE) if side == "base" else ("", BLUE)
        places = [-place + height * (0.5 * (len(sides) - 1) - number) for place in range(len(names))]
        widths = [values.get(name, 0.0) for name in names]
        axes.barh(places, widths, height, color=colour, hatch=hatch, edgecolor="white", label=side)
        bars.append(Series(name=side, y=[values.get(name) for name in names]))
    axes.set_yticks([-place for place in range(len(names))], [name[:28] for name in names])
    axes.set_xlabel(plot.y[:60], fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    _save(figure, path)
    listed = ", ".join(f"{x} {y:.4g}" for x, y in sides["this change"][:10])
    return f"{plot.title}: {plot.y} of this change: {listed}.", Fallback(kind="bar", x=names, series=bars)


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
