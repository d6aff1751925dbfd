"""Words, tables, maps and files of a run's report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.comparison import map_diff as maps
from flint_ml.gcbm.results import database_checks as dbchecks
from flint_ml.gcbm.results import labels as words
from flint_ml.gcbm.results import tables
from flint_ml.gcbm.results.indicators import COLUMNS, Table
from flint_ml.gcbm.simulation import staged


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (52199.949, {}, "52,200"),
        (-537.379, {}, "−537"),
        (0.0, {}, "0.00"),
        (41.123, {"sign": True}, "+41.1"),
        (-731.2, {"sign": True}, "−731"),
        (0.0123, {}, "0.0123"),
        (12345.678, {"step": 0.05}, "12,345.6780"),
    ],
)
def test_amounts(value: float, options: dict[str, float], text: str) -> None:
    assert words.amount(value, **options) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "text"), [(0.39, "+39 %"), (-0.014, "−1.4 %"), (0.0, "+0.0 %"), (-0.00002, "−0.002 %")]
)
def test_shares(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_every_indicator_has_a_label_and_a_unit() -> None:
    assert set(words.LABELS) == set(COLUMNS)
    assert {words.unit(name) for name in COLUMNS} == {"tC", "ha"}
    assert words.titled("disturbed_area_ha") == "Disturbed area (ha)"
    with pytest.raises(InputError, match="no indicator 'npp'"):
        words.choose_indicators(["npp"])


def indicator_table(*rows: tuple[int, float, float]) -> Table:
    """Year, total ecosystem, NBP; the rest is 1."""
    lines = []
    for year, stock, nbp in rows:
        values = {"total_ecosystem_tC": stock, "nbp_tC": nbp}
        lines.append([year, *(values.get(name, 1.0) for name in COLUMNS)])
    return Table(["year", *COLUMNS], lines)


def test_metrics_and_back() -> None:
    table = indicator_table((0, 100.0, 0.0), (2010, 99.5, -0.5), (2011, 98.5, -1.0))
    values = tables.metrics(table)
    assert values["total_ecosystem_tC"] == values["2011/total_ecosystem_tC"] == 98.5
    assert "0/nbp_tC" not in values
    assert values["0/total_ecosystem_tC"] == 100.0
    back = tables.table_of_metrics(values, "metrics.json")
    assert [tables.value(back, year, "nbp_tC") for year in (0, 2010, 2011)] == [0.0, -0.5, -1.0]
    assert tables.years_of(back) == [2010, 2011]


def test_csv_keeps_every_digit_and_has_no_negative_zero() -> None:
    table = Table(["year", "x", "group"], [[2010, 0.1 + 0.2, "a,b"], [2011, -0.0, None]])
    assert tables.csv_text(table) == 'year,x,group\n2010,0.30000000000000004,"a,b"\n2011,0.0,\n'


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([(0, 100.0, 0.0), (2010, 99.5, -0.6)], "carbon-balance"),
        ([(0, 100.0, 0.0), (2010, 99.5, -0.5)], None),
    ],
)
def test_balance_of_a_database(rows: list[tuple[int, float, float]], name: str | None) -> None:
    failed = [check.name for check in dbchecks.table_checks(indicator_table(*rows)) if check.status == "failed"]
    assert failed == ([name] if name else [])


def test_an_area_that_shrinks_and_a_negative_stock_are_failures() -> None:
    table = indicator_table((0, 100.0, 0.0), (2010, 99.5, -0.5))
    area, soil = table.columns.index("area_ha"), table.columns.index("soil_tC")
    table.rows[1][area], table.rows[1][soil] = 0.9, -0.1
    checks = {check.name: check for check in dbchecks.table_checks(table, 1.0)}
    assert {name for name, check in checks.items() if check.status == "failed"} == {
        "area-constant",
        "area-of-rasters",
        "stocks-not-negative",
    }
    assert checks["area-of-rasters"].value == pytest.approx(0.1)


def test_outputs_appear_together_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "output"
    target.mkdir()
    (target / "metrics.json").write_text("old")

    def stop(error: Exception) -> None:
        with staged(target) as folder:
            (folder / "metrics.json").write_text("half")
            raise error

    with pytest.raises(RuntimeError):
        stop(RuntimeError("killed half-way"))
    with pytest.raises(OutsideError, match="No space left"):
        stop(OSError(28, "No space left on device"))
    assert (target / "metrics.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    with staged(target) as folder:
        (folder / "maps").mkdir()
        (folder / "maps" / "a.tiff").write_text("map")
        (folder / "metrics.json").write_text("new")
    assert (target / "metrics.json").read_text() == "new"
    assert (target / "maps" / "a.tiff").read_text() == "map"


def write_map(path: Path, values: np.ndarray, row: int = 0) -> Path:
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "nodata": -9999.0,
        "transform": from_origin(-106.0, 55.0 - 0.001 * row, 0.001, 0.001),
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values.astype(np.float32), 1)
    return path


def test_changed_pixels_with_area_and_place(tmp_path: Path) -> None:
    before = np.full((40, 50), 100.0)
    before[0] = -9999.0
    after = before.copy()
    after[10:14, 20:25] -= 30.0
    found = maps.changed(write_map(tmp_path / "a.tiff", before), write_map(tmp_path / "b.tiff", after))
    assert (found.pixels, found.box) == (20, (10, 13, 20, 24))
    side = 0.001 * 2 * np.pi * 6378137 / 360
    assert found.area_ha == pytest.approx(20 * side * side * np.cos(np.radians(54.99)) / 1e4, rel=1e-3)
    assert np.isnan(found.difference[0]).all()
    assert found.difference[12, 22] == -30.0


def test_a_single_changed_pixel_is_not_lost_when_a_large_map_is_thinned() -> None:
    values = np.zeros((4000, 3000))
    values[1234, 2345] = -5.0
    thin, step = maps._thin(values)
    assert max(thin.shape) <= maps.MOST_PIXELS
    assert thin[1234 // step, 2345 // step] == -5.0
    assert np.count_nonzero(thin) == 1
