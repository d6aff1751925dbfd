"""Names and units of indicators for people, and numbers as text."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

from flint_ml.errors import InputError
from flint_ml.gcbm.results.indicators import COLUMNS

# Most important first: the order of the first screen.
LABELS = {
    "total_ecosystem_tC": "Total ecosystem",
    "nbp_tC": "NBP",
    "total_biomass_tC": "Total biomass",
    "npp_tC": "NPP",
    "disturbance_emissions_tC": "Disturbance emissions",
    "disturbed_area_ha": "Disturbed area",
    "harvest_tC": "Harvest",
    "area_ha": "Area",
    "rh_tC": "Rh",
    "nep_tC": "NEP",
    "total_emissions_tC": "Total emissions",
    "aboveground_biomass_tC": "Aboveground biomass",
    "belowground_biomass_tC": "Belowground biomass",
    "deadwood_tC": "Deadwood",
    "litter_tC": "Litter",
    "soil_tC": "Soil",
    "co2_tC": "CO₂ emissions",
    "ch4_tC": "CH₄ emissions",
    "co_tC": "CO emissions",
}
STOCKS = (
    "total_ecosystem_tC",
    "total_biomass_tC",
    "aboveground_biomass_tC",
    "belowground_biomass_tC",
    "deadwood_tC",
    "litter_tC",
    "soil_tC",
)
# Indicators of the last year that the metrics give without the year, and the first screen shows.
HEADLINE = tuple(LABELS)[:8]
# State after spinup has no fluxes.
AFTER_SPINUP = (*STOCKS, "area_ha")
MINUS = "−"


def unit(indicator: str) -> str:
    """Unit of an indicator: the end of its name."""
    return indicator.rpartition("_")[2]


def label(indicator: str) -> str:
    """Name of an indicator for people, without unit."""
    return LABELS.get(indicator, indicator)


def titled(indicator: str) -> str:
    """Name with its unit where it is not tC: ``Disturbed area (ha)``."""
    return label(indicator) if unit(indicator) == "tC" else f"{label(indicator)} ({unit(indicator)})"


def amount(value: float, *, sign: bool = False, step: float | None = None) -> str:
    """A number with at least three significant digits (as many as show ``step``), thousands separated."""
    size = abs(value) if step is None else abs(step)
    digits = 2 if not size else min(12, max(0, 2 - math.floor(math.log10(size))))
    if step is None and abs(value) >= 100:
        digits = 0
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    return text.replace("-", MINUS)


def percent(share: float) -> str:
    """A relative change: ``+39 %``, ``−1.4 %``, ``−0.002 %``."""
    value = share * 100
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.095 or not value else 3
    return f"{value:+,.{digits}f} %".replace("-", MINUS)


def span(years: list[int]) -> str:
    """``2010–2020``."""
    return str(years[0]) if len(years) == 1 else f"{years[0]}–{years[-1]}"


def choose_indicators(patterns: list[str]) -> list[str]:
    """Indicators that names or patterns mean, in the order of the tables; all where there is none.

    Raises
    ------
    InputError
        A pattern that fits no indicator.
    """
    wrong = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in COLUMNS)]
    if wrong:
        raise InputError(
            f"there is no indicator {wrong[0]!r}",
            where="indicators",
            hint=f"known are: {', '.join(COLUMNS)}",
            code="gcbm-indicator",
        )
    return [name for name in COLUMNS if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
