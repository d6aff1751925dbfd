"""Maps: values in their places, cropped, written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm import MapRequest, Project, Result, indicators, run
from flint_ml.gcbm.engine import run as engine
from flint_ml.gcbm.project.grid import BlockId, Grid
from gcbm_example import landscape


def test_maps_add_up_to_the_indicators(example: Project, example_result: Result, tmp_path: Path) -> None:
    names = ["total_ecosystem_tC_ha", "npp_tC_ha", "rh_tC_ha"]
    request = MapRequest(tmp_path, names, [0, 2013])
    run(example, maps=request)
    table = indicators(example_result)
    totals = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    rows = np.concatenate([Grid.of(0.001, "").row_areas(BlockId(12674, b)) for b in (0, 10)])
    for name, year in request.files:
        with rasterio.open(request.files[name, year]) as raster:
            data, top = raster.read(1), round((55.0 - raster.transform.f) / 0.001)
            assert raster.nodata == -9999.0
        area = rows[top : top + data.shape[0], None]
        total = float(np.where(data != -9999.0, data * area, 0.0).sum())
        assert total == pytest.approx(totals[year][name.removesuffix("_ha")], rel=1e-5)


def test_maps_are_cropped_to_the_pixels_and_show_what_happened(
    example: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEAST_STANDS", 1)
    request = MapRequest(tmp_path, ["age_years", "disturbance_code"], [2010, 2013])
    run(example, maps=request, max_memory=1)  # one block after the other
    layers = landscape()
    forest = layers["Species"] != 255
    rows, columns = np.flatnonzero(forest.any(1)), np.flatnonzero(forest.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    with rasterio.open(request.files["age_years", 2010]) as raster:
        assert raster.transform.c == pytest.approx(-106 + columns[0] * 0.001)
        assert np.array_equal(raster.read(1), np.where(forest, layers["initial_age"] + 1.0, -9999.0)[box])
    with rasterio.open(request.files["disturbance_code", 2013]) as raster:
        burnt = np.where(layers["wildfire"] == 1, 1.0, 0.0)
        assert np.array_equal(raster.read(1), np.where(forest, burnt, -9999.0)[box])


def test_unknown_layers_and_years_are_refused(example: Project, tmp_path: Path) -> None:
    for layers, years in ((["carbon"], [2010]), (["age_years"], [1999])):
        with pytest.raises(InputError, match="no map of"):
            run(example, maps=MapRequest(tmp_path, layers, years))


def test_a_folder_that_cannot_be_made(example: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match="map cannot be written"):
        run(example, maps=MapRequest(tmp_path / "file" / "maps", ["age_years"], [2010]))
