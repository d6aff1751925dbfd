"""Maps as pictures: one layer and year, and the pixels that differ from the base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.fences import open_raster
from flint_ml.gcbm.results.figures import Drawn, ecosystem, legend_columns
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.labels import amount
from flint_ml.gcbm.results.tables import value, years_of
from flint_ml.text import numbers, plotting

MOST_PIXELS = 900
Picture = NDArray[np.float64]


def read(path: Path) -> Picture:
    """Values of a GeoTIFF of ``gcbm.maps`` (rows, columns); NaN where there is nothing."""
    with open_raster(path, path.name) as source:
        values: Picture = source.read(1).astype(np.float64)
        values[values == source.nodata] = np.nan
    return values


def extent_of(path: Path) -> tuple[float, float, float, float]:
    """West, east, south, north of a GeoTIFF, in its degrees."""
    with open_raster(path, path.name) as source:
        west, south, east, north = source.bounds
    return west, east, south, north


@dataclass(frozen=True)
class Changed:
    """Difference to the base by pixel (NaN outside), how many pixels and ha differ, and the rows and columns they
    lie in (first and last). ``extent``: west, east, south, north in degrees."""

    difference: Picture
    pixels: int
    area_ha: float
    box: tuple[int, int, int, int] | None
    extent: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)


def changed(base: Path, head: Path) -> Changed:
    """Where two maps of one quantity and year differ (see ``gcbm.against.map_difference``)."""
    from flint_ml.gcbm.comparison.compare import map_difference
    from flint_ml.gcbm.project.grid import pixel_area

    found = map_difference(base, head)
    _, _, south, north = found.extent
    height = found.changed.shape[0]
    cell = (north - south) / height
    area = pixel_area(north - cell * np.arange(height), cell)
    rows, columns = np.nonzero(found.changed)
    box = (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) if rows.size else None
    difference = np.where(np.isnan(found.difference) | found.changed, found.difference, 0.0)
    return Changed(difference, found.pixels, float((found.changed * area[:, None]).sum()), box, found.extent)


def _thin(values: Picture) -> tuple[Picture, int]:
    """At most ``MOST_PIXELS`` a side: of each square the value farthest from zero, so that no change is lost."""
    step = -(-max(values.shape) // MOST_PIXELS)
    if step <= 1:
        return values, 1
    rows, columns = (-(-side // step) * step for side in values.shape)
    padded = np.full((rows, columns), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    cut = padded.reshape(rows // step, step, columns // step, step).swapaxes(1, 2)
    squares: NDArray[np.float64] = cut.reshape(rows // step, columns // step, step * step)
    size = np.where(np.isnan(squares), -1.0, np.abs(squares))
    return np.take_along_axis(squares, size.argmax(axis=2)[..., None], axis=2)[..., 0], step


def draw_changed(figure: Any, axis: Any, found: Changed, unit: str, year: int) -> str:
    """The map of changed pixels on ``axis``: unchanged grey, orange fell, violet rose, a frame round the changes."""
    values, step = _thin(found.difference)
    west, east, south, north = found.extent
    look = {"interpolation": "nearest", "extent": found.extent, "aspect": plotting.aspect((south + north) / 2)}
    grey = np.where(np.isnan(values), np.nan, 1.0)
    axis.imshow(grey, cmap=plotting.plain_colour(plotting.UNCHANGED), **look)
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    shown = axis.imshow(
        np.where(values == 0, np.nan, values), cmap=plotting.differences(), vmin=-limit, vmax=limit, **look
    )
    plotting.frame_map(axis, found.extent, geographic=True)
    bar = figure.colorbar(shown, ax=axis, shrink=0.9)
    bar.set_label(f"difference, {unit}", fontsize=plotting.TEXT_POINTS)
    bar.ax.tick_params(labelsize=plotting.TICK_POINTS)
    if found.box is not None:
        rows, columns = values.shape
        wide, high = (east - west) / columns, (north - south) / rows
        top, bottom, left, right = (side / step for side in found.box)
        pad = 0.015 * max(values.shape)
        x = [west + wide * (left - pad), west + wide * (right + 1 + pad)]
        y = [north - high * (top - pad), north - high * (bottom + 1 + pad)]
        axis.plot([x[0], x[1], x[1], x[0], x[0]], [y[0], y[0], y[1], y[1], y[0]], color=plotting.TEXT, linewidth=1.2)
    axis.set_title(
        f"{numbers.count(found.pixels, 'pixel')}, {amount(found.area_ha)} ha differ in {year}",
        fontsize=plotting.TEXT_POINTS,
    )
    largest = numbers.number(limit)
    return (
        f"Map: {numbers.count(found.pixels, 'pixel')} ({amount(found.area_ha)} ha) differ, by up to {largest} {unit}."
    )


def overview(table: Table, base: Table, found: Changed | None, unit: str, path: Path) -> Drawn:
    """Total ecosystem of both sides, and below it the map of changed pixels."""
    mapped = found is not None and found.pixels > 0
    year = years_of(table)[-1]
    ends = value(base, year, "total_ecosystem_tC"), value(table, year, "total_ecosystem_tC")
    heading = None
    if ends[0] is not None and ends[1] is not None:
        heading = f"Total ecosystem in {year}: {numbers.compared(ends[0], ends[1]).difference} tC against the base"
    figure, axes = plotting.new_figure(2 if mapped else 1, heading=heading)
    alt, fallback = ecosystem(axes[0] if mapped else axes, table, base)
    if mapped and found is not None:
        alt = f"{alt} {draw_changed(figure, axes[1], found, unit, year)}"
    plotting.save_png(figure, path)
    return alt, fallback


def picture(source: Path, name: str, year: int, path: Path) -> str:
    """One map as a picture; returns the text that stands for it."""
    whole, extent = read(source), extent_of(source)
    values, _ = _thin(whole)
    quantity, unit = _split(name)
    figure, axis = plotting.new_figure(height=3.8, heading=f"{quantity}, {year or 'after spinup'}")
    shown = axis.imshow(
        values,
        cmap=plotting.AMOUNTS,
        interpolation="nearest",
        extent=extent,
        aspect=plotting.aspect((extent[2] + extent[3]) / 2),
    )
    plotting.frame_map(axis, extent, geographic=True)
    bar = figure.colorbar(shown, ax=axis, shrink=0.85)
    bar.set_label(unit, fontsize=plotting.TEXT_POINTS)
    bar.ax.tick_params(labelsize=plotting.TICK_POINTS)
    plotting.save_png(figure, path)
    known = whole[~np.isnan(whole)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    when = year or "the state after spinup"
    return f"Map of {quantity} in {when}: {numbers.number(low)} to {numbers.number(high)} {unit}."


def picture_of_events(source: Path, names: dict[int, str], year: int, path: Path) -> str:
    """The map of disturbance codes as a picture with the names of the types; returns the text that stands for it."""
    whole, extent = read(source), extent_of(source)
    codes, counts = np.unique(whole[~np.isnan(whole) & (whole != 0)], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    listed = [(names.get(int(codes[i]), f"type {int(codes[i])}"), int(counts[i]), codes[i]) for i in order]
    heading = f"Disturbances, {year or 'after spinup'}" + ("" if listed else ": none")
    figure, axis = plotting.new_figure(height=3.8, heading=heading)
    values, _ = _thin(whole)
    ranks = np.where(np.isnan(values), np.nan, 0.0)
    colours = [plotting.UNCHANGED]
    for number, (_, _, code) in enumerate(listed):
        ranks[values == code] = number + 1.0
        colours.append(str(plotting.kind(number)["color"]))
    from matplotlib.colors import ListedColormap

    axis.imshow(
        ranks,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(colours) - 0.5,
        interpolation="nearest",
        extent=extent,
        aspect=plotting.aspect((extent[2] + extent[3]) / 2),
    )
    plotting.frame_map(axis, extent, geographic=True)
    labels = [f"{kind}, {numbers.count(pixels, 'pixel')}" for kind, pixels, _ in listed]
    for label, colour in zip([*labels, "not disturbed"], [*colours[1:], plotting.UNCHANGED], strict=True):
        axis.plot([], [], "s", color=colour, label=label)
    plotting.legend(figure, loc="outside lower left", ncols=legend_columns([*labels, ""]))
    plotting.save_png(figure, path)
    what = ", ".join(f"{kind} on {numbers.count(pixels, 'pixel')}" for kind, pixels, _ in listed) or "none"
    return f"Map of disturbances in {year or 'the state after spinup'}: {what}."


def _split(name: str) -> tuple[str, str]:
    """``total_ecosystem_tC_ha``: total ecosystem, tC/ha."""
    for end, unit in (("_tC_ha", "tC/ha"), ("_years", "years"), ("_code", "code")):
        if name.endswith(end):
            return name.removesuffix(end).replace("_", " "), unit
    return name.replace("_", " "), ""
