"""Write results as an SQLite database in the aggregator's schema (3.1), with deterministic ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import OutsideError
from flint_ml.gcbm.engine.aggregate import Result
from flint_ml.gcbm.engine.processes import EVENT, FLOWS, MODULES
from flint_ml.gcbm.engine.stands import add_up
from flint_ml.gcbm.results.indicators import _ranks as content_ranks

Index = NDArray[np.int64]
Array = NDArray[np.float64]

_BIG = "UNSIGNED BIG INT"


def _schema(classifiers: list[str]) -> list[str]:
    names = ", ".join(f'"{name}" VARCHAR' for name in classifiers)
    key = f"id {_BIG} PRIMARY KEY"
    location = f"locationDimId {_BIG}"
    to_location = "FOREIGN KEY(locationDimId) REFERENCES LocationDimension(id)"
    return [
        f"CREATE TABLE ClassifierSetDimension ({key}, {names})",
        f"CREATE TABLE DateDimension ({key}, step INTEGER, year INTEGER, month INTEGER, day INTEGER, "
        "fracOfStep FLOAT, lengthOfStepInYears FLOAT)",
        f"CREATE TABLE PoolDimension ({key}, poolName VARCHAR(255))",
        f"CREATE TABLE LandClassDimension ({key}, name VARCHAR(255))",
        f"CREATE TABLE ModuleInfoDimension ({key}, libraryType INTEGER, libraryInfoId INTEGER, "
        "moduleType INTEGER, moduleId INTEGER, moduleName VARCHAR(255))",
        "CREATE TABLE AgeClassDimension (id UNSIGNED INT PRIMARY KEY, startAge UNSIGNED INT, endAge UNSIGNED INT)",
        f"CREATE TABLE LocationDimension ({key}, classifierSetDimId {_BIG}, dateDimId {_BIG}, "
        f"landClassDimId {_BIG}, ageClassDimId UNSIGNED INT, area FLOAT, "
        "FOREIGN KEY(classifierSetDimId) REFERENCES ClassifierSetDimension(id), "
        "FOREIGN KEY(dateDimId) REFERENCES DateDimension(id), "
        "FOREIGN KEY(landClassDimId) REFERENCES LandClassDimension(id), "
        "FOREIGN KEY(ageClassDimId) REFERENCES AgeClassDimension(id))",
        f"CREATE TABLE DisturbanceTypeDimension ({key}, disturbanceType INTEGER, disturbanceTypeName VARCHAR(255))",
        f"CREATE TABLE DisturbanceDimension ({key}, {location}, disturbanceTypeDimId {_BIG}, "
        f"previousLocationDimId UNSIGNED INT, area FLOAT, {to_location}, "
        "FOREIGN KEY(disturbanceTypeDimId) REFERENCES DisturbanceTypeDimension(id), "
        "FOREIGN KEY(previousLocationDimId) REFERENCES LocationDimension(id))",
        f"CREATE TABLE Pools ({key}, {location}, poolId {_BIG}, poolValue FLOAT, {to_location}, "
        "FOREIGN KEY(poolId) REFERENCES PoolDimension(id))",
        f"CREATE TABLE Fluxes ({key}, {location}, moduleInfoDimId {_BIG}, disturbanceDimId {_BIG}, "
        f"poolSrcDimId {_BIG}, poolDstDimId {_BIG}, fluxValue FLOAT, {to_location}, "
        "FOREIGN KEY(moduleInfoDimId) REFERENCES ModuleInfoDimension(id), "
        "FOREIGN KEY(disturbanceDimId) REFERENCES DisturbanceDimension(id), "
        "FOREIGN KEY(poolSrcDimId) REFERENCES PoolDimension(id), "
        "FOREIGN KEY(poolDstDimId) REFERENCES PoolDimension(id))",
        f"CREATE TABLE ErrorDimension ({key}, module VARCHAR, error VARCHAR)",
        f"CREATE TABLE LocationErrorDimension (id {_BIG}, {location}, errorDimId {_BIG}, {to_location}, "
        "FOREIGN KEY(errorDimId) REFERENCES ErrorDimension(id))",
        f"CREATE TABLE AgeArea ({key}, {location}, ageClassDimId UNSIGNED INT, area FLOAT, {to_location}, "
        "FOREIGN KEY(ageClassDimId) REFERENCES AgeClassDimension(id))",
    ]


def write_database(result: Result, path: str | Path) -> Path:
    """Write a result; the file appears whole, or not at all. An existing file is replaced.

    Raises
    ------
    OutsideError
        The folder cannot be written or the disk is full.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for statement in _schema(result.classifiers or ["none"]):
                connection.execute(statement)
            _Writer(result, connection).write()
            connection.execute("COMMIT")
        finally:
            connection.close()
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutsideError(
            f"the result database cannot be written: {error}",
            where=str(target),
            hint="free disk space, or choose a writable output-dir",
            code="gcbm-output",
        ) from None
    return target


