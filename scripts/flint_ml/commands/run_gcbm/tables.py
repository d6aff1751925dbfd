"""Tables of run-gcbm's record."""

from __future__ import annotations

from flint_ml.commands.run_gcbm.compare import Compared
from flint_ml.commands.run_gcbm.score import Scored
from flint_ml.gcbm.comparison.compare import Change
from flint_ml.gcbm.results import labels as words
from flint_ml.gcbm.results.tables import value
from flint_ml.gcbm.simulation import Simulated
from flint_ml.record import Cell, Column
from flint_ml.record import Table as RecordTable

_RANK = {"not as declared": 0, "not declared": 0, "gone": 0, "new": 1, "as declared": 1, "same": 2}
_ORDER = list(words.LABELS)
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
    text = words.amount(change.delta, sign=True, step=step)
    return text if change.relative is None else f"{text} ({words.percent(change.relative)})"


def compared_table(compared: Compared) -> RecordTable:
    """The first screen: one line for each indicator, in the year in which it changed most."""
    columns = [Column(name="Indicator (tC unless stated)"), Column(name="year")]
    columns += [Column(name="base", type="number", role="base"), Column(name="this change", type="number", role="head")]
    columns += [Column(name="change", role="change"), Column(name="tolerance", role="tolerance")]
    columns += [Column(name="result", role="result")]
    difference = compared.difference
    last = max(change.year for change in difference.changes)
    ends = {change.indicator: change for change in difference.changes if change.year == last}
    # What is the same in every year is shown as it ends.
    changes = [ends.get(c.indicator, c) if c.word == "same" else c for c in sorted(difference.first(100), key=rank)]
    rows = [[words.titled(change.indicator), *_cells(change)] for change in changes]
    return RecordTable(title="Results against the base", columns=columns, rows=rows)


def _cells(change: Change) -> list[Cell]:
    allowed = str(change.declared) if change.declared else change.tolerance
    year = str(change.year) if change.year else "after spinup"
    return [year, change.base, change.head, change_text(change), allowed, change.word]


def differences(compared: Compared) -> list[RecordTable]:
    """Every year and indicator that is not the same."""
    changed = [change for change in compared.difference.changes if change.word != "same"]
    if not changed:
        return []
    first = compared_table(compared)
    rows = [[words.titled(change.indicator), *_cells(change)] for change in changed[:MOST_ROWS]]
    title = f"All years and indicators that changed ({len(changed)})"
    return [RecordTable(title=title, columns=first.columns, rows=rows)]


def inputs_table(compared: Compared) -> list[RecordTable]:
    """What changed in the inputs."""
    changes = compared.changes
    if changes is None:
        return []
    lines = changes.lines(MOST_ROWS)
    unchanged = ", ".join(changes.unchanged())
    title = "What changed in the inputs" + (f" ({unchanged}: unchanged)" if unchanged else "")
    rows: list[list[Cell]] = [[line[:1000]] for line in lines] or [["nothing"]]
    return [RecordTable(title=title, columns=[Column(name="change")], rows=rows)]


def effects_tables(compared: Compared) -> list[RecordTable]:
    """The effect of each input change alone, on what changed most and on the carbon at the end."""
    if compared.effects is None:
        return []
    last = max(change.year for change in compared.difference.changes)
    main = min(compared.difference.first(100), key=rank)
    tables = []
    for indicator, year in dict.fromkeys([("total_ecosystem_tC", last), (main.indicator, main.year)]):
        table = compared.effects.table(indicator, year)
        columns = [Column(name="one change at a time"), Column(name="difference", type="number")]
        columns += [Column(name="share")]
        rows: list[list[Cell]] = [
            [str(what)[:300], delta, "–" if share is None else words.percent(share)]
            for what, delta, share in table.rows
        ]
        title = f"Effect of each change on {words.titled(indicator)} in {year or 'the state after spinup'}"
        tables.append(RecordTable(title=title, columns=columns, rows=rows))
    return tables


def results_table(simulated: Simulated, chosen: list[str]) -> RecordTable:
    """Headline indicators at the start and the end, and over the whole run."""
    table, years = simulated.table, simulated.years
    ends = list(dict.fromkeys((years[0], years[-1])))
    columns = [Column(name="Indicator (tC unless stated)")]
    columns += [Column(name=str(year), type="number") for year in ends]
    columns.append(Column(name=f"{words.span(years)}: change of stocks, sum of flows"))
    rows: list[list[Cell]] = []
    for name in [name for name in words.HEADLINE if name in chosen] or chosen:
        values = [value(table, year, name) or 0.0 for year in years]
        if name in words.AFTER_SPINUP:
            change = values[-1] - (value(table, 0, name) or 0.0)
            over = words.amount(change, sign=True) if abs(change) > 1e-9 * abs(values[-1]) else "0"
        else:
            over = words.amount(sum(values)) if any(values) else "0"
        rows.append([words.titled(name), *(value(table, year, name) for year in ends), over])
    return RecordTable(title=f"Results {words.span(years)}", columns=columns, rows=rows)


def all_years(simulated: Simulated, chosen: list[str]) -> RecordTable:
    """Every indicator in every year."""
    columns = [Column(name="year")]
    columns += [Column(name=words.label(name), type="number", unit=words.unit(name)) for name in chosen]
    rows: list[list[Cell]] = []
    for year in [0, *simulated.years]:
        cells: list[Cell] = [value(simulated.table, year, name) for name in chosen]
        rows.append([str(year) if year else "after spinup", *cells])
    return RecordTable(title="All years and indicators", columns=columns, rows=rows)


def disturbances(simulated: Simulated) -> list[RecordTable]:
    """Area, emissions and harvest of each year and type."""
    table = simulated.tables["disturbances"]
    if not table.rows:
        return []
    columns = [Column(name="year"), Column(name="disturbance type")]
    columns += [
        Column(name=name.rpartition("_")[0], type="number", unit=words.unit(name)) for name in table.columns[2:]
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
