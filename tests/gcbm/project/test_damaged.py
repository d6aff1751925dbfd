"""Damaged projects: the input check names the file and never ends in a traceback; every code is published."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import FlintError
from flint_ml.gcbm import Problem, find_missing_attributes, load_project, missing_attributes, validate
from helpers.gcbm_inputs import edit, sql

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
PUBLISHED = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
WRONG = [None, "", "x", [], {}, [None], {"a": 1}, -1, 1e300, True]


def checked(folder: Path) -> list[Problem]:
    """What ``--check`` finds; an error in reading the project counts as one problem."""
    try:
        project = load_project(folder)
    except FlintError as error:
        return [Problem("error", error.code, error.message, error.where or "")]
    found = validate(project)
    with suppress(FlintError):  # as the input check does: a description that cannot be read has its own line
        found += missing_attributes(find_missing_attributes(project))
    return found


def assert_told(found: list[Problem]) -> None:
    assert {problem.code for problem in found} <= PUBLISHED
    assert all(len(str(problem)) < 2000 for problem in found)
    assert len(found) == len({(problem.code, problem.where, problem.message) for problem in found})


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from spots(value[key])


@pytest.mark.parametrize("seed", range(24))
def test_any_wrong_value_is_told(head: Path, seed: int) -> None:
    """One wrong or missing value in a JSON file, and one in a column of the database."""
    generator = random.Random(seed)
    file = generator.choice(sorted(head.rglob("*.json")))
    content = json.loads(file.read_text())
    container, key = generator.choice(list(spots(content)))
    container[key] = generator.choice(WRONG)
    file.write_text(json.dumps(content))
    with sqlite3.connect(head / "input_database" / "gcbm_input.db") as connection:
        tables = sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        table = generator.choice(tables)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[5]]
        if columns and seed % 2:
            connection.execute(f"UPDATE {table} SET {generator.choice(columns)} = ?", (generator.choice(["x", -1]),))
        else:
            connection.execute(f"DROP TABLE {table}")
    assert_told(checked(head))


def told(folder: Path) -> tuple[str, str]:
    """Code and place of the first problem."""
    found = checked(folder)
    assert_told(found)
    return found[0].code, found[0].where


def test_the_message_names_the_file_of_a_wrong_value(head: Path) -> None:
    about = head / "layers" / "tiled" / "initial_age.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps({**content, "nodata": [1]}))
    assert told(head) == ("gcbm-value", "layers/tiled/initial_age.json")
    about.write_text(json.dumps(content))
    edit(head, "pools_cbm.json", lambda c: c["Pools"].update(SoftwoodMerch="much"))
    code, where = told(head)
    assert (code, Path(where).name) == ("gcbm-value", "pools_cbm.json")
    edit(head, "pools_cbm.json", lambda c: c["Pools"].update(SoftwoodMerch=0.0))
    sql(head, "UPDATE decay_parameter SET q10 = 'warm'")
    code, where = told(head)
    assert (code, Path(where).name) == ("gcbm-value", "gcbm_input.db")


def test_a_raster_that_is_cut_off_is_told(head: Path) -> None:
    raster = head / "layers" / "tiled" / "wildfire.tiff"
    raster.write_bytes(raster.read_bytes()[: raster.stat().st_size // 2])
    found = checked(head)
    assert_told(found)
    assert {problem.code for problem in found if problem.severity == "error"} == {"gcbm-layer-unreadable"}
