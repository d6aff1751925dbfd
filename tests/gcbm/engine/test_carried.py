"""Pixels that only spinup masks start where the pixel before them ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from flint_ml.errors import InputError
from flint_ml.gcbm import MapRequest, Project, load_project, plan, run, validate
from flint_ml.gcbm.project.grid import project_domain
from helpers.gcbm_inputs import edit

BUILDER = "CBMBuildLandUnitModule"


def mask(folder: Path, spinup: list[str], whole: list[str]) -> None:
    """Mask variables of spinup, and of the whole run."""
    edit(folder, "spinup.json", lambda c: c["SpinupModules"][BUILDER].update(settings={"mask_vars": spinup}))
    edit(folder, "modules_cbm.json", lambda c: c["Modules"][BUILDER].update(settings={"mask_vars": whole}))


def cells_only(folder: Path, cells: list[tuple[int, int, int]]) -> None:
    landscape = {
        "iteration_type": "CellIndex",
        "provider": "RasterTiled",
        "cells": [{"tile_index": t, "block_index": b, "cell_index": c} for t, b, c in cells],
    }
    edit(folder, "localdomain.json", lambda c: c["LocalDomain"].update(landscape=landscape))


def maps(project: Project, folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Age and biomass after spinup, and age in the last year, on the grid of the layers; nodata is -9999."""
    request = MapRequest(folder, ["age_years", "total_biomass_tC_ha"], [0, project.years[-1]])
    run(project, maps=request)
    found = {}
    with rasterio.open(project.root / "layers" / "tiled" / "Species.tiff") as layer:
        shape, transform = layer.shape, layer.transform
    for (name, year), path in request.files.items():
        whole = np.full(shape, -9999.0)
        with rasterio.open(path) as raster:
            column = round((raster.transform.c - transform.c) / transform.a)
            row = round((raster.transform.f - transform.f) / transform.e)
            whole[row : row + raster.height, column : column + raster.width] = raster.read(1)
        found[f"{name} {'start' if year == 0 else 'end'}"] = whole
    return found


def in_run_order(project: Project, picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Cells block by block, row by row."""
    side = project_domain(project).grid.per_block
    rows, columns = (size // side for size in picture.shape)
    return picture.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1)


@pytest.mark.parametrize("spinup", [["wildfire"], ["wildfire", "harvest"]])
def test_a_masked_pixel_starts_at_the_age_of_the_one_before(head: Path, tmp_path: Path, spinup: list[str]) -> None:
    mask(head, spinup, [])
    project = load_project(head)
    found = {name: in_run_order(project, picture) for name, picture in maps(project, tmp_path / "maps").items()}
    simulated = found["age_years start"] >= 0
    start, end = found["age_years start"][simulated], found["age_years end"][simulated]
    bare = found["total_biomass_tC_ha start"][simulated] == 0.0
    assert bare.mean() > 0.5
    assert start[0] == 0.0 if bare[0] else start[0] > 0.0
    follows = np.flatnonzero(bare[1:]) + 1
    assert np.array_equal(start[follows], end[follows - 1])
    assert end.max() > 1000.0  # ages add up along a row of masked pixels
    assert "gcbm-spinup-masked" in {problem.code for problem in validate(project, pixels=False)}


def test_a_pixel_that_is_spun_up_and_then_masked_leaves_its_age(head: Path) -> None:
    """Run only: cells 1 and 2 of a stand; the first lacks what the run needs, the second what spinup needs."""
    side = 100
    with rasterio.open(head / "layers" / "tiled" / "initial_age.tiff") as layer:
        ages = layer.read(1)
    row, column = next((r, c) for r in range(side) for c in range(side - 1) if 0 < ages[r, c] < 300 > ages[r, c + 1])
    cells = [(project_domain(load_project(head)).blocks[0].tile, 0, row * side + column + i) for i in (0, 1)]
    for name, lacking in (("wildfire", column), ("harvest", column + 1)):
        with rasterio.open(head / "layers" / "tiled" / f"{name}.tiff", "r+") as raster:
            values = raster.read(1)
            values[row, column : column + 2] = 1
            values[row, lacking] = raster.nodata
            raster.write(values, 1)
    mask(head, ["harvest"], ["wildfire"])
    edit(head, "modules_cbm.json", lambda c: c["Modules"]["CBMDisturbanceListener"].update(enabled=False))
    cells_only(head, cells)
    (row_found,) = run(load_project(head)).locations[:1].tolist()
    classes = run(load_project(head)).age_bounds[row_found[3]]
    assert classes[0] <= ages[row, column] <= classes[1]


def test_the_order_is_that_of_the_list(head: Path) -> None:
    """Two orders of the same single cells give two results; the blocks run in the order in which they come."""
    mask(head, ["wildfire"], [])
    with rasterio.open(head / "layers" / "tiled" / "Species.tiff") as layer:
        forest = layer.read(1) != layer.nodata
    tile = project_domain(load_project(head)).blocks[0].tile
    inside = np.argwhere(forest[100:, :100])[:4000:200]
    cells = [(tile, 10, int(r) * 100 + int(c)) for r, c in inside]
    cells_only(head, cells)
    forward = run(load_project(head))
    cells_only(head, cells[::-1])
    backward = run(load_project(head))
    assert forward.pixels == backward.pixels == len(cells)
    assert sorted(forward.locations[:, 3]) != sorted(backward.locations[:, 3])


def test_it_is_one_job(head: Path) -> None:
    mask(head, ["wildfire"], [])
    project = load_project(head)
    (job,) = plan(project, 4)
    whole = run(project)
    assert run(project, blocks=[job.blocks], keep_partials=True).sums.tobytes() == whole.sums.tobytes()
    with pytest.raises(InputError, match="cannot be run in parts") as caught:
        run(project, blocks=[str(project_domain(project).blocks[0])])
    assert caught.value.code == "gcbm-spinup-masked"


def test_the_same_masks_in_both_are_no_special_case(head: Path) -> None:
    mask(head, ["initial_age"], ["initial_age"])
    project = load_project(head)
    assert len(plan(project, 4)) > 1
    assert not {problem.code for problem in validate(project, pixels=False)} & {"gcbm-spinup-masked"}
