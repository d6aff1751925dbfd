"""Plots of a run: stocks, fluxes, emissions by disturbance, age classes; with the base where there is one.

The base is grey and dashed, this change blue and solid; pools and fluxes have their colours by name
(:mod:`flint_ml.text.plotting`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.labels import amount, label, span
from flint_ml.gcbm.results.tables import value, years_of
from flint_ml.record import Fallback, Series
from flint_ml.text import plotting
from flint_ml.text.plotting import BASE, CHANGE, LIMIT, PAPER, SAME, TEXT

POOLS = {
    "aboveground_biomass_tC": "aboveground biomass",
    "belowground_biomass_tC": "belowground biomass",
    "deadwood_tC": "deadwood",
    "litter_tC": "litter",
    "soil_tC": "soil",
}
FLUXES = {
    "npp_tC": ("NPP", "-"),
    "rh_tC": ("Rh", "--"),
    "total_emissions_tC": ("total emissions", "-."),
    "nbp_tC": ("NBP", "-"),
}
_KINDS = len(plotting.KINDS)
Drawn = tuple[str, Fallback]


def _series(table: Table, name: str, years: Sequence[int]) -> list[float]:
    return [value(table, year, name) or 0.0 for year in years]


def _sides(table: Table, base: Table | None, name: str, years: Sequence[int]) -> Fallback:
    """One indicator of both sides over the years, as a diagram."""
    series = {"this change": _series(table, name, years)}
    if base is not None:
        series = {"base": _series(base, name, years), **series}
    rows = [Series(name=side, y=[float(v) for v in values]) for side, values in series.items()]
    return Fallback(
        kind="line",
        x=[str(year) for year in years],
        series=rows,
        x_name="year",
        y_name="tC",
        title=f"{label(name)}, tC",
    )


def _axis_of_years(axis: Any) -> None:
    plotting.thousands(axis.yaxis)
    plotting.whole_numbers(axis.xaxis)


def ecosystem(axis: Any, table: Table, base: Table | None, name: str = "total_ecosystem_tC") -> Drawn:
    """Lines of one indicator, base dashed, on ``axis``."""
    years = years_of(table)
    head = _series(table, name, years)
    known: list[tuple[int, float]] = []
    if base is not None:
        known = [(year, v) for year in years if (v := value(base, year, name)) is not None]
        axis.plot(*zip(*known, strict=True), label="base", **plotting.style(BASE))
    axis.plot(years, head, marker="o", markersize=4, label="this change", **plotting.style(CHANGE))
    if base is not None:
        plotting.legend(axis)
    axis.set_ylabel(f"{label(name)}, tC")
    _axis_of_years(axis)
    alt = f"{label(name)} {span(years)}: {amount(head[0])} tC at the start, {amount(head[-1])} tC at the end"
    if known:
        alt += f" (base {amount(known[-1][1])} tC)"
    return f"{alt}.", _sides(table, base, name, years)


def stocks(table: Table, base: Table | None, path: Path) -> Drawn:
    """Carbon stocks stacked to the total ecosystem; the base's total as a dashed line."""
    years = years_of(table)
    layers = {text: _series(table, name, years) for name, text in POOLS.items()}
    figure, axis = plotting.new_figure(height=3.4, heading=_from_to(table, "total_ecosystem_tC", years))
    axis.stackplot(
        years,
        *layers.values(),
        colors=[plotting.POOLS[text] for text in layers],
        labels=list(layers),
        edgecolor=PAPER,
        linewidth=0.6,
    )
    if base is not None:
        common = [year for year in years if value(base, year, "total_ecosystem_tC") is not None]
        line = _series(base, "total_ecosystem_tC", common)
        axis.plot(common, line, color=PAPER, linewidth=4)
        axis.plot(common, line, label="total, base", **plotting.style(BASE))
    axis.set_ylabel("carbon stock, tC")
    axis.margins(x=0)
    _axis_of_years(axis)
    handles, labels = axis.get_legend_handles_labels()
    plotting.legend(figure, handles=handles[::-1], labels=labels[::-1], loc="outside lower left", ncols=2)
    plotting.save_png(figure, path)
    parts = ", ".join(f"{text} {amount(values[-1])}" for text, values in layers.items())
    alt = f"Carbon stocks {span(years)}; in {years[-1]}, tC: {parts}."
    return alt, _sides(table, base, "total_ecosystem_tC", years)


def _from_to(table: Table, name: str, years: Sequence[int]) -> str:
    """ "Total ecosystem 17,275 → 4,619 tC, 2010–2020"."""
    values = _series(table, name, years)
    return f"{label(name)} {amount(values[0])} → {amount(values[-1])} tC, {span(list(years))}"


