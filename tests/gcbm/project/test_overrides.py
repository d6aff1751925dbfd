"""Parameter overrides: the right rows of a copy, checked before anything is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flint_ml import gcbm
from flint_ml.errors import InputError
from flint_ml.gcbm.project.overrides import apply, with_database
from flint_ml.gcbm.project.parameters import difference
from flint_ml.text.yaml import parse_yaml
from helpers.gcbm_inputs import sql


def changed(base: Path, params: dict[str, Any], folder: Path) -> set[tuple[Any, ...]]:
    project = gcbm.load_project(base)
    before = project.database.read_bytes()
    copy = apply(project, params, folder=folder)
    assert project.database.read_bytes() == before
    return {(c.table, c.key, c.column, c.new) for c in difference(project.database, copy)}


def test_rows_are_named_by_id_name_or_what_they_are_for(base: Path, tmp_path: Path) -> None:
    params = parse_yaml(
        """
        turnover_parameter:
          genus=Spruce: {foliage: 0.12, stem: 0.005}
        decay_parameter:
          MediumSoil: {base_decay_rate: 0.04}
        spinup_parameter:
          1: {return_interval: 150}
        growth_curve_component_value:
          "growth_curve_component=Site=poor; Species=Spruce / Spruce, age=80": {merchantable_volume: 81}
        land_class:
          code=CL: {years_to_permanent: 10}
        """,
        "params.yaml",
    )
    spruce = "1 (genus=Spruce, eco_boundary=Example Plains)"
    assert changed(base, params, tmp_path) == {
        ("turnover_parameter", spruce, "foliage", 0.12),
        ("turnover_parameter", spruce, "stem", 0.005),
        ("decay_parameter", "dom_pool=MediumSoil", "base_decay_rate", 0.04),
        ("spinup_parameter", "Wildfire", "return_interval", 150),
        (
            "growth_curve_component_value",
            "growth_curve_component=Site=poor; Species=Spruce / Spruce, age=80",
            "merchantable_volume",
            81,
        ),
        ("land_class", "CL", "years_to_permanent", 10),
    }


def test_conditions_may_fit_several_rows(base: Path, tmp_path: Path) -> None:
    found = changed(base, {"growth_curve_component_value": {"age=160": {"merchantable_volume": 500.0}}}, tmp_path)
    assert len(found) == 4
    assert {row[3] for row in found} == {500.0}


def test_the_project_with_the_copy_gives_other_results(base: Path, tmp_path: Path, table: gcbm.Table) -> None:
    project = gcbm.load_project(base)
    copy = apply(project, {"decay_parameter": {"MediumSoil": {"base_decay_rate": 0.05}}}, folder=tmp_path)
    again = gcbm.indicators(gcbm.run(with_database(project, copy)))
    assert again.column("npp_tC") == table.column("npp_tC")
    assert again.column("deadwood_tC")[-1] < table.column("deadwood_tC")[-1]


def test_without_overrides_the_copy_is_the_same(base: Path) -> None:
    project = gcbm.load_project(base)
    copy = apply(project, {})
    assert copy.read_bytes() == project.database.read_bytes()
    assert copy != project.database


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"turnover": {1: {"foliage": 1}}}, "no table 'turnover'", "did you mean turnover_parameter?"),
    ({"decay_parameter": {"MediumSol": {"q10": 2}}}, "'MediumSol'", "did you mean MediumSoil?"),
    ({"decay_parameter": {"MediumSoil": {"Q10": 2}}}, "no column 'Q10'", "q10"),
    ({"spinup_parameter": {7: {"return_interval": 99}}}, "'7'", "There are 1"),
    ({"turnover_parameter": {"genus=Spruse": {"foliage": 1}}}, "fits genus=Spruse", "genus is one of Poplar, Spruce"),
    ({"turnover_parameter": {"gens=Spruce": {"foliage": 1}}}, "'gens'", "did you mean genus?"),
    ({"turnover_parameter": {"genus=Spruce": {"foliage": "much"}}}, "not a number", "number"),
    ({"turnover_parameter": {"genus=Spruce": {"foliage": True}}}, "not a number", "number"),
    ({"turnover_parameter": {"genus=Spruce": {"foliage": float("nan")}}}, "not a number", "number"),
    ({"spinup_parameter": {1: {"return_interval": 99.5}}}, "whole numbers", "whole"),
    ({"turnover_parameter": 0.1}, "no mapping", "table: {row: {column: value}}"),
    ({"turnover_parameter": {"genus=Spruce": 0.1}}, "no mapping", "table: {row: {column: value}}"),
]


@pytest.mark.parametrize(("params", "words", "hint"), BAD, ids=[row[1] for row in BAD])
def test_mistakes_are_named_and_nothing_is_written(
    base: Path, tmp_path: Path, params: dict[str, Any], words: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        apply(gcbm.load_project(base), params, folder=tmp_path / "copy")
    assert words in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert caught.value.code == "gcbm-overrides"
    assert not (tmp_path / "copy").exists()


def test_a_row_that_serves_others_too_is_not_changed_by_the_way(head: Path, tmp_path: Path) -> None:
    sql(head, "UPDATE turnover_parameter_association SET turnover_parameter_id = 1")
    project = gcbm.load_project(head)
    with pytest.raises(InputError, match="also used for genus=Poplar") as caught:
        apply(project, {"turnover_parameter": {"genus=Spruce": {"foliage": 0.2}}}, folder=tmp_path / "copy")
    assert "id (1)" in (caught.value.hint or "")
    apply(project, {"turnover_parameter": {1: {"foliage": 0.2}}}, folder=tmp_path / "copy")


def test_a_name_that_fits_several_rows_is_refused(base: Path, tmp_path: Path) -> None:
    name = "Site=good; Species=Spruce / Spruce"
    with pytest.raises(InputError, match="17 rows of growth_curve_component_value"):
        apply(gcbm.load_project(base), {"growth_curve_component_value": {name: {"age": 1}}}, folder=tmp_path / "copy")


def test_the_projects_own_database_is_never_the_copy(base: Path) -> None:
    project = gcbm.load_project(base)
    with pytest.raises(InputError, match="own parameter database"):
        apply(project, {}, folder=project.database.parent)


def test_a_constraint_of_the_database_is_an_input_error(head: Path, tmp_path: Path) -> None:
    sql(
        head,
        "CREATE UNIQUE INDEX one_code ON land_class (years_to_permanent, is_forest, code)",
        "CREATE TABLE x_parameter (id INTEGER PRIMARY KEY, share REAL CHECK (share <= 1))",
        "INSERT INTO x_parameter VALUES (1, 0.5)",
    )
    with pytest.raises(InputError, match="refuses"):
        apply(gcbm.load_project(head), {"x_parameter": {1: {"share": 1.5}}}, folder=tmp_path / "copy")
    assert not list((tmp_path / "copy").iterdir())


def test_the_real_demo(demo: Path, tmp_path: Path) -> None:
    project = gcbm.load_project(demo)
    copy = apply(project, {"decay_parameter": {"MediumSoil": {"base_decay_rate": 0.05}}}, folder=tmp_path / "copy")
    (change,) = difference(project.database, copy)
    assert (change.key, change.column, change.new) == ("dom_pool=MediumSoil", "base_decay_rate", 0.05)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
