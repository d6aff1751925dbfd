"""The reference's global grid: tiles of 1 degree, blocks of 0.1 degree, cells; and the area of a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.project.config import Project

PI = 3.14159265359  # as the reference writes it; the area must agree to 1e-12
EARTH_RADIUS = 6378137.0
BLOCKS = 10  # per tile side


def pixel_area(latitude: NDArray[np.float64], cell: float) -> NDArray[np.float64]:
    """Area in ha of square cells of ``cell`` degrees whose *top edge* lies at ``latitude`` (degrees).

    The reference uses the top edge, not the centre, and the latitude size for both sides.
    """
    side = cell * 2.0 * PI * EARTH_RADIUS / 360.0
    return side * side * np.cos(latitude * PI / 180.0) / 10000.0


@dataclass(frozen=True)
class BlockId:
    """A 0.1-degree block: tile index (row * 360 + column from 90 N, 180 W) and block index in it (0..99)."""

    tile: int
    block: int

    def __str__(self) -> str:
        return f"{self.tile}:{self.block}"

    @property
    def order(self) -> int:
        return self.tile * BLOCKS * BLOCKS + self.block

    @classmethod
    def parse(cls, text: str) -> BlockId:
        try:
            tile, _, block = text.partition(":")
            found = cls(int(tile), int(block))
        except ValueError:
            found = cls(-1, -1)
        if not (0 <= found.tile < 180 * 360 and 0 <= found.block < BLOCKS * BLOCKS):
            raise InputError(
                f"{text!r} is not a block",
                where="blocks",
                hint="write tile:block, for example 12674:51 (tile index, block index 0 to 99)",
                code="gcbm-block",
            )
        return found


@dataclass(frozen=True)
class Grid:
    """Cells of ``cell`` degrees; ``per_block`` and ``per_tile`` cells along one side."""

    cell: float
    per_block: int
    per_tile: int

    @classmethod
    def of(cls, cell: float, where: str) -> Grid:
        per_block = round(0.1 / cell) if cell > 0 else 0
        if per_block < 1 or abs(per_block * cell - 0.1) > 1e-7:
            raise InputError(
                f"cell size {cell} degrees does not divide a block of 0.1 degrees",
                where=where,
                hint="tile the layers again with a cell size of 0.1 divided by a whole number",
                code="gcbm-cell-size",
            )
        return cls(cell, per_block, per_block * BLOCKS)

    def corner(self, block: BlockId) -> tuple[int, int]:
        """Global row and column of a block's first cell."""
        row, column = divmod(block.tile, 360)
        block_row, block_column = divmod(block.block, BLOCKS)
        return (
            row * self.per_tile + block_row * self.per_block,
            column * self.per_tile + block_column * self.per_block,
        )

    def row_areas(self, block: BlockId) -> NDArray[np.float64]:
        """Area (ha) of the cells in each row of a block."""
        tile_row, block_row = block.tile // 360, block.block // BLOCKS
        rows = np.arange(self.per_block, dtype=np.float64)
        latitude = 90.0 - (tile_row * 1.0 + block_row * 0.1 + rows * self.cell)
        return pixel_area(latitude, self.cell)

    def sample(self, start: int, target: Grid) -> NDArray[np.int64]:
        """Indices in ``target`` of the cells that hold the top-left corners of this grid's cells."""
        index = np.arange(start, start + self.per_block, dtype=np.int64)
        if target.per_block == self.per_block:
            return index
        found: NDArray[np.int64] = np.floor((index * self.cell + 1e-9) / target.cell).astype(np.int64)
        return found


@dataclass(frozen=True)
class Domain:
    """The blocks to run, with the selected cells where the project runs single cells (``CellIndex``)."""

    grid: Grid
    blocks: tuple[BlockId, ...]
    cells: dict[BlockId, NDArray[np.int64]] | None = None


def project_domain(project: Project) -> Domain:
    """Blocks that ``LocalDomain.landscape`` asks for: all of its tiles, listed blocks, or listed cells."""
    provider = raster_provider(project)
    grid = Grid.of(float(provider.get("cellLatSize", 0.0)), project.source("Providers"))
    listed = run_order(project)
    blocks = tuple(sorted({block for block, _ in listed}, key=lambda b: b.order))
    if any(cells is None for _, cells in listed):
        return Domain(grid, blocks)
    return Domain(grid, blocks, {block: np.unique(cells) for block, cells in listed if cells is not None})


