"""What changed in the inputs: configuration, parameter database, layers."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from flint_ml import gcbm
from flint_ml.gcbm.project.diff import changes, layer_line, layer_text
from flint_ml.gcbm.project.grid import BlockId, Grid
from flint_ml.gcbm.project.layer_diff import LayerChange, Transition, value_text
from helpers.gcbm_inputs import add_fire, edit, paint, sql


def test_the_same_project_elsewhere_has_no_changes(base: Path, head: Path) -> None:
    assert not changes(base, head)


def test_a_configuration_change_is_a_json_pointer(base: Path, head: Path) -> None:
    edit(head, "localdomain.json", lambda c: c["LocalDomain"].update(end_date="2016/01/01"))
    edit(
        head, "modules_cbm.json", lambda c: c["Modules"]["CBMGrowthModule"].update(settings={"smoother_enabled": False})
    )
    edit(head, "variables.json", lambda c: c["Variables"].update({"a/b": 1, "age_maximum": 180}))
    found = changes(base, head)
    assert [(c.pointer, c.old, c.new) for c in found.configuration] == [
        ("/LocalDomain/end_date", "2017/01/01", "2016/01/01"),
        ("/Modules/CBMGrowthModule/settings", "(missing)", {"smoother_enabled": False}),
        ("/Variables/age_maximum", 200, 180),
        ("/Variables/a~1b", "(missing)", 1),
    ]
    assert found.configuration[0].file == "config/localdomain.json"
    assert found.unchanged() == ["layers", "parameters"]


def test_moving_an_entry_to_another_file_is_no_change(base: Path, head: Path) -> None:
    moved = {}
    edit(head, "variables.json", lambda c: moved.update(age_maximum=c["Variables"].pop("age_maximum")))
    edit(head, "internal_variables.json", lambda c: c["Variables"].update(moved))
    assert not changes(base, head)


def test_true_is_not_one(base: Path, head: Path) -> None:
    edit(head, "internal_variables.json", lambda c: c["Variables"].update(is_forest=1))
    assert [c.pointer for c in changes(base, head).configuration] == ["/Variables/is_forest"]


def test_a_query_file_is_compared_by_its_text(base: Path, head: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(base, tmp_path / "other"))
    for project, text in ((head, "SELECT 1"), (other, "SELECT 2")):
        (project / "config" / "query.sql").write_text(text)
        transform = {"type": "SQLQueryTransform", "provider": "SQLite", "queryFile": "query.sql"}
        edit(project, "variables.json", lambda c, t=transform: c["Variables"].update(extra={"transform": t}))
    found = changes(head, other).configuration
    assert [(c.pointer, c.old, c.new) for c in found] == [("/Variables/extra/transform/query", "SELECT 1", "SELECT 2")]


def test_parameters_are_named_by_what_they_mean(base: Path, head: Path) -> None:
    sql(
        head,
        "UPDATE turnover_parameter SET foliage = 0.12 WHERE id = 1",
        "UPDATE decay_parameter SET base_decay_rate = 0.04 WHERE dom_pool_id = 5",
        "UPDATE growth_curve_component_value SET merchantable_volume = 60 "
        "WHERE growth_curve_component_id = 1 AND age = 40",
        "UPDATE disturbance_matrix_value SET proportion = 0.8 WHERE disturbance_matrix_id = 2 AND proportion = 0.85 "
        "AND source_pool_id = (SELECT id FROM pool WHERE name = 'SoftwoodMerch')",
    )
    found = {c.group: (c.table, c.key, c.column, c.old, c.new) for c in changes(base, head).parameters}
    assert found == {
        "turnover": (
            "turnover_parameter",
            "1 (genus=Spruce, eco_boundary=Example Plains)",
            "foliage",
            0.1,
            0.12,
        ),
        "decay": ("decay_parameter", "dom_pool=MediumSoil", "base_decay_rate", 0.0374, 0.04),
        "growth curves": (
            "growth_curve_component_value",
            "growth_curve_component=Site=good; Species=Spruce / Spruce, age=40",
            "merchantable_volume",
            55.0,
            60.0,
        ),
        "disturbance matrices": (
            "disturbance_matrix_value",
            "disturbance_matrix=Clear-cut, source_pool=SoftwoodMerch, sink_pool=Products",
            "proportion",
            0.85,
            0.8,
        ),
    }


def test_new_ids_and_another_order_are_no_change(base: Path, head: Path) -> None:
    """A database made again numbers its rows anew; its content is the same."""
    sql(
        head,
        "UPDATE pool SET id = id + 1000",
        "UPDATE dom_pool SET pool_id = pool_id + 1000",
        "UPDATE disturbance_matrix_value SET source_pool_id = source_pool_id + 1000",
        "UPDATE disturbance_matrix_value SET sink_pool_id = sink_pool_id + 1000",
        "CREATE TABLE copy AS SELECT * FROM disturbance_matrix_value ORDER BY proportion DESC",
        "DELETE FROM disturbance_matrix_value",
        "INSERT INTO disturbance_matrix_value SELECT * FROM copy",
        "DROP TABLE copy",
    )
    assert not changes(base, head)


def test_a_row_that_points_elsewhere_is_a_change(base: Path, head: Path) -> None:
    sql(head, "UPDATE turnover_parameter_association SET turnover_parameter_id = 2 WHERE genus_id = 1")
    (found,) = changes(base, head).parameters
    assert (found.table, found.key, found.column) == (
        "turnover_parameter_association",
        "genus=Spruce",
        "turnover_parameter_id",
    )


def test_equal_numbers_with_another_meaning_are_a_change(base: Path, head: Path) -> None:
    """No row of decay_parameter is touched; its pools are."""
    sql(head, "UPDATE dom_pool SET pool_id = 15 - pool_id + 16 WHERE pool_id IN (15, 16)")
    tables = {change.table for change in changes(base, head).parameters}
    assert {"dom_pool", "decay_parameter"} <= tables


def test_new_and_lost_rows_and_tables(base: Path, head: Path) -> None:
    sql(
        head,
        "DELETE FROM disturbance_matrix_association WHERE disturbance_type_id = 3",
        "INSERT INTO species VALUES (9, 'Pine', 1, 1)",
        "CREATE TABLE notes (text TEXT)",
    )
    found = {c.table: c for c in changes(base, head).parameters}
    gone = found["disturbance_matrix_association"]
    assert gone.key == "spatial_unit=Example Province / Example Plains, disturbance_type=Deforestation"
    assert (gone.column, gone.old, gone.new) == ("disturbance_matrix_id", "Deforestation", None)
    assert (found["species"].key, found["species"].old) == ("Pine", None)
    assert (found["notes"].column, found["notes"].old, found["notes"].new) == ("", None, "0 rows")


def test_a_layer_change_counts_pixels_and_area_by_meaning(base: Path, head: Path) -> None:
    count = paint(head, "wildfire", 1, 137)
    assert count == 137
    found = changes(base, head)
    (change,) = found.layers
    assert (change.name, change.kind, change.pixels) == ("wildfire", "changed", count)
    (transition,) = change.transitions
    assert (transition.old, transition.new, transition.pixels) == ("none", "Wildfire 2013, transition 1", 137)
    grid = Grid.of(0.001, "test")
    expected = 0.0
    for row in change.rows.tolist():
        block = BlockId((row // 1000) * 360 + 74, (row % 1000) // 100 * 10)
        expected += float(grid.row_areas(block)[row % 100])
    assert change.area_ha == pytest.approx(expected, rel=1e-12)
    image, extent = change.picture(margin=0)
    assert image.sum() == 137
    assert -106.0 <= extent[0] < extent[1] <= -105.8
    assert "coordinates" not in json.dumps(found.as_dict())
    assert "137 pixels" in found.lines()[0]


def test_an_attribute_table_alone_changes_what_pixels_mean(base: Path, head: Path) -> None:
    file = head / "layers" / "tiled" / "harvest.json"
    content = json.loads(file.read_text())
    content["attributes"]["2"]["year"] = 2015
    file.write_text(json.dumps(content))
    (change,) = changes(base, head).layers
    assert [(t.old, t.new) for t in change.transitions] == [("Clear-cut 2018", "Clear-cut 2015")]
    assert change.pixels > 0


def test_renumbered_cells_with_the_same_meaning_are_no_change(base: Path, head: Path) -> None:
    import rasterio

    file = head / "layers" / "tiled" / "Species.json"
    content = json.loads(file.read_text())
    content["attributes"] = {"7": "Spruce", "8": "Aspen"}
    file.write_text(json.dumps(content))
    with rasterio.open(file.with_suffix(".tiff"), "r+") as raster:
        cells = raster.read(1)
        raster.write(np.where(cells == 1, 7, np.where(cells == 2, 8, cells)).astype(np.uint8), 1)
    assert not changes(base, head).layers


def test_a_cropped_layer_is_the_same_where_the_rest_is_no_data(base: Path, head: Path) -> None:
    import rasterio
    from rasterio.windows import Window

    file = head / "layers" / "tiled" / "harvest.tiff"
    with rasterio.open(file) as raster:
        cells, profile, transform = raster.read(1), raster.profile, raster.transform
        nodata = raster.nodata
    rows, columns = np.nonzero(cells != nodata)
    window = Window(columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    inside = cells[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    profile |= {
        "height": inside.shape[0],
        "width": inside.shape[1],
        "tiled": False,
        "transform": rasterio.windows.transform(window, transform),
    }
    for key in ("blockxsize", "blockysize"):
        profile.pop(key)
    with rasterio.open(file, "w", **profile) as raster:
        raster.write(inside, 1)
    assert not changes(base, head).layers


def test_a_new_layer_is_added_with_its_entry(base: Path, head: Path) -> None:
    add_fire(head)
    found = changes(base, head)
    assert [(c.name, c.kind) for c in found.layers] == [("fire_2012", "added")]
    assert [c.pointer for c in found.configuration] == [
        "/Modules/CBMDisturbanceListener/settings/vars",
        "/Variables/fire_2012",
        "/Providers/RasterTiled/layers/fire_2012",
    ]
    back = changes(head, base)
    assert [(c.name, c.kind) for c in back.layers] == [("fire_2012", "removed")]


def test_values_of_layers_in_words() -> None:
    assert value_text(None) == "none"
    assert value_text({"disturbance_type": "Wildfire", "year": 2012}) == "Wildfire 2012"
    assert value_text({"other": 1}) == '{"other": 1}'
    assert value_text(0.30000001192092896) == "0.3"


def test_many_values_of_one_table_are_one_line(base: Path, head: Path) -> None:
    sql(head, "UPDATE growth_curve_component_value SET merchantable_volume = merchantable_volume * 1.1 WHERE age > 90")
    lines = changes(base, head).lines()
    assert len(lines) == 1
    assert "values, such as" in lines[0]


def test_the_real_demo(demo: Path, tmp_path: Path) -> None:
    head = Path(shutil.copytree(demo, tmp_path / "demo-head"))
    assert not changes(demo, head)
    connection = sqlite3.connect(head / "input_database" / "gcbm_input.db")
    connection.execute("UPDATE decay_parameter SET q10 = 2.5 WHERE dom_pool_id = 1")
    connection.execute("UPDATE spinup_parameter SET return_interval = 99 WHERE id = 1")
    connection.commit()
    connection.close()
    file = head / "layers" / "tiled" / "disturbances_2012.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for record in content["attributes"].values():
        record["year"] = 2013
    file.write_text(json.dumps(content), encoding="utf-8")
    found = changes(demo, head)
    assert {(c.table, c.column, c.new) for c in found.parameters} == {
        ("decay_parameter", "q10", 2.5),
        ("spinup_parameter", "return_interval", 99),
    }
    (layer,) = found.layers
    assert layer.area_ha == pytest.approx(105.30552, rel=1e-6)  # design: Wildfire 2012
    assert gcbm.load_project(head).years[0] == 2010


def test_each_direction_is_told_apart() -> None:
    """Removed and added pixels are not one number: the first screen says which is which."""
    moves = [("none", "beetle", 1138), ("beetle", "none", 991), ("fire", "none", 12), ("none", "fire", 3)]
    change = LayerChange("d", "changed", 2144, 95.6, [Transition(a, b, n, n * 0.045) for a, b, n in moves], "d.tiff")
    text = "2,144 pixels, 95.6 ha: 1,138 none → beetle, 991 beetle → none, 12 fire → none and 1 other change"
    assert layer_text(change) == text
    assert layer_line(change) == f"d.tiff ({text})"
    one = LayerChange("d", "added", 7, 0.3, [Transition("none", "fire", 7, 0.3)], "d.tiff", "cell size 1 -> 2 degrees")
    assert layer_line(one) == "d.tiff (added: 7 pixels, 0.3 ha, none → fire, cell size 1 -> 2 degrees)"
