"""Where the cells of a raster lie: coordinate system, transform, extent, and the area of a cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from flint_ml.drift.statistics.distributions import Floats
from flint_ml.drift.tables.schema import Note

# WGS 84. Other ellipsoids in use differ in area by less than 0.03 %.
_A, _F = 6_378_137.0, 1 / 298.257223563
_E2 = _F * (2 - _F)
_E = math.sqrt(_E2)
_WEB_MERCATOR = {3857, 900913, 3785, 102100, 102113}
# Positions that agree to this part of a cell are the same; headers round.
_SAME = 1e-3


@dataclass(frozen=True)
class Grid:
    """The grid of a raster: ``transform`` is (a, b, c, d, e, f) with x = a·column + b·row + c, y = d·column + …"""

    crs: Any
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    @property
    def cells(self) -> int:
        return self.width * self.height

    @property
    def rotated(self) -> bool:
        return self.transform[1] != 0 or self.transform[3] != 0

    @property
    def placed(self) -> bool:
        """Whether the raster says where it lies."""
        return self.transform != (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in the unit of the coordinate system."""
        a, b, _, d, e, _ = self.transform
        return math.hypot(a, d), math.hypot(b, e)

    @property
    def system(self) -> str:
        """The coordinate system for people: ``EPSG:4326``, or its name."""
        if self.crs is None:
            return "none"
        code = _epsg(self.crs)
        return f"EPSG:{code}" if code else str(self.crs.to_dict().get("proj") or self.crs.to_string())[:60]

    def place(self, column: float, row: float) -> tuple[float, float]:
        """Coordinates of a position in cells."""
        a, b, c, d, e, f = self.transform
        return a * column + b * row + c, d * column + e * row + f

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        corners = [self.place(x, y) for x in (0, self.width) for y in (0, self.height)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def row_areas(self) -> Floats | None:
        """Area in ha of a cell of each row; None where the coordinate system does not tell.

        Geographic: the zone of the WGS 84 ellipsoid between the two parallels, in closed form (Snyder 1987, eq. 3-11
        and 3-12). Projected: the area in the projection; for Web Mercator, whose scale grows with the latitude,
        divided by the square of that scale.
        """
        if self.crs is None or not self.placed:
            return None
        a, b, _, d, e, f = self.transform
        if self.crs.is_geographic:
            if self.rotated:
                return None
            factor = float(self.crs.units_factor[1])
            edges = np.clip((f + e * np.arange(self.height + 1)) * factor, -math.pi / 2, math.pi / 2)
            s = np.sin(edges)
            zone = _A**2 * (1 - _E2) / 2 * (s / (1 - _E2 * s**2) + np.arctanh(_E * s) / _E)
            result: Floats = np.abs(np.diff(zone)) * abs(a) * factor / 10_000
            return result
        if not self.crs.is_projected:
            return None
        area = np.full(self.height, abs(a * e - b * d) * float(self.crs.linear_units_factor[1]) ** 2 / 10_000)
        if _epsg(self.crs) in _WEB_MERCATOR:
            middle = f + e * (np.arange(self.height) + 0.5)
            area /= np.cosh(middle / _A) ** 2
        return area


def _epsg(crs: Any) -> int | None:
    try:
        code = crs.to_epsg()
    except Exception:
        return None
    return int(code) if code else None


def same_system(one: Grid, two: Grid) -> bool:
    """Whether two rasters have the same coordinate system, or neither has one."""
    if one.crs is None or two.crs is None:
        return one.crs is two.crs
    return bool(one.crs == two.crs) or (_epsg(one.crs) is not None and _epsg(one.crs) == _epsg(two.crs))


def same_grid(one: Grid, two: Grid) -> bool:
    """Whether the cells of two rasters cover the same ground."""
    if (one.width, one.height) != (two.width, two.height) or not same_system(one, two):
        return False
    least = min(one.cell)
    for column, row in ((0, 0), (one.width, 0), (0, one.height)):
        first, second = one.place(column, row), two.place(column, row)
        if max(abs(a - b) for a, b in zip(first, second, strict=True)) > _SAME * least:
            return False
    return True


def _same_ground(one: Grid, two: Grid) -> bool:
    """Whether two rasters cover the same ground in rows of opposite order."""
    least = min(one.cell)
    near = all(abs(a - b) <= _SAME * least for a, b in zip(one.bounds, two.bounds, strict=True))
    return near and not one.rotated and not two.rotated and one.transform[4] * two.transform[4] < 0


def grid_notes(name: str, one: Grid, two: Grid) -> list[Note]:
    """How the grids of a layer differ, with what to do; warnings, for the distributions are compared all the same."""
    notes = [*_system_notes(name, one, two)]
    if one.rotated != two.rotated:
        which = "new data" if two.rotated else "reference"
        notes.append(_differs(name, "rotated", f"the raster of the {which} is rotated, the other is not"))
    if same_system(one, two):
        sizes = [grid.cell for grid in (one, two)]
        if any(abs(a - b) > 1e-6 * max(a, b) for a, b in zip(*sizes, strict=True)):
            text = f"cells of {_size(one)} in the reference, {_size(two)} in the new data"
            notes.append(_differs(name, "cell-size", text))
        elif (one.width, one.height) != (two.width, two.height):
            text = f"{one.width} × {one.height} cells in the reference, {two.width} × {two.height} in the new data"
            notes.append(_differs(name, "extent", text, "Crop or pad the raster for a comparison cell by cell."))
        elif not same_grid(one, two) and _same_ground(one, two):
            which = "new data" if two.transform[4] > 0 else "reference"
            text = f"the rows of the {which} run from south to north, those of the other from north to south, over the "
            text += "same ground"
            hint = "Turn it: `gdalwarp` writes rows from north to south."
            notes.append(_differs(name, "south-up", text, hint))
        elif not same_grid(one, two):
            (x1, y1), (x2, y2) = one.place(0, 0), two.place(0, 0)
            text = f"the corner lies at {x2:.10g}, {y2:.10g}, that of the reference at {x1:.10g}, {y1:.10g}"
            notes.append(_differs(name, "shifted", text))
    return notes


def _system_notes(name: str, one: Grid, two: Grid) -> list[Note]:
    if not same_system(one, two):
        text = f"coordinate system {one.system} in the reference, {two.system} in the new data"
        return [_differs(name, "crs", text)]
    if one.crs is None:
        text = f"`{name}`: neither raster names a coordinate system; areas in ha are not known"
        return [Note("warning", "no-crs", text, "Assign it: `gdal_edit.py -a_srs EPSG:…`.")]
    return []


def _differs(name: str, code: str, text: str, hint: str = "") -> Note:
    hint = hint or "Warp the new raster to the grid of the reference (`gdalwarp -t_srs … -te … -tr …`)."
    return Note("warning", f"raster-{code}", f"`{name}`: {text}; compared by distribution only", hint)


def _size(grid: Grid) -> str:
    unit = (
        ""
        if grid.crs is None or not (grid.crs.is_projected or grid.crs.is_geographic)
        else " degrees"
        if grid.crs.is_geographic
        else " m"
    )
    if grid.crs is not None and grid.crs.is_projected and abs(grid.crs.linear_units_factor[1] - 1) > 1e-9:
        unit = f" {grid.crs.linear_units_factor[0]}"
    return f"{grid.cell[0]:.8g} × {grid.cell[1]:.8g}{unit}"
