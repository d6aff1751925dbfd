"""Figures of a comparison: error distribution of both sides, or bars of relative changes.

Okabe and Ito's colours, told apart also without colour vision; the base is drawn as a line, this change filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flint_ml.metrics.compare import Row, loss
from flint_ml.metrics.predictions import Pairs
from flint_ml.record import Fallback, Series

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
SIZE, DPI = (5.25, 3.4), 160
MAX_BARS = 12


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


def error_distribution(pairs: Pairs, unit: str | None, path: Path) -> tuple[str, Fallback]:
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


def series(values: Sequence[float | None], ticks: Sequence[str], label: str, path: Path) -> None:
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


def relative_changes(rows: Sequence[Row], path: Path) -> tuple[str, Fallback] | None:
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
