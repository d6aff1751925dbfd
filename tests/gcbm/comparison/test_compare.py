"""Results against the base's: what differs, since when, and whether it was declared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flint_ml import gcbm
from flint_ml.errors import InputError
from flint_ml.gcbm.comparison.compare import Change, Comparison, compare, map_difference
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.report import change_text
from helpers.gcbm_inputs import paint

BASE = Table(
    ["year", "total_ecosystem_tC", "disturbed_area_ha", "nbp_tC"],
    [[0, 1000.0, 0.0, 0.0], [2011, 990.0, 10.0, -10.0], [2012, 980.0, 100.0, -20.0]],
)


def changed(**cells: float) -> Table:
    """The base with some cells changed: ``y2012_nbp_tC=-30``."""
    rows = [list(row) for row in BASE.rows]
    for name, value in cells.items():
        year, _, indicator = name[1:].partition("_")
        row = next(row for row in rows if row[0] == int(year))
        row[BASE.columns.index(indicator)] = value
    return Table(BASE.columns, rows)


def words(found: Comparison) -> dict[str, str]:
    return {change.name: change.word for change in found.changes if change.word != "same"}


def test_equal_results_are_the_same() -> None:
    found = compare(BASE, BASE)
    assert found.verdict == "same"
    assert found.first_year is None
    assert found.identical_years == [0, 2011, 2012]
    assert found.table(changed_only=True).rows == []
    assert len(found.table().rows) == 9


def test_rounding_is_no_change_but_a_millionth_is() -> None:
    assert compare(BASE, changed(y2012_total_ecosystem_tC=980.0 * (1 + 1e-11))).verdict == "same"
    assert compare(BASE, changed(y2012_nbp_tC=-20.0 + 5e-7)).verdict == "same"
    assert words(compare(BASE, changed(y2012_total_ecosystem_tC=980.001))) == {
        "2012/total_ecosystem_tC": "not declared"
    }


def test_the_first_year_is_told_even_within_the_tolerance() -> None:
    found = compare(BASE, changed(y2011_total_ecosystem_tC=990.5, y2012_nbp_tC=-30.0), tolerance="0.1 %")
    assert words(found) == {"2012/nbp_tC": "not declared"}
    assert found.first_year == 2011
    assert found.identical_years == [0]


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        ("2 %", "same"),
        ("1 %", "not declared"),
        (15.0, "same"),
        (14.0, "not declared"),
        ({"npp_tC": "50 %", "total_*": "2 %"}, "same"),
        ({"total_*": "1 %", "*": "50 %"}, "not declared"),
        ({"npp_tC": "50 %"}, "not declared"),
    ],
)
def test_a_tolerance_is_a_share_or_a_number_for_all_or_by_name(tolerance: object, expected: str) -> None:
    found = compare(BASE, changed(y2012_total_ecosystem_tC=995.0), tolerance=tolerance)  # type: ignore[arg-type]
    assert next(c.word for c in found.changes if c.name == "2012/total_ecosystem_tC") == expected


def test_a_declared_change_is_told_from_an_undeclared_one() -> None:
    head = changed(y2012_disturbed_area_ha=139.0, y2012_total_ecosystem_tC=900.0)
    expected = {"2012/disturbed_area_ha": ["+20 %", "+50 %"]}
    found = compare(BASE, head, expected=expected)
    assert words(found) == {"2012/disturbed_area_ha": "as declared", "2012/total_ecosystem_tC": "not declared"}
    assert found.verdict == "changed"
    assert [c.indicator for c in found.first(2)] == ["total_ecosystem_tC", "disturbed_area_ha"]
    whole = compare(BASE, head, expected={**expected, "total_ecosystem_tC": ["-10 %", "-5 %"]})
    assert whole.verdict == "as declared"


@pytest.mark.parametrize("area", [100.0, 115.0, 160.0])
def test_a_declared_change_that_did_not_happen_so_is_told(area: float) -> None:
    expected = {"2012/disturbed_area_ha": ["+20 %", "+50 %"]}
    found = compare(BASE, changed(y2012_disturbed_area_ha=area), expected=expected)
    assert found.verdict == "changed"
    assert words(found) == {"2012/disturbed_area_ha": "not as declared"}
    assert found.undone == ["2012/disturbed_area_ha"]


def test_a_declaration_of_nothing_that_exists_is_an_error() -> None:
    with pytest.raises(InputError, match="2012/disturbed_area ") as caught:
        compare(BASE, BASE, expected={"2012/disturbed_area ": ["+20 %", "+50 %"]})
    assert caught.value.code == "invalid-expected"


def test_results_of_different_engines_are_refused_unless_asked_for() -> None:
    engines = ("moja.cli sha256:1", "flint-ml embedded GCBM engine 1")
    with pytest.raises(InputError, match=r"moja\.cli sha256:1") as caught:
        compare(BASE, BASE, engines=engines)
    assert caught.value.code == "gcbm-engines"
    assert compare(BASE, BASE, engines=engines, across_engines=True).verdict == "same"
    assert compare(BASE, BASE, engines=(engines[0], engines[0])).verdict == "same"


def test_new_and_lost_years_are_told() -> None:
    shorter = Table(BASE.columns, BASE.rows[:-1])
    assert set(words(compare(BASE, shorter)).values()) == {"gone"}
    assert compare(BASE, shorter).verdict == "changed"
    assert compare(BASE, shorter).first_year == 2012
    assert set(words(compare(shorter, BASE)).values()) == {"new"}


def test_groups_stand_before_the_year() -> None:
    columns = ["Species", "year", "npp_tC"]
    one = Table(columns, [["Aspen", 2011, 1.0], ["Spruce", 2011, 2.0]])
    two = Table(columns, [["Aspen", 2011, 1.0], ["Spruce", 2011, 3.0]])
    found = compare(one, two, expected={"Spruce/2011/npp_tC": [0.5, 1.5]})
    assert words(found) == {"Spruce/2011/npp_tC": "as declared"}
    assert found.table().columns[:3] == ["group", "year", "indicator"]


def test_unreadable_tolerances_and_tables_are_input_errors() -> None:
    with pytest.raises(InputError, match="neither a number"):
        compare(BASE, BASE, tolerance="much")
    with pytest.raises(InputError, match="column year"):
        compare(Table(["npp_tC"], [[1.0]]), BASE)


def test_a_changed_layer_shows_year_indicator_amount_and_place(
    base: Path, head: Path, table: Table, tmp_path: Path
) -> None:
    count = paint(head, "wildfire", 1, 200)
    after = gcbm.run(gcbm.load_project(head))
    found = compare(table, gcbm.indicators(after))
    assert found.first_year == 2013
    assert found.identical_years == [0, 2010, 2011, 2012]
    area = next(c for c in found.changes if c.name == "2013/disturbed_area_ha")
    assert area.delta is not None
    assert area.delta == pytest.approx(count * 0.71, rel=0.02)
    maps = []
    for number, project in enumerate((base, head)):
        request = gcbm.MapRequest(tmp_path / f"maps{number}", ["total_ecosystem_tC_ha"], [2012, 2014])
        gcbm.run(gcbm.load_project(project), maps=request)
        maps.append(request.files)
    key = ("total_ecosystem_tC_ha", 2014)
    where = map_difference(maps[0][key], maps[1][key])
    assert where.pixels == count
    assert np.nanmin(where.difference[where.changed]) < 0
    before = ("total_ecosystem_tC_ha", 2012)
    assert map_difference(maps[0][before], maps[1][before]).pixels == 0


def test_maps_of_other_extents_are_laid_over_each_other(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    def write(name: str, array: np.ndarray[tuple[int, int], np.dtype[np.float32]], west: float, north: float) -> Path:
        profile = {
            "driver": "GTiff",
            "height": array.shape[0],
            "width": array.shape[1],
            "count": 1,
            "dtype": "float32",
            "nodata": -9999.0,
            "transform": from_origin(west, north, 0.1, 0.1),
        }
        with rasterio.open(tmp_path / name, "w", **profile) as raster:
            raster.write(array, 1)
        return tmp_path / name

    one = write("one.tiff", np.array([[1.0, 2.0], [-9999.0, 4.0]], dtype=np.float32), -106.0, 55.0)
    two = write("two.tiff", np.array([[2.5, 7.0], [4.0, -9999.0]], dtype=np.float32), -105.9, 55.0)
    found = map_difference(one, two)
    assert found.difference.shape == (2, 3)
    assert found.extent == pytest.approx((-106.0, -105.7, 54.8, 55.0))
    expected = [[-1.0, 0.5, 7.0], [np.nan, 0.0, np.nan]]
    np.testing.assert_allclose(found.difference, expected, atol=1e-6)
    assert found.changed.tolist() == [[True, True, True], [False, False, False]]
    with pytest.raises(InputError, match="one grid"):
        map_difference(one, write("three.tiff", np.zeros((2, 2), dtype=np.float32), -105.95, 55.0))


@pytest.mark.parametrize(
    ("base", "head", "text"),
    [
        (2_986_590.6, 2_977_029.4, "−9,562 (−0.3 %)"),  # beside 2,986,591 and 2,977,029
        (2_986_590.2, 2_977_029.4, "−9,561 (−0.3 %)"),
        (1_000.0, 1_000.4, "+0.400 (+0.040 %)"),
        (100.0, 139.0, "+39.0 (+39 %)"),
        (50_000.0, 50_000.0, "0"),
        (0.0, 12.34, "+12.3"),
    ],
)
def test_a_change_is_the_difference_of_what_stands_beside_it(base: float, head: float, text: str) -> None:
    assert change_text(Change((), 2015, "total_ecosystem_tC", base, head, "not declared")) == text
