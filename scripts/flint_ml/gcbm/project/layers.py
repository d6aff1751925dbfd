"""Raster layers with their attribute tables, read by 0.1-degree block (specification, 1.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.fences import open_raster
from flint_ml.gcbm.project.config import Project, plain_path, read_json
from flint_ml.gcbm.project.grid import BLOCKS, BlockId, Grid, is_aligned
from flint_ml.gcbm.project.problems import readable

TYPES = {
    "Byte": "uint8",
    "UInt8": "uint8",
    "UInt16": "uint16",
    "Int16": "int16",
    "Int32": "int32",
    "UInt32": "uint32",
    "Float32": "float32",
}

# Rasters of at most so many cells are read at once.
WHOLE = 4_000_000


@dataclass
class Layer:
    """One raster layer.

    ``values``: what codes 1.. stand for when the layer has attributes (code 0 is null), else None and the
    cell's number itself is the value. ``lookup``: cell value -> code.
    """

    name: str
    tiff: Path
    json: Path
    dtype: np.dtype[Any]
    nodata: Any
    grid: Grid
    values: list[Any] | None
    lookup: dict[int, int]
    where: str
    _dataset: Any = field(default=None, repr=False)
    _origin: tuple[int, int] = (0, 0)
    # Cells read ahead, and the row and column of the first: single blocks of a small raster cost more to ask for than
    # to read.
    _ahead: tuple[int, int, Any] | None = field(default=None, repr=False)

    def open(self) -> Any:
        """The open dataset, checked against its description; see ``faults``."""
        if self._dataset is None:
            import rasterio

            if not self.tiff.is_file():
                raise InputError(**self._missing())
            try:
                self._dataset = open_raster(self.tiff, f"layer {self.name}")
            except rasterio.errors.RasterioIOError as error:
                raise InputError(
                    f"layer {self.name}: the raster cannot be read ({error})",
                    where=str(self.tiff),
                    hint="tile the layers again; the file is damaged or no GeoTIFF",
                    code="gcbm-layer-unreadable",
                ) from None
            for fault in self.faults():
                self.close()
                raise fault
            self._origin = (round(self._row0()), round(self._column0()))
        return self._dataset

    @property
    def is_open(self) -> bool:
        return self._dataset is not None

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the raster's first cell in the global grid of its cells; the raster is opened."""
        self.open()
        return self._origin

    def close(self) -> None:
        if self._dataset is not None:
            self._dataset.close()
            self._dataset = self._ahead = None

    def _missing(self) -> dict[str, Any]:
        near = sorted(p.name for p in self.tiff.parent.glob(f"{self.tiff.stem}*.tif*"))
        hint = f"rename {near[0]}, which is there, or correct layer_path" if near else "correct layer_path"
        hint += " (--fix writes a repaired copy)" if len(near) == 1 else ""
        return {
            "message": f"layer {self.name}: the raster {self.tiff.name} does not exist",
            "where": self.where,
            "hint": hint,
            "code": "gcbm-layer-missing",
        }

    def _row0(self) -> float:
        return float((90.0 - self._dataset.transform.f) / self.grid.cell)

    def _column0(self) -> float:
        return float((self._dataset.transform.c + 180.0) / self.grid.cell)

    def faults(self) -> Iterator[InputError]:
        """Mistakes between the open raster and its description."""
        dataset, transform, name = self._dataset, self._dataset.transform, f"layer {self.name}"
        found = dataset.dtypes[0]
        if found != self.dtype.name:
            yield InputError(
                f"{name}: the raster holds {found}, its JSON says layer_data {self.dtype.name}; "
                "the C++ would read garbage without a message",
                where=self.where,
                hint=f"correct layer_data in {self.json.name}",
                code="gcbm-layer-type",
            )
        if dataset.crs is not None and not dataset.crs.is_geographic:
            yield InputError(
                f"{name}: the coordinate system is {dataset.crs.to_string()}, not WGS84 longitude and latitude",
                where=self.where,
                hint="reproject to EPSG:4326 and tile again",
                code="gcbm-layer-crs",
            )
            return
        cell = self.grid.cell
        if abs(transform.a / cell - 1) > 1e-6 or abs(-transform.e / cell - 1) > 1e-6:
            yield InputError(
                f"{name}: the raster's cells are {transform.a:.10g} x {-transform.e:.10g} degrees, its JSON says "
                f"{cell:.10g}",
                where=self.where,
                hint=f"correct cellLatSize and cellLonSize in {self.json.name}, or tile the layers again",
                code="gcbm-layer-cell-size",
            )
        elif not (is_aligned(self._row0()) and is_aligned(self._column0())):
            yield InputError(
                f"{name}: the raster's corner does not lie on the grid of its cells",
                where=self.where,
                hint="tile the layers again",
                code="gcbm-layer-grid",
            )

    def cropped(self) -> list[str]:
        """Sides on which the raster ends inside a block: ``moja.cli`` cannot read such a block."""
        dataset = self.open()
        row, column = self._origin
        n = self.grid.per_block
        sides = {
            "top": row % n,
            "left": column % n,
            "bottom": (row + dataset.height) % n,
            "right": (column + dataset.width) % n,
        }
        return [side for side, rest in sides.items() if rest]

    def part_of_tile(self) -> list[str]:
        """Sides on which the raster ends inside a tile, though at a block: ``moja.cli`` crashes on such a layer."""
        dataset = self.open()
        row, column = self._origin
        n = self.grid.per_tile
        sides = {"top": row, "left": column, "bottom": row + dataset.height, "right": column + dataset.width}
        return [side for side, edge in sides.items() if edge % n]

    def read(self, block: BlockId, target: Grid) -> NDArray[Any]:
        """Raw values (target.per_block squared) of a block; parts that the raster lacks are no data."""
        dataset = self.open()
        row, column = target.corner(block)
        rows = target.sample(row, self.grid) - self._origin[0]
        columns = target.sample(column, self.grid) - self._origin[1]
        out = np.full((rows.size, columns.size), self.nodata, dtype=self.dtype)
        r = slice(*np.searchsorted(rows, (0, dataset.height)))
        c = slice(*np.searchsorted(columns, (0, dataset.width)))
        if r.start == r.stop or c.start == c.stop:
            return out
        top, left = int(rows[r.start]), int(columns[c.start])
        height, width = int(rows[r.stop - 1]) - top + 1, int(columns[c.stop - 1]) - left + 1
        part = self._cells(block, (top, left, height, width))
        if self.grid.per_block != target.per_block:
            part = part[np.ix_(rows[r] - top, columns[c] - left)]
        out[r, c] = part
        return out

    def read_blocks(self, blocks: Sequence[BlockId], target: Grid) -> NDArray[Any]:
        """Raw values of several blocks, one after the other, as ``read`` gives them."""
        dataset = self.open()
        if dataset.height * dataset.width > WHOLE or self.grid.per_block != target.per_block:
            return np.concatenate([self.read(block, target).reshape(-1) for block in blocks])
        cells = self._cells(blocks[0], (0, 0, dataset.height, dataset.width))
        corners = np.array([target.corner(block) for block in blocks]) - self._origin
        rows, columns = (corners[:, side, None] + np.arange(target.per_block) for side in range(2))
        row, column = rows.clip(0, dataset.height - 1), columns.clip(0, dataset.width - 1)
        out: NDArray[Any] = cells[row[:, :, None], column[:, None, :]]
        out[~((rows == row)[:, :, None] & (columns == column)[:, None, :])] = self.nodata
        return out.reshape(-1)

    def _cells(self, block: BlockId, window: tuple[int, int, int, int]) -> NDArray[Any]:
        """Cells of a window (top, left, height, width) of the raster, from what was read ahead where it lies in it."""
        top, left, height, width = window
        for _ in range(2):
            if self._ahead is not None:
                row, column, cells = self._ahead
                part: NDArray[Any] = cells[top - row : top - row + height, left - column : left - column + width]
                if top >= row and left >= column and part.shape == (height, width):
                    return part
            self._read_ahead(block, window)
        raise AssertionError("what was read ahead lacks the block that it was read for")

    def _read_ahead(self, block: BlockId, window: tuple[int, int, int, int]) -> None:
        """Read the whole raster where it is small, else this block and those to the right of it in its tile."""
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        dataset = self.open()
        top, left, height, width = window
        if dataset.height * dataset.width <= WHOLE:
            top, left, height, width = 0, 0, dataset.height, dataset.width
        else:
            width = min(width + self.grid.per_block * (BLOCKS - 1 - block.block % BLOCKS), dataset.width - left)
        try:
            self._ahead = (top, left, dataset.read(1, window=Window(left, top, width, height)))
        except RasterioIOError as error:
            raise InputError(
                f"layer {self.name}: block {block} cannot be read ({error})",
                where=str(self.tiff),
                hint="the file is damaged; copy or pull it again",
                code="gcbm-layer-unreadable",
            ) from None

    def ranks(self, raw: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Encode cells: index into the distinct values, and those values ascending (NaN, null, last).

        A value is the number itself, or the attribute's code where the layer has attributes.
        """
        if raw.dtype.itemsize <= 2:
            shift = -int(np.iinfo(raw.dtype).min)
            index = raw.astype(np.int64) + shift
            present = np.flatnonzero(np.bincount(index))
            cells = present - shift
        else:
            cells, index = np.unique(raw, return_inverse=True)
            present = np.arange(cells.size)
        distinct, rank = np.unique(self._numbers(cells), return_inverse=True)
        table = np.zeros(int(present[-1]) + 1 if present.size else 1, dtype=np.int64)
        table[present] = rank
        return table[index.reshape(-1)], distinct

    def _numbers(self, cells: NDArray[Any]) -> NDArray[np.float64]:
        if self.values is None:
            numbers = cells.astype(np.float64)
        else:
            numbers = np.array([self.lookup.get(int(v), np.nan) for v in cells.tolist()], dtype=np.float64)
        numbers[cells == self.nodata] = np.nan
        return numbers

    def is_null(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        """Which cells hold no value."""
        null: NDArray[np.bool_] = raw == self.nodata
        if self.values is not None:
            null |= ~np.isin(raw, list(self.lookup))
        elif raw.dtype.kind == "f":
            null |= np.isnan(raw)
        return null

    def value(self, code: float) -> Any:
        """The variable's value for a code of ``codes``: None, attribute, or number."""
        if np.isnan(code):
            return None
        if self.values is not None:
            return self.values[int(code) - 1]
        return code if self.dtype.kind == "f" else int(code)


def layer_entries(project: Project) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Every layer entry of the raster providers: (provider, entry, file that has it)."""
    for name, provider in project.providers.items():
        where = project.source("Providers", name)
        with readable(f"provider {name}", where):
            listed = list(provider.get("layers", [])) if provider.get("type") == "RasterTiledGDAL" else []
        yield from ((provider, entry, where) for entry in listed)


def project_layers(project: Project) -> dict[str, Layer]:
    """Every layer of the raster providers, by name. Attribute files are read, rasters are not opened."""
    made = (make_layer(project, *item) for item in layer_entries(project))
    return {layer.name: layer for layer in made}


def make_layer(project: Project, provider: dict[str, Any], entry: dict[str, Any], where: str) -> Layer:
    """Describe one layer from its provider, its entry there and its attribute file."""
    with readable("the list of layers", where):
        name = str(entry.get("name"))
    tiff = project.path(str(entry.get("layer_path", "")), what=f"layer {name}", where=where)
    description = tiff.with_suffix(".json")
    if not description.is_file():
        raise InputError(
            f"layer {name}: its description {description.name} does not exist beside the raster",
            where=where,
            hint=f"put {plain_path(str(entry.get('layer_path', '')))} and its JSON in one folder",
            code="gcbm-layer-json",
        )
    label = project.relative(description)
    with readable(f"layer {name}: its description", label):
        return _described(name, {**provider, **read_json(description)}, tiff, description, label)


def _described(name: str, about: dict[str, Any], tiff: Path, description: Path, label: str) -> Layer:
    """A layer from what its description and its provider say."""
    kind = about.get("layer_data", "")
    if about.get("layer_type", "GridLayer") != "GridLayer" or str(kind) not in TYPES:
        raise InputError(
            f"layer {name}: layer_type {about.get('layer_type')!r} with layer_data {kind!r} is not known",
            where=label,
            hint=f"use GridLayer with one of {', '.join(TYPES)}",
            code="gcbm-layer-type",
        )
    for key, wanted in {"tileLatSize": 1.0, "tileLonSize": 1.0, "blockLatSize": 0.1, "blockLonSize": 0.1}.items():
        if abs(float(about.get(key, wanted)) - wanted) > 1e-9:
            raise InputError(
                f"layer {name}: {key} is {about[key]}, but the C++ reader only knows {wanted}",
                where=label,
                hint="tile the layers again with tiles of 1 degree and blocks of 0.1 degrees",
                code="gcbm-layer-tiles",
            )
    dtype = np.dtype(TYPES[kind])
    grid = Grid.of(float(about.get("cellLatSize", 0.0)), label)
    values, lookup = _attributes(about.get("attributes"), label, name)
    return Layer(name, tiff, description, dtype, _nodata(about.get("nodata"), dtype), grid, values, lookup, label)


def _nodata(value: Any, dtype: np.dtype[Any]) -> Any:
    """The no-data value, cast to the layer's type as in C++ (3.4e38 becomes the nearest float32)."""
    if value is None:
        return dtype.type(0) if dtype.kind != "f" else dtype.type(np.nan)
    if dtype.kind == "f":
        return dtype.type(value)
    return np.array(int(value), dtype=np.int64).astype(dtype)[()]


def _attributes(table: Any, where: str, name: str) -> tuple[list[Any] | None, dict[int, int]]:
    """Attribute values by code (equal attributes share one) and cell value -> code."""
    if not table:
        return None, {}
    values: list[Any] = []
    known: dict[str, int] = {}
    lookup: dict[int, int] = {}
    try:
        ordered = sorted(((int(key), value) for key, value in table.items()), key=lambda item: item[0])
    except (TypeError, ValueError, AttributeError):
        raise InputError(
            f"layer {name}: the keys of attributes must be whole numbers",
            where=where,
            hint="use the raster's cell values as keys",
            code="gcbm-layer-attributes",
        ) from None
    for key, value in ordered:
        if isinstance(value, list):
            raise InputError(
                f"layer {name}: value {key} has a list of attributes, which stops the C++ on that pixel",
                where=where,
                hint="several events on one pixel need several layers",
                code="gcbm-layer-attributes",
            )
        text = json.dumps(value, sort_keys=True)
        if value is not None and text not in known:
            values.append(value)
            known[text] = len(values)
        if value is not None:
            lookup[key] = known[text]
    return values, lookup


def covers(layer: Layer, tile: int) -> bool:
    """Whether a raster reaches into a tile at all."""
    dataset = layer.open()
    row, column = layer.grid.corner(BlockId(tile, 0))
    row0, column0 = layer.origin
    side = layer.grid.per_block * BLOCKS
    return bool(
        row < row0 + dataset.height
        and row + side > row0
        and column < column0 + dataset.width
        and column + side > column0
    )
