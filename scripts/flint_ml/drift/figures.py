"""Figures of a check. Colours of Okabe and Ito, and a dash besides: nobody has to tell two colours apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.drift.bands import Spectrum
from flint_ml.drift.check import ColumnResult, Result
from flint_ml.record import Fallback, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCE, CURRENT = "#0072B2", "#D55E00"
_POINTS = 400
_FALLBACK_POINTS = 21


def worst(result: Result, limit: int = 4) -> list[ColumnResult]:
    """The columns to draw: those that drifted first, at most two bands of a spectrum while others are left."""
    bands = {name for spectrum in result.spectra for name in spectrum.columns}
    able = [c for c in result.tested if len(c.column.reference) and len(c.column.current)]
    plain = [c for c in able if c.column.name not in bands]
    spectral = [c for c in able if c.column.name in bands]
    keep = max(limit - 2, limit - len(spectral))
    chosen = plain[:keep] + spectral[: limit - min(keep, len(plain))]
    return sorted(chosen, key=able.index)


def _curve(values: Any) -> tuple[Any, Any]:
    """Points of the empirical distribution function, few enough to draw."""
    finite = values[np.isfinite(values)]
    step = np.unique(np.linspace(0, len(finite) - 1, min(_POINTS, len(finite))).astype(int))
    return finite[step], (step + 1) / len(finite)


def distributions(result: Result, path: Path, label: str = "new data") -> tuple[str, Fallback | None]:
    """Draw the worst columns of both tables over each other; returns the alternative text and the data of the first."""
    from matplotlib.figure import Figure

    columns = worst(result)
    wide = 2 if len(columns) > 1 else 1
    high = (len(columns) + wide - 1) // wide
    figure = Figure(figsize=(7.5, 3.1 * high + 0.5), dpi=120, layout="constrained")
    axes = figure.subplots(high, wide, squeeze=False).ravel()
    for axis in axes[len(columns) :]:
        axis.remove()
    for axis, column in zip(axes, columns, strict=False):
        _draw(axis, column, label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=13, frameon=False)
    figure.savefig(path)
    words = [
        f"{c.column.name} ({'drifted' if c.drifted else 'same'}, effect {c.leading.test.effect:.2g})"
        for c in columns
        if c.leading
    ]
    return f"Distributions of reference and {label}: {', '.join(words)}", _fallback(columns, label)


def _draw(axis: Any, column: ColumnResult, label: str) -> None:
    pair, lead = column.column, column.leading
    if pair.labels:
        _draw_classes(axis, column, label)
    else:
        for values, colour, style, name in (
            (pair.reference, REFERENCE, "-", "reference"), (pair.current, CURRENT, "--", label),
        ):  # fmt: skip
            x, y = _curve(values)
            axis.step(x, y, where="post", color=colour, linestyle=style, linewidth=2.2, label=name)
        axis.set_ylabel("share ≤ value", fontsize=12)
        axis.set_ylim(0, 1.02)
        _clip(axis, pair)
    name = pair.name if len(pair.name) <= 24 else pair.name[:23] + "…"
    effect = f"{lead.test.effect_name} = {lead.test.effect:.2f}" if lead else ""
    axis.set_title(f"{name}: {effect}{', drifted' if column.drifted else ''}", fontsize=13)
    axis.tick_params(labelsize=11)
    axis.grid(alpha=0.3)


def _clip(axis: Any, pair: Any) -> None:
    """Keep a few wild values from flattening the picture."""
    both = np.concatenate([pair.reference, pair.current])
    both = both[np.isfinite(both)]
    low, high = np.quantile(both, [0.002, 0.998]) if len(both) else (0.0, 1.0)
    if high > low:
        axis.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))


def _draw_classes(axis: Any, column: ColumnResult, label: str) -> None:
    pair = column.column
    p, q = pair.reference / max(1, pair.reference.sum()), pair.current / max(1, pair.current.sum())
    order = np.argsort(-np.abs(p - q), kind="stable")[:6]
    place = np.arange(len(order))
    axis.bar(place - 0.2, p[order], 0.38, color=REFERENCE, label="reference")
    axis.bar(place + 0.2, q[order], 0.38, color=CURRENT, hatch="//", edgecolor="white", label=label)
    axis.set_xticks(place, [pair.labels[i][:10] for i in order], rotation=20)
    axis.set_ylabel("share", fontsize=12)


def _fallback(columns: Sequence[ColumnResult], label: str) -> Fallback | None:
    if not columns:
        return None
    pair = columns[0].column
    if pair.labels:
        p, q = pair.reference / max(1, pair.reference.sum()), pair.current / max(1, pair.current.sum())
        order = np.argsort(-np.abs(p - q), kind="stable")[:12]
        names = [pair.labels[i][:30] for i in order]
        shares = [Series(name=n, y=[round(float(v[i]), 4) for i in order]) for n, v in (("reference", p), (label, q))]
        return Fallback(kind="bar", x=names, series=shares)
    both = np.concatenate([pair.reference, pair.current])
    both = both[np.isfinite(both)]
    if not len(both):
        return None
    low, high = (float(v) for v in np.quantile(both, [0.002, 0.998]))
    grid = np.linspace(low, high, _FALLBACK_POINTS)
    series = [
        Series(name=name, y=[round(float(v), 4) for v in np.searchsorted(values, grid, side="right") / len(values)])
        for name, values in (("reference", pair.reference), (label, pair.current))
    ]
    return Fallback(kind="line", x=[f"{v:.4g}" for v in grid], series=series)


def band_profile(result: Result, spectrum: Spectrum) -> tuple[list[float], list[float]]:
    """Effect of each band in order of position."""
    effects = {c.column.name: c.leading.test.effect for c in result.tested if c.leading}
    kept = [(p, effects[n]) for n, p in zip(spectrum.columns, spectrum.positions, strict=True) if n in effects]
    return [p for p, _ in kept], [e for _, e in kept]
