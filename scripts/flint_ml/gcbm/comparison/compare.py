"""Results against the base's: by indicator and year, the first year that differs, and where on the map.

A change is ``same`` within its tolerance; beyond it, it is ``as declared`` where ``expected`` of flint-ml.yml
declares a range that it lies in, ``not as declared`` where it lies outside that range (also when nothing
happened), else ``not declared``. Carbon has no better or worse: that is for people to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.fences import open_raster
from flint_ml.gcbm.results.indicators import Table
from flint_ml.metrics import (
    Amount,
    Applied,
    Declared,
    Reading,
    Row,
    declaration_of,
    judge,
    parse_amount,
    parse_expected,
    unmatched,
)

Word = Literal["same", "as declared", "not declared", "not as declared", "new", "gone"]
# Rounding: results of one engine agree to this on any machine; net fluxes nearly cancel, hence the floor.
ROUNDING = Amount(1e-9, True)
FLOOR = Amount(1e-6)
YEAR = "year"


@dataclass(frozen=True)
class Change:
    """One indicator in one year. ``group``: what stood before the year (species, land class), else empty."""

    group: tuple[str, ...]
    year: int
    indicator: str
    base: float | None
    head: float | None
    word: Word
    declared: Declared | None = None
    tolerance: str = ""

    @property
    def name(self) -> str:
        """As in metrics.json and ``expected``: ``2012/disturbed_area_ha``."""
        return "/".join([*self.group, str(self.year), self.indicator])

    @property
    def delta(self) -> float | None:
        """This change - base, in the indicator's unit."""
        return None if self.base is None or self.head is None else self.head - self.base

    @property
    def relative(self) -> float | None:
        """``delta`` as a share of the base's size; None where the base is zero."""
        return None if self.delta is None or not self.base else self.delta / abs(self.base)

    @property
    def unit(self) -> str:
        return unit_of(self.indicator)

    @property
    def differs(self) -> bool:
        """Beyond rounding, whatever the tolerance."""
        if self.delta is None or self.base is None:
            return True
        return abs(self.delta) > ROUNDING.of(self.base) + FLOOR.value


def unit_of(indicator: str) -> str:
    """The unit in an indicator's name: ``npp_tC`` -> tC."""
    for ending, unit in (("_tC_ha", "tC/ha"), ("_tC", "tC"), ("_ha", "ha")):
        if indicator.endswith(ending):
            return unit
    return ""


@dataclass(frozen=True)
class Comparison:
    """All indicators and years of two results."""

    changes: list[Change]
    undone: list[str] = field(default_factory=list)

    def with_word(self, *words: Word) -> list[Change]:
        return [change for change in self.changes if change.word in words]

    @property
    def first_year(self) -> int | None:
        """The first year in which anything differs beyond rounding (0: after spinup); None when nothing does."""
        return min((change.year for change in self.changes if change.differs), default=None)

    @property
    def identical_years(self) -> list[int]:
        """Years before the first that differs."""
        first = self.first_year
        years = sorted({change.year for change in self.changes})
        return years if first is None else [year for year in years if year < first]

    @property
    def verdict(self) -> Literal["same", "as declared", "changed"]:
        """``changed`` when some change was not declared, or a declared one did not happen as declared."""
        if self.undone or self.with_word("not declared", "not as declared", "gone"):
            return "changed"
        return "as declared" if self.with_word("as declared") else "same"

    @property
    def changed_indicators(self) -> list[str]:
        """Names of the indicators that are not the same in every year."""
        return list(dict.fromkeys(change.indicator for change in self.changes if change.word != "same"))

    def largest(self, indicator: str) -> Change | None:
        """The year in which an indicator changed most."""
        own = [c for c in self.changes if c.indicator == indicator and c.delta is not None]
        return max(own, key=lambda c: abs(c.delta or 0.0), default=None)

    def first(self, count: int = 5) -> list[Change]:
        """For the first screen: what was not declared first, one line for each indicator, largest share first."""
        rank = {"not as declared": 0, "not declared": 1, "gone": 1, "new": 2, "as declared": 3, "same": 4}
        best: dict[tuple[tuple[str, ...], str], Change] = {}
        for change in self.changes:
            key = change.group, change.indicator
            if key not in best or _weight(change, rank) < _weight(best[key], rank):
                best[key] = change
        return sorted(best.values(), key=lambda c: _weight(c, rank))[:count]

    def table(self, *, changed_only: bool = False) -> Table:
        """Columns group (if any), year, indicator, unit, base, this change, difference, share, tolerance, result."""
        width = len(self.changes[0].group) if self.changes else 0
        names = [f"group {n}" if width > 1 else "group" for n in range(1, width + 1)]
        columns = [
            *names,
            YEAR,
            "indicator",
            "unit",
            "base",
            "this change",
            "difference",
            "share",
            "tolerance",
            "result",
        ]
        rows = [
            [
                *c.group,
                c.year,
                c.indicator,
                c.unit,
                c.base,
                c.head,
                c.delta,
                c.relative,
                str(c.declared) if c.declared else c.tolerance,
                c.word,
            ]
            for c in self.changes
            if c.word != "same" or not changed_only
        ]
        return Table(columns, rows)


