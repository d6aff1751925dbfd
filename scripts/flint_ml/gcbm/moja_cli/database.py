"""What a result database of ``moja.cli`` holds, as far as the verdict needs it, and what it should hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flint_ml.gcbm.engine.initial import mask_layers, used_layers
from flint_ml.gcbm.engine.model import StandVariables
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.engine.stands import read_inventories
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BlockId, Domain, parse_blocks, project_domain
from flint_ml.gcbm.project.variables import open_database

TABLES = (
    "ClassifierSetDimension",
    "DateDimension",
    "PoolDimension",
    "LandClassDimension",
    "ModuleInfoDimension",
    "AgeClassDimension",
    "LocationDimension",
    "DisturbanceTypeDimension",
    "DisturbanceDimension",
    "Pools",
    "Fluxes",
    "ErrorDimension",
    "LocationErrorDimension",
    "AgeArea",
)


@dataclass(frozen=True)
class Content:
    """Rows by table (a missing table is left out), area (ha) by year, and the errors of pixels."""

    rows: dict[str, int]
    area: dict[int, float]
    errors: list[str]

    @property
    def missing(self) -> list[str]:
        return [name for name in TABLES if name not in self.rows]


def content_of(path: Path) -> Content:
    """Look into a database. sqlite3.Error when it is none or damaged."""
    connection = open_database(path)
    try:
        there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = {
            name: int(connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0])  # noqa: S608 - own names
            for name in TABLES
            if name in there
        }
        area: dict[int, float] = {}
        if {"LocationDimension", "DateDimension"} <= there:
            query = (
                "SELECT d.year, SUM(l.area) FROM LocationDimension l "
                "INNER JOIN DateDimension d ON d.id = l.dateDimId GROUP BY d.year"
            )
            area = {int(year): float(value) for year, value in connection.execute(query)}
        errors: list[str] = []
        if "ErrorDimension" in there:
            errors = [
                f"{module}: {text}" for module, text in connection.execute("SELECT module, error FROM ErrorDimension")
            ]
    finally:
        connection.close()
    return Content(rows, area, errors)


@dataclass(frozen=True)
class Landscape:
    """Pixels that must be simulated, and their area, from the layers alone."""

    pixels: int
    area_ha: float


def landscape(project: Project, blocks: Sequence[str | BlockId] | None = None) -> Landscape:
    """Count the pixels whose classifier set and mask variables have a value.

    Raises
    ------
    InputError, NullVariableError
        The layers cannot be read, or these variables need a part that only the C++ has.
    """
    domain = project_domain(project)
    if blocks is not None:
        wanted = set(parse_blocks(blocks))
        domain = Domain(domain.grid, tuple(b for b in domain.blocks if b in wanted), domain.cells)
    names = ["initial_classifier_set", *project.mask_variables]
    pixels, areas = 0, []
    with Reader(project) as reader:
        layers = {name: reader.layers[name] for name in used_layers(reader.variables, names) if name in reader.layers}
        masks = [name for name in mask_layers(reader.variables) if name in layers]
        for inventory in read_inventories(domain, layers, masks, limit=400_000):
            view = StandVariables(reader.variables, layers, inventory)
            keep = [True] * inventory.stands
            for name in names:
                values, index = view.of(name)
                keep = [k and values[i] is not None for k, i in zip(keep, index.tolist(), strict=True)]
            pixels += sum(n for n, k in zip(inventory.stand_pixels().tolist(), keep, strict=True) if k)
            areas += [a for a, k in zip(inventory.stand_area().tolist(), keep, strict=True) if k]
    return Landscape(pixels, math.fsum(areas))
