"""Observations against results: joined by stand, year and indicator, scored."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from flint_ml import gcbm
from flint_ml.errors import InputError
from flint_ml.gcbm.comparison.calibration import score
from flint_ml.gcbm.engine.aggregate import Result

HEADER = "Species,Site,year,indicator,value,standard_deviation\n"


def write(folder: Path, text: str) -> Path:
    file = folder / "observations.csv"
    file.write_text(text, encoding="utf-8")
    return file


def modelled(result: Result, by: str, group: str, year: int, indicator: str) -> float:
    table = gcbm.indicators(result, by=by)
    row = next(row for row in table.rows if row[:2] == [group, year])
    return float(row[table.columns.index(indicator)])


def test_metrics_are_those_of_the_formulas(result: Result, tmp_path: Path) -> None:
    """Observations made from the result with known errors: +2, -1, +5 tC/ha."""
    cases = [("Spruce", 2012, 2.0), ("Aspen", 2012, -1.0), ("Spruce", 2015, 5.0)]
    lines, observed = [], []
    for species, year, error in cases:
        area = modelled(result, "Species", species, year, "area_ha")
        value = modelled(result, "Species", species, year, "total_biomass_tC") / area - error
        observed.append(value)
        lines.append(f"{species},,{year},total_biomass_tC_ha,{value!r},2\n")
    found = score(write(tmp_path, HEADER + "".join(lines)), result)
    name = "calibration/total_biomass_tC_ha"
    values = {key.removeprefix(f"{name}/"): metric.value for key, metric in found.metrics.items()}
    mean = sum(observed) / 3
    assert values == pytest.approx(
        {
            "bias": 2.0,
            "rmse": math.sqrt(10.0),
            "chi2": 2.5,
            "n": 3.0,
            "r2": 1 - 30.0 / sum((o - mean) ** 2 for o in observed),
        }
    )
    assert {key: found.metrics[f"{name}/{key}"].direction for key in values} == {
        "bias": "zero",
        "rmse": "lower",
        "chi2": "lower",
        "r2": "higher",
        "n": None,
    }
    assert found.metrics[f"{name}/rmse"].unit == "tC/ha"
    assert found.table.columns == [
        "Species",
        "Site",
        "year",
        "indicator",
        "observed",
        "standard_deviation",
        "modelled",
        "residual",
    ]
    assert found.table.column("residual") == pytest.approx([2.0, -1.0, 5.0])
    assert found.table.column("Site") == [None, None, None]


def test_a_database_scores_as_the_result_does(result: Result, tmp_path: Path) -> None:
    database = gcbm.write_database(result, tmp_path / "result.db")
    file = write(tmp_path, HEADER + "Spruce,good,2014,total_ecosystem_tC,500000,\n,,2013,disturbed_area_ha,100,\n")
    assert score(file, database) == score(file, result)


def test_no_group_is_all_stands_and_several_columns_are_one_group(result: Result, tmp_path: Path) -> None:
    both = "".join(f"{s},{q},2014,npp_tC,0,\n" for s in ("Spruce", "Aspen") for q in ("good", "poor"))
    parts = score(write(tmp_path, HEADER + both), result).table.column("modelled")
    whole = score(write(tmp_path, HEADER + ",,2014,npp_tC,0,\n"), result).table.column("modelled")
    table = gcbm.indicators(result)
    row = next(row for row in table.rows if row[0] == 2014)
    assert whole == pytest.approx([row[table.columns.index("npp_tC")]], rel=1e-12)
    assert sum(parts) == pytest.approx(whole[0], rel=1e-12)


@pytest.mark.parametrize("by", ["land_class", "age_class"])
def test_land_and_age_classes_are_columns_too(result: Result, tmp_path: Path, by: str) -> None:
    table = gcbm.indicators(result, by=by)
    row = next(row for row in table.rows if row[1] == 2013 and row[table.columns.index("total_emissions_tC")] > 0)
    found = score(write(tmp_path, f"{by},year,indicator,value\n{row[0]},2013,total_emissions_tC,1\n"), result)
    assert found.table.column("modelled") == pytest.approx([row[table.columns.index("total_emissions_tC")]])
    assert not any("chi2" in name for name in found.metrics)


def test_stands_that_do_not_exist_are_told(result: Result, tmp_path: Path) -> None:
    """Both values exist, but not this combination in that year."""
    ages = gcbm.indicators(result, by="age_class")
    groups = [row[0] for row in ages.rows if row[1] == 0]
    assert "300+" not in groups
    lines = "0-19,0,total_biomass_tC,1\n" if "0-19" not in groups else "N/A,2012,total_biomass_tC,1\n"
    text = f"age_class,year,indicator,value\n{lines}{groups[0]},0,total_biomass_tC,1\n"
    found = score(write(tmp_path, text), result)
    assert len(found.table.rows) == 1
    assert "no such stands" in found.unmatched[0]
    with pytest.raises(InputError, match="none of the 1 observations"):
        score(write(tmp_path, f"age_class,year,indicator,value\n{lines}"), result)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Species,year,value\nSpruce,2012,1\n", "no column indicator"),
        ("Specie,year,indicator,value\nSpruce,2012,npp_tC,1\n", "did you mean Species"),
        (HEADER + "Sprucs,,2012,npp_tC,1,\n", "did you mean Spruce"),
        (HEADER + "Spruce,,2012,npp,1,\n", "did you mean npp_tC"),
        (HEADER + "Spruce,,1999,npp_tC,1,\n", "1999 is not simulated"),
        (HEADER + "Spruce,,2012,npp_tC,a lot,\n", "'a lot', not a number"),
        (HEADER + "Spruce,,2012,npp_tC,1,0\n", "not a positive number"),
        (HEADER + "Spruce,,,npp_tC,1,1\n", "year is ''"),
        ("", "no CSV"),
    ],
)
def test_mistakes_are_named_with_their_line(result: Result, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        score(write(tmp_path, text), result)
    assert words in caught.value.message
    assert "observations.csv" in (caught.value.where or "")
    assert caught.value.code == "gcbm-observations"


def test_a_missing_file_is_named(result: Result, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        score(tmp_path / "nothing.csv", result)


def test_what_is_no_result_database_is_named(tmp_path: Path) -> None:
    import sqlite3

    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE something (x)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="not a GCBM result database"):
        score(write(tmp_path, HEADER + ",,2012,npp_tC,1,\n"), other)
