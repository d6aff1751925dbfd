"""GeoTIFF files as layers: what is in them, and their cells window by window, never a raster as a whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.rasters.grid import Grid
from flint_ml.drift.rasters.names import Names, read_names
from flint_ml.drift.statistics.distributions import Mask
from flint_ml.errors import InputError
from flint_ml.fences import open_raster

SUFFIXES = {".tif", ".tiff"}
_OTHERS = {
    ".vrt",
    ".img",
    ".asc",
    ".nc",
    ".jp2",
    ".hdf",
    ".h5",
    ".grib",
    ".grb",
    ".ecw",
    ".sid",
    ".bil",
    ".flt",
    ".dem",
}
# A window of about so many cells is in memory at a time, and GDAL keeps so many bytes of decoded tiles.
WINDOW_CELLS = 1 << 20
_CACHE_BYTES = 48 << 20
_TOO_LARGE = 1 << 28
# The list of its tiles alone takes a byte for each 16,000 cells; a header that says more than this is damaged.
_CELLS_PER_BYTE, _LONGEST = 200_000, 10_000_000

# Row and column of the first cell, height, width.
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Band:
    """One band of a GeoTIFF: a layer. ``dtype`` is that of the values after scale and offset."""

    name: str
    path: Path
    label: str
    index: int
    grid: Grid
    stored: np.dtype[Any]
    nodata: float | None
    tile: tuple[int, int]
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    masked: bool = False
    palette: bool = False
    names: Names = field(default_factory=Names)

    @property
    def scaled(self) -> bool:
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def small_integer(self) -> bool:
        """Whether all values that the type can hold can be counted one by one."""
        return self.stored.kind in "iub" and self.stored.itemsize <= 2 and not self.scaled

    def windows(self) -> Iterator[Window]:
        """Windows that cover the band, whole tiles or strips each, from north to south."""
        high, wide = self.tile
        columns = wide * max(1, math.isqrt(WINDOW_CELLS) // wide) if wide < self.grid.width else self.grid.width
        rows = high * max(1, WINDOW_CELLS // max(1, min(columns, self.grid.width) * high))
        for row in range(0, self.grid.height, rows):
            for column in range(0, self.grid.width, columns):
                yield (row, column, min(rows, self.grid.height - row), min(columns, self.grid.width - column))


class Cells:
    """An open band. ``read`` returns values and which of them are there."""

    def __init__(self, band: Band, dataset: Any) -> None:
        self.band = band
        self._dataset = dataset

    def read(self, window: Window) -> tuple[npt.NDArray[Any], Mask]:
        """Values (float64 where scaled, else as stored) and where there is one, both (height, width).

        Raises InputError where the file is damaged.
        """
        import rasterio
        from rasterio.windows import Window as Part

        row, column, height, width = window
        part = Part(column, row, width, height)
        band = self.band
        try:
            values: npt.NDArray[Any] = self._dataset.read(band.index, window=part)
            there = _valid(values, band.nodata)
            if band.masked:
                there &= self._dataset.read_masks(band.index, window=part) > 0
        except (rasterio.errors.RasterioError, OSError, ValueError, MemoryError) as error:
            text = f"the cells from row {row} and column {column} on cannot be read ({_first_line(error)})"
            raise _bad(band.label, text, "the file is damaged; copy or pull it again") from None
        if band.scaled:
            values = values * np.float64(band.scale) + band.offset
        return values, there


def _valid(values: npt.NDArray[Any], nodata: float | None) -> Mask:
    known: Mask = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if nodata is None or math.isnan(nodata):
        return known
    if values.dtype.kind == "f":
        # A header says 3.4e38; the cells hold the nearest number of their type.
        with np.errstate(over="ignore"):
            known &= values != values.dtype.type(nodata)
    elif float(nodata).is_integer() and np.iinfo(values.dtype).min <= nodata <= np.iinfo(values.dtype).max:
        known &= values != values.dtype.type(int(nodata))
    return known


def _bad(label: str, message: str, hint: str, code: str = "unreadable-raster") -> InputError:
    return InputError(message, where=label, hint=hint, code=code)


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error)
    return text.splitlines()[0][:200] if text else type(error).__name__


def is_raster(path: Path) -> bool:
    """Whether a file is a raster, by its name."""
    return path.suffix.lower() in SUFFIXES | _OTHERS and not path.name.startswith(".")


@contextmanager
def gdal() -> Iterator[None]:
    """GDAL with a small cache; it opens GeoTIFF only, so that no file can name another one to read."""
    import logging

    import rasterio

    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True, CPL_LOG_ERRORS=False):
        yield


@contextmanager
def opened(path: Path, label: str) -> Iterator[Any]:
    """The dataset of a GeoTIFF.

    Raises
    ------
    InputError
        If it is missing, empty, damaged, or of another format.
    """
    import warnings

    import rasterio

    if path.suffix.lower() in _OTHERS:
        hint = "convert it: `gdal_translate -of COG in out.tif`"
        raise _bad(label, f"is no GeoTIFF ({path.suffix})", hint, "raster-format")
    if not path.is_file():
        hint = "check the spelling; if DVC tracks it, run pull-data before this step"
        raise _bad(label, "does not exist", hint, "missing-file")
    if path.stat().st_size == 0:
        raise _bad(label, "is empty", "write the raster again", "empty-file")
    with path.open("rb") as stream:
        start = stream.read(48)
    if start.startswith(b"version https://git-lfs"):
        raise _bad(
            label, "is a Git LFS pointer, not the raster itself", "run `git lfs pull`, or `lfs: true` at checkout"
        )
    if start[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        raise _bad(label, "is no GeoTIFF, whatever its name says", "write the raster again", "raster-format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = open_raster(path, label)
        except (rasterio.errors.RasterioError, OSError, ValueError) as error:
            message = f"cannot be read as a GeoTIFF ({_first_line(error)})"
            raise _bad(label, message, "the file is damaged; copy or pull it again") from None
    with dataset:
        yield dataset


def bands_of(path: Path, label: str, name: str) -> list[Band]:
    """The bands of a file as layers, without an alpha band; of several, each has the file's name and its own.

    Raises
    ------
    InputError
        As :func:`opened`, or if a band cannot be compared.
    """
    names = read_names(path, label)
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        return _bands(path, label, name, names)
    except (CPLE_BaseError, RasterioError, OverflowError, ValueError) as error:
        message = f"has a header that cannot be read ({_first_line(error)})"
        raise _bad(label, message, "the file is damaged; copy or pull it again") from None


def _bands(path: Path, label: str, name: str, names: Names) -> list[Band]:
    from rasterio.enums import ColorInterp, MaskFlags

    with opened(path, label) as dataset:
        if dataset.count == 0 or dataset.width * dataset.height == 0:
            raise _bad(label, "has no bands or no cells", "write the raster again")
        _refuse_unlikely(dataset, path, label)
        grid = Grid(dataset.crs, tuple(dataset.transform)[:6], dataset.width, dataset.height)
        colours = _colours(dataset)
        indexes = [i for i in dataset.indexes if colours[i - 1] != ColorInterp.alpha] or list(dataset.indexes)
        flags, nodatas, tiles, types = dataset.mask_flag_enums, dataset.nodatavals, dataset.block_shapes, dataset.dtypes
        descriptions, scales, offsets, units = dataset.descriptions, dataset.scales, dataset.offsets, dataset.units
        found = []
        for i in indexes:
            stored = _dtype(types[i - 1], label)
            tile = tiles[i - 1]
            if tile[0] * tile[1] > _TOO_LARGE:
                text = f"is stored in one piece of {tile[0]} × {tile[1]} cells, too large to read part by part"
                raise _bad(label, text, "tile it: `gdal_translate -co TILED=YES in.tif out.tif`", "raster-untiled")
            nodata = nodatas[i - 1]
            own = (descriptions[i - 1] or "").strip() or str(i)
            found.append(
                Band(
                    name if len(indexes) == 1 else f"{name}:{own}",
                    path,
                    label,
                    i,
                    grid,
                    stored,
                    names.nodata if nodata is None else nodata,
                    (int(tile[0]), int(tile[1])),
                    float(scales[i - 1]),
                    float(offsets[i - 1]),
                    units[i - 1] or "",
                    MaskFlags.per_dataset in flags[i - 1],
                    colours[i - 1] == ColorInterp.palette,
                    names if i == indexes[0] else Names(),
                )
            )
    doubled = {band for band, count in Counter(band.name for band in found).items() if count > 1}
    return [_renamed(band, f"{name}:{band.index}") if band.name in doubled else band for band in found]


def _refuse_unlikely(dataset: Any, path: Path, label: str) -> None:
    size = path.stat().st_size
    if dataset.width * dataset.height > _CELLS_PER_BYTE * size or max(dataset.width, dataset.height) > _LONGEST:
        text = f"says that it has {dataset.width:,} × {dataset.height:,} cells, which its {size:,} bytes cannot hold"
        raise _bad(label, text, "the file is damaged; copy or pull it again")
    if not all(math.isfinite(v) for v in tuple(dataset.transform)[:6]) or dataset.transform.determinant == 0:
        raise _bad(label, "has a transform that gives its cells no area", "the file is damaged, or assign a transform")


def _renamed(band: Band, name: str) -> Band:
    from dataclasses import replace

    return replace(band, name=name)


def _colours(dataset: Any) -> list[Any]:
    with suppress(ValueError, KeyError):
        return list(dataset.colorinterp)
    return [None] * int(dataset.count)


def _dtype(name: str, label: str) -> np.dtype[Any]:
    if "complex" in name:
        hint = "save real and imaginary part, or the amplitude, as bands of their own"
        raise _bad(label, f"holds complex numbers ({name})", hint, "raster-complex")
    return np.dtype(name)


@contextmanager
def cells_of(band: Band) -> Iterator[Cells]:
    """The open band."""
    with opened(band.path, band.label) as dataset:
        yield Cells(band, dataset)


class MaskReader:
    """A mask on the ground: where its cells are neither nodata nor 0, the layers count."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self.band = cells.band

    def read(self, grid: Grid, window: Window) -> Mask:
        """The mask for the cells of ``window`` of ``grid``: the mask cell that each cell's centre falls into."""
        mine = self.band.grid
        row, column, height, width = window
        if mine.rotated or grid.rotated:
            values, there = self._cells.read(window)
            chosen: Mask = there & (values != 0)
            return chosen
        xs = grid.transform[2] + grid.transform[0] * (np.arange(column, column + width) + 0.5)
        ys = grid.transform[5] + grid.transform[4] * (np.arange(row, row + height) + 0.5)
        columns = np.floor((xs - mine.transform[2]) / mine.transform[0]).astype(np.int64)
        rows = np.floor((ys - mine.transform[5]) / mine.transform[4]).astype(np.int64)
        result = np.zeros((height, width), dtype=bool)
        inside_rows, inside = (rows >= 0) & (rows < mine.height), (columns >= 0) & (columns < mine.width)
        if not (inside_rows.any() and inside.any()):
            return result
        r, c = rows[inside_rows], columns[inside]
        top, left = int(r.min()), int(c.min())
        values, there = self._cells.read((top, left, int(r.max()) - top + 1, int(c.max()) - left + 1))
        result[np.ix_(inside_rows, inside)] = (there & (values != 0))[np.ix_(r - top, c - left)]
        return result


def layers_of(paths: Sequence[Path], label: str, root: Path | None = None) -> dict[str, Band]:
    """All bands of ``paths`` by layer name: the file's name, with the folders below ``root`` where two share one."""
    stems = Counter(path.stem for path in paths)
    found: dict[str, Band] = {}
    for path in paths:
        name = path.stem
        if stems[path.stem] > 1:
            inside = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
            name = inside.with_suffix("").as_posix()
        for band in bands_of(path, label if len(paths) == 1 else f"{label}: {path.name}", name):
            found[band.name] = band
    return found
