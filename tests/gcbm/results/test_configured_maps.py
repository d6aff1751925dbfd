"""Maps as the project configures them: names, folders, types, no data and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from flint_ml.errors import InputError
from flint_ml.gcbm import Table, indicators, load_project, map_request, run
from flint_ml.gcbm.pools import DOM, GASES, LIVE
from helpers.gcbm_inputs import edit

NPP = {"from": ["Atmosphere"], "to": list(LIVE)}
EMISSIONS = {"from": [*LIVE, *DOM], "to": list(GASES), "subtract": True}
HARVEST = {"from": [*LIVE, *DOM], "to": ["Products"], "flux_source": "disturbance", "subtract": True}
ITEM = {"enabled": True, "on_notification": "OutputStep"}
SUM = {**ITEM, "variable_data_type": "double", "apply_area_adjustment": True}


def configure(folder: Path, items: list[dict[str, Any]], **settings: Any) -> None:
    module = {"enabled": True, "order": 11, "settings": {"output_path": "..\\output", "items": items, **settings}}
    edit(folder, "modules_output.json", lambda c: c["Modules"].update(WriteVariableGeotiff=module))


def written(head: Path, target: Path, spatial: str = "project") -> dict[str, Path]:
    """Files by their path below the folder."""
    project = load_project(head)
    request, left_out = map_request([spatial], project, target, [])
    assert left_out == []
    run(project, maps=request)
    files = {path.relative_to(target / "project").as_posix(): path for path in target.rglob("*.tif")}
    assert request is not None
    assert request.configured is not None
    assert request.configured.written == len(files)
    return files


def test_names_types_and_no_data_are_those_of_the_reference(head: Path, tmp_path: Path) -> None:
    age = {**ITEM, "data_name": "Age", "variable_data_type": "Int16", "variable_name": "age"}
    soil = {**ITEM, "data_name": "Soil_C", "variable_data_type": "float", "pool_name": ["BelowGroundSlowSoil"]}
    off = {**ITEM, "data_name": "Off", "enabled": False}
    flat = {**soil, "data_name": "Flat", "force_variable_folder_name": False, "use_indexes_for_folder_name": True}
    rare = {**age, "data_name": "Rare", "output_interval": 3, "nodata_value": -1}
    configure(head, [age, soil, off, flat, rare])
    files = written(head, tmp_path)
    tile = load_project(head).section("LocalDomain")["landscape"]["tiles"][0]["index"]
    west, north = tile % 360 - 180, 90 - tile // 360
    place = f"{'-' if west < 0 else ''}{abs(west):03d}_{north:03d}"
    assert {name.partition("_00_")[0] for name in files if "_00_" in name} == {
        f"Age/{place}/Age_{place}",
        f"Soil_C/{place}/Soil_C_{place}",
        f"{tile:06d}/Flat_{tile:06d}",
        f"Rare/{place}/Rare_{place}",
    }
    steps = {int(name.rsplit("_", 1)[1].removesuffix(".tif")) for name in files if name.startswith("Rare")}
    assert steps == {1, 4, 7}
    for name, dtype, nodata in (
        ("Age", "int16", -32768),
        ("Soil_C", "float32", np.float32(-1e38)),
        ("Rare", "int16", -1),
    ):
        with rasterio.open(files[f"{name}/{place}/{name}_{place}_00_1.tif"]) as raster:
            assert (raster.dtypes[0], raster.nodata, raster.shape) == (dtype, nodata, (100, 100))
            assert raster.transform.c == pytest.approx(west, abs=1e-9)
            assert raster.transform.f == pytest.approx(north, abs=1e-9)


def totals(files: dict[str, Path], name: str, step: int) -> float:
    """Sum of a map's cells over all blocks."""
    total = 0.0
    for path in (path for key, path in files.items() if key.startswith(f"{name}/") and key.endswith(f"_{step}.tif")):
        with rasterio.open(path) as raster:
            cells = raster.read(1)
            total += float(cells[cells != raster.nodata].sum())
    return total


def test_maps_add_up_to_the_indicators(head: Path, tmp_path: Path) -> None:
    """Stocks, and fluxes of processes and of disturbances, times the area of each cell."""
    burnt = {**EMISSIONS, "subtract": False, "flux_source": "disturbance"}
    configure(
        head,
        [
            {**SUM, "data_name": "Total_Biomass_C", "pool_name": list(LIVE)},
            {**SUM, "data_name": "NPP", "flux": NPP},
            {**SUM, "data_name": "NBP", "flux": [NPP, EMISSIONS, HARVEST]},
            {**SUM, "data_name": "Rh", "flux": {**EMISSIONS, "subtract": False, "flux_source": "annual_process"}},
            {**SUM, "data_name": "Fire", "flux": {**burnt, "disturbance_types": ["Wildfire"]}},
            {**SUM, "data_name": "Cut", "flux": {**burnt, "disturbance_types": ["Clear-cut"]}},
        ],
    )
    files = written(head, tmp_path)
    project = load_project(head)
    table: Table = indicators(run(project))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    for step, year in enumerate(project.years, 1):
        row = rows[year]
        assert totals(files, "Total_Biomass_C", step) == pytest.approx(row["total_biomass_tC"], rel=1e-12)
        assert totals(files, "NPP", step) == pytest.approx(row["npp_tC"], rel=1e-12)
        assert totals(files, "NBP", step) == pytest.approx(row["nbp_tC"], rel=1e-9)
        assert totals(files, "Rh", step) == pytest.approx(row["rh_tC"], rel=1e-12)
        fire, cut = totals(files, "Fire", step), totals(files, "Cut", step)
        assert fire + cut == pytest.approx(row["disturbance_emissions_tC"], rel=1e-12, abs=1e-9)
    assert totals(files, "Fire", project.years.index(2013) + 1) > 0.0


def test_one_year_alone(head: Path, tmp_path: Path) -> None:
    configure(head, [{**ITEM, "data_name": "Age", "variable_data_type": "Int16", "variable_name": "age"}])
    files = written(head, tmp_path, "project:2012")
    assert files
    assert {name.rsplit("_", 1)[1] for name in files} == {"3.tif"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"variable_name": "unfccc_land_class"}, "variable unfccc_land_class"),
        ({"variable_data_type": "Int8"}, "variable_data_type 'Int8'"),
        ({"on_notification": "TimingShutdown"}, "only OutputStep"),
        ({"subtract_previous_value": True}, "subtract_previous_value"),
        ({"output_annual_only": True}, "December"),
        ({"pool_name": "Nothing"}, "unknown pool Nothing"),
    ],
)
def test_what_is_not_written_is_said(head: Path, tmp_path: Path, change: dict[str, Any], text: str) -> None:
    age = {**ITEM, "data_name": "Age", "variable_data_type": "Int16", "variable_name": "age"}
    configure(head, [age, {**age, "data_name": "Other", **change}])
    _, (problem,) = map_request(["project"], load_project(head), tmp_path, [])
    assert (problem.severity, problem.code) == ("warning", "gcbm-maps")
    assert f"Other: {text}" in problem.message or text in problem.message
    configure(head, [{**age, "data_name": "Other", **change}])
    with pytest.raises(InputError, match="configures no maps"):
        map_request(["project"], load_project(head), tmp_path, [])
