"""Maps of change: where the numbers of a layer rose and fell, or what share of the cells changed class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flint_ml.drift.rasters.check import RasterResult
from flint_ml.drift.rasters.layer import LayerResult
from flint_ml.record import Fallback, Series
from flint_ml.text import numbers, plotting

_MOST = 3


def mapped(result: RasterResult) -> list[LayerResult]:
    """The layers to draw: those whose cells changed, worst first."""
    return [layer for layer in result.layers.values() if layer.change is not None and layer.change.changed][:_MOST]


def change_map(layer: LayerResult, path: Path) -> tuple[str, Fallback | None]:
    """Draw the mean change, or the share of changed cells, of squares of cells; returns the text that stands for it."""
    change = layer.change
    assert change is not None
    grid = change.grid
    with np.errstate(invalid="ignore", divide="ignore"):
        values = change.sums / change.seen if not change.is_classes else change.moved / change.seen
    drawn = np.ma.masked_invalid(values)
    wide, high = _shape(layer)
    hectares = f", {numbers.number(float(change.area))} ha" if change.areas is not None else ""
    name = plotting.short(layer.name, 26)
    figure, axis = plotting.new_figure(
        height=min(7.0, max(2.6, 3.6 * high / wide + 1.2)),
        heading=f"{name}: {numbers.percent(change.share)} of cells changed{hectares}",
    )
    if change.is_classes:
        colours, limits, label = plotting.shares(), (0.0, 1.0), "share of cells that changed class"
    else:
        colours = plotting.differences()
        most = float(np.quantile(np.abs(drawn.compressed()), 0.99)) or float(np.abs(drawn.compressed()).max()) or 1.0
        limits, label = (-most, most), f"mean change{f' ({layer.bands[1].unit})' if layer.bands[1].unit else ''}"
        axis.imshow(
            np.ma.masked_where(drawn.mask | (drawn.filled(1.0) != 0), np.zeros(drawn.shape)),
            cmap=plotting.plain_colour(plotting.UNCHANGED),
            interpolation="nearest",
            extent=_extent(layer),
            aspect=_aspect(layer),
        )
        drawn = np.ma.masked_equal(drawn, 0)
    image = axis.imshow(
        drawn,
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        extent=_extent(layer),
        aspect=_aspect(layer),
    )
    bar = figure.colorbar(image, ax=axis, shrink=0.85, extend="neither" if change.is_classes else "both")
    bar.set_label(label, fontsize=plotting.TEXT_POINTS)
    bar.ax.tick_params(labelsize=plotting.TICK_POINTS)
    _name_axes(axis, layer)
    plotting.save_png(figure, path)
    alt = f"Map of {layer.name}: {numbers.percent(change.share)} of {change.compared:,} cells changed{hectares}"
    if change.mean is not None:
        alt += f"; mean change {numbers.number(float(change.mean))}"
    if grid.cells > values.size:
        alt += f"; each point of the map stands for {change.step} × {change.step} cells"
    return alt, _fallback(layer)


def _shape(layer: LayerResult) -> tuple[float, float]:
    assert layer.change is not None
    west, east, south, north = _extent(layer)
    return abs(east - west), abs(north - south) * (1.0 if isinstance(_aspect(layer), str) else float(_aspect(layer)))


def _extent(layer: LayerResult) -> tuple[float, float, float, float]:
    """West, east, south, north of the picture; in cells where the raster is rotated or not placed."""
    assert layer.change is not None
    change = layer.change
    grid = change.grid
    high, wide = change.seen.shape[0] * change.step, change.seen.shape[1] * change.step
    if grid.rotated or not grid.placed:
        return 0.0, float(wide), float(high), 0.0
    west, north = grid.place(0, 0)
    east, south = grid.place(wide, high)
    return west, east, south, north


def _aspect(layer: LayerResult) -> Any:
    """A degree of longitude is shorter than one of latitude."""
    grid = layer.bands[0].grid
    if grid.crs is None or not grid.crs.is_geographic or grid.rotated:
        return "equal"
    middle = (grid.bounds[1] + grid.bounds[3]) / 2
    return plotting.aspect(float(middle))


def _name_axes(axis: Any, layer: LayerResult) -> None:
    grid = layer.bands[0].grid
    if grid.rotated or not grid.placed:
        axis.set_xlabel("column")
        axis.set_ylabel("row")
        return
    geographic = grid.crs is not None and grid.crs.is_geographic
    west, east, south, north = _extent(layer)
    plotting.frame_map(axis, (west, east, south, north), geographic=geographic)


def _fallback(layer: LayerResult) -> Fallback | None:
    """Hectares (or cells) by transition, for a diagram where no picture can be shown."""
    assert layer.change is not None
    moves = layer.change.transitions(layer.pair.labels)[:10] if layer.classes else []
    if not moves:
        return None
    known = layer.change.areas is not None
    series = Series(name="ha" if known else "cells", y=[m.area if known else m.cells for m in moves])
    return Fallback(kind="table", x=[f"{m.old[:20]} → {m.new[:20]}" for m in moves], series=[series])
