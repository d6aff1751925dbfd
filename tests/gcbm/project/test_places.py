"""Landscapes of several tiles, blocks, cells and spatial units."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from flint_ml.gcbm import MapRequest, Project, Result, indicators, load_project, run
from flint_ml.gcbm.project.grid import project_domain
from gcbm_example import CLASSIFIERS, landscape, write_layer, write_project


def landscape_setting(folder: Path, **entries: Any) -> Project:
    file = folder / "config" / "localdomain.json"
    content = json.loads(file.read_text())
    scape = content["LocalDomain"]["landscape"]
    scape.pop("tiles")
    scape.update(entries)
    file.write_text(json.dumps(content))
    return load_project(folder)


@pytest.fixture
def folder(example_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(example_folder, tmp_path / "p")
    return tmp_path / "p"


def test_tiles_by_longitude_and_latitude(folder: Path, example: Project) -> None:
    project = landscape_setting(folder, tiles=[{"x": -106, "y": 55}])
    assert project_domain(project).blocks == project_domain(example).blocks


def test_listed_blocks_only(folder: Path, example: Project) -> None:
    blocks = [{"tile_index": 12674, "block_index": 10}, {"tile_index": 12674, "block_index": 0}]
    listed = run(landscape_setting(folder, iteration_type="BlockIndex", blocks=blocks))
    assert indicators(listed) == indicators(run(example, blocks=["12674:0 12674:10"]))


def test_single_cells(folder: Path) -> None:
    """Cells 5 and 205 of block 0: row 0, column 5, and row 2, column 5."""
    cells = [{"tile_index": 12674, "block_index": 0, "cell_index": i} for i in (5, 205)]
    result = run(landscape_setting(folder, iteration_type="CellIndex", cells=cells))
    assert result.pixels == 2
    different = {tuple(float(layer[row, 5]) for layer in landscape().values()) for row in (0, 2)}
    assert result.stands == len(different)


def test_several_tiles(tmp_path: Path) -> None:
    """One raster over two tiles gives the sum of the two tiles run alone."""
    shape = (100, 200)
    column = np.arange(200) // 20
    layers = {
        "Species": np.broadcast_to(1 + column % 2, shape).astype(np.uint8),
        "Site": np.ones(shape, dtype=np.uint8),
        "initial_age": np.broadcast_to(10 * column, shape).astype(np.int16),
        "mean_annual_temperature": np.ones(shape, dtype=np.float32),
        "fire": np.where(np.arange(200) > 90, 1, 255)[None, :].repeat(100, axis=0).astype(np.uint8),
    }
    fire = {"1": {"year": 2012, "disturbance_type": "Wildfire"}}
    write_project(
        tmp_path / "p",
        layers,
        attributes={**CLASSIFIERS, "fire": fire},
        events=["fire"],
        cell=0.01,
        tiles=(12674, 12675),
        years=(2010, 2014),
    )
    project = load_project(tmp_path / "p")
    whole = run(project)
    assert whole.pixels == 20_000
    parts = [indicators(run(project, blocks=[tile])) for tile in ("12674", "12675")]
    for row, a, b in zip(indicators(whole).rows, parts[0].rows, parts[1].rows, strict=True):
        assert row[1:] == pytest.approx((np.array(a[1:]) + np.array(b[1:])).tolist(), rel=1e-12)
    west, east = (dict(zip(p.columns, p.rows[3], strict=True))["disturbed_area_ha"] for p in parts)
    assert west / east == pytest.approx(9 / 100, rel=1e-12)


def second_unit(folder: Path) -> None:
    """Another province with its own spatial unit, spinup and stump parameters."""
    with sqlite3.connect(folder / "input_database" / "gcbm_input.db") as connection:
        connection.executescript(
            """INSERT INTO stump_parameter VALUES (2, 4.0, 4.0, 4.0, 4.0);
            INSERT INTO admin_boundary VALUES (2, 'Other Province', 2);
            INSERT INTO spinup_parameter SELECT 2, historic_disturbance_type_id, 70, max_rotations
                FROM spinup_parameter WHERE id = 1;
            INSERT INTO spatial_unit VALUES (2, 2, 1, 2);
            INSERT INTO vol_to_bio_factor_association SELECT 2, species_id, vol_to_bio_factor_id, root_parameter_id
                FROM vol_to_bio_factor_association WHERE spatial_unit_id = 1;
            INSERT INTO disturbance_matrix_association SELECT 2, disturbance_type_id, disturbance_matrix_id
                FROM disturbance_matrix_association WHERE spatial_unit_id = 1;"""
        )


def picture(project: Project, folder: Path) -> tuple[Result, np.ndarray]:
    request = MapRequest(folder, ["total_ecosystem_tC_ha"], [2020])
    result = run(project, maps=request)
    with rasterio.open(request.files["total_ecosystem_tC_ha", 2020]) as raster:
        return result, raster.read(1)


def test_spatial_units_from_a_layer(folder: Path, tmp_path: Path) -> None:
    """Each half of a landscape with two provinces is as in the landscape that is one province."""
    second_unit(folder)
    file = folder / "config" / "variables.json"
    content = json.loads(file.read_text())
    found = {}
    for name in ("Example Province", "Other Province"):
        content["Variables"]["admin_boundary"] = name
        file.write_text(json.dumps(content))
        found[name] = picture(load_project(folder), tmp_path / name)[1]
    providers = folder / "config" / "provider_config.json"
    layers = json.loads(providers.read_text())
    layers["Providers"]["RasterTiled"]["layers"].append(
        {"name": "province", "layer_path": "../layers/tiled/province.tiff"}
    )
    providers.write_text(json.dumps(layers))
    halves = np.where(np.arange(200) < 77, 1, 2)[None, :].repeat(200, axis=0).astype(np.uint8)
    names = {"1": "Example Province", "2": "Other Province"}
    write_layer(folder / "layers" / "tiled", "province", halves, attributes=names)
    content["Variables"]["admin_boundary"] = {
        "transform": {"type": "LocationIdxFromFlintDataTransform", "provider": "RasterTiled", "data_id": "province"}
    }
    file.write_text(json.dumps(content))
    result, mixed = picture(load_project(folder), tmp_path / "mixed")
    first = int(np.flatnonzero((landscape()["Species"] != 255).any(0))[0])
    west = halves[:, first : first + mixed.shape[1]][: mixed.shape[0]] == 1
    assert np.array_equal(mixed, np.where(west, found["Example Province"], found["Other Province"]))
    assert not np.array_equal(found["Example Province"], found["Other Province"])
    assert {check.status for check in result.checks} == {"passed"}
