"""What the record and the report say of rasters besides what they say of any check."""

from __future__ import annotations

import math
from typing import Any

from flint_ml.drift.rasters.change import Change
from flint_ml.drift.rasters.check import RasterResult
from flint_ml.drift.rasters.grid import Grid
from flint_ml.drift.rasters.layer import LayerResult
from flint_ml.drift.rasters.source import Band
from flint_ml.record import Column, Metric, Table
from flint_ml.text.markdown import number

_TRANSITIONS = 8
Row = list[str | float | int | bool | None]


def tables(result: RasterResult) -> list[Table]:
    """Change cell by cell of layers of one grid; from which class to which; grids; how many cells count."""
    ordered = list(result.layers.values())
    changed = [layer for layer in ordered if layer.change is not None and layer.change.compared]
    found = []
    if changed:
        heads = ["layer", "cells changed", "area changed (ha)", "mean change", "lost and gained"]
        found.append(_table("Change, cell by cell", heads, [_change_row(layer) for layer in changed]))
    moves = [row for layer in changed if layer.classes for row in _move_rows(layer)]
    if moves:
        found.append(_table("From class to class", ["layer", "reference", "new", "cells", "area (ha)"], moves))
    heads = ["layer", "reference", "new data"]
    found.append(_table("Grids", heads, [[layer.name, *(_grid_text(b) for b in layer.bands)] for layer in ordered]))
    tested = [layer for layer in ordered if layer.clustering is not None]
    if tested:
        heads = ["layer", "cells", "intra-class correlation", "blocks", "worth independent cells"]
        found.append(_table("How much the cells tell", heads, [_worth_row(layer) for layer in tested]))
    return found


def _table(title: str, heads: list[str], rows: list[Row]) -> Table:
    return Table(title=title, columns=[Column(name=name) for name in heads], rows=rows)


def _change_row(layer: LayerResult) -> Row:
    change = layer.change
    assert change is not None
    area = "–" if change.areas is None else number(change.area, 4)
    mean = "–" if change.mean is None else _signed(change.mean)
    return [
        layer.name,
        f"{change.changed:,} of {change.compared:,} ({_share(change.share)})",
        area,
        mean,
        f"{change.lost:,} / {change.gained:,}",
    ]


def _share(share: float) -> str:
    return "< 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value, 3)


def _move_rows(layer: LayerResult) -> list[Row]:
    assert layer.change is not None
    moves = layer.change.transitions(layer.pair.labels)[:_TRANSITIONS]
    return [[layer.name, m.old, m.new, f"{m.cells:,}", "–" if m.area is None else number(m.area, 4)] for m in moves]


def _grid_text(band: Band) -> str:
    grid = band.grid
    return (
        f"{grid.system}, {grid.width:,} × {grid.height:,} cells of {grid.cell[0]:.6g} × {grid.cell[1]:.6g}, "
        f"{band.stored.name}"
    )


def _worth_row(layer: LayerResult) -> Row:
    assert layer.clustering is not None
    blocks = layer.test.blocks.counts if layer.test else (0, 0)
    cells = " → ".join(f"{n:,}" for n in layer.pair.present)
    worth = " → ".join(f"{n:,.0f}" for n in layer.clustering.effective)
    return [layer.name, cells, number(layer.clustering.icc, 2), " → ".join(str(n) for n in blocks), worth]


def metrics(result: RasterResult) -> dict[str, Metric]:
    """Numbers that may be followed over time: what changed, cell by cell."""
    found = {}
    for layer in result.layers.values():
        change = layer.change
        if change is None or not change.compared:
            continue
        found[f"changed_share_{layer.name}"] = Metric(value=change.share)
        if change.areas is not None:
            found[f"changed_area_{layer.name}"] = Metric(value=change.area, unit="ha")
        if change.mean is not None:
            found[f"mean_change_{layer.name}"] = Metric(value=change.mean, unit=layer.bands[1].unit or None)
    return found


def details(result: RasterResult) -> list[dict[str, Any]]:
    """Every layer with both grids, the blocks and the change."""
    return [_detail(layer) for layer in result.layers.values()]


def _detail(layer: LayerResult) -> dict[str, Any]:
    one, two = layer.bands
    entry: dict[str, Any] = {
        "layer": layer.name,
        "kind": "classes" if layer.classes else "numbers",
        "reference": _band(one),
        "new": _band(two),
        "same_grid": layer.change is not None,
        "bound_on_d": layer.bound,
    }
    if layer.test is not None:
        blocks = layer.test.blocks
        entry["blocks"] = {
            "cells": [[blocks.side * n for n in side] for side in layer.block],
            "counts": list(blocks.counts),
            "reach": blocks.reach,
            "variance_ratio": blocks.spread,
        }
    change = layer.change
    if change is not None:
        known = change.areas is not None
        entry["change"] = {
            "compared": change.compared,
            "changed": change.changed,
            "share": change.share,
            "area_ha": change.area if known else None,
            "compared_area_ha": change.compared_area if known else None,
            "mean": change.mean,
            "mean_absolute": _absolute(change),
            "lost": change.lost,
            "gained": change.gained,
            "transitions": [
                {"from": m.old, "to": m.new, "cells": m.cells, "area_ha": m.area}
                for m in (change.transitions(layer.pair.labels) if layer.classes else [])
            ],
        }
    return entry


def _absolute(change: Change) -> float | None:
    known = change.mean is not None and math.isfinite(change.absolute)
    return change.absolute / change.finite if known else None


def _band(band: Band) -> dict[str, Any]:
    grid: Grid = band.grid
    nodata = band.nodata
    return {
        "crs": grid.system,
        "width": grid.width,
        "height": grid.height,
        "cell": list(grid.cell),
        "bounds": list(grid.bounds),
        "dtype": band.stored.name,
        "band": band.index,
        "nodata": None if nodata is None or math.isnan(nodata) else nodata,
        "classes_from": band.names.source or None,
    }
