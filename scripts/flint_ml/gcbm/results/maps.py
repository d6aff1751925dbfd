"""GeoTIFF maps of chosen quantities and years, cropped to the simulated pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.pools import DOM, DOM_END, GASES, INDEX, LIVE, LIVE_END
from flint_ml.gcbm.project.grid import Grid
from flint_ml.gcbm.results.indicators import STOCKS

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.simulate import Simulation
    from flint_ml.gcbm.engine.stands import Inventory
    from flint_ml.gcbm.results.configured_maps import ConfiguredMaps

NODATA = -9999.0
NPP = [i for i, (_, source, sink) in enumerate(FLOWS) if source == "Atmosphere" and sink in LIVE]
RH = [i for i, (_, source, sink) in enumerate(FLOWS) if source in DOM and sink in GASES]


def _sum_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.add.accumulate(rows, axis=0)[-1], dtype=np.float64)


def _stock(name: str) -> Callable[[Simulation], NDArray[np.float64]]:
    rows = [INDEX[pool] for pool in STOCKS[name]]
    return lambda run: _sum_rows(run.stands.pools[rows])


QUANTITIES: dict[str, Callable[[Any], NDArray[np.float64]]] = {
    **{f"{name}_ha": _stock(name) for name in STOCKS},
    "dead_organic_matter_tC_ha": lambda run: _sum_rows(run.stands.pools[LIVE_END:DOM_END]),
    "npp_tC_ha": lambda run: _sum_rows(run.flows[NPP]),
    "rh_tC_ha": lambda run: _sum_rows(run.flows[RH]),
    "nep_tC_ha": lambda run: _sum_rows(run.flows[NPP]) - _sum_rows(run.flows[RH]),
    "age_years": lambda run: run.stands.age.astype(np.float64),
    "disturbance_code": lambda run: run.event_codes,
}


@dataclass
class MapRequest:
    """What to map: ``run(project, maps=MapRequest(folder, ["total_ecosystem_tC_ha"], [2010, 2020]))``.

    ``layers``: names of ``QUANTITIES`` (tC/ha a year, tC/ha, years, or the code of the year's last event,
    0 for none). ``years``: 0 is the state after spinup. ``files``: what was written, by (layer, year);
    nodata is -9999. ``configured``: writer of the maps that the project itself configures.
    """

    folder: Path
    layers: Sequence[str]
    years: Sequence[int]
    files: dict[tuple[str, int], Path] = field(default_factory=dict)
    configured: ConfiguredMaps | None = None
    _chunks: list[tuple[Inventory, dict[tuple[str, int], NDArray[np.float32]]]] = field(default_factory=list)

    def check(self, years: Sequence[int]) -> None:
        """InputError for an unknown layer or a year that is not simulated."""
        unknown = [name for name in self.layers if name not in QUANTITIES]
        late = [year for year in self.years if year not in (0, *years)]
        if unknown or late:
            raise InputError(
                f"no map of {', '.join([*unknown, *map(str, late)])}",
                where="spatial",
                hint=f"layers are {', '.join(QUANTITIES)}; years are 0 and {years[0]} to {years[-1]}",
                code="gcbm-maps",
            )

    def observer(self, inventory: Inventory) -> Callable[[int, Simulation], None]:
        """A function that keeps this chunk's values; see ``Simulation.run``."""
        kept: dict[tuple[str, int], NDArray[np.float32]] = {}
        if self.layers:
            self._chunks.append((inventory, kept))
        own = None if self.configured is None else self.configured.observer(inventory)

        def observe(year: int, run: Simulation) -> None:
            if own is not None:
                own(year, run)
            if year in self.years:
                for name in self.layers:
                    values = np.where(run.stands.alive, QUANTITIES[name](run), NODATA)
                    kept[name, year] = values.astype(np.float32)

        return observe

    def write(self, grid: Grid) -> None:
        """Write all maps, each under a temporary name first."""
        if not self._chunks:
            return
        box = self._box(grid)
        for name in self.layers:
            for year in self.years:
                target = Path(self.folder) / f"{name}_{year}.tiff"
                self._write(grid, box, name, year, target)
                self.files[name, year] = target
        self._chunks.clear()

    def _box(self, grid: Grid) -> tuple[int, int, int, int]:
        """First and last row and column of the simulated pixels, in the global grid."""
        rows: list[int] = []
        columns: list[int] = []
        for inventory, _ in self._chunks:
            for block, (place, _) in inventory.pixels.items():
                top, left = grid.corner(block)
                r, c = np.divmod(place, grid.per_block)
                rows += [top + int(r.min()), top + int(r.max())]
                columns += [left + int(c.min()), left + int(c.max())]
        return min(rows), max(rows), min(columns), max(columns)

    def _write(self, grid: Grid, box: tuple[int, int, int, int], name: str, year: int, target: Path) -> None:
        import rasterio
        from rasterio.errors import RasterioError
        from rasterio.transform import from_origin

        top, bottom, left, right = box
        picture = np.full((bottom - top + 1, right - left + 1), NODATA, dtype=np.float32)
        for inventory, kept in self._chunks:
            for block, (place, stand) in inventory.pixels.items():
                row, column = grid.corner(block)
                r, c = np.divmod(place, grid.per_block)
                picture[row - top + r, column - left + c] = kept[name, year][stand]
        profile = {
            "driver": "GTiff",
            "height": picture.shape[0],
            "width": picture.shape[1],
            "count": 1,
            "dtype": "float32",
            "crs": "EPSG:4326",
            "nodata": NODATA,
            "compress": "deflate",
            "predictor": 3,
            "transform": from_origin(left * grid.cell - 180.0, 90.0 - top * grid.cell, grid.cell, grid.cell),
        }
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(part, "w", **profile) as raster:
                raster.write(picture, 1)
                raster.set_band_description(1, f"{name} {year or 'after spinup'}")
            part.replace(target)
        except (OSError, RasterioError) as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise OutsideError(
                f"the map cannot be written: {error}",
                where=str(target),
                hint="free disk space, or choose another folder",
                code="gcbm-output",
            ) from None
