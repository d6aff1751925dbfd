"""Tables and figures of a run and of its comparison with the base, as they stand in a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flint_ml.gcbm.comparison.calibration import Scored
from flint_ml.gcbm.comparison.compare import Change, Comparison
from flint_ml.gcbm.comparison.effects import Effects
from flint_ml.gcbm.comparison.map_diff import Changed
from flint_ml.gcbm.project.diff import InputChanges
from flint_ml.gcbm.results import labels
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.tables import value, years_of
from flint_ml.gcbm.simulation import Simulated
from flint_ml.record import Cell, Column, Figure
from flint_ml.record import Table as RecordTable
from flint_ml.text import numbers

_RANK = {"not as declared": 0, "not declared": 0, "gone": 0, "new": 1, "as declared": 1, "same": 2}
_ORDER = list(labels.LABELS)
MOST_ROWS = 400


def rank(change: Change) -> tuple[int, int]:
    """What a lead should see first: what was not declared, then the indicators in their order."""
    order = _ORDER.index(change.indicator) if change.indicator in _ORDER else len(_ORDER)
    return _RANK[change.word], order


def change_text(change: Change) -> str:
    """``−731 (−1.4 %)``."""
    if change.delta is None:
        return "no base" if change.base is None else "not in this change"
    if not change.differs:
        return "0"
    largest = max(abs(change.base or 0.0), abs(change.head or 0.0))
    step = change.delta if abs(change.delta) < 0.01 * largest or largest < 100 else None
    text = labels.amount(change.delta, sign=True, step=step)
    # The table shows the sides with as many decimals: a reader who subtracts them gets what is written.
    digits = len(text.partition(".")[2])
    if change.base is not None and change.head is not None:
        shown = round(change.head, digits) - round(change.base, digits)
        text = numbers.fixed(shown, digits, sign=True) if round(shown, digits) else text
    return text if change.relative is None else f"{text} ({labels.percent(change.relative)})"


def compared_table(difference: Comparison) -> RecordTable:
    """The first screen: one line for each indicator, in the year in which it changed most."""
    columns = [Column(name="Indicator (tC unless stated)"), Column(name="year")]
    columns += [Column(name="base", type="number", role="base"), Column(name="this change", type="number", role="head")]
    columns += [Column(name="change", role="change"), Column(name="tolerance", role="tolerance")]
    columns += [Column(name="result", role="result")]
    last = max(change.year for change in difference.changes)
    ends = {change.indicator: change for change in difference.changes if change.year == last}
    # What is the same in every year is shown as it ends.
    changes = [ends.get(c.indicator, c) if c.word == "same" else c for c in sorted(difference.first(100), key=rank)]
    rows = [[labels.titled(change.indicator), *_cells(change)] for change in changes]
    return RecordTable(title="Results against the base", columns=columns, rows=rows)


def _cells(change: Change) -> list[Cell]:
    allowed = str(change.declared) if change.declared else change.tolerance
    year = str(change.year) if change.year else "after spinup"
    return [year, change.base, change.head, change_text(change), allowed, change.word]


def differences(difference: Comparison) -> list[RecordTable]:
    """Every year and indicator that is not the same."""
    changed = [change for change in difference.changes if change.word != "same"]
    if not changed:
        return []
    columns = compared_table(difference).columns
    rows = [[labels.titled(change.indicator), *_cells(change)] for change in changed[:MOST_ROWS]]
    title = f"All years and indicators that changed ({len(changed)})"
    return [RecordTable(title=title, columns=columns, rows=rows)]


def inputs_table(changes: InputChanges | None) -> list[RecordTable]:
    """What changed in the inputs."""
    if changes is None:
        return []
    lines = changes.lines(MOST_ROWS)
    unchanged = ", ".join(changes.unchanged())
    title = "What changed in the inputs" + (f" ({unchanged}: unchanged)" if unchanged else "")
    rows: list[list[Cell]] = [[line[:1000]] for line in lines] or [["nothing"]]
    return [RecordTable(title=title, columns=[Column(name="change")], rows=rows)]


def effects_tables(difference: Comparison, effects: Effects | None) -> list[RecordTable]:
    """The effect of each input change alone, on what changed most and on the carbon at the end."""
    if effects is None:
        return []
    last = max(change.year for change in difference.changes)
    main = min(difference.first(100), key=rank)
    tables = []
    for indicator, year in dict.fromkeys([("total_ecosystem_tC", last), (main.indicator, main.year)]):
        table = effects.table(indicator, year)
        columns = [Column(name="one change at a time"), Column(name="difference", type="number")]
        columns += [Column(name="share")]
        rows: list[list[Cell]] = [
            [str(what)[:300], delta, "–" if share is None else labels.percent(share)]
            for what, delta, share in table.rows
        ]
        title = f"Effect of each change on {labels.titled(indicator)} in {year or 'the state after spinup'}"
        tables.append(RecordTable(title=title, columns=columns, rows=rows))
    return tables


def results_table(table: Table, chosen: Sequence[str]) -> RecordTable:
    """Headline indicators at the start and the end, and over the whole run."""
    years = years_of(table)
    ends = list(dict.fromkeys((years[0], years[-1])))
    columns = [Column(name="Indicator (tC unless stated)")]
    columns += [Column(name=str(year), type="number") for year in ends]
    columns.append(Column(name=f"{labels.span(years)}: change of stocks, sum of flows"))
    rows: list[list[Cell]] = []
    for name in [name for name in labels.HEADLINE if name in chosen] or chosen:
        values = [value(table, year, name) or 0.0 for year in years]
        if name in labels.AFTER_SPINUP:
            change = values[-1] - (value(table, 0, name) or 0.0)
            over = labels.amount(change, sign=True) if abs(change) > 1e-9 * abs(values[-1]) else "0"
        else:
            over = labels.amount(sum(values)) if any(values) else "0"
        rows.append([labels.titled(name), *(value(table, year, name) for year in ends), over])
    return RecordTable(title=f"Results {labels.span(years)}", columns=columns, rows=rows)


def all_years(table: Table, chosen: Sequence[str]) -> RecordTable:
    """Every indicator in every year."""
    columns = [Column(name="year")]
    columns += [Column(name=labels.label(name), type="number", unit=labels.unit(name)) for name in chosen]
    rows: list[list[Cell]] = []
    for year in [0, *years_of(table)]:
        cells: list[Cell] = [value(table, year, name) for name in chosen]
        rows.append([str(year) if year else "after spinup", *cells])
    return RecordTable(title="All years and indicators", columns=columns, rows=rows)


def disturbances(table: Table) -> list[RecordTable]:
    """Area, emissions and harvest of each year and type."""
    if not table.rows:
        return []
    columns = [Column(name="year"), Column(name="disturbance type")]
    columns += [
        Column(name=name.rpartition("_")[0], type="number", unit=labels.unit(name)) for name in table.columns[2:]
    ]
    rows: list[list[Cell]] = [[str(row[0]), *row[1:]] for row in table.rows[:MOST_ROWS]]
    return [RecordTable(title="Disturbances by year and type", columns=columns, rows=rows)]


def scores(scored: Scored | None) -> list[RecordTable]:
    """Scores against the observations, and each observation beside its modelled value."""
    if scored is None:
        return []
    found: list[RecordTable] = []
    if scored.rows:
        from flint_ml.metrics import metrics_table

        found.append(metrics_table(scored.rows, "Fit to the observations"))
    else:
        columns = [Column(name="metric"), Column(name="this change", type="number", role="head"), Column(name="unit")]
        rows: list[list[Cell]] = [[name, metric.value, metric.unit] for name, metric in scored.here.metrics.items()]
        found.append(RecordTable(title="Fit to the observations", columns=columns, rows=rows))
    return found


def run_tables(
    simulated: Simulated, chosen: Sequence[str], checks: RecordTable, scored: Scored | None
) -> list[RecordTable]:
    """Every year and indicator, the checks, disturbances, and the fit to observations."""
    every = [all_years(simulated.table, chosen), checks, *disturbances(simulated.tables["disturbances"])]
    return [*every, *scores(scored)]


def comparison_tables(
    difference: Comparison, changes: InputChanges | None, effects: Effects | None
) -> list[RecordTable]:
    """What differs from the base: the first screen, all years, the effect of each change, and the inputs."""
    return [
        compared_table(difference),
        *differences(difference),
        *effects_tables(difference, effects),
        *inputs_table(changes),
    ]


def draw_figures(
    folder: Path,
    simulated: Simulated,
    *,
    record_path: Callable[[str], str],
    base: dict[str, Table] | None,
    pixels: Changed | None,
    maps: Sequence[tuple[str, int]],
    scored: Scored | None,
) -> list[Figure]:
    """Draw every figure into ``folder``, the one that matters most first.

    Parameters
    ----------
    record_path
        File name to the path that the record gives for it.
    base, pixels
        Tables of the base where something differs, and where on the map.
    maps
        (layer, year) of the maps to show.
    """
    from flint_ml.gcbm.comparison import map_diff
    from flint_ml.gcbm.results import figures

    years = simulated.years
    drawn: list[Figure] = []

    def add(title: str, file: str, made: tuple[str, Any] | str | None) -> None:
        if made is not None:
            alt, fallback = (made, None) if isinstance(made, str) else made
            drawn.append(Figure(title=title, alt=alt[:1000], path=record_path(file), fallback=fallback))

    table = base["indicators"] if base else None
    if table is not None:
        made = map_diff.overview(simulated.table, table, pixels, "tC/ha", folder / "overview.png")
        add(f"Total ecosystem, and where it differs in {years[-1]}", "overview.png", made)
    add("Carbon stocks", "stocks.png", figures.stocks(simulated.table, table, folder / "stocks.png"))
    add("Fluxes", "fluxes.png", figures.fluxes(simulated.table, table, folder / "fluxes.png"))
    by_type, before_by_type = simulated.tables["disturbances"], base.get("disturbances") if base else None
    add("Disturbed area", "disturbed.png", figures.disturbed(by_type, years, folder / "disturbed.png", before_by_type))
    emitted = figures.emissions(by_type, years, folder / "emissions.png", before_by_type)
    add("Disturbance emissions", "emissions.png", emitted)
    ages = base.get("indicators_by_age_class") if base else None
    by_age = simulated.tables["indicators_by_age_class"]
    add("Age classes", "ages.png", figures.age_classes(by_age, ages, folder / "ages.png"))
    if scored is not None:
        before = scored.base.table if scored.base else None
        made = figures.observations(scored.here.table, before, folder / "observations.png")
        add("Modelled and observed", "observations.png", made)
    for name, year in maps:
        if (name, year) in simulated.maps:
            file = f"map_{name}_{year}.png"
            add(f"{name} {year}", file, _map_picture(simulated, name, year, folder / file))
    return drawn


def _map_picture(simulated: Simulated, name: str, year: int, path: Path) -> str:
    """A map of ours as a picture: codes of disturbances by the names of their types."""
    from flint_ml.gcbm.comparison import map_diff

    source = simulated.maps[name, year]
    if name != "disturbance_code":
        return map_diff.picture(source, name, year, path)
    types = {} if isinstance(simulated.source, Path) else dict(simulated.source.names.types)
    return map_diff.picture_of_events(source, types, year, path)