def run_order(project: Project) -> list[tuple[BlockId, NDArray[np.int64] | None]]:
    """Blocks in the order in which one thread of the C++ runs them, with the listed cells of ``CellIndex``."""
    landscape: dict[str, Any] = project.section("LocalDomain").get("landscape") or {}
    kind = landscape.get("iteration_type", "Normal")
    try:
        if kind == "CellIndex":
            cells: dict[BlockId, list[int]] = {}
            for item in landscape["cells"]:
                block = BlockId(int(item["tile_index"]), int(item["block_index"]))
                cells.setdefault(block, []).append(int(item["cell_index"]))
            return [(block, np.array(found, dtype=np.int64)) for block, found in cells.items()]
        if kind == "BlockIndex":
            blocks = [BlockId(int(b["tile_index"]), int(b["block_index"])) for b in landscape["blocks"]]
        else:
            tiles = [_tile_index(tile) for tile in landscape["tiles"]]
            blocks = [BlockId(tile, block) for tile in tiles for block in range(BLOCKS * BLOCKS)]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"LocalDomain.landscape does not say what to run ({kind}): {error!r}",
            where=project.source("LocalDomain", "landscape"),
            hint="list tiles with their index, or x and y",
            code="gcbm-landscape",
        ) from None
    return [(block, None) for block in dict.fromkeys(blocks)]


def _tile_index(tile: dict[str, Any]) -> int:
    """A tile's index from the longitude and latitude of its top-left corner, by which the C++ goes, else as given."""
    if "index" in tile and not {"x", "y"} <= set(tile):
        return int(tile["index"])
    return math.floor(90.0 - float(tile["y"])) * 360 + math.floor(float(tile["x"]) + 180.0)


def raster_provider(project: Project) -> dict[str, Any]:
    """The provider that defines the grid: the landscape's, else the first raster provider."""
    landscape = project.section("LocalDomain").get("landscape") or {}
    named = project.providers.get(str(landscape.get("provider", "")))
    if named is not None and "layers" in named:
        return named
    for provider in project.providers.values():
        if provider.get("type") == "RasterTiledGDAL":
            return provider
    raise InputError(
        "no provider of type RasterTiledGDAL: there are no layers",
        where=project.source("Providers"),
        hint="add the raster provider with its layers",
        code="gcbm-provider",
    )


def tile_bounds(tile: int) -> tuple[float, float]:
    """Longitude and latitude of a tile's top-left corner (degrees)."""
    row, column = divmod(tile, 360)
    return column - 180.0, 90.0 - row


def is_aligned(value: float) -> bool:
    """Whether a position in cells is a whole number, up to the rounding in a GeoTIFF's header."""
    return math.isclose(value, round(value), abs_tol=1e-3)


def parse_blocks(texts: Iterable[str | BlockId]) -> list[BlockId]:
    """Blocks from texts like ``12674`` (a whole tile), ``12674:51`` or ``12674:0-50``; words may be joined."""
    found: list[BlockId] = []
    for text in texts:
        if isinstance(text, BlockId):
            found.append(text)
            continue
        for word in text.replace(",", " ").split():
            tile, _, span = word.partition(":")
            first, _, last = (span or f"0-{BLOCKS * BLOCKS - 1}").partition("-")
            start, end = BlockId.parse(f"{tile}:{first}"), BlockId.parse(f"{tile}:{last or first}")
            found += [BlockId(start.tile, number) for number in range(start.block, end.block + 1)]
    return sorted(set(found), key=lambda block: block.order)


def format_blocks(blocks: Iterable[BlockId]) -> str:
    """The shortest text that ``parse_blocks`` reads back."""
    spans: list[list[BlockId]] = []
    for block in sorted(blocks, key=lambda b: b.order):
        if spans and spans[-1][-1].tile == block.tile and spans[-1][-1].block + 1 == block.block:
            spans[-1].append(block)
        else:
            spans.append([block])
    words = []
    for span in spans:
        first, last = span[0], span[-1]
        if len(span) == BLOCKS * BLOCKS:
            words.append(str(first.tile))
        else:
            words.append(str(first) if len(span) == 1 else f"{first}-{last.block}")
    return " ".join(words)
