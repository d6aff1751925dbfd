"""Compare two result databases by content: ids differ with the order in which threads finish."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

LOCATION = """
    SELECT l.id, {sets} || '|' || d.step || '|' || d.year || '|' || k.name || '|' || a.startAge || '|' || a.endAge
    FROM LocationDimension l
    INNER JOIN ClassifierSetDimension c ON c.id = l.classifierSetDimId
    INNER JOIN DateDimension d ON d.id = l.dateDimId
    INNER JOIN LandClassDimension k ON k.id = l.landClassDimId
    INNER JOIN AgeClassDimension a ON a.id = l.ageClassDimId
"""


def content(path: Path) -> dict[str, dict[tuple[Any, ...], float]]:
    """Rows of every table, keyed by what they mean."""
    connection = sqlite3.connect(path)
    names = [row[1] for row in connection.execute("PRAGMA table_info(ClassifierSetDimension)")][1:]
    sets = " || ',' || ".join(f"COALESCE(c.\"{name}\", 'null')" for name in names)
    location = dict(connection.execute(LOCATION.format(sets=sets)).fetchall())
    pool = dict(connection.execute("SELECT id, poolName FROM PoolDimension"))
    module = dict(connection.execute("SELECT id, moduleName FROM ModuleInfoDimension"))
    kind = dict(connection.execute("SELECT id, disturbanceType FROM DisturbanceTypeDimension"))
    age = {row[0]: row[1:] for row in connection.execute("SELECT * FROM AgeClassDimension")}
    event: dict[Any, Any] = {None: None}
    found: dict[str, dict[tuple[Any, ...], float]] = {
        name: {} for name in ("area", "pools", "fluxes", "events", "ages")
    }
    for row in connection.execute("SELECT * FROM DisturbanceDimension"):
        event[row[0]] = (location[row[1]], kind[row[2]], location[row[3]])
        found["events"][event[row[0]]] = row[4]
    for row in connection.execute("SELECT id, area FROM LocationDimension"):
        found["area"][(location[row[0]],)] = row[1]
    for row in connection.execute("SELECT locationDimId, poolId, poolValue FROM Pools"):
        found["pools"][location[row[0]], pool[row[1]]] = row[2]
    columns = "locationDimId, moduleInfoDimId, disturbanceDimId, poolSrcDimId, poolDstDimId, fluxValue"
    for row in connection.execute(f"SELECT {columns} FROM Fluxes"):
        key = (location[row[0]], module[row[1]], event[row[2]], pool[row[3]], pool[row[4]])
        assert key not in found["fluxes"], f"two flux rows for {key}"
        found["fluxes"][key] = row[5]
    for row in connection.execute("SELECT locationDimId, ageClassDimId, area FROM AgeArea"):
        found["ages"][location[row[0]], age[row[1]]] = row[2]
    found["classes"] = dict.fromkeys(connection.execute("SELECT * FROM AgeClassDimension"), 1.0)
    errors = (
        "SELECT l.locationDimId, e.module FROM LocationErrorDimension l "
        "INNER JOIN ErrorDimension e ON e.id = l.errorDimId"
    )
    found["errors"] = {(location[row[0]], row[1]): 1.0 for row in connection.execute(errors)}
    dates = "SELECT step, year, month, day, fracOfStep, lengthOfStepInYears FROM DateDimension"
    found["dates"] = dict.fromkeys(connection.execute(dates), 1.0)
    connection.close()
    return found


def differences(
    mine: dict[str, dict[tuple[Any, ...], float]],
    theirs: dict[str, dict[tuple[Any, ...], float]],
    *,
    relative: float = 1e-5,
    floor: float = 1e-6,
) -> list[str]:
    """Every row that is missing, extra, or off by more than the tolerance."""
    out = []
    for table, rows in theirs.items():
        out += [f"{table}: missing {key} = {rows[key]}" for key in rows if key not in mine[table]]
        out += [f"{table}: extra {key} = {value}" for key, value in mine[table].items() if key not in rows]
        for key, value in rows.items():
            got = mine[table].get(key, value)
            if abs(got - value) > max(relative * abs(value), floor):
                out.append(f"{table}: {key} is {got}, the reference has {value}")
    return out
