"""Equality with moja.cli, on real projects with the C++'s own results."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path

import pytest

from flint_ml.gcbm import Result, indicators, load_project, run, write_database
from flint_ml.gcbm.engine import weibull
from helpers.database_content import content, differences
from helpers.shared_data import SHARED, needs_shared

pytestmark = needs_shared
DEMO = SHARED / "gcbm-demo"
CASES = SHARED / "gcbm-cases"


@pytest.fixture(scope="module")
def demo() -> Result:
    return run(load_project(DEMO / "linux-demo.zip"))


def reference() -> list[dict[str, float]]:
    with (DEMO / "reference-totals.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_every_total_of_every_year_of_the_demo(demo: Result) -> None:
    table = indicators(demo)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    expected = reference()
    assert [row["year"] for row in rows] == [row["year"] for row in expected]
    for got, wanted in zip(rows, expected, strict=True):
        assert {key: got[key] for key in wanted} == pytest.approx(wanted, rel=1e-8, abs=1e-9)
        assert got["area_ha"] == pytest.approx(wanted["area_ha"], rel=1e-12)


def test_sizes_of_the_demo(demo: Result, tmp_path: Path) -> None:
    assert (demo.stands, demo.pixels) == (10, 11347)
    path = write_database(demo, tmp_path / "gcbm_output.db")
    with sqlite3.connect(path) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("LocationDimension", "Pools", "Fluxes", "DisturbanceDimension", "ErrorDimension")
        }
    assert counts == {
        "LocationDimension": 120,
        "Pools": 3600,
        "Fluxes": 3709,
        "DisturbanceDimension": 10,
        "ErrorDimension": 0,
    }


@pytest.mark.parametrize("case", ["case-1-events", "case-2-landclass"])
def test_every_row_of_the_cases(case: str, tmp_path: Path) -> None:
    """Pools, fluxes, areas, events, age areas and errors: none missing, none extra, tiny ones included."""
    project = load_project(CASES / f"{case}.zip")
    mine = content(write_database(run(project), tmp_path / "gcbm_output.db"))
    theirs = content(project.root / "expected" / "gcbm_output.db")
    assert differences(mine, theirs) == []
    assert differences(mine, theirs, relative=1e-9, floor=1e-13) == []  # what this engine reaches


def test_trap_fit_without_the_clamp_shows_in_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    clamped = weibull.residual
    monkeypatch.setattr(weibull, "residual", lambda p, t, y: clamped(p.copy(), t, y))
    wrong = indicators(run(load_project(DEMO / "linux-demo.zip")))
    biomass = wrong.rows[0][wrong.columns.index("total_biomass_tC")]
    assert biomass != pytest.approx(reference()[0]["total_biomass_tC"], rel=0.01)
