"""Pictures of a run: types by name, on maps and by year."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.gcbm import MapRequest, Result, Table, load_project, run
from flint_ml.gcbm.comparison.map_diff import picture_of_events
from flint_ml.gcbm.results.figures import disturbed, legend_columns
from flint_ml.gcbm.results.indicators import disturbance_carbon


def test_a_map_of_disturbances_names_the_types(base: Path, tmp_path: Path) -> None:
    request = MapRequest(tmp_path, ["disturbance_code"], [2012, 2013])
    result = run(load_project(base), maps=request)
    names = dict(result.names.types)
    text = picture_of_events(request.files["disturbance_code", 2013], names, 2013, tmp_path / "fire.png")
    assert text.startswith("Map of disturbances in 2013: Wildfire on ")
    assert text.endswith(" pixels.")
    assert (tmp_path / "fire.png").stat().st_size > 1000
    assert "type 1 on" in picture_of_events(request.files["disturbance_code", 2013], {}, 2013, tmp_path / "no.png")
    calm = picture_of_events(request.files["disturbance_code", 2012], names, 2012, tmp_path / "calm.png")
    assert calm == "Map of disturbances in 2012: none."


def test_disturbed_area_by_type_and_year(result: Result, tmp_path: Path) -> None:
    table: Table = disturbance_carbon(result)
    drawn = disturbed(table, result.years, tmp_path / "area.png", table)
    assert drawn is not None
    alt, fallback = drawn
    areas = {int(row[0]): float(row[2]) for row in table.rows}
    peak = max(areas, key=lambda year: areas[year])
    assert f"largest in {peak} with" in alt
    assert alt.endswith(" ha.")
    base, change = fallback.series
    assert change.y == pytest.approx([areas.get(year, 0.0) for year in result.years])
    assert base.y == change.y
    assert disturbed(Table(table.columns, []), result.years, tmp_path / "none.png") is None


@pytest.mark.parametrize(
    ("labels", "columns"),
    [(["a", "b"], 1), (["a", "b", "c"], 2), (["a", "b", "Mountain pine beetle — Low impact"], 1)],
)
def test_a_legend_fits_the_figure(labels: list[str], columns: int) -> None:
    assert legend_columns(labels) == columns