def fluxes(table: Table, base: Table | None, path: Path) -> Drawn:
    """NPP, heterotrophic respiration, total emissions and NBP; the base in thin dashes of the same colours."""
    years = years_of(table)
    figure, axis = plotting.new_figure(height=3.4, heading=_from_to(table, "nbp_tC", years))
    axis.axhline(0, color=TEXT, linewidth=0.8)
    series = {}
    for name, (text, dashes) in FLUXES.items():
        colour = plotting.POOLS[text]
        series[label(name)] = _series(table, name, years)
        axis.plot(years, series[label(name)], color=colour, linestyle=dashes, linewidth=2.2, label=label(name))
        if base is not None:
            common = [year for year in years if value(base, year, name) is not None]
            axis.plot(common, _series(base, name, common), color=colour, linewidth=1, linestyle=":")
    axis.set_ylabel("tC a year" + (" (dotted: base)" if base is not None else ""))
    _axis_of_years(axis)
    plotting.legend(figure, loc="outside lower left", ncols=2)
    plotting.save_png(figure, path)
    last = ", ".join(f"{name} {amount(values[-1])}" for name, values in series.items())
    return f"Fluxes {span(years)}; in {years[-1]}, tC: {last}.", _sides(table, base, "nbp_tC", years)


def _by_kind(disturbances: Table | None, column: str) -> dict[str, dict[int, float]]:
    """A column of the table of disturbances by type and year."""
    kinds: dict[str, dict[int, float]] = {}
    for row in disturbances.rows if disturbances is not None else ():
        values = dict(zip(disturbances.columns, row, strict=True)) if disturbances is not None else {}
        kinds.setdefault(str(values["disturbance_type"]), {})[int(values["year"])] = float(values[column])
    return kinds


def emissions(disturbances: Table, years: Sequence[int], path: Path, base: Table | None = None) -> Drawn | None:
    """Emissions of disturbances by year and type, stacked, the base's total behind a dashed line.

    None where nothing was emitted.
    """
    return _stacked(disturbances, years, path, base, what=("emissions_tC", "Disturbance emissions", "tC"))


def disturbed(disturbances: Table, years: Sequence[int], path: Path, base: Table | None = None) -> Drawn | None:
    """Disturbed area by year and type, as ``emissions``. None where nothing was disturbed."""
    return _stacked(disturbances, years, path, base, what=("area_ha", "Disturbed area", "ha"))


def _stacked(
    disturbances: Table, years: Sequence[int], path: Path, base: Table | None, *, what: tuple[str, str, str]
) -> Drawn | None:
    """``what``: column, what it is, and its unit."""
    column, name, unit = what
    kinds = _by_kind(disturbances, column)
    order = sorted(kinds, key=lambda kind: -sum(kinds[kind].values()))
    order = [kind for kind in order if sum(kinds[kind].values()) > 0]
    if not order:
        return None
    if len(order) > _KINDS:
        kept, rest = order[: _KINDS - 1], order[_KINDS - 1 :]
        kinds["other types"] = {year: sum(kinds[kind].get(year, 0.0) for kind in rest) for year in years}
        order = [*kept, "other types"]
    total = [sum(kinds[kind].get(year, 0.0) for kind in order) for year in years]
    peak = max(range(len(years)), key=lambda i: total[i])
    most = f"{amount(total[peak])} {unit}"
    grows = "highest" if unit == "tC" else "largest"
    figure, axis = plotting.new_figure(height=3.4, heading=f"{name}, {grows} in {years[peak]}: {most}")
    bottom = [0.0] * len(years)
    for number, kind in enumerate(order):
        heights = [kinds[kind].get(year, 0.0) for year in years]
        axis.bar(years, heights, bottom=bottom, linewidth=0.4, label=_short(kind), **plotting.kind(number))
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    series = [Series(name="this change", y=total)]
    if base is not None:
        before = _by_kind(base, column)
        line = [sum(values.get(year, 0.0) for values in before.values()) for year in years]
        axis.step(years, line, where="mid", label="total, base", **plotting.style(BASE))
        series.insert(0, Series(name="base", y=line))
    axis.set_ylabel(f"{unit} a year")
    _axis_of_years(axis)
    plotting.legend(figure, loc="outside lower left", ncols=legend_columns(map(_short, order)))
    plotting.save_png(figure, path)
    alt = f"{name} by year and type, {grows} in {years[peak]} with {most}."
    return alt, Fallback(
        kind="line",
        x=[str(year) for year in years],
        series=series,
        x_name="year",
        y_name=unit,
        title=f"{name}, all types, {unit}",
    )


