"""The maps that a project itself configures (WriteVariableGeotiff): one GeoTIFF for each item, block and step.

Names, folders, data types and no data are those of the C++ (moja.modules.gdal, writevariablegeotiff.cpp); the value of
a cell is the age, a sum of pools, or the sum of the year's transfers, in tC/ha (tC with ``apply_area_adjustment``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BLOCKS, BlockId, Grid, project_domain, tile_bounds

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.simulate import Simulation
    from flint_ml.gcbm.engine.stands import Inventory

Array = NDArray[np.float64]
MODULE = "WriteVariableGeotiff"
DTYPES = {
    "UInt8": "uint8",
    "UInt16": "uint16",
    "Int16": "int16",
    "Int32": "int32",
    "UInt32": "uint32",
    "Int64": "int32",  # as the C++ writes them
    "UInt64": "uint32",
    "float": "float32",
    "double": "float64",
}


@dataclass(frozen=True)
class FluxGroup:
    """Transfers from some pools to some others (empty is all), of disturbances, of the year's processes, or of both."""

    sources: frozenset[str]
    sinks: frozenset[str]
    origin: str  # "disturbance", "annual_process" or "" for both
    kinds: frozenset[str]  # disturbance types; empty is all
    sign: float

    @classmethod
    def of(cls, entry: dict[str, Any]) -> FluxGroup:
        origin = str(entry.get("flux_source", "")).lower()
        return cls(
            frozenset(entry.get("from") or []),
            frozenset(entry.get("to") or []),
            origin if origin in ("disturbance", "annual_process") else "",
            frozenset(entry.get("disturbance_types") or []) if origin == "disturbance" else frozenset(),
            -1.0 if entry.get("subtract") else 1.0,
        )

    def takes(self, source: str, sink: str) -> bool:
        return (not self.sources or source in self.sources) and (not self.sinks or sink in self.sinks)

    def add(self, run: Simulation, total: Array) -> None:
        """Add this year's transfers (tC/ha) of each stand to ``total``."""
        if self.origin != "annual_process":
            pools = {number: name for name, number in run.model.pool_index.items()}
            for kind, members, moved in run.happened:
                if not self.kinds or run.names.types[kind][1] in self.kinds:
                    for start, end, amount in moved:
                        if self.takes(pools[start], pools[end]):
                            total[members] += self.sign * amount
        if self.origin != "disturbance":
            for row, (_, source, sink) in enumerate(FLOWS):
                if self.takes(source, sink):
                    total += self.sign * run.flows[row]


@dataclass(frozen=True)
class Item:
    """One configured map. ``variable`` is ``age`` or empty; ``interval``: every so many steps, from the first."""

    name: str
    dtype: np.dtype[Any]
    nodata: Any
    variable: str
    pools: tuple[str, ...]
    groups: tuple[FluxGroup, ...]
    interval: int
    by_area: bool
    named_folder: bool
    index_folder: bool

    def values(self, run: Simulation) -> Array:
        if self.variable:
            return run.stands.age.astype(np.float64)
        total = np.zeros(run.stands.count)
        for name in self.pools:
            total += run.stands.pools[run.model.pool_index[name]]
        for group in self.groups:
            group.add(run, total)
        return total


def _number(dtype: np.dtype[Any], given: Any) -> Any:
    if given is not None:
        return dtype.type(float(given))
    if dtype.kind != "f":
        return np.iinfo(dtype).min
    return dtype.type(-(10.0 ** (38 if dtype.itemsize == 4 else 308)))


def read_items(project: Project) -> tuple[list[Item], list[str]]:
    """The enabled items of the project, and a sentence for each that is not written."""
    settings = project.settings(MODULE)
    items: list[Item] = []
    refused: list[str] = []
    for entry in settings.get("items") or []:
        if not isinstance(entry, dict) or entry.get("enabled", True) is False:
            continue
        name = str(entry.get("data_name"))
        faults = list(_faults(project, entry))
        if faults:
            refused.append(f"{name}: {', '.join(faults)}")
            continue
        dtype = np.dtype(DTYPES[entry["variable_data_type"]])
        pools = entry.get("pool_name") or []
        flux = entry.get("flux") or []
        items.append(
            Item(
                name=name,
                dtype=dtype,
                nodata=_number(dtype, entry.get("nodata_value")),
                variable="" if pools or flux else str(entry.get("variable_name")),
                pools=(pools,) if isinstance(pools, str) else tuple(pools),
                groups=() if pools else tuple(map(FluxGroup.of, flux if isinstance(flux, list) else [flux])),
                interval=int(entry.get("output_interval", 1)),
                by_area=bool(entry.get("apply_area_adjustment", settings.get("apply_area_adjustment", False))),
                named_folder=bool(
                    entry.get("force_variable_folder_name", settings.get("force_variable_folder_name", True))
                ),
                index_folder=bool(
                    entry.get("use_indexes_for_folder_name", settings.get("use_indexes_for_folder_name", False))
                ),
            )
        )
    return items, refused


