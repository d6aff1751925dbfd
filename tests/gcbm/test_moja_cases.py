"""Equality with ``moja.cli`` that anyone can check: parts of made cases with the C++'s results (data/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flint_ml.gcbm import close_project, load_project, run, write_database
from helpers.database_content import content, differences

DATA = Path(__file__).parent / "data"
Tables = dict[str, dict[tuple[Any, ...], float]]
TABLES = ("area", "pools", "fluxes", "events", "ages", "errors")


def group(location: str) -> tuple[str, str]:
    """Reporting classifiers and step of a location."""
    classifiers, step, *_ = location.split("|")
    return classifiers, step


def part(tables: Tables, like: Tables) -> Tables:
    """The rows of the groups and steps that ``like`` kept; of pools and fluxes, of the locations that it kept."""
    groups = {group(str(key[0])) for key in like["ages"]}
    thick = {table: {key[0] for key in like[table]} for table in ("pools", "fluxes")}
    return {
        table: {
            key: value
            for key, value in tables[table].items()
            if group(str(key[0])) in groups and (table not in thick or key[0] in thick[table])
        }
        for table in TABLES
    }


@pytest.mark.parametrize(
    ("case", "rows"),
    [
        ("case-1-events", 2791),
        ("case-2-landclass", 2192),
        ("field-2-spinup-variables", 864),
        ("field-4-spinup-mask", 2529),
    ],
)
def test_every_row_that_the_case_keeps(case: str, rows: int, tmp_path: Path) -> None:
    archive = DATA / f"{case}.zip"
    project = load_project(archive)
    try:
        theirs = content(project.root / "expected" / "gcbm_output.db")
        mine = content(write_database(run(project), tmp_path / "gcbm_output.db"))
    finally:
        close_project(project, archive)
    expected = part(theirs, theirs)
    assert sum(map(len, expected.values())) == rows
    assert differences(part(mine, theirs), expected) == []
    assert differences(part(mine, theirs), expected, relative=1e-8) == []
