"""Whole runs of the generated example: checks, database, indicators, errors, refusals on the way."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm import (
    Project,
    Result,
    disturbance_carbon,
    disturbed_area,
    indicators,
    load_project,
    run,
    write_database,
)
from flint_ml.gcbm.engine import run as engine
from flint_ml.gcbm.results.indicators import COLUMNS
from gcbm_example import write_layer
from helpers.database_content import content, differences

Change = Callable[[Path], None]


def changed(folder: Path, target: Path, change: Change) -> Project:
    shutil.copytree(folder, target)
    change(target)
    return load_project(target)


def setting(file: str, *path: str, value: Any) -> Change:
    def change(folder: Path) -> None:
        where = folder / "config" / f"{file}.json"
        content = json.loads(where.read_text())
        entry = content
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value
        where.write_text(json.dumps(content))

    return change


def sql(text: str) -> Change:
    def change(folder: Path) -> None:
        with sqlite3.connect(folder / "input_database" / "gcbm_input.db") as connection:
            connection.executescript(text)

    return change


def values(result: Result, year: int) -> dict[str, float]:
    table = indicators(result)
    return dict(zip(table.columns, table.rows[[row[0] for row in table.rows].index(year)], strict=True))


def test_all_checks_pass_on_the_example(example_result: Result) -> None:
    assert {check.name: check.status for check in example_result.checks} == dict.fromkeys(
        [
            "carbon-balance",
            "area-constant",
            "area-of-rasters",
            "pools-not-negative",
            "disturbed-area",
            "growth-curves",
            "missing-matrices",
            "matrix-rows",
            "spinup-stable",
            "null-temperature",
            "spinup-masked",
            "events-outside-run",
            "layers-not-listened",
        ],
        "passed",
    )
    assert all(check.value <= check.tolerance for check in example_result.checks)


def test_what_the_example_shows(example_result: Result) -> None:
    """The fire of 2013 emits, the clear-cuts of 2016 and 2018 harvest, other years do neither."""
    for year in example_result.years:
        now = values(example_result, year)
        assert (now["disturbance_emissions_tC"] > 0) == (year == 2013)
        assert (now["harvest_tC"] > 0) == (year in {2016, 2018})
        assert now["nep_tC"] == pytest.approx(now["npp_tC"] - now["rh_tC"])
        before = values(example_result, year - 1 if year > 2010 else 0)
        gain = now["total_ecosystem_tC"] - before["total_ecosystem_tC"]
        assert gain == pytest.approx(now["nbp_tC"], rel=1e-9)
        parts = now["total_biomass_tC"] + now["deadwood_tC"] + now["litter_tC"] + now["soil_tC"]
        assert parts == pytest.approx(now["total_ecosystem_tC"], rel=1e-12)


def test_the_example_gives_its_stored_numbers(example_result: Result) -> None:
    """Made by this engine, whose single stands test_plain_stand.py holds against the plainly written model."""
    stored = json.loads((Path(__file__).parent / "example_totals.json").read_text())
    table = indicators(example_result)
    assert table.columns == stored["columns"]
    for row, expected in zip(table.rows, stored["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_database_and_result_give_the_same_indicators(example_result: Result, tmp_path: Path) -> None:
    path = write_database(example_result, tmp_path / "out" / "gcbm_output.db")
    for by in (None, "Species", "land_class", "age_class"):
        mine, theirs = indicators(example_result, by=by), indicators(path, by=by)
        assert mine.columns == theirs.columns
        for a, b in zip(mine.rows, theirs.rows, strict=True):
            assert a == [pytest.approx(x, rel=1e-10, abs=1e-9) if isinstance(x, float) else x for x in b]
    assert [r[:2] for r in disturbed_area(example_result).rows] == [r[:2] for r in disturbed_area(path).rows]
    for a, b in zip(disturbance_carbon(example_result).rows, disturbance_carbon(path).rows, strict=True):
        assert a[2:] == pytest.approx(b[2:], rel=1e-10, abs=1e-9)


def test_groups_add_up_to_the_whole(example_result: Result) -> None:
    whole = indicators(example_result)
    for by in ("Species", "Site", "land_class", "age_class"):
        grouped = indicators(example_result, by=by)
        for year, row in zip(whole.column("year"), whole.rows, strict=True):
            parts = [r[2:] for r in grouped.rows if r[1] == year]
            assert np.sum(parts, axis=0) == pytest.approx(row[1:], rel=1e-10, abs=1e-8)


def test_unknown_group(example_result: Result, tmp_path: Path) -> None:
    path = write_database(example_result, tmp_path / "x.db")
    for source in (example_result, path):
        with pytest.raises(InputError, match="Species"):
            indicators(source, by="owner")


def test_names_carry_units() -> None:
    assert all(name.endswith(("_tC", "_ha")) for name in COLUMNS)


def test_database_schema_and_sizes(example_result: Result, tmp_path: Path) -> None:
    path = write_database(example_result, tmp_path / "gcbm_output.db")
    with sqlite3.connect(path) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        locations = connection.execute("SELECT count(*) FROM LocationDimension").fetchone()[0]
        pools = connection.execute("SELECT count(*) FROM Pools").fetchone()[0]
        zero = connection.execute("SELECT count(*) FROM Fluxes WHERE fluxValue = 0").fetchone()[0]
        ids = [row[0] for row in connection.execute("SELECT id FROM Fluxes ORDER BY rowid")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    assert len(tables) == 14
    assert pools == 30 * locations
    assert zero == 0
    assert ids == list(range(1, len(ids) + 1))
    assert broken == []


def test_the_same_run_gives_the_same_bytes(example: Project, example_result: Result, tmp_path: Path) -> None:
    first = write_database(example_result, tmp_path / "a.db").read_bytes()
    assert write_database(run(example), tmp_path / "b.db").read_bytes() == first


def test_less_memory_gives_the_same_bytes(
    example: Project, example_result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_database(example_result, tmp_path / "a.db").read_bytes()
    passes = []
    simulated = engine._Run._chunk
    monkeypatch.setattr(engine._Run, "_chunk", lambda *args: (passes.append(1), simulated(*args)))
    monkeypatch.setattr(engine, "LEAST_STANDS", 30)
    small = run(example, max_memory=1)
    assert len(passes) > 1
    assert small.stands == example_result.stands
    assert write_database(small, tmp_path / "b.db").read_bytes() == first


def test_without_age_indicators_locations_have_class_zero(example_folder: Path, tmp_path: Path) -> None:
    off = setting("modules_cbm", "Modules", "CBMAgeIndicators", "enabled", value=False)
    project = changed(example_folder, tmp_path / "p", off)
    result = run(project)
    path = write_database(result, tmp_path / "off.db")
    on = write_database(run(load_project(example_folder)), tmp_path / "on.db")
    with sqlite3.connect(path) as connection:
        classes = connection.execute(
            "SELECT DISTINCT a.startAge, a.endAge FROM LocationDimension l "
            "JOIN AgeClassDimension a ON a.id = ageClassDimId"
        ).fetchall()
    assert classes == [(-1, -1)]
    assert len(content(path)["ages"]) == len(content(on)["ages"])  # AgeArea keeps the real class
    for a, b in zip(indicators(path).rows, indicators(on).rows, strict=True):
        assert a == pytest.approx(b, rel=1e-10, abs=1e-9)


def test_a_failed_write_leaves_nothing(example_result: Result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutsideError, match="cannot be written"):
        write_database(example_result, tmp_path / "file" / "gcbm_output.db")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "x").touch()
    with pytest.raises(OutsideError):
        write_database(example_result, tmp_path / "db")  # a folder has this name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["db", "file"]


def test_comparison_by_content_finds_a_changed_row(example_result: Result, tmp_path: Path) -> None:
    path = write_database(example_result, tmp_path / "a.db")
    other = tmp_path / "b.db"
    shutil.copy(path, other)
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE Pools SET poolValue = poolValue * 1.001 WHERE id = 25")
    assert differences(content(path), content(path)) == []
    assert len(differences(content(path), content(other))) == 1


def test_stands_without_curve_leave_the_run_and_the_check_says_so(example_folder: Path, tmp_path: Path) -> None:
    lost = sql("DELETE FROM growth_curve_classifier_value WHERE growth_curve_id = 3")  # aspen
    result = run(changed(example_folder, tmp_path / "p", lost))
    check = {c.name: c for c in result.checks}["growth-curves"]
    assert check.status == "failed"
    assert "Aspen" in check.message
    assert check.value == pytest.approx(result.failed.sum())
    with sqlite3.connect(write_database(result, tmp_path / "x.db")) as connection:
        errors = connection.execute("SELECT module, error FROM ErrorDimension").fetchall()
        year0 = connection.execute(
            "SELECT SUM(area) FROM LocationDimension l JOIN DateDimension d ON d.id = dateDimId WHERE step = 0"
        ).fetchone()[0]
    assert [module for module, _ in errors] == ["CBMGrowthModule"]
    assert year0 == pytest.approx(result.area_ha)


def test_a_missing_matrix_stops_the_run_unless_it_may_be_skipped(example_folder: Path, tmp_path: Path) -> None:
    gone = sql("DELETE FROM disturbance_matrix_association WHERE disturbance_type_id = 2")
    project = changed(example_folder, tmp_path / "p", gone)
    with pytest.raises(InputError, match="no disturbance matrix for 'Clear-cut' in spatial unit 1"):
        run(project)
    result = run(project, skip_missing_matrices=True)
    assert {c.name: c.status for c in result.checks}["missing-matrices"] == "failed"
    assert values(result, 2016)["harvest_tC"] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (sql("DELETE FROM disturbance_matrix_association WHERE disturbance_type_id = 1"), "which spinup needs"),
        (sql("DELETE FROM spatial_unit"), "spatial_unit_id|spinup parameters"),
        (sql("DROP TABLE decay_parameter"), "decay_parameter"),
        (sql("DELETE FROM decay_parameter WHERE dom_pool_id = 5"), "MediumSoil"),
        (sql("DELETE FROM transition WHERE id = 1"), "transition 1 does not exist"),
        (sql("UPDATE disturbance_type SET name = 'Fire' WHERE id = 1"), "Wildfire"),
        (sql("DROP TABLE growth_curve_classifier_value"), "growth curves"),
        (setting("variables", "Variables", "default_disturbance_order", value=["Clear-cut"]), "no disturbance order"),
        (setting("variables", "Variables", "initial_historic_land_class", value="XX"), "XX is not in land_class"),
        (setting("pools_cbm", "Pools", value={"CO2": 0.0}), "Pools lacks"),
        (setting("variables", "Variables", "mean_annual_temperature", value="x{"), "temperature must be a number"),
    ],
)
def test_faults_are_explained(example_folder: Path, tmp_path: Path, change: Change, message: str) -> None:
    project = changed(example_folder, tmp_path / "p", change)
    with pytest.raises(InputError, match=message) as caught:
        run(project)
    assert caught.value.hint


def layer_values(name: str, at: Any, value: Any) -> Change:
    def change(folder: Path) -> None:
        import rasterio

        with rasterio.open(folder / "layers" / "tiled" / f"{name}.tiff", "r+") as raster:
            data = raster.read(1)
            data[at] = value
            raster.write(data, 1)

    return change


def test_pixels_without_age_stop_the_run_with_their_count(example_folder: Path, tmp_path: Path) -> None:
    project = changed(example_folder, tmp_path / "p", layer_values("initial_age", np.s_[:], 32767))
    with pytest.raises(InputError, match=r"initial_age has no value on \d+ simulated pixels"):
        run(project)


def test_pixels_without_temperature_count_as_zero_degrees_with_a_warning(example_folder: Path, tmp_path: Path) -> None:
    null = changed(example_folder, tmp_path / "p", layer_values("mean_annual_temperature", np.s_[:], 3.4e38))
    zero = changed(example_folder, tmp_path / "q", layer_values("mean_annual_temperature", np.s_[:], 0.0))
    result = run(null)
    assert {c.name: c.status for c in result.checks}["null-temperature"] == "warned"
    assert indicators(result).rows[-1] == indicators(run(zero)).rows[-1]


def test_no_data_everywhere(example_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pixel to simulate"):
        run(changed(example_folder, tmp_path / "p", layer_values("Site", np.s_[:], 255)))


def test_mask_variables_take_pixels_out(example_folder: Path, tmp_path: Path) -> None:
    mask = setting("modules_cbm", "Modules", "CBMBuildLandUnitModule", "settings", value={"mask_vars": ["wildfire"]})
    result = run(changed(example_folder, tmp_path / "p", mask))
    whole = run(load_project(example_folder))
    assert result.area_ha == pytest.approx(values(whole, 2013)["disturbed_area_ha"])


def test_events_outside_the_run_and_layers_nobody_listens_to_are_warned_about(
    example_folder: Path, tmp_path: Path
) -> None:
    def change(folder: Path) -> None:
        setting("localdomain", "LocalDomain", "end_date", value="2017/01/01")(folder)
        setting("modules_cbm", "Modules", "CBMDisturbanceListener", "settings", value={"vars": ["harvest"]})(folder)

    result = run(changed(example_folder, tmp_path / "p", change))
    found = {c.name: c for c in result.checks}
    assert found["events-outside-run"].status == "warned"
    assert "harvest 2018" in found["events-outside-run"].message
    assert found["layers-not-listened"].status == "warned"
    assert "wildfire" in found["layers-not-listened"].message


def test_unstable_spinup_is_warned_about(example_folder: Path, tmp_path: Path) -> None:
    few = sql("UPDATE spinup_parameter SET max_rotations = 2")
    result = run(changed(example_folder, tmp_path / "p", few))
    check = {c.name: c for c in result.checks}["spinup-stable"]
    assert check.status == "warned"
    assert check.value == pytest.approx(result.area_ha)


def test_matrix_rows_that_do_not_sum_to_one_are_warned_about(example_folder: Path, tmp_path: Path) -> None:
    bad = sql("UPDATE disturbance_matrix_value SET proportion = 0.7 WHERE proportion = 0.85")
    result = run(changed(example_folder, tmp_path / "p", bad))
    found = {c.name: c.status for c in result.checks}
    assert found["matrix-rows"] == "warned"
    assert found["carbon-balance"] == "passed"  # what does not leave stays


def test_two_events_in_one_year_follow_the_order_list(example_folder: Path, tmp_path: Path) -> None:
    """Fire and clear-cut on the same pixels in 2013: what comes first decides what is left to harvest."""

    def both(order: list[str]) -> Change:
        def change(folder: Path) -> None:
            everywhere = np.ones((200, 200), dtype=np.uint8)
            tiled = folder / "layers" / "tiled"
            for name, kind in (("wildfire", "Wildfire"), ("harvest", "Clear-cut")):
                event = {"1": {"year": 2013, "disturbance_type": kind}}
                write_layer(tiled, name, everywhere, attributes=event)
            setting("variables", "Variables", "user_disturbance_order", value=order)(folder)

        return change

    harvest = []
    for number, order in enumerate((["Wildfire", "Clear-cut"], ["Clear-cut", "Wildfire"])):
        result = run(changed(example_folder, tmp_path / str(number), both(order)))
        harvest.append(values(result, 2013)["harvest_tC"])
        assert values(result, 2013)["disturbed_area_ha"] == pytest.approx(2 * result.area_ha)
    assert harvest[0] == 0.0
    assert harvest[1] > 0.0


def test_deforestation_changes_the_land_class(example_folder: Path, tmp_path: Path) -> None:
    event = {"1": {"year": 2013, "disturbance_type": "Deforestation"}}

    def change(folder: Path) -> None:
        file = folder / "layers" / "tiled" / "wildfire.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "attributes": event}))

    table = indicators(run(changed(example_folder, tmp_path / "p", change)), by="land_class")
    groups = {row[0] for row in table.rows}
    assert groups == {"UNFCCC_FL_R_FL", "UNFCCC_FL_R_CL"}
    growth = [row[table.columns.index("npp_tC")] for row in table.rows if row[0] == "UNFCCC_FL_R_CL"]
    assert growth == [0.0] * len(growth)  # no forest, no growth


def test_progress_is_reported(example: Project) -> None:
    seen: list[tuple[str, int, int]] = []
    run(example, progress=lambda *step: seen.append(step))
    assert ("read", 100, 100) in seen
    assert seen[-1][0] == "simulated"


def test_blocks_that_are_not_the_projects_are_refused(example: Project) -> None:
    with pytest.raises(InputError, match="does not run block 1:1"):
        run(example, blocks=["1:1"])