def _faults(project: Project, entry: dict[str, Any]) -> Iterator[str]:
    """What of an item is not written."""
    if entry.get("variable_data_type") not in DTYPES:
        yield f"variable_data_type {entry.get('variable_data_type')!r}"
    if entry.get("on_notification", "TimingInit") != "OutputStep":
        yield f"on_notification {entry.get('on_notification', 'TimingInit')} (only OutputStep)"
    if entry.get("subtract_previous_value"):
        yield "subtract_previous_value"
    if entry.get("output_annual_only") and project.first_day[0] != 12:
        yield "output_annual_only, which writes in December"
    if not (entry.get("pool_name") or entry.get("flux")) and entry.get("variable_name") != "age":
        yield f"variable {entry.get('variable_name')} (only age, pools and transfers)"
    pools = entry.get("pool_name") or []
    unknown = [name for name in ([pools] if isinstance(pools, str) else pools) if name not in project.section("Pools")]
    if unknown:
        yield f"unknown pool {', '.join(map(str, unknown))}"


@dataclass
class ConfiguredMaps:
    """Writes a project's own maps below ``folder``, year by year; ``years`` are those wanted, None all.

    ``written``: number of files.
    """

    folder: Path
    items: Sequence[Item]
    first_year: int
    grid: Grid
    years: frozenset[int] | None = None
    written: int = 0
    _made: set[Path] = field(default_factory=set)

    def observer(self, inventory: Inventory) -> Callable[[int, Simulation], None]:
        """A function that writes the maps of these stands' blocks after each year; see ``Simulation.run``."""

        def observe(year: int, run: Simulation) -> None:
            step = year - self.first_year + 1
            if year == 0 or (self.years is not None and year not in self.years):
                return
            for item in self.items:
                if (step - 1) % item.interval == 0:
                    self._write(inventory, item, step, item.values(run), run.stands.alive)

        return observe

    def _write(self, inventory: Inventory, item: Item, step: int, values: Array, alive: NDArray[np.bool_]) -> None:
        side = self.grid.per_block
        numbers = values.astype(item.dtype)
        for block, (place, stand) in inventory.pixels.items():
            inside = alive[stand]
            if not inside.any():
                continue
            cells, stands = place[inside], stand[inside]
            picture = np.full(side * side, item.nodata, dtype=item.dtype)
            picture[cells] = numbers[stands]
            if item.by_area:
                area = self.grid.row_areas(block)[cells // side]
                picture[cells] = (numbers[stands].astype(np.float64) * area).astype(item.dtype)
            self._raster(self._path(item, block, step), block, item, picture.reshape(side, side))

    def _path(self, item: Item, block: BlockId, step: int) -> Path:
        west, north = (round(edge) for edge in tile_bounds(block.tile))
        tile = "_".join(f"{'-' if edge < 0 else ''}{abs(edge):03d}" for edge in (west, north))
        folder = f"{block.tile:06d}" if item.index_folder else tile
        label = f"{folder}_{block.block:02d}" if item.index_folder else f"{tile}_{block.block:02d}"
        parent = self.folder / item.name / folder if item.named_folder else self.folder / folder
        return parent / f"{item.name}_{label}_{step}.tif"

    def _raster(self, path: Path, block: BlockId, item: Item, picture: NDArray[Any]) -> None:
        import rasterio
        from rasterio.errors import RasterioError
        from rasterio.transform import from_origin

        west, north = tile_bounds(block.tile)
        row, column = divmod(block.block, BLOCKS)
        cell = 1.0 / BLOCKS / self.grid.per_block
        profile = {
            "driver": "GTiff",
            "height": picture.shape[0],
            "width": picture.shape[1],
            "count": 1,
            "dtype": item.dtype.name,
            "crs": "EPSG:4326",
            "nodata": item.nodata,
            "tiled": True,
            "compress": "deflate",
            "transform": from_origin(west + column * 0.1, north - row * 0.1, cell, cell),
        }
        try:
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            with rasterio.open(path, "w", **profile) as raster:
                raster.write(picture, 1)
        except (OSError, RasterioError) as error:
            raise OutsideError(
                f"the map cannot be written: {error}",
                where=str(path),
                hint="free disk space, or choose another folder",
                code="gcbm-output",
            ) from None
        self.written += 1


def configured_maps(project: Project, folder: Path, years: Sequence[int] | None) -> tuple[ConfiguredMaps, list[str]]:
    """The writer of the project's own maps, and a sentence for each map that it does not write.

    Raises
    ------
    InputError
        The project configures none that can be written.
    """
    items, refused = read_items(project)
    if not items:
        raise InputError(
            "the project configures no maps" + (f" that are written: {'; '.join(refused)}" if refused else ""),
            where=project.source("Modules", MODULE),
            hint="enable WriteVariableGeotiff with items, or name maps in `spatial`",
            code="gcbm-maps",
        )
    wanted = None if years is None else frozenset(years)
    first = project.years[0]
    return ConfiguredMaps(folder, items, first, project_domain(project).grid, wanted), refused
