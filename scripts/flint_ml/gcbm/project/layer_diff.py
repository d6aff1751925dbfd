"""What changed in raster layers: pixels and area, from which value to which, by meaning, not by code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.project.grid import BLOCKS, BlockId, Grid
from flint_ml.gcbm.project.layers import Layer

Index = NDArray[np.int64]
NONE = "none"
MOST = 50


@dataclass(frozen=True)
class Transition:
    """Pixels that went from one value to another; ``none`` is no data."""

    old: str
    new: str
    pixels: int
    area_ha: float


@dataclass(frozen=True)
class LayerChange:
    """A changed layer. ``kind``: changed, added, removed, or (only the description changed) described.

    ``transitions``: the largest first, at most 50; ``rows``, ``columns``: changed pixels in the global grid of
    ``cell`` degrees (from 90 N, 180 W), for a map.
    """

    name: str
    kind: str
    pixels: int
    area_ha: float
    transitions: list[Transition]
    file: str = ""
    note: str = ""
    cell: float = 0.0
    rows: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64), compare=False, repr=False)
    columns: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64), compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For the record: aggregates only, no coordinates."""
        return {
            "layer": self.name,
            "kind": self.kind,
            "pixels": self.pixels,
            "area_ha": self.area_ha,
            "note": self.note,
            "transitions": [
                {"from": t.old, "to": t.new, "pixels": t.pixels, "area_ha": t.area_ha} for t in self.transitions
            ],
        }

    def picture(self, margin: int = 10) -> tuple[NDArray[np.bool_], tuple[float, float, float, float]]:
        """Changed pixels as an image and its extent (west, east, south, north; degrees), with a margin in cells."""
        if not self.rows.size:
            return np.zeros((0, 0), dtype=bool), (0.0, 0.0, 0.0, 0.0)
        top, left = int(self.rows.min()) - margin, int(self.columns.min()) - margin
        shape = int(self.rows.max()) - top + margin + 1, int(self.columns.max()) - left + margin + 1
        image = np.zeros(shape, dtype=bool)
        image[self.rows - top, self.columns - left] = True
        west, north = left * self.cell - 180.0, 90.0 - top * self.cell
        return image, (west, west + shape[1] * self.cell, north - shape[0] * self.cell, north)


def compare_layers(before: Layer | None, after: Layer | None) -> LayerChange | None:
    """The difference of two layers of one name (None: it does not exist there); None when they mean the same.

    Pixels are compared by value after the attribute table; where the cells differ in size, on the finer grid.
    """
    present = [layer for layer in (before, after) if layer is not None]
    if not present or (len(present) == 2 and _same_files(*present)):
        return None
    grid = min((layer.grid for layer in present), key=lambda g: g.cell)
    tally = _Tally(grid)
    try:
        for block in sorted({b for layer in present for b in _blocks(layer)}, key=lambda b: b.order):
            tally.add(block, *(_labels(layer, block, grid) for layer in (before, after)))
    finally:
        for layer in present:
            layer.close()
    kind = "changed" if len(present) == 2 else "added" if before is None else "removed"
    if kind == "changed" and not tally.pixels:
        return None
    note = ""
    if len(present) == 2 and present[0].grid != present[1].grid:
        note = f"cell size {present[0].grid.cell:g} -> {present[1].grid.cell:g} degrees"
    return tally.result(present[-1], kind, note)


def _same_files(one: Layer, two: Layer) -> bool:
    return one.json.read_bytes() == two.json.read_bytes() and one.tiff.read_bytes() == two.tiff.read_bytes()


def _blocks(layer: Layer) -> Iterable[BlockId]:
    """0.1-degree blocks that a raster touches."""
    dataset = layer.open()
    row, column = layer.origin
    size = layer.grid.per_block
    for r in range(row // size, -(-(row + dataset.height) // size)):
        for c in range(column // size, -(-(column + dataset.width) // size)):
            tile = (r // BLOCKS) * 360 + c // BLOCKS
            yield BlockId(tile, (r % BLOCKS) * BLOCKS + c % BLOCKS)


def _labels(layer: Layer | None, block: BlockId, grid: Grid) -> tuple[Index, list[str]]:
    """Cells as numbers of texts."""
    if layer is None:
        return np.zeros(grid.per_block**2, dtype=np.int64), [NONE]
    index, distinct = layer.ranks(layer.read(block, grid).reshape(-1))
    return index, [value_text(layer.value(float(code))) for code in distinct]


def value_text(value: Any) -> str:
    """A layer's value for people: text, number, or an event as ``Wildfire 2012``."""
    if value is None:
        return NONE
    if isinstance(value, dict):
        kind = value.get("disturbance_type", value.get("disturbance_type_id"))
        rest = {k: v for k, v in value.items() if k not in {"disturbance_type", "disturbance_type_id", "year"}}
        extra = "".join(f", {k} {v}" for k, v in sorted(rest.items()))
        if kind is not None:
            return f"{kind} {value.get('year', '')}".strip() + extra
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return f"{value:.7g}" if isinstance(value, float) else str(value)


class _Tally:
    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.count: Counter[tuple[str, str]] = Counter()
        self.area: dict[tuple[str, str], float] = {}
        self.rows: list[Index] = []
        self.columns: list[Index] = []

    @property
    def pixels(self) -> int:
        return sum(self.count.values())

    def add(self, block: BlockId, before: tuple[Index, list[str]], after: tuple[Index, list[str]]) -> None:
        texts: dict[str, int] = {}
        one, two = (
            np.array([texts.setdefault(text, len(texts)) for text in names], dtype=np.int64)[index]
            for index, names in (before, after)
        )
        changed = np.flatnonzero(one != two)
        if not changed.size:
            return
        side = self.grid.per_block
        area = self.grid.row_areas(block)[changed // side]
        pairs, inverse = np.unique(one[changed] * len(texts) + two[changed], return_inverse=True)
        inverse = inverse.reshape(-1)
        names = list(texts)
        counts, areas = np.bincount(inverse).tolist(), np.bincount(inverse, weights=area).tolist()
        for pair, pixels, size in zip(pairs.tolist(), counts, areas, strict=True):
            key = names[pair // len(texts)], names[pair % len(texts)]
            self.count[key] += pixels
            self.area[key] = self.area.get(key, 0.0) + size
        top, left = self.grid.corner(block)
        self.rows.append(top + changed // side)
        self.columns.append(left + changed % side)

    def result(self, layer: Layer, kind: str, note: str) -> LayerChange:
        order = sorted(self.count, key=lambda key: (-self.area[key], key))
        transitions = [Transition(*key, self.count[key], self.area[key]) for key in order[:MOST]]
        if len(order) > MOST:
            rest = order[MOST:]
            pixels, area = sum(self.count[key] for key in rest), sum(self.area[key] for key in rest)
            transitions.append(Transition("other", "other", pixels, area))
        empty = [np.zeros(0, dtype=np.int64)]
        return LayerChange(
            layer.name,
            kind,
            self.pixels,
            sum(self.area[key] for key in order),
            transitions,
            layer.tiff.name,
            note,
            self.grid.cell,
            np.concatenate(self.rows or empty),
            np.concatenate(self.columns or empty),
        )