@dataclass
class _Places:
    """Location rows (step, set, land, age class) in output order; ``of`` gives ids."""

    rows: Index
    area: Array
    ids: dict[tuple[int, ...], int]

    def of(self, rows: Index) -> list[int]:
        return [self.ids[tuple(row)] for row in rows.tolist()]


class _Writer:
    def __init__(self, result: Result, connection: sqlite3.Connection) -> None:
        self.result, self.connection = result, connection
        self.pool_count = len(result.pool_names)
        self.set_rank = content_ranks(result.names.sets)
        self.land_rank = content_ranks(result.names.lands)
        self.pool_ids = {name: i for i, name in enumerate(result.pool_names, 1)}
        self.pool_of = {index: name for name, index in result.pool_index.items()}

    def write(self) -> None:
        self._dimensions()
        real, sums = self._sorted(self.result.locations, self.result.sums)
        shown, state = self._merge(self._collapse(real), sums)
        places = self._places(shown, state[:, 0] if state.size else np.zeros(0))
        self._insert(
            "LocationDimension",
            (
                (i, row[1] + 1, row[0] + 1, row[2] + 1, row[3] + 1, area)
                for i, (row, area) in enumerate(zip(places.rows.tolist(), places.area.tolist(), strict=True), 1)
            ),
        )
        self._pools(places.of(shown), state)
        modules = self._modules(state)
        events = self._events(places)
        self._fluxes(places.of(shown), state, modules, events)
        self._age_area(real, sums, places)
        self._errors(places)

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        rows = iter(rows)
        first = next(rows, None)
        if first is None:
            return
        sql = f"INSERT INTO {table} VALUES ({', '.join('?' * len(first))})"  # noqa: S608 - our own table names
        self.connection.execute(sql, first)
        self.connection.executemany(sql, rows)

    def _ranked(self, rows: Index) -> Index:
        """Locations with sets and land classes numbered by content."""
        out = rows.copy()
        if rows.size:
            out[:, 1] = self.set_rank[rows[:, 1]]
            out[:, 2] = self.land_rank[rows[:, 2]]
        return out

    def _sorted(self, rows: Index, sums: Array) -> tuple[Index, Array]:
        ranked = self._ranked(rows)
        order = np.lexsort(tuple(ranked[:, i] for i in range(ranked.shape[1] - 1, -1, -1)))
        return ranked[order], sums[order]

    def _collapse(self, rows: Index) -> Index:
        """Without CBMAgeIndicators every location has age class 0."""
        out = rows.copy()
        if not self.result.age_indicators:
            out[:, 3] = 0
        return out

    @staticmethod
    def _merge(rows: Index, sums: Array) -> tuple[Index, Array]:
        """Add rows that became equal, in the order in which they come."""
        distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
        if distinct.shape[0] == rows.shape[0]:
            return rows, sums
        inverse = inverse.reshape(-1)
        columns = sums.reshape(rows.shape[0], -1).T
        out = np.stack([add_up(inverse, c, distinct.shape[0]) for c in columns], axis=1)
        return distinct, out.reshape(distinct.shape[0], *sums.shape[1:])

    def _places(self, rows: Index, area: Array) -> _Places:
        failed = self.result.failures
        if failed.size:  # as in the C++: the area of a pixel in error counts in year 0 once more
            extra = self._ranked(np.insert(failed[:, :3], 0, 0, axis=1))
            if not self.result.age_indicators:
                extra[:, 3] = 0
            rows, area = self._merge(np.concatenate([rows, extra]), np.concatenate([area, self.result.failed]))
            order = np.lexsort(tuple(rows[:, i] for i in range(3, -1, -1)))
            rows, area = rows[order], area[order]
        return _Places(rows, area, {tuple(row): i for i, row in enumerate(rows.tolist(), 1)})

    def _dimensions(self) -> None:
        result = self.result
        sets = sorted(range(len(result.names.sets)), key=lambda i: int(self.set_rank[i]))
        self._insert("ClassifierSetDimension", ((n, *result.names.sets[i]) for n, i in enumerate(sets, 1)))
        month, day = result.first_day
        dates = [(1, 0, 0, 0, 0, 0.0, 1.0)]
        dates += [(s + 1, s, year, month, day, 1.0, 1.0) for s, year in enumerate(result.years, 1)]
        self._insert("DateDimension", dates)
        self._insert("PoolDimension", ((i, name) for name, i in self.pool_ids.items()))
        self._insert("LandClassDimension", ((i, name) for i, name in enumerate(sorted(result.names.lands), 1)))
        self._insert("AgeClassDimension", ((i, *bounds) for i, bounds in enumerate(result.age_bounds, 1)))

    def _pools(self, ids: list[int], state: Array) -> None:
        pool_ids = list(self.pool_ids.values())

        def rows() -> Iterable[tuple[Any, ...]]:
            number = 0
            for location, values in zip(ids, state[:, 1 : 1 + self.pool_count].tolist(), strict=True):
                for pool, value in zip(pool_ids, values, strict=True):
                    number += 1
                    yield number, location, pool, value

        self._insert("Pools", rows())

    def _modules(self, state: Array) -> dict[str, int]:
        flows = state[:, 1 + self.pool_count :]
        used = {FLOWS[i][0] for i in np.flatnonzero(flows.any(axis=0))} if flows.size else set()
        if self.result.events.size:
            used.add(EVENT)
        ids = {name: i for i, name in enumerate((name for name in MODULES if name in used), 1)}
        self._insert("ModuleInfoDimension", ((i, *MODULES[name], name) for name, i in ids.items()))
        return ids

    def _event_keys(self, rows: Index) -> Index:
        """(location, type code, previous location) of event rows, all by content."""
        now = self._collapse(self._ranked(rows[:, :4]))
        before = np.column_stack([rows[:, 0] - 1, rows[:, 5:8]])
        before = self._collapse(self._ranked(before))
        codes = np.array([code for code, _ in self.result.names.types] or [0], dtype=np.int64)
        return np.column_stack([now, codes[rows[:, 4]], before])

    def _events(self, places: _Places) -> dict[tuple[int, ...], int]:
        result = self.result
        names: dict[int, str] = {}
        for code, name in sorted(result.names.types):
            names.setdefault(code, name)
        if not result.events.size:
            return {}
        keys, area = self._merge(self._event_keys(result.events), result.event_area)
        order = np.lexsort(tuple(keys[:, i] for i in range(8, -1, -1)))
        keys, area = keys[order], area[order]
        used = sorted(set(keys[:, 4].tolist()))
        types = {code: i for i, code in enumerate(used, 1)}
        self._insert("DisturbanceTypeDimension", ((i, code, names[code]) for code, i in types.items()))
        now, before = places.of(keys[:, :4]), places.of(keys[:, 5:9])
        ids = {tuple(row): i for i, row in enumerate(keys.tolist(), 1)}
        self._insert(
            "DisturbanceDimension",
            (
                (i, now[i - 1], types[row[4]], before[i - 1], float(area[i - 1]))
                for i, row in enumerate(keys.tolist(), 1)
            ),
        )
        return ids

    def _fluxes(
        self, ids: list[int], state: Array, modules: dict[str, int], events: dict[tuple[int, ...], int]
    ) -> None:
        flows = state[:, 1 + self.pool_count :]
        ends = [(modules.get(m), None, self.pool_ids[a], self.pool_ids[b]) for m, a, b in FLOWS]
        at, which = np.nonzero(flows)
        values = flows[at, which].tolist() if flows.size else []
        annual = zip(at.tolist(), which.tolist(), values, strict=True)
        number = 0

        def rows() -> Iterable[tuple[Any, ...]]:
            nonlocal number
            for row, column, value in annual:
                number += 1
                yield number, ids[row], *ends[column], value

        self._insert("Fluxes", rows())
        result = self.result
        if not result.moves.size:
            return
        keys = np.column_stack([self._event_keys(result.moves), result.moves[:, 8:10]])
        keys, moved = self._merge(keys, result.moved)
        order = np.lexsort(tuple(keys[:, i] for i in range(10, -1, -1)))
        place = {tuple(row[:4]): location for row, location in zip(self._shown_rows(), ids, strict=True)}

        def event_rows() -> Iterable[tuple[Any, ...]]:
            nonlocal number
            for row, value in zip(keys[order].tolist(), moved[order].tolist(), strict=True):
                if value == 0.0:
                    continue
                number += 1
                source, sink = self.pool_of[row[9]], self.pool_of[row[10]]
                yield (
                    number,
                    place[tuple(row[:4])],
                    modules[EVENT],
                    events[tuple(row[:9])],
                    self.pool_ids[source],
                    self.pool_ids[sink],
                    value,
                )

        self._insert("Fluxes", event_rows())

    def _shown_rows(self) -> list[Any]:
        real, sums = self._sorted(self.result.locations, self.result.sums)
        return list(self._merge(self._collapse(real), sums[:, :1])[0].tolist())

    def _age_area(self, real: Index, sums: Array, places: _Places) -> None:
        ids = places.of(self._collapse(real))
        area = sums[:, 0].tolist()
        self._insert(
            "AgeArea",
            ((i, ids[i - 1], row[3] + 1, area[i - 1]) for i, row in enumerate(real.tolist(), 1)),
        )

    def _errors(self, places: _Places) -> None:
        result = self.result
        if not result.failures.size:
            return
        used = sorted({result.names.errors[row[3]] for row in result.failures.tolist()})
        self._insert("ErrorDimension", ((i, "CBMGrowthModule", text) for i, text in enumerate(used, 1)))
        at = self._ranked(np.insert(result.failures[:, :3], 0, 0, axis=1))
        if not result.age_indicators:
            at[:, 3] = 0
        pairs = sorted(
            {
                (location, used.index(result.names.errors[row[3]]) + 1)
                for location, row in zip(places.of(at), result.failures.tolist(), strict=True)
            }
        )
        self._insert("LocationErrorDimension", ((i, *pair) for i, pair in enumerate(pairs, 1)))
