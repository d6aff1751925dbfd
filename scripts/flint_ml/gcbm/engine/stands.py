"""Group pixels into unique stands, block by block: cost follows unique combinations, not pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.project.grid import BlockId, Domain
from flint_ml.gcbm.project.layers import Layer

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MERGE_ROWS = 200_000
# Cells read at once, in whole blocks.
CELLS_TOGETHER = 200_000
PAIRS_PER_STAND = 20
# Columns beside the layers: age, regeneration delay and decay (1 or 0) at the start of stands that spinup leaves out.
CARRIED = ("carried age", "carried delay", "carried decay")


@dataclass
class Inventory:
    """Unique stands of some blocks.

    ``values``: per layer, the value of each stand (NaN is null; attribute layers hold codes).
    ``pair_*``: one entry for each (block, stand), sorted by block, then stand: index into ``blocks``,
    stand, area in ha, pixels. Stands are sorted by their values, so that a stand's place among others
    is the same in every job, and sums come out the same to the last bit.
    """

    blocks: list[BlockId]
    values: dict[str, Array]
    pair_block: NDArray[np.int32]
    pair_stand: NDArray[np.int32]
    pair_area: Array
    pair_pixels: NDArray[np.int32]
    pixels: dict[BlockId, tuple[Index, Index]] = field(default_factory=dict)

    @property
    def stands(self) -> int:
        return int(next(iter(self.values.values())).size) if self.values else 0

    def masked_in_spinup(self) -> NDArray[np.bool_]:
        """Stands that are simulated without spinup."""
        carried = self.values.get(CARRIED[0])
        return np.zeros(self.stands, dtype=bool) if carried is None else ~np.isnan(carried)

    def stand_area(self) -> Array:
        """Area (ha) of each stand in these blocks."""
        return add_up(self.pair_stand, self.pair_area, self.stands)

    def stand_pixels(self) -> Index:
        return np.bincount(self.pair_stand, weights=self.pair_pixels, minlength=self.stands).astype(np.int64)

    def stand_ids(self) -> NDArray[np.uint64]:
        """A number for each stand that depends on its values only: the same stand in another job has it too."""
        out = np.full(self.stands, 0x9E3779B97F4A7C15, dtype=np.uint64)
        for name in sorted(self.values):
            column = np.where(np.isnan(self.values[name]), np.inf, self.values[name]) + 0.0
            bits = column.view(np.uint64)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
            out = (out ^ bits) * np.uint64(0x100000001B3) + (out >> np.uint64(29))
        return out

    def keep(self, stands: NDArray[np.bool_]) -> Inventory:
        """Only some stands, renumbered."""
        new = np.cumsum(stands) - 1
        pairs = stands[self.pair_stand]
        pixels = {}
        for block, (place, stand) in self.pixels.items():
            inside = stands[stand]
            pixels[block] = (place[inside], new[stand[inside]])
        return Inventory(
            self.blocks,
            {name: column[stands] for name, column in self.values.items()},
            self.pair_block[pairs],
            new[self.pair_stand[pairs]],
            self.pair_area[pairs],
            self.pair_pixels[pairs],
            pixels,
        )


@dataclass
class _Piece:
    """Some whole blocks that were read together: one row for each (block, stand), in this order.

    ``block``: index into ``blocks`` of each row; ``values``: per layer, of each row; ``place`` and ``stand``: the cells
    of each block with the row of each, where pixels are kept.
    """

    blocks: list[BlockId]
    block: Index
    values: list[Array]
    area: Array
    count: Index
    pixels: list[tuple[Index, Index]] | None = None


def add_up(groups: NDArray[np.integer[Any]], values: Array, size: int) -> Array:
    """Sum of the values of each group, added in the order in which they come."""
    return np.asarray(np.bincount(groups, weights=values, minlength=size), dtype=np.float64)


def combine(columns: Sequence[tuple[Index, int]], rows: int) -> tuple[Index, Index]:
    """Unique rows of several integer columns (codes below the given size), in lexicographic order.

    Returns the first row of each unique combination and every row's combination.
    """
    key = np.zeros(rows, dtype=np.int64)
    size = 1
    for codes, count in columns:
        if size > (1 << 62) // max(count, 1):
            distinct, key = np.unique(key, return_inverse=True)
            size = distinct.size
        key = key * count + codes
        size *= max(count, 1)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse


def read_inventories(
    domain: Domain,
    layers: dict[str, Layer],
    masks: Sequence[str],
    *,
    limit: int,
    keep_pixels: bool = False,
    progress: Any = None,
) -> Iterator[Inventory]:
    """Read the blocks in order; yield an inventory whenever it holds ``limit`` stands or more.

    An inventory holds whole blocks: at most ``limit`` stands and those of the blocks
    that are read together. ``masks``: layers
    whose null makes a pixel not simulated; they are read first, and a block without valid pixel costs no
    more than the first of them.
    """
    import rasterio

    builder = _Builder(list(layers))
    done = 0
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_CACHEMAX=48):
        try:
            for blocks in _together(domain, min(limit, CELLS_TOGETHER)):
                found = _read_blocks(domain, blocks, layers, masks, keep_pixels)
                done += len(blocks)
                if progress is not None:
                    progress("read", done, len(domain.blocks))
                if found is not None and builder.add(found, limit):
                    yield builder.inventory()
                    builder = _Builder(list(layers))
        finally:
            for layer in layers.values():
                layer.close()
    if builder.blocks:
        yield builder.inventory()


def _together(domain: Domain, cells: int) -> Iterator[list[BlockId]]:
    """Consecutive blocks to read at once, of at most so many cells, but one: asking costs more than reading."""
    most = max(1, cells // domain.grid.per_block**2)
    for start in range(0, len(domain.blocks), most):
        yield list(domain.blocks[start : start + most])


def _read_blocks(
    domain: Domain, blocks: list[BlockId], layers: dict[str, Layer], masks: Sequence[str], keep_pixels: bool
) -> _Piece | None:
    grid = domain.grid
    side = grid.per_block
    cells = side * side
    valid = np.ones(len(blocks) * cells, dtype=bool)
    if domain.cells is not None:
        valid[:] = False
        for position, block in enumerate(blocks):
            valid[position * cells + domain.cells[block]] = True
    raws: dict[str, NDArray[Any]] = {}

    for name in masks:
        raw = layers[name].read_blocks(blocks, grid)
        inside = np.flatnonzero(valid)
        valid[inside] = ~layers[name].is_null(raw[inside])
        if not valid.any():
            return None
        raws[name] = raw
    place = np.flatnonzero(valid)
    cell = place % cells
    present, number = np.unique(place // cells, return_inverse=True)
    kept = [blocks[i] for i in present.tolist()]
    columns: list[tuple[Index, int]] = [(number, present.size)]
    distincts: list[Array] = []
    for name, layer in layers.items():
        raw = raws[name] if name in raws else layer.read_blocks(blocks, grid)
        codes, distinct = layer.ranks(raw[place])
        columns.append((codes, distinct.size))
        distincts.append(distinct)
    first, inverse = combine(columns, place.size)
    areas = np.stack([grid.row_areas(block) for block in kept])
    area = add_up(inverse, areas[number, cell // side], first.size)
    values = [distinct[codes[first]] for (codes, _), distinct in zip(columns[1:], distincts, strict=True)]
    pixels = None
    if keep_pixels:
        bounds = np.searchsorted(number, np.arange(present.size + 1))
        pixels = [(cell[a:b], inverse[a:b]) for a, b in pairwise(bounds.tolist())]
    return _Piece(kept, number[first], values, area, np.bincount(inverse), pixels)


class _Builder:
    """Unique stands of the blocks read so far; memory follows unique stands, not pixels."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.values: list[Array] = [np.zeros(0) for _ in names]
        self.blocks: list[BlockId] = []
        self.block: list[NDArray[np.int32]] = []
        self.stand: list[NDArray[np.int32]] = []
        self.area: list[Array] = []
        self.count: list[NDArray[np.int32]] = []
        self.pixels: dict[BlockId, tuple[Index, Index]] = {}
        self.waiting: list[_Piece] = []
        self.waiting_rows = self.pairs = 0

    def add(self, piece: _Piece, limit: int) -> bool:
        """Take blocks in; says whether the limit is reached."""
        self.block.append((piece.block + len(self.blocks)).astype(np.int32))
        self.blocks += piece.blocks
        self.waiting.append(piece)
        self.waiting_rows += piece.area.size
        rows = self.waiting_rows
        known = self.values[0].size if self.values else 0
        if rows > max(known, MERGE_ROWS) or known + rows >= limit:
            self._merge()
        return bool(self.values) and (self.values[0].size >= limit or self.pairs >= PAIRS_PER_STAND * limit)

    def _merge(self) -> None:
        """Find the waiting blocks' stands among the known ones. Stands stay in order of their values, so
        the stands of one block stay in order too."""
        if not self.waiting:
            return
        known = self.values[0].size if self.values else 0
        sizes = [piece.area.size for piece in self.waiting]
        columns: list[tuple[Index, int]] = []
        joined: list[Array] = []
        for number in range(len(self.names)):
            column = np.concatenate([self.values[number], *(piece.values[number] for piece in self.waiting)])
            distinct, codes = np.unique(column, return_inverse=True)
            columns.append((codes, distinct.size))
            joined.append(column)
        first, place = combine(columns, known + sum(sizes))
        self.values = [column[first] for column in joined]
        old = place[:known].astype(np.int32)
        self.stand = [old[stand] for stand in self.stand]
        self.pixels = {block: (where, place[stand]) for block, (where, stand) in self.pixels.items()}
        start = known
        for piece, size in zip(self.waiting, sizes, strict=True):
            mine = place[start : start + size]
            self.stand.append(mine.astype(np.int32))
            self.area.append(piece.area)
            self.count.append(piece.count.astype(np.int32))
            for block, (where, rows) in zip(piece.blocks, piece.pixels or [], strict=False):
                self.pixels[block] = (where, mine[rows])
            start += size
        self.pairs += self.waiting_rows
        self.waiting, self.waiting_rows = [], 0

    def inventory(self) -> Inventory:
        self._merge()
        return Inventory(
            self.blocks,
            dict(zip(self.names, self.values, strict=True)),
            np.concatenate(self.block),
            np.concatenate(self.stand),
            np.concatenate(self.area),
            np.concatenate(self.count),
            self.pixels,
        )
