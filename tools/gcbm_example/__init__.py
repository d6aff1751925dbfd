"""Generate a small, complete GCBM project: two species, two disturbances, four blocks.

It is made, not measured: for the example pipeline, tests and benchmarks, which must work without any
download. ``write_example`` writes everything; the parts make other landscapes (benchmarks, tests).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.pools import STANDARD
from gcbm_example import data as data
from gcbm_example.config import configuration

TILE = 12674  # 55 N, 106 W
CELL = 0.001
YEARS = (2010, 2021)
NODATA = {"uint8": 255, "int16": 32767, "float32": 3.4e38}
KINDS = {"uint8": "Byte", "int16": "Int16", "float32": "Float32"}


def write_example(folder: str | Path, *, years: tuple[int, int] = YEARS) -> Path:
    """Write the example project (2 x 2 blocks of 100 x 100 cells, about a third forest); returns its folder.

    ``years``: first year, and the year that is no longer simulated.
    """
    folder = Path(folder)
    layers = landscape()
    events = {
        "wildfire": {"1": {"year": 2013, "disturbance_type": "Wildfire", "transition": 1}},
        "harvest": {
            "1": {"year": 2016, "disturbance_type": "Clear-cut"},
            "2": {"year": 2018, "disturbance_type": "Clear-cut"},
        },
    }
    write_project(folder, layers, attributes={**CLASSIFIERS, **events}, events=list(events), years=years)
    return folder


CLASSIFIERS: dict[str, dict[str, Any]] = {
    "Species": {"1": "Spruce", "2": "Aspen"},
    "Site": {"1": "good", "2": "poor"},
}


def landscape(side: int = 200) -> dict[str, NDArray[Any]]:
    """The example's rasters, (side, side): forest patches, ages, temperature, a fire and two clear-cuts."""
    row, column = np.mgrid[0:side, 0:side].astype(np.float64) / side
    forest = np.sin(7.0 * row + 1.0) + np.sin(9.0 * column + 2.0 * row) > 0.45
    species = np.where(np.sin(11.0 * column - 5.0 * row) > 0.2, 2, 1)
    site = np.where(row + 0.3 * np.sin(6.0 * column) > 0.55, 2, 1)
    age = 10.0 * np.floor(3.0 + 8.0 * (0.5 + 0.5 * np.sin(4.0 * row + 6.0 * column)))
    warmth = 0.5 - 0.25 * np.floor(4.0 * row)
    fire = (row - 0.88) ** 2 + (column - 0.18) ** 2 < 0.014
    cut = (np.abs(row - 0.9) < 0.06) & (np.abs(column - 0.65) < 0.1)
    late = (np.abs(row - 0.12) < 0.06) & (np.abs(column - 0.2) < 0.08)
    return {
        "Species": np.where(forest, species, 255).astype(np.uint8),
        "Site": np.where(forest, site, 255).astype(np.uint8),
        "initial_age": np.where(forest, age, 32767).astype(np.int16),
        "mean_annual_temperature": np.where(forest, warmth, np.float32(3.4e38)).astype(np.float32),
        "wildfire": np.where(fire & forest, 1, 255).astype(np.uint8),
        "harvest": np.where(cut & forest, 1, np.where(late & forest, 2, 255)).astype(np.uint8),
    }


def write_project(
    folder: Path,
    layers: Mapping[str, NDArray[Any]],
    *,
    attributes: Mapping[str, Mapping[str, Any]],
    events: Sequence[str],
    years: tuple[int, int] = YEARS,
    cell: float = CELL,
    tiles: Sequence[int] = (TILE,),
    spinup: Mapping[str, Any] | None = None,
) -> None:
    """Write a project: rasters (from the top-left corner of the first tile), configuration, database.

    ``attributes``: per layer, cell value -> text or event record; ``events``: the disturbance layers, in the
    order in which they act; ``spinup``: overrides of ``example_data.SPINUP``.
    """
    tiled = folder / "layers" / "tiled"
    tiled.mkdir(parents=True, exist_ok=True)
    for name, array in layers.items():
        write_layer(tiled, name, array, cell=cell, tile=tiles[0], attributes=attributes.get(name))
    (folder / "config").mkdir(exist_ok=True)
    for name, content in configuration(list(layers), events, years, cell, tiles).items():
        text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / "config" / name).write_text(text, encoding="utf-8")
    (folder / "input_database").mkdir(exist_ok=True)
    write_input_database(folder / "input_database" / "gcbm_input.db", {**data.SPINUP, **(spinup or {})})


