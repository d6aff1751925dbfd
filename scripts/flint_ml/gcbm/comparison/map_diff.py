"""Maps as pictures: one layer and year, and the pixels that differ from the base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.results.figures import RED, Drawn, ecosystem, save, sheet
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.labels import amount
from flint_ml.gcbm.results.tables import years_of

MOST_PIXELS = 900
Picture = NDArray[np.float64]


def read(path: Path) -> Picture:
    """Values of a GeoTIFF of ``gcbm.maps`` (rows, columns); NaN where there is nothing."""
    import rasterio

    with rasterio.open(path) as source:
        values: Picture = source.read(1).astype(np.float64)
        values[values == source.nodata] = np.nan
    return values


@dataclass(frozen=True)
class Changed:
    """Difference to the base by pixel (NaN outside), how many pixels and ha differ, and the rows and columns they
    lie in (first and last)."""

    difference: Picture
    pixels: int
    area_ha: float
    box: tuple[int, int, int, int] | None


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
    return Changed(difference, found.pixels, float((found.changed * area[:, None]).sum()), box)


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
    """The map of changed pixels on ``axis``: unchanged grey, loss orange, gain violet, a frame round the changes."""
    values, step = _thin(found.difference)
    grey = np.where(np.isnan(values), np.nan, 1.0)
    axis.imshow(grey, cmap="Greys", vmin=0, vmax=6, interpolation="nearest")
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    shown = axis.imshow(
        np.where(values == 0, np.nan, values), cmap=_strong(), vmin=-limit, vmax=limit, interpolation="nearest"
    )
    _bare(axis)
    bar = figure.colorbar(shown, ax=axis, shrink=0.9)
    bar.set_label(f"difference, {unit}", fontsize=11)
    if found.box is not None:
        top, bottom, left, right = (side / step for side in found.box)
        pad = 0.015 * max(values.shape)
        axis.plot(
            [left - pad, right + pad, right + pad, left - pad, left - pad],
            [top - pad, top - pad, bottom + pad, bottom + pad, top - pad],
            color=RED,
            linewidth=1.2,
        )
    axis.set_title(f"{found.pixels:,} pixels, {amount(found.area_ha)} ha differ in {year}", fontsize=11)
    return f"Map: {found.pixels:,} pixels ({amount(found.area_ha)} ha) differ, by up to {limit:.3g} {unit}."


def _strong() -> Any:
    """Orange for loss, violet for gain, without the pale middle that could not be told from unchanged pixels."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    places = np.concatenate([np.linspace(0.0, 0.3, 128), np.linspace(0.7, 1.0, 128)])
    return ListedColormap(colormaps["PuOr"](places))


def _bare(axis: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def overview(table: Table, base: Table, found: Changed | None, unit: str, path: Path) -> Drawn:
    """Total ecosystem of both sides, and below it the map of changed pixels."""
    mapped = found is not None and found.pixels > 0
    figure, axes = sheet((5.25, 4.9) if mapped else (5.25, 3.4), 2 if mapped else 1)
    alt, fallback = ecosystem(axes[0] if mapped else axes, table, base)
    if mapped and found is not None:
        alt = f"{alt} {draw_changed(figure, axes[1], found, unit, years_of(table)[-1])}"
    save(figure, path)
    return alt, fallback


def picture(source: Path, name: str, year: int, path: Path) -> str:
    """One map as a picture; returns the text that stands for it."""
    whole = read(source)
    values, _ = _thin(whole)
    figure, axis = sheet((5.25, 3.8))
    shown = axis.imshow(values, cmap="cividis", interpolation="nearest")
    _bare(axis)
    quantity, unit = _split(name)
    bar = figure.colorbar(shown, ax=axis, shrink=0.85)
    bar.set_label(unit, fontsize=11)
    axis.set_title(f"{quantity}, {year or 'after spinup'}", fontsize=11)
    save(figure, path)
    known = whole[~np.isnan(whole)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return f"Map of {quantity} in {year or 'the state after spinup'}: {low:.3g} to {high:.3g} {unit}."


def _split(name: str) -> tuple[str, str]:
    """``total_ecosystem_tC_ha``: total ecosystem, tC/ha."""
    for end, unit in (("_tC_ha", "tC/ha"), ("_years", "years"), ("_code", "code")):
        if name.endswith(end):
            return name.removesuffix(end).replace("_", " "), unit
    return name.replace("_", " "), ""
