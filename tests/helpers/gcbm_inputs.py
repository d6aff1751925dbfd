"""Changes to a copy of the example project."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def sql(project: Path, *statements: str) -> None:
    """Change a project's parameter database."""
    connection = sqlite3.connect(project / "input_database" / "gcbm_input.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def edit(project: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change one of a project's JSON files."""
    file = project / "config" / name
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def paint(project: Path, layer: str, value: int, count: int) -> int:
    """Give ``count`` forest pixels without value in a layer a value; returns how many had none."""
    import rasterio

    folder = project / "layers" / "tiled"
    with rasterio.open(folder / "Species.tiff") as species:
        forest = species.read(1) != species.nodata
    with rasterio.open(folder / f"{layer}.tiff", "r+") as raster:
        cells = raster.read(1)
        places = np.flatnonzero(forest & (cells == raster.nodata))[:count]
        cells.reshape(-1)[places] = value
        raster.write(cells, 1)
    return int(places.size)


def add_fire(project: Path) -> int:
    """Add a second fire of 2012 on 50 forest pixels to a project."""
    tiled = project / "layers" / "tiled"
    for ending in ("tiff", "json"):
        shutil.copy(tiled / f"wildfire.{ending}", tiled / f"fire_2012.{ending}")
    description = json.loads((tiled / "fire_2012.json").read_text())
    description["attributes"] = {"3": {"year": 2012, "disturbance_type": "Wildfire"}}
    (tiled / "fire_2012.json").write_text(json.dumps(description))
    count = paint(project, "fire_2012", 3, 50)
    entry = {"name": "fire_2012", "layer_path": "../layers/tiled/fire_2012.tiff", "layer_prefix": "fire_2012"}
    edit(project, "provider_config.json", lambda c: c["Providers"]["RasterTiled"]["layers"].append(entry))
    kind = "LocationIdxFromFlintDataTransform"
    transform = {"type": kind, "library": "internal.flint", "provider": "RasterTiled", "data_id": "fire_2012"}
    edit(project, "variables.json", lambda c: c["Variables"].update(fire_2012={"transform": transform}))
    listener = "CBMDisturbanceListener"
    edit(project, "modules_cbm.json", lambda c: c["Modules"][listener]["settings"]["vars"].append("fire_2012"))
    return count
