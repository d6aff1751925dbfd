"""Figures of a check: the worst columns of both tables, and spectra; reference and new data have their roles' looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import ColumnResult
from flint_ml.drift.whole_table import SpectrumResult
from flint_ml.record import Fallback, Series
from flint_ml.text import numbers, plotting
from flint_ml.text.plotting import BASE, CHANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

_POINTS = 400
_FALLBACK_POINTS = 21
_LARGEST = 1e150
_CLASSES = 6


def worst(result: Result, limit: int = 4) -> list[ColumnResult]:
    """The columns to draw: those that drifted first, at most two bands of a spectrum while others are left."""
    bands = {name for r in result.spectra for name in r.spectrum.columns}
    drawable = {"numeric", "category", "boolean"}
    able = [c for c in result.tested if c.column.kind in drawable and all(c.column.present)]
    plain = [c for c in able if c.column.name not in bands]
    spectral = [c for c in able if c.column.name in bands]
    keep = max(limit - 2, limit - len(spectral))
    chosen = plain[:keep] + spectral[: limit - min(keep, len(plain))]
    return sorted(chosen, key=able.index)


def drawable(values: Any) -> Any:
    """The finite values, none so large that the span of two of them overflows, which no axis can show."""
    return np.clip(values[np.isfinite(values)], -_LARGEST, _LARGEST)


def _curve(values: Any) -> tuple[Any, Any]:
    """Points of the empirical distribution function, few enough to draw."""
    finite = drawable(values)
    step = np.unique(np.linspace(0, len(finite) - 1, min(_POINTS, len(finite))).astype(int))
    return finite[step], (step + 1) / len(finite)


def distributions(result: Result, path: Path, label: str = "new data") -> tuple[str, Fallback | None]:
    """Draw the worst columns of both tables over each other; returns the alternative text and the data of the first."""
    columns = worst(result)
    _draw_columns(
        columns, path, label, f"{len(result.drifted)} of {numbers.count(len(result.tested), result.noun)} drifted"
    )
    words = [
        f"{c.column.name} ({'drifted' if c.drifted else 'same'}, effect {numbers.number(c.leading.test.effect, 2)})"
        for c in columns
        if c.leading
    ]
    return f"Distributions of reference and {label}: {', '.join(words)}", _fallback(columns, label)


def _draw_columns(columns: Sequence[ColumnResult], path: Path, label: str, heading: str) -> None:
    wide = 2 if len(columns) > 1 else 1
    high = (len(columns) + wide - 1) // wide
    figure, panels = plotting.new_figure(high, wide, height=2.3 * high + 0.7, heading=heading, squeeze=False)
    axes = panels.ravel()
    for axis in axes[len(columns) :]:
        axis.remove()
    for axis, column in zip(axes, columns, strict=False):
        _draw(axis, column, label)
    handles, labels = axes[0].get_legend_handles_labels()
    plotting.legend(figure, handles=handles, labels=labels, loc="outside lower center", ncols=2)
    plotting.save_png(figure, path)


def _draw(axis: Any, column: ColumnResult, label: str) -> None:
    pair, lead = column.column, column.leading
    title = plotting.short(pair.name, 20)
    if pair.labels:
        title += _draw_classes(axis, column, label)
    else:
        low, high = _span(pair)
        for values, role, name in ((pair.reference, BASE, "reference"), (pair.current, CHANGE, label)):
            x, y = _curve(values)
            # To both ends of the axis: where the other table goes on, this one stays at 0 or 1.
            axis.step([low, *x, high], [0.0, *y, 1.0], where="post", label=name, **plotting.style(role))
        axis.set_ylabel("share ≤ value")
        axis.set_ylim(0, 1.02)
        axis.set_xlim(low, high)
        axis.locator_params(axis="x", nbins=4)
    effect = f"{lead.test.effect_name} {lead.test.effect:.2f}" if lead else ""
    if lead and lead.aspect == "missing":
        shares = [numbers.percent(m / t) for m, t in zip(pair.missing, pair.total, strict=True)]
        effect = f"{' → '.join(shares)} missing"
    word = "drifted" if column.drifted else "same"
    axis.set_title(f"{title}\n{effect}, {word}" if effect else title, fontsize=plotting.TICK_POINTS)


def _span(pair: Any) -> tuple[float, float]:
    """Ends of the axis: a few wild values must not flatten the picture."""
    both = drawable(np.concatenate([pair.reference, pair.current]))
    low, high = (float(end) for end in np.quantile(both, [0.002, 0.998])) if len(both) else (0.0, 1.0)
    if high <= low:
        return low - 0.5, high + 0.5
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _class_order(pair: Any, most: int) -> list[int]:
    """The classes to draw: those whose shares differ most, in their own order where they have one (0–5, 5–15, …)."""
    p, q = (side / max(1, side.sum()) for side in (pair.reference, pair.current))
    chosen = [int(k) for k in np.argsort(-np.abs(p - q), kind="stable")[:most]]
    begins = [re.match(r"\s*[<>≤≥]?\s*(-?\d+(?:\.\d+)?)", str(name)) for name in pair.labels]
    if all(begins):
        return sorted(chosen, key=lambda k: float(match[1]) if (match := begins[k]) else 0.0)
    return chosen


def _draw_classes(axis: Any, column: ColumnResult, label: str) -> str:
    """Bars of the classes; returns what the title has to add where some are left out."""
    pair = column.column
    p, q = (side / max(1, side.sum()) for side in (pair.reference, pair.current))
    order = _class_order(pair, _CLASSES)
    x = np.arange(len(order))
    axis.bar(x - 0.2, p[order], 0.38, label="reference", **plotting.bar(BASE))
    axis.bar(x + 0.2, q[order], 0.38, label=label, **plotting.bar(CHANGE))
    names = plotting.distinct([str(pair.labels[k]) for k in order], 9)
    axis.set_xticks(x, names, rotation=30 if sum(map(len, names)) > 18 else 0)
    axis.set_ylabel("share")
    return f" ({len(order)} of {len(pair.labels)} classes)" if len(pair.labels) > len(order) else ""


def _fallback(columns: Sequence[ColumnResult], label: str) -> Fallback | None:
    if not columns:
        return None
    pair = columns[0].column
    if pair.labels:
        p, q = (side / max(1, side.sum()) for side in (pair.reference, pair.current))
        order = _class_order(pair, 12)
        shares = [Series(name=n, y=[round(float(v[i]), 4) for i in order]) for n, v in (("reference", p), (label, q))]
        title = f"{plotting.short(pair.name, 60)}: share of each class"
        names = [str(pair.labels[i])[:30] for i in order]
        return Fallback(kind="table", x=names, series=shares, x_name=plotting.short(pair.name, 60), title=title)
    if not len(drawable(np.concatenate([pair.reference, pair.current]))):
        return None
    grid = np.linspace(*_span(pair), _FALLBACK_POINTS)
    series = [
        Series(name=name, y=[round(float(v), 4) for v in np.searchsorted(values, grid, side="right") / len(values)])
        for name, values in (("reference", pair.reference), (label, pair.current))
    ]
    name = plotting.short(pair.name, 60)
    return Fallback(
        kind="line",
        x=[f"{v:.4g}" for v in grid],
        series=series,
        x_name=name,
        y_name="share of samples",
        title=f"{name}: share of samples up to each value",
    )


def spectra(result: Result, seen: SpectrumResult, path: Path, label: str = "new data") -> str:
    """Draw mean ± sd of the spectra, the effect of each band below, and samples in the space of T² and Q."""
    comparison = seen.comparison
    assert comparison is not None
    _draw_spectra(result, seen, path, label)
    return (
        f"Mean and standard deviation of reference and new spectra, the KS distance of each band, and Hotelling's T² "
        f"against Q: {numbers.percent(comparison.outside[1])} of the new spectra lie outside the calibration space"
    )


def _draw_spectra(result: Result, seen: SpectrumResult, path: Path, label: str) -> None:
    comparison = seen.comparison
    assert comparison is not None
    x = np.array(seen.spectrum.positions)
    outside = numbers.percent(comparison.outside[1])
    figure, (top, middle, bottom) = plotting.new_figure(
        3,
        height=6.4,
        heading=f"{outside} of the new spectra outside the calibration space",
        height_ratios=[2.6, 1.6, 2.6],
    )
    sides = ((BASE, "reference", 0), (CHANGE, label, 1))
    for role, name, side in sides:
        mean, sd = (np.clip(v, -_LARGEST, _LARGEST) for v in (comparison.mean[side], comparison.sd[side]))
        top.plot(x, mean, label=f"{name}, mean ± sd", **plotting.style(role))
        top.fill_between(x, mean - sd, mean + sd, color=role.colour, alpha=0.18, linewidth=0)
    plotting.legend(top)
    top.set_ylabel("value of the bands")
    effects = {c.column.name: c.leading.test.effect for c in result.tested if c.leading}
    middle.plot(x, [effects.get(name, np.nan) for name in seen.spectrum.columns], color=plotting.TEXT, linewidth=1.6)
    least = result.rules.min_effect
    plotting.limit_line(middle, least, f"smallest that counts {numbers.number(float(least), 2)}")
    middle.set_ylim(0, 1)
    middle.set_ylabel("D of band")
    middle.set_xlabel("band (wavelength or wavenumber, as in its name)")
    for projection, (role, name, _) in zip((comparison.reference, comparison.current), sides, strict=True):
        points = [np.clip(v, 1e-12, _LARGEST) for v in (projection.t2, projection.q)]
        bottom.plot(*points, label=name, **{**plotting.mark(role, 4), "markeredgewidth": 0.8})
    bottom.axvline(comparison.limits[0], **plotting.style(plotting.LIMIT))
    bottom.axhline(comparison.limits[1], **plotting.style(plotting.LIMIT))
    bottom.set(xscale="log", yscale="log")
    # Powers of ten as plain text: the figures read no mathematical markup, since column names may look like it.
    for line in (bottom.xaxis, bottom.yaxis):
        line.set_major_formatter(lambda value, _: f"{value:g}")
        line.set_minor_formatter(lambda _value, _: "")
    bottom.set_xlabel("Hotelling's T² (dotted: limit of the calibration space)")
    bottom.set_ylabel("Q residual")
    plotting.legend(bottom, frameon=True, framealpha=0.8, edgecolor="none")
    plotting.save_png(figure, path)