def legend_columns(labels: Iterable[str]) -> int:
    """Two columns where there are several labels and each is short enough for half of a figure."""
    listed = list(labels)
    return 2 if len(listed) > 2 and max(map(len, listed)) <= 24 else 1


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _with_gaps(names: Sequence[str]) -> list[str]:
    """Age classes in even steps, those without area between them too (0–19, 20–39, 60–79 has a gap)."""
    found = [re.fullmatch(r"(\d+)(\D+)(\d+)", name) for name in names]
    if len(names) < 2 or not all(found[:-1]):
        return list(names)
    first = found[0]
    assert first is not None
    width = int(first[3]) - int(first[1]) + 1
    filled: list[str] = []
    for name, match in zip(names, found, strict=True):
        begin = int(match[1]) if match else int(digits[0]) if (digits := re.match(r"\D*(\d+)", name)) else None
        last = re.fullmatch(r"(\d+)(\D+)(\d+)", filled[-1]) if filled else None
        while last and begin is not None and int(last[3]) + 1 < begin and len(filled) < 60:
            start = int(last[3]) + 1
            filled.append(f"{start}{last[2]}{start + width - 1}")
            last = re.fullmatch(r"(\d+)(\D+)(\d+)", filled[-1])
        filled.append(name)
    return filled


def age_classes(by_age: Table, base: Table | None, path: Path) -> Drawn | None:
    """Area by age class at the start and the end (and at the end in the base); None without age classes."""
    years = sorted({int(year) for year in by_age.column("year")})
    names = [name for name in dict.fromkeys(map(str, by_age.column("age_class"))) if name != "N/A"]
    if not names or len(years) < 2:
        return None
    names = _with_gaps(names)
    sides: list[tuple[str, Callable[[str], float], dict[str, Any]]] = [
        ("start", _area(by_age, years[0]), plotting.bar(SAME)),
        (str(years[-1]), _area(by_age, years[-1]), plotting.bar(CHANGE)),
    ]
    if base is not None:
        sides.append((f"{years[-1]}, base", _area(base, years[-1]), plotting.bar(BASE)))
    young = sides[1][1](names[0])
    figure, axis = plotting.new_figure(heading=f"{amount(young)} ha are {names[0]} years old in {years[-1]}")
    width = 0.8 / len(sides)
    for number, (text, area, look) in enumerate(sides):
        x = [i + (number - (len(sides) - 1) / 2) * width for i in range(len(names))]
        axis.bar(x, [area(name) for name in names], width, label=text, **look)
    axis.set_xticks(range(len(names)), names, rotation=45 if sum(map(len, names)) > 36 else 0)
    axis.set_xlabel("age class, years")
    axis.set_ylabel("area, ha")
    plotting.thousands(axis.yaxis)
    plotting.legend(axis)
    plotting.save_png(figure, path)
    series = [Series(name=text, y=[area(name) for name in names]) for text, area, _ in sides]
    alt = f"Area by age class at the start and in {years[-1]}: {amount(young)} ha are {names[0]} years old at the end."
    return alt, Fallback(kind="table", x=names, series=series, x_name="age class, years")


def _area(table: Table, year: int) -> Callable[[str], float]:
    places = {name: table.columns.index(name) for name in ("age_class", "year", "area_ha")}
    found = {
        str(row[places["age_class"]]): float(row[places["area_ha"]])
        for row in table.rows
        if row[places["year"]] == year
    }
    return lambda name: found.get(name, 0.0)


def observations(table: Table, base: Table | None, path: Path) -> Drawn:
    """Modelled against observed values with the 1:1 line; one standard deviation as bars, the base as hollow marks.

    ``table`` and ``base`` are ``calibration.Calibration.table``; indicators of different units share no axis, so the
    one with most observations is drawn.
    """
    names = table.column("indicator")
    main = max(dict.fromkeys(names), key=names.count)

    def points(source: Table) -> tuple[list[float], list[float], list[float]]:
        rows = [dict(zip(source.columns, row, strict=True)) for row in source.rows]
        rows = [row for row in rows if row["indicator"] == main]
        spread = [float(row["standard_deviation"] or 0.0) for row in rows]
        return [float(row["observed"]) for row in rows], [float(row["modelled"]) for row in rows], spread

    observed, modelled, spread = points(table)
    figure, axis = plotting.new_figure(heading=f"{main}: {len(observed)} observations")
    if base is not None:
        x, y, _ = points(base)
        axis.plot(x, y, label="base", **plotting.mark(BASE))
    bars = spread if any(spread) else None
    axis.errorbar(
        observed,
        modelled,
        xerr=bars,
        fmt="o",
        color=CHANGE.colour,
        ecolor=SAME.colour,
        markersize=6,
        label="this change",
    )
    ends = [min([*observed, *modelled]), max([*observed, *modelled])]
    axis.plot(ends, ends, label="1:1", **plotting.style(LIMIT))
    axis.set_xlabel(f"observed, {main}")
    axis.set_ylabel("modelled")
    plotting.thousands(axis.yaxis)
    plotting.thousands(axis.xaxis)
    plotting.legend(axis)
    plotting.save_png(figure, path)
    alt = f"Modelled against observed {main}, {len(observed)} observations, with the 1:1 line."
    series = [Series(name="modelled", y=modelled)]
    return alt, Fallback(kind="table", x=[amount(v) for v in observed], series=series, x_name=f"observed {main}")
