"""Figures of run-gcbm's record, the one that matters most first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flint_ml.commands.run_gcbm.compare import Compared
from flint_ml.commands.run_gcbm.score import Scored
from flint_ml.gcbm.comparison import map_diff as maps
from flint_ml.gcbm.results import figures
from flint_ml.gcbm.simulation import Simulated
from flint_ml.record import Figure
from flint_ml.runner import Job

UNIT = "tC/ha"


def draw(
    job: Job, simulated: Simulated, compared: Compared | None, spatial: list[tuple[str, int]], scored: Scored | None
) -> list[Figure]:
    """Draw every figure into the job's folder."""
    years = simulated.years
    drawn: list[Figure] = []

    def add(title: str, file: str, made: tuple[str, Any] | str | None) -> None:
        if made is not None:
            alt, fallback = (made, None) if isinstance(made, str) else made
            drawn.append(Figure(title=title, alt=alt[:1000], path=job.figure_path(file), fallback=fallback))

    def place(file: str) -> Path:
        return job.figures_dir / file

    base = None
    if compared is not None and compared.differs:
        base = compared.baseline
        made = maps.overview(simulated.table, base.table, compared.pixels, UNIT, place("overview.png"))
        add(f"Total ecosystem, and where it differs in {years[-1]}", "overview.png", made)
    table = base.table if base else None
    add("Carbon stocks", "stocks.png", figures.stocks(simulated.table, table, place("stocks.png")))
    add("Fluxes", "fluxes.png", figures.fluxes(simulated.table, table, place("fluxes.png")))
    by_type = simulated.tables["disturbances"]
    add("Disturbance emissions", "emissions.png", figures.emissions(by_type, years, place("emissions.png")))
    ages = base.tables.get("indicators_by_age_class") if base else None
    by_age = simulated.tables["indicators_by_age_class"]
    add("Age classes", "ages.png", figures.age_classes(by_age, ages, place("ages.png")))
    if scored is not None:
        before = scored.base.table if scored.base else None
        made = figures.observations(scored.here.table, before, place("observations.png"))
        add("Modelled and observed", "observations.png", made)
    for name, year in spatial:
        if (name, year) in simulated.maps:
            file = f"map_{name}_{year}.png"
            add(f"{name} {year}", file, maps.picture(simulated.maps[name, year], name, year, place(file)))
    return drawn