def _weight(change: Change, rank: Mapping[str, int]) -> tuple[int, float, int]:
    share = abs(change.relative) if change.relative is not None else abs(change.delta or 0.0)
    return rank[change.word], -share, change.year


def compare(
    before: Table,
    after: Table,
    *,
    tolerance: float | str | Mapping[str, float | str] = 1e-9,
    expected: Mapping[str, Any] | None = None,
    engines: tuple[str, str] | None = None,
    across_engines: bool = False,
) -> Comparison:
    """Compare two tables of indicators.

    Parameters
    ----------
    before, after
        From ``indicators``: ``year`` and one column for each indicator, with groups before the year.
    tolerance
        Changes up to this are ``same``: a number in the indicator's unit or a share (``"0.1 %"``), for all or
        by indicator name or glob (``{"npp_tC": "1 %", "*": "0.1 %"}``, the first that fits); a number for all
        that is below 1e-6 is a share. Rounding (1e-9, and 1e-6 tC or ha) is always the same.
    expected
        Declared changes: ``{"2012/disturbed_area_ha": ["+20 %", "+50 %"]}``, by name or glob; the last year's
        indicators also without the year.
    engines
        Names of the engines that made them. Different ones are refused unless ``across_engines``.

    Raises
    ------
    InputError
        Different engines; a declaration or tolerance that cannot be read, or that fits no indicator.
    """
    if engines is not None and engines[0] != engines[1] and not across_engines:
        raise InputError(
            f"the base was made by {engines[0]}, this change by {engines[1]}; their difference would be mixed up "
            "with the change's",
            where="base",
            hint="run the base with the same engine, or allow it with across-engines: true",
            code="gcbm-engines",
        )
    declared = parse_expected(expected or {})
    one, two = _cells(before), _cells(after)
    last = max((key[1] for key in [*one, *two]), default=0)
    changes = []
    for key in dict.fromkeys([*one, *two]):
        found = declaration_of(_name(key), declared) or (
            declaration_of(key[2], declared) if key[1] == last and not key[0] else None
        )
        changes.append(_change(key, one.get(key), two.get(key), _tolerances(tolerance, key[2]), found))
    names = [change.name for change in changes] + [c.indicator for c in changes if c.year == last and not c.group]
    if missing := unmatched(declared, names):
        raise InputError(
            f"expected declares {', '.join(missing)}, but there is no such year and indicator",
            where="expected",
            hint=f"write year/indicator, such as {last}/total_ecosystem_tC",
            code="invalid-expected",
        )
    done = {c.name for c in changes if c.word == "as declared"} | {
        c.indicator for c in changes if c.word == "as declared"
    }
    undone = [pattern for pattern in declared if not any(n == pattern or fnmatchcase(n, pattern) for n in done)]
    return Comparison(changes, undone)


Key = tuple[tuple[str, ...], int, str]


def _name(key: Key) -> str:
    return "/".join([*key[0], str(key[1]), key[2]])


