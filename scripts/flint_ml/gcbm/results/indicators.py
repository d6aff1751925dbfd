"""Indicators by year, from pools and fluxes (3.3): our definitions, names with units.

Live: ten biomass pools. DOM: eleven dead organic matter pools. Gases: CO2, CH4, CO. *annual*: growth and
decay, *dist*: disturbance events.

=============================  =====================================================================
total_biomass_tC               Live
aboveground_biomass_tC         Merch, Foliage, Other
belowground_biomass_tC         CoarseRoots, FineRoots
deadwood_tC                    BelowGroundFastSoil, MediumSoil, four snag pools
litter_tC                      AboveGroundVeryFast-, AboveGroundFast-, AboveGroundSlowSoil
soil_tC                        BelowGroundVeryFast-, BelowGroundSlowSoil
total_ecosystem_tC             Live + DOM
npp_tC                         Atmosphere -> Live
rh_tC                          annual DOM -> Gases (decomposition releases)
nep_tC                         npp - rh
disturbance_emissions_tC       dist Live + DOM -> Gases
total_emissions_tC             Live + DOM -> Gases; co2_tC, ch4_tC, co_tC by gas
harvest_tC                     Live + DOM -> Products
nbp_tC                         npp - total emissions - harvest
disturbed_area_ha              area of all events (an area disturbed twice in a year counts twice)
=============================  =====================================================================

Year 0 is the state after spinup. Stocks are at the end of the year.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.stands import add_up
from flint_ml.gcbm.pools import ABOVE, BELOW, DEADWOOD, DOM, GASES, LITTER, LIVE, SOIL
from flint_ml.gcbm.project.variables import open_database

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.aggregate import Result

Array = NDArray[np.float64]

STOCKS: dict[str, tuple[str, ...]] = {
    "total_biomass_tC": LIVE,
    "aboveground_biomass_tC": ABOVE,
    "belowground_biomass_tC": BELOW,
    "deadwood_tC": DEADWOOD,
    "litter_tC": LITTER,
    "soil_tC": SOIL,
    "total_ecosystem_tC": (*LIVE, *DOM),
}
ECOSYSTEM = frozenset((*LIVE, *DOM))
COLUMNS = (
    "area_ha",
    *STOCKS,
    "npp_tC",
    "rh_tC",
    "disturbance_emissions_tC",
    "total_emissions_tC",
    "co2_tC",
    "ch4_tC",
    "co_tC",
    "harvest_tC",
    "nbp_tC",
    "disturbed_area_ha",
    "nep_tC",
)


# Fluxes (source, sink, of an event?, tC) and disturbed area of each (group, year).
ByYear = tuple[dict[tuple[Any, int], list[tuple[str, str, bool, float]]], dict[tuple[Any, int], float]]


@dataclass(frozen=True)
class Table:
    """A plain table: column names and rows (text, numbers or None)."""

    columns: list[str]
    rows: list[list[Any]]

    def column(self, name: str) -> list[Any]:
        position = self.columns.index(name)
        return [row[position] for row in self.rows]


@dataclass
class Facts:
    """Long form of a result or database: one row per (group, year, what).

    ``area``: (group, year) -> ha; ``pools``: (group, year, pool); ``fluxes``: (group, year, event?, source,
    sink); ``disturbed``: (group, year, disturbance type) -> ha. Year 0 is the state after spinup.
    """

    area: dict[tuple[Any, int], float]
    pools: dict[tuple[Any, int, str], float]
    fluxes: dict[tuple[Any, int, bool, str, str], float]
    disturbed: dict[tuple[Any, int, str], float]
    by_year: ByYear | None = None


def no_results(path: Path, error: sqlite3.Error) -> InputError:
    """The error of a file that is no result database."""
    return InputError(
        f"not a GCBM result database: {error}",
        where=str(path),
        hint="give a gcbm_output.db in the aggregator's schema",
        code="gcbm-output",
    )


def indicators(source: Result | str | Path, by: str | None = None) -> Table:
    """Year by indicator.

    Parameters
    ----------
    source
        A ``Result``, or the path of a database in the aggregator's schema (also one of ``moja.cli``).
    by
        None for the whole project, else ``land_class``, ``age_class``, or the name of a classifier: then the
        first column holds the group.

    Returns
    -------
    Columns ``year`` (after the group) and ``COLUMNS``; carbon in tC, area in ha.
    """
    facts = facts_of(source, by)
    keys = sorted(facts.area, key=lambda key: (str(key[0]), key[1]))
    rows = []
    for group, year in keys:
        values = _values(facts, group, year)
        rows.append([*([] if by is None else [group]), year, *(values[name] for name in COLUMNS)])
    return Table([*([] if by is None else [by]), "year", *COLUMNS], rows)


def disturbed_area(source: Result | str | Path) -> Table:
    """Area (ha) by year and disturbance type."""
    facts = facts_of(source, None)
    rows = [[year, kind, area] for (_, year, kind), area in sorted(facts.disturbed.items(), key=lambda i: i[0][1:])]
    return Table(["year", "disturbance_type", "area_ha"], rows)


def disturbance_carbon(source: Result | str | Path) -> Table:
    """By year and disturbance type: area, emissions and harvest of the events."""
    connection = None if _is_result(source) else open_database(Path(str(source)))
    found: dict[tuple[int, str], list[float]] = {}
    rows = _event_moves(source) if connection is None else _database_moves(connection)
    for year, kind, origin, sink, value in rows:
        entry = found.setdefault((year, kind), [0.0, 0.0, 0.0, 0.0, 0.0])
        if origin in ECOSYSTEM and sink in GASES:
            entry[0] += value
            entry[1 + GASES.index(sink)] += value
        elif origin in ECOSYSTEM and sink == "Products":
            entry[4] += value
    areas = {(row[0], row[1]): row[2] for row in disturbed_area(source).rows}
    columns = ["year", "disturbance_type", "area_ha", "emissions_tC", "co2_tC", "ch4_tC", "co_tC", "harvest_tC"]
    keys = sorted(set(areas) | set(found))
    return Table(columns, [[*key, areas.get(key, 0.0), *found.get(key, [0.0] * 5)] for key in keys])


def _values(facts: Facts, group: Any, year: int) -> dict[str, float]:
    out = {"area_ha": facts.area[group, year]}
    for name, pools in STOCKS.items():
        out[name] = sum(facts.pools.get((group, year, pool), 0.0) for pool in pools)
    sums = dict.fromkeys(("npp", "rh", "dist", *GASES, "harvest"), 0.0)
    for source, sink, event, value in facts_by_year(facts)[0].get((group, year), ()):
        if source == "Atmosphere" and sink in LIVE:
            sums["npp"] += value
        if source in ECOSYSTEM and sink in GASES:
            sums[sink] += value
            if event:
                sums["dist"] += value
            elif source in DOM:
                sums["rh"] += value
        if source in ECOSYSTEM and sink == "Products":
            sums["harvest"] += value
    emitted = sums["CO2"] + sums["CH4"] + sums["CO"]
    out |= {
        "npp_tC": sums["npp"],
        "rh_tC": sums["rh"],
        "nep_tC": sums["npp"] - sums["rh"],
        "disturbance_emissions_tC": sums["dist"],
        "total_emissions_tC": emitted,
        "co2_tC": sums["CO2"],
        "ch4_tC": sums["CH4"],
        "co_tC": sums["CO"],
        "harvest_tC": sums["harvest"],
        "nbp_tC": sums["npp"] - emitted - sums["harvest"],
    }
    out["disturbed_area_ha"] = facts_by_year(facts)[1].get((group, year), 0.0)
    return out


def facts_by_year(facts: Facts) -> ByYear:
    """Fluxes and disturbed area of each (group, year); made once for each ``Facts``."""
    if facts.by_year is None:
        fluxes: dict[tuple[Any, int], list[tuple[str, str, bool, float]]] = {}
        for (group, year, event, source, sink), value in facts.fluxes.items():
            fluxes.setdefault((group, year), []).append((source, sink, event, value))
        area: dict[tuple[Any, int], float] = {}
        for (group, year, _), value in facts.disturbed.items():
            area[group, year] = area.get((group, year), 0.0) + value
        facts.by_year = (fluxes, area)
    return facts.by_year


def _is_result(source: Any) -> bool:
    return not isinstance(source, (str, Path))


def facts_of(source: Result | str | Path, by: str | None) -> Facts:
    """Read a result or a database into sums by group and year."""
    if isinstance(source, (str, Path)):
        return _from_database(Path(source), by)
    return _from_result(source, by)


def _from_result(result: Result, by: str | None) -> Facts:
    years = [0, *result.years]
    facts = Facts({}, {}, {}, {})
    label = _labels(result, by)
    _add_locations(result, label, years, facts)
    for row, area in zip(result.failures.tolist(), result.failed.tolist(), strict=True):
        group = label([0, *row[:3]])  # the reference adds the area to year 0 once more
        facts.area[group, 0] = facts.area.get((group, 0), 0.0) + area
    pool_of = {index: name for name, index in result.pool_index.items()}
    for row, value in zip(result.moves.tolist(), result.moved.tolist(), strict=True):
        key = (label(row[:4]), years[row[0]], True, pool_of[row[8]], pool_of[row[9]])
        facts.fluxes[key] = facts.fluxes.get(key, 0.0) + value
    for row, area in zip(result.events.tolist(), result.event_area.tolist(), strict=True):
        where = (label(row[:4]), years[row[0]], result.names.types[row[4]][1])
        facts.disturbed[where] = facts.disturbed.get(where, 0.0) + area
    return facts


def _add_locations(result: Result, label: Any, years: list[int], facts: Facts) -> None:
    """Area, pools and annual fluxes of each (group, year), added in the order of the rows' content."""
    order = _content_order(result)
    keys = result.locations[order]
    groups: dict[Any, int] = {}
    member = np.array([groups.setdefault(label(key), len(groups)) for key in keys.tolist()], dtype=np.int64)
    joint = member * len(years) + (keys[:, 0] if keys.size else 0)
    distinct, place = np.unique(joint, return_inverse=True)
    sums = np.stack([add_up(place, column, distinct.size) for column in result.sums[order].T], axis=1).tolist()
    names = list(groups)
    first_flow = 1 + len(result.pool_names)
    for key, row in zip(distinct.tolist(), sums, strict=True):
        group, year = names[key // len(years)], years[key % len(years)]
        facts.area[group, year] = row[0]
        for pool, value in zip(result.pool_names, row[1:first_flow], strict=True):
            facts.pools[group, year, pool] = value
        for (_, source, sink), value in zip(FLOWS, row[first_flow:], strict=True):
            if value:
                flux = (group, year, False, source, sink)
                facts.fluxes[flux] = facts.fluxes.get(flux, 0.0) + value


def _content_order(result: Result) -> NDArray[np.int64]:
    """Rows of ``locations`` sorted by what they mean, the same in every job."""
    sets = _ranks(result.names.sets)
    lands = _ranks(result.names.lands)
    loc = result.locations
    if loc.shape[0] == 0:
        return np.zeros(0, dtype=np.int64)
    return np.lexsort((loc[:, 3], lands[loc[:, 2]], sets[loc[:, 1]], loc[:, 0]))


def _ranks(names: Sequence[Any]) -> NDArray[np.int64]:
    def key(i: int) -> Any:
        value = names[i]
        return tuple((v is not None, v or "") for v in value) if isinstance(value, tuple) else value

    ranks = np.zeros(len(names), dtype=np.int64)
    ranks[sorted(range(len(names)), key=key)] = np.arange(len(names))
    return ranks


def _labels(result: Result, by: str | None) -> Any:
    """A function from a location key (step, set, land, age class) to its group."""
    if by is None:
        return lambda key: None
    if by == "land_class":
        return lambda key: result.names.lands[key[2]]
    if by == "age_class":
        return lambda key: age_label(*result.age_bounds[key[3]])
    if by in result.classifiers:
        position = result.classifiers.index(by)
        return lambda key: result.names.sets[key[1]][position]
    raise _unknown(by, result.classifiers)


def _unknown(by: str, classifiers: Sequence[str]) -> InputError:
    return InputError(
        f"indicators by {by!r} are not possible",
        where="by",
        hint=f"use land_class, age_class, or a classifier: {', '.join(classifiers)}",
        code="gcbm-indicator-group",
    )


def age_label(start: int, end: int) -> str:
    """Text of an age class: 0-19, 300+, or N/A."""
    return "N/A" if start == -1 else f"{start}+" if end == -1 else f"{start}-{end}"


def _event_moves(source: Any) -> list[tuple[int, str, str, str, float]]:
    years = [0, *source.years]
    pool_of = {index: name for name, index in source.pool_index.items()}
    return [
        (years[row[0]], source.names.types[row[4]][1], pool_of[row[8]], pool_of[row[9]], value)
        for row, value in zip(source.moves.tolist(), source.moved.tolist(), strict=True)
    ]


_JOIN = (
    "INNER JOIN LocationDimension l ON l.id = x.locationDimId INNER JOIN DateDimension d ON d.id = l.dateDimId "
    "INNER JOIN ClassifierSetDimension c ON c.id = l.classifierSetDimId "
    "INNER JOIN LandClassDimension k ON k.id = l.landClassDimId "
    "INNER JOIN AgeClassDimension a ON a.id = l.ageClassDimId"
)


def _database_moves(connection: sqlite3.Connection) -> list[tuple[int, str, str, str, float]]:
    rows = connection.execute(
        "SELECT d.year, t.disturbanceTypeName, s.poolName, p.poolName, SUM(x.fluxValue) FROM Fluxes x "  # noqa: S608 - our own text
        f"{_JOIN} INNER JOIN DisturbanceDimension e ON e.id = x.disturbanceDimId "
        "INNER JOIN DisturbanceTypeDimension t ON t.id = e.disturbanceTypeDimId "
        "INNER JOIN PoolDimension s ON s.id = x.poolSrcDimId INNER JOIN PoolDimension p ON p.id = x.poolDstDimId "
        "GROUP BY 1, 2, 3, 4"
    ).fetchall()
    connection.close()
    return [(int(r[0]), str(r[1]), str(r[2]), str(r[3]), float(r[4])) for r in rows]


def _from_database(path: Path, by: str | None) -> Facts:
    connection = open_database(path)
    try:
        classifiers = [row[1] for row in connection.execute("PRAGMA table_info(ClassifierSetDimension)")][1:]
        group = {None: "NULL", "land_class": "k.name", "age_class": "a.startAge || ':' || a.endAge"}.get(by)
        if group is None:
            if by not in classifiers:
                raise _unknown(str(by), classifiers)
            group = f'c."{by}"'

        def label(value: Any) -> Any:
            return age_label(*(int(v) for v in value.split(":"))) if by == "age_class" else value

        def query(columns: str, table: str, joins: str = "", groups: str = "") -> list[tuple[Any, ...]]:
            text = f"SELECT {group}, d.year, {columns} FROM {table} x {_JOIN} {joins} GROUP BY 1, 2{groups}"  # noqa: S608
            return connection.execute(text).fetchall()

        area = connection.execute(
            f"SELECT {group}, d.year, SUM(x.area) FROM LocationDimension x "  # noqa: S608
            f"{_JOIN.replace('l.id = x.locationDimId', 'l.id = x.id')} GROUP BY 1, 2"
        ).fetchall()
        pools = query("p.poolName, SUM(x.poolValue)", "Pools", "INNER JOIN PoolDimension p ON p.id = x.poolId", ", 3")
        fluxes = query(
            "x.disturbanceDimId IS NOT NULL, s.poolName, p.poolName, SUM(x.fluxValue)",
            "Fluxes",
            "INNER JOIN PoolDimension s ON s.id = x.poolSrcDimId INNER JOIN PoolDimension p ON p.id = x.poolDstDimId",
            ", 3, 4, 5",
        )
        events = query(
            "t.disturbanceTypeName, SUM(x.area)",
            "DisturbanceDimension",
            "INNER JOIN DisturbanceTypeDimension t ON t.id = x.disturbanceTypeDimId",
            ", 3",
        )
    except sqlite3.Error as error:
        raise no_results(path, error) from None
    finally:
        connection.close()
    return Facts(
        {(label(g), int(y)): float(v) for g, y, v in area},
        {(label(g), int(y), p): float(v) for g, y, p, v in pools},
        {(label(g), int(y), bool(e), s, t): float(v) for g, y, e, s, t, v in fluxes},
        {(label(g), int(y), t): float(v) for g, y, t, v in events},
    )