def write_layer(
    folder: Path,
    name: str,
    array: NDArray[Any],
    *,
    cell: float = CELL,
    tile: int = TILE,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write one layer: GeoTIFF and the JSON beside it."""
    import rasterio
    from rasterio.transform import from_origin

    from flint_ml.gcbm.project.grid import tile_bounds

    kind = array.dtype.name
    west, north = tile_bounds(tile)
    profile = {
        "driver": "GTiff",
        "height": array.shape[0],
        "width": array.shape[1],
        "count": 1,
        "dtype": kind,
        "crs": "EPSG:4326",
        "transform": from_origin(west, north, cell, cell),
        "nodata": NODATA[kind],
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    with rasterio.open(folder / f"{name}.tiff", "w", **profile) as target:
        target.write(array, 1)
    about: dict[str, Any] = {
        "layer_type": "GridLayer",
        "layer_data": KINDS[kind],
        "nodata": NODATA[kind],
        "tileLatSize": 1.0,
        "tileLonSize": 1.0,
        "blockLatSize": 0.1,
        "blockLonSize": 0.1,
        "cellLatSize": cell,
        "cellLonSize": cell,
    }
    if attributes:
        about["attributes"] = dict(attributes)
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


_TABLES = """
CREATE TABLE pool (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE dom_pool (id INTEGER PRIMARY KEY, pool_id INTEGER);
CREATE TABLE decay_parameter (dom_pool_id INTEGER PRIMARY KEY, base_decay_rate REAL, reference_temp REAL, q10 REAL,
    prop_to_atmosphere REAL, max_rate REAL);
CREATE TABLE admin_boundary (id INTEGER PRIMARY KEY, name TEXT, stump_parameter_id INTEGER);
CREATE TABLE eco_boundary (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE spatial_unit (id INTEGER PRIMARY KEY, admin_boundary_id INTEGER, eco_boundary_id INTEGER,
    spinup_parameter_id INTEGER);
CREATE TABLE spinup_parameter (id INTEGER PRIMARY KEY, historic_disturbance_type_id INTEGER, return_interval INTEGER,
    max_rotations INTEGER);
CREATE TABLE stump_parameter (id INTEGER PRIMARY KEY, sw_top_proportion REAL, sw_stump_proportion REAL,
    hw_top_proportion REAL, hw_stump_proportion REAL);
CREATE TABLE root_parameter (id INTEGER PRIMARY KEY, hw_a REAL, sw_a REAL, hw_b REAL, frp_a REAL, frp_b REAL,
    frp_c REAL);
CREATE TABLE forest_type (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE genus (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE species (id INTEGER PRIMARY KEY, name TEXT, forest_type_id INTEGER, genus_id INTEGER);
CREATE TABLE turnover_parameter (id INTEGER PRIMARY KEY, foliage REAL, stem REAL, branch REAL, stem_snag REAL,
    branch_snag REAL, coarse_root REAL, fine_root REAL, branch_snag_split REAL, coarse_ag_split REAL,
    fine_ag_split REAL);
CREATE TABLE turnover_parameter_association (genus_id INTEGER, eco_boundary_id INTEGER, turnover_parameter_id INTEGER);
CREATE TABLE vol_to_bio_factor_association (spatial_unit_id INTEGER, species_id INTEGER, vol_to_bio_factor_id INTEGER,
    root_parameter_id INTEGER);
CREATE TABLE classifier (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE classifier_value (id INTEGER PRIMARY KEY, classifier_id INTEGER, value TEXT, description TEXT);
CREATE TABLE growth_curve (id INTEGER PRIMARY KEY, description TEXT);
CREATE TABLE growth_curve_component (id INTEGER PRIMARY KEY, growth_curve_id INTEGER, species_id INTEGER);
CREATE TABLE growth_curve_component_value (growth_curve_component_id INTEGER, age INTEGER, merchantable_volume REAL);
CREATE TABLE growth_curve_classifier_value (growth_curve_id INTEGER, classifier_value_id INTEGER);
CREATE TABLE land_class (id INTEGER PRIMARY KEY, code TEXT, description TEXT, is_forest INTEGER,
    years_to_permanent INTEGER);
CREATE TABLE disturbance_type (id INTEGER PRIMARY KEY, name TEXT, code INTEGER, transition_land_class_id INTEGER);
CREATE TABLE disturbance_matrix (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE disturbance_matrix_value (disturbance_matrix_id INTEGER, source_pool_id INTEGER, sink_pool_id INTEGER,
    proportion REAL);
CREATE TABLE disturbance_matrix_association (spatial_unit_id INTEGER, disturbance_type_id INTEGER,
    disturbance_matrix_id INTEGER);
CREATE TABLE transition_type (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE transition (id INTEGER PRIMARY KEY, transition_type_id INTEGER, age INTEGER, regen_delay INTEGER,
    description TEXT);
CREATE TABLE transition_classifier_value (transition_id INTEGER, classifier_value_id INTEGER);
CREATE TABLE transition_rule (id INTEGER PRIMARY KEY, transition_id INTEGER, disturbance_type_id INTEGER);
CREATE TABLE transition_rule_classifier_value (transition_rule_id INTEGER, classifier_value_id INTEGER);
"""


def write_input_database(path: Path, spinup: Mapping[str, Any] = data.SPINUP) -> None:
    """Write ``gcbm_input.db`` with the example's parameters."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    columns = ", ".join(f"{name} REAL" for name in data.FACTORS["Spruce"])
    connection.executescript(f"{_TABLES}CREATE TABLE vol_to_bio_factor (id INTEGER PRIMARY KEY, {columns});")

    def put(table: str, rows: Sequence[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own table names

    pools = {name: i for i, name in enumerate(STANDARD, 1)}
    put("pool", [(i, name) for name, i in pools.items()])
    put("dom_pool", [(i, pools[name]) for i, name in enumerate(data.DECAY, 1)])
    put("decay_parameter", [(i, *row) for i, row in enumerate(data.DECAY.values(), 1)])
    put("admin_boundary", [(1, "Example Province", 1)])
    put("eco_boundary", [(1, "Example Plains")])
    put("spatial_unit", [(1, 1, 1, 1)])
    types = {name: i for i, name in enumerate(data.TYPE_CODES, 1)}
    put("spinup_parameter", [(1, types[spinup["historic"]], spinup["return_interval"], spinup["max_rotations"])])
    put("stump_parameter", [(1, *data.STUMP)])
    put("root_parameter", [(1, *data.ROOTS.values())])
    put("forest_type", [(1, "Softwood"), (2, "Hardwood")])
    genera = {name: i for i, name in enumerate(data.TURNOVER, 1)}
    put("genus", [(i, name) for name, i in genera.items()])
    species = {row[0]: i for i, row in enumerate(data.SPECIES, 1)}
    put("species", [(species[n], n, 1 if f == "Softwood" else 2, genera[g]) for n, f, g in data.SPECIES])
    put("turnover_parameter", [(genera[g], *row) for g, row in data.TURNOVER.items()])
    put("turnover_parameter_association", [(i, 1, i) for i in genera.values()])
    put("vol_to_bio_factor", [(species[n], *row.values()) for n, row in data.FACTORS.items()])
    put("vol_to_bio_factor_association", [(1, i, i, 1) for i in species.values()])
    values = _classifiers(put)
    _curves(put, species, values)
    _disturbances(put, pools, types)
    _transitions(put, types, values)
    connection.commit()
    connection.close()


def _classifiers(put: Any) -> dict[tuple[str, str], int]:
    names = {"Species": ("Spruce", "Aspen", "?"), "Site": ("good", "poor", "?")}
    put("classifier", [(i, name) for i, name in enumerate(names, 1)])
    values: dict[tuple[str, str], int] = {}
    for number, (name, found) in enumerate(names.items(), 1):
        for value in found:
            values[name, value] = len(values) + 1
            put("classifier_value", [(values[name, value], number, value, value)])
    return values


def _curves(put: Any, species: dict[str, int], values: dict[tuple[str, str], int]) -> None:
    component = 0
    for curve, ((kind, site), parts) in enumerate(data.CURVES, 1):
        put("growth_curve", [(curve, f"{kind},{site}")])
        put("growth_curve_classifier_value", [(curve, values["Species", kind]), (curve, values["Site", site])])
        for name, volumes in parts.items():
            component += 1
            put("growth_curve_component", [(component, curve, species[name])])
            put("growth_curve_component_value", [(component, 10 * i, float(v)) for i, v in enumerate(volumes)])


def _disturbances(put: Any, pools: dict[str, int], types: dict[str, int]) -> None:
    put("land_class", [(i, *row) for i, row in enumerate(data.LAND_CLASSES, 1)])
    put("disturbance_type", [(i, n, data.TYPE_CODES[n], 2 if n == "Deforestation" else None) for n, i in types.items()])
    for name, number in types.items():
        put("disturbance_matrix", [(number, name)])
        rows = [
            (number, pools[source], pools[sink], share)
            for source, sinks in data.MATRICES[name].items()
            for sink, share in sinks.items()
        ]
        put("disturbance_matrix_value", rows)
        put("disturbance_matrix_association", [(1, number, number)])


def _transitions(put: Any, types: dict[str, int], values: dict[tuple[str, str], int]) -> None:
    put("transition_type", [(1, "absolute"), (2, "relative"), (3, "yield")])
    for number, kind, age, delay, classifiers in data.TRANSITIONS:
        put("transition", [(number, kind, age, delay, str(number))])
        put("transition_classifier_value", [(number, values[item]) for item in classifiers.items()])
    for number, (transition, event, classifiers) in enumerate(data.RULES, 1):
        put("transition_rule", [(number, transition, types[event])])
        put("transition_rule_classifier_value", [(number, values[item]) for item in classifiers.items()])