def _cells(table: Table) -> dict[Key, float | None]:
    if YEAR not in table.columns:
        raise InputError(
            "a table without the column year cannot be compared",
            where="base",
            hint="give a table of indicators by year",
            code="gcbm-against",
        )
    at = table.columns.index(YEAR)
    cells: dict[Key, float | None] = {}
    for row in table.rows:
        group = tuple(str(value) for value in row[:at])
        for name, value in zip(table.columns[at + 1 :], row[at + 1 :], strict=True):
            cells[group, int(row[at]), name] = None if value is None else float(value)
    return cells


def _tolerances(tolerance: float | str | Mapping[str, float | str], indicator: str) -> tuple[Amount, ...]:
    chosen: float | str | None = 1e-9
    if isinstance(tolerance, Mapping):
        chosen = next((value for pattern, value in tolerance.items() if fnmatchcase(indicator, pattern)), 1e-9)
    else:
        chosen = tolerance
    try:
        amount = parse_amount(chosen)
    except ValueError as error:
        raise InputError(
            str(error), where=f"tolerance: {indicator}", hint="write 0.5 or 0.1 %", code="invalid-tolerance"
        ) from None
    if not amount.relative and amount.value < FLOOR.value:
        amount = Amount(amount.value, True)
    return amount, ROUNDING, FLOOR


def _change(
    key: Key, base: float | None, head: float | None, tolerances: tuple[Amount, ...], declared: Declared | None
) -> Change:
    rule = Applied(label=key[2], direction="none", source="rule", unit=unit_of(key[2]), tolerance=tolerances)
    readings = [None if value is None else Reading(value) for value in (base, head)]
    row = judge(_name(key), readings[0], readings[1], rule, declared=declared)
    return Change(*key, base, head, _word(row), declared, f"±{tolerances[0]}")


def _word(row: Row) -> Word:
    if row.base is None and row.head is None:
        return "same"
    if row.result in {"same", "as declared", "new", "gone"}:
        return row.result
    return "not as declared" if row.declared else "not declared"


@dataclass(frozen=True)
class MapDifference:
    """Two maps of one quantity and year on the union of their extents (west, east, south, north; degrees).

    ``difference``: after - before, NaN where neither has a value, a missing side counts as 0; ``changed``:
    pixels that differ beyond the floor or have a value on one side only.
    """

    difference: NDArray[np.float64]
    changed: NDArray[np.bool_]
    extent: tuple[float, float, float, float]

    @property
    def pixels(self) -> int:
        return int(self.changed.sum())


def map_difference(before: Path, after: Path, *, floor: float = 1e-4) -> MapDifference:
    """Where two result maps (GeoTIFFs of the same quantity and year) differ.

    ``floor``: in the map's unit; the maps hold single precision.

    Raises
    ------
    InputError
        The cells differ in size or do not lie on one grid.
    """
    with open_raster(before, before.name) as one, open_raster(after, after.name) as two:
        a, b = one.transform, two.transform
        offset = (b.c - a.c) / a.a, (b.f - a.f) / a.e
        aligned = all(abs(v - round(v)) < 1e-3 for v in offset)
        if abs(a.a / b.a - 1) > 1e-6 or abs(a.e / b.e - 1) > 1e-6 or not aligned:
            raise InputError(
                "the two maps do not lie on one grid of cells",
                where=str(after),
                hint="write both with the same cell size",
                code="gcbm-maps",
            )
        column, row = round(offset[0]), round(offset[1])
        top, left = min(0, row), min(0, column)
        shape = max(one.height, row + two.height) - top, max(one.width, column + two.width) - left
        values = []
        for source, r, c in ((one, -top, -left), (two, row - top, column - left)):
            plane = np.full(shape, np.nan)
            data = source.read(1).astype(np.float64)
            if source.nodata is not None:
                data[data == source.nodata] = np.nan
            plane[r : r + source.height, c : c + source.width] = data
            values.append(plane)
        west, north = a.c + left * a.a, a.f + top * a.e
        extent = (west, west + shape[1] * a.a, north + shape[0] * a.e, north)
    here, there = (~np.isnan(plane) for plane in values)
    difference = np.where(here | there, np.nan_to_num(values[1]) - np.nan_to_num(values[0]), np.nan)
    changed = (here != there) | (here & there & (np.abs(np.nan_to_num(difference)) > floor))
    return MapDifference(difference, changed, extent)
