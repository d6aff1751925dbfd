"""Figures of a check. Colours of Okabe and Ito, and a dash besides: nobody has to tell two colours apart."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import ColumnResult
from flint_ml.drift.whole_table import SpectrumResult
from flint_ml.record import Fallback, Series
from flint_ml.text.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCE, CURRENT = "#0072B2", "#D55E00"
_POINTS = 400
_FALLBACK_POINTS = 21
_LARGEST = 1e150


@contextmanager
def drawing() -> Iterator[None]:
    """Draw names as they are: a dollar sign begins no formula, and a letter that the font lacks is no warning."""
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def short(name: str, length: int) -> str:
    """The name of a column in at most ``length`` letters, all of which can be seen."""
    name = plain(name)
    return name if len(name) <= length else name[: length - 1] + "…"


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
    with drawing():
        _draw_columns(columns, path, label)
        fallback = _fallback(columns, label)
    words = [
        f"{c.column.name} ({'drifted' if c.drifted else 'same'}, effect {c.leading.test.effect:.2g})"
        for c in columns
        if c.leading
    ]
    return f"Distributions of reference and {label}: {', '.join(words)}", fallback


def _draw_columns(columns: Sequence[ColumnResult], path: Path, label: str) -> None:
    from matplotlib.figure import Figure

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


def _draw(axis: Any, column: ColumnResult, label: str) -> None:
    pair, lead = column.column, column.leading
    if pair.labels:
        _draw_classes(axis, column, label)
    else:
        for values, colour, style, name in (
            (pair.reference, REFERENCE, "-", "reference"),
            (pair.current, CURRENT, "--", label),
        ):
            x, y = _curve(values)
            axis.step(x, y, where="post", color=colour, linestyle=style, linewidth=2.2, label=name)
        axis.set_ylabel("share ≤ value", fontsize=12)
        axis.set_ylim(0, 1.02)
        _clip(axis, pair)
    effect = f"{lead.test.effect_name} = {lead.test.effect:.2f}" if lead else ""
    if lead and lead.aspect == "missing":
        effect = " → ".join(f"{m / t:.0%}" for m, t in zip(pair.missing, pair.total, strict=True)) + " missing"
    axis.set_title(f"{short(pair.name, 24)}: {effect}{', drifted' if column.drifted else ''}", fontsize=13)
    axis.tick_params(labelsize=11)
    axis.grid(alpha=0.3)


def _clip(axis: Any, pair: Any) -> None:
    """Keep a few wild values from flattening the picture."""
    both = drawable(np.concatenate([pair.reference, pair.current]))
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
    axis.set_xticks(place, [short(pair.labels[i], 10) for i in order], rotation=20)
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
    both = drawable(np.concatenate([pair.reference, pair.current]))
    if not len(both):
        return None
    low, high = (float(v) for v in np.quantile(both, [0.002, 0.998]))
    grid = np.linspace(low, high, _FALLBACK_POINTS)
    series = [
        Series(name=name, y=[round(float(v), 4) for v in np.searchsorted(values, grid, side="right") / len(values)])
        for name, values in (("reference", pair.reference), (label, pair.current))
    ]
    return Fallback(kind="line", x=[f"{v:.4g}" for v in grid], series=series)


def spectra(result: Result, seen: SpectrumResult, path: Path, label: str = "new data") -> str:
    """Draw mean ± sd of the spectra, the effect of each band below, and samples in the space of T² and Q."""
    comparison = seen.comparison
    assert comparison is not None
    with drawing():
        _draw_spectra(result, seen, path, label)
    return (
        f"Mean and standard deviation of reference and new spectra, the KS distance of each band, and Hotelling's T² "
        f"against Q: {comparison.outside[1]:.0%} of the new spectra lie outside the calibration space"
    )


def _draw_spectra(result: Result, seen: SpectrumResult, path: Path, label: str) -> None:
    from matplotlib.figure import Figure

    comparison = seen.comparison
    assert comparison is not None
    x = np.array(seen.spectrum.positions)
    figure = Figure(figsize=(7.5, 7.2), dpi=120, layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[3, 1.3, 2.6])
    sides = ((REFERENCE, "-", "reference", 0), (CURRENT, "--", label, 1))
    for colour, style, name, side in sides:
        mean, sd = (np.clip(v, -_LARGEST, _LARGEST) for v in (comparison.mean[side], comparison.sd[side]))
        top.plot(x, mean, color=colour, linestyle=style, linewidth=2, label=f"{name}, mean ± sd")
        top.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
    top.legend(fontsize=12, frameon=False)
    top.set_ylabel("value", fontsize=12)
    effects = {c.column.name: c.leading.test.effect for c in result.tested if c.leading}
    middle.plot(x, [effects.get(name, np.nan) for name in seen.spectrum.columns], color="#000000", linewidth=1.6)
    middle.axhline(result.rules.min_effect, color="#666666", linestyle=":", linewidth=1.4)
    middle.set_ylim(0, None)
    middle.set_ylabel("D of band", fontsize=12)
    middle.set_xlabel("wavelength or wavenumber", fontsize=12)
    for projection, (colour, _, name, side) in zip((comparison.reference, comparison.current), sides, strict=True):
        bottom.scatter(
            *(np.clip(v, 1e-12, _LARGEST) for v in (projection.t2, projection.q)),
            s=16,
            color=colour,
            alpha=0.6,
            marker="o" if side == 0 else "^",
            label=name,
            linewidths=0,
        )
    bottom.axvline(comparison.limits[0], color="#666666", linestyle=":", linewidth=1.4)
    bottom.axhline(comparison.limits[1], color="#666666", linestyle=":", linewidth=1.4)
    bottom.set(xscale="log", yscale="log")
    # Powers of ten as plain text: the figures read no mathematical markup, since column names may look like it.
    for line in (bottom.xaxis, bottom.yaxis):
        line.set_major_formatter(lambda value, _: f"{value:g}")
    bottom.set_xlabel("Hotelling's T² (dotted: limit of the calibration space)", fontsize=12)
    bottom.set_ylabel("Q residual", fontsize=12)
    bottom.legend(fontsize=12, framealpha=0.8, edgecolor="none")
    for axis in (top, middle, bottom):
        axis.tick_params(labelsize=11)
        axis.grid(alpha=0.3)
    figure.savefig(path)
