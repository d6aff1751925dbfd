"""Checks of a run from its indicators alone: for results of ``moja.cli``, whose stands are not seen."""

from __future__ import annotations

from itertools import pairwise

from flint_ml.gcbm.engine.aggregate import Check
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.tables import value, years_of

TOLERANCE = 1e-9


def table_checks(table: Table, area_ha: float | None = None) -> list[Check]:
    """Carbon balance, constant area, and no negative stock.

    Parameters
    ----------
    table
        ``indicators(database)``: by year, tC and ha.
    area_ha
        Area of the layers' pixels, where it is known.
    """
    checks = [_balance(table), _area(table), _stocks(table)]
    if area_ha is not None:
        found = value(table, years_of(table)[-1], "area_ha") or 0.0
        checks.append(
            _check(
                "area-of-rasters",
                abs(found - area_ha) / max(area_ha, 1e-30),
                "relative",
                f"{found:.10g} ha in the last year, {area_ha:.10g} ha in the layers",
            )
        )
    return checks


def _check(name: str, size: float, unit: str, message: str, tolerance: float = TOLERANCE) -> Check:
    return Check(name, "passed" if size <= tolerance else "failed", size, tolerance, unit, message)


def _balance(table: Table) -> Check:
    """Change of the total ecosystem against NBP; carbon to other sinks (peat, dissolved) would show here."""
    worst, when = 0.0, 0
    years = [0, *years_of(table)]
    for before, year in pairwise(years):
        old, new = value(table, before, "total_ecosystem_tC"), value(table, year, "total_ecosystem_tC")
        nbp = value(table, year, "nbp_tC")
        if old is None or new is None or nbp is None:
            continue
        gap = abs(new - old - nbp) / max(abs(new), 1e-30)
        if gap > worst:
            worst, when = gap, year
    text = f" (worst in {when})" if when else ""
    return _check("carbon-balance", worst, "relative", f"stock change less NBP: {worst:.3g} of the carbon{text}")


def _area(table: Table) -> Check:
    areas = [float(area) for area in table.column("area_ha")]
    gap = (max(areas) - min(areas)) / max(*areas, 1e-30)
    return _check("area-constant", gap, "relative", f"area by year differs by {gap:.3g} of the largest")


def _stocks(table: Table) -> Check:
    names = ("total_biomass_tC", "deadwood_tC", "litter_tC", "soil_tC")
    lowest = min(float(cell) for name in names for cell in table.column(name))
    return _check("stocks-not-negative", max(0.0, -lowest), "tC", f"lowest stock {lowest:.3g} tC", 1e-6)
