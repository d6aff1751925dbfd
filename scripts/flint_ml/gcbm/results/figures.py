"""Plots of a run: stocks, fluxes, emissions by disturbance, age classes; with the base where there is one.

Okabe and Ito's colours, and line style, hatching or labels besides; readable at 420 px width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.labels import amount, label, span
from flint_ml.gcbm.results.tables import value, years_of
from flint_ml.record import Fallback, Series

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#8c8c8c"
SIZE, DPI = (5.25, 3.4), 120
_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
_BARS = (RED, BLUE, GREEN, ORANGE, PINK, SKY, YELLOW, GREY)
POOLS = (
    ("aboveground_biomass_tC", GREEN, "Aboveground biomass"),
    ("belowground_biomass_tC", "#80c9ae", "Belowground biomass"),
    ("deadwood_tC", ORANGE, "Deadwood"),
    ("litter_tC", YELLOW, "Litter"),
    ("soil_tC", "#8a6d3b", "Soil"),
)
FLUXES = (("npp_tC", GREEN, "-"), ("rh_tC", ORANGE, "--"), ("total_emissions_tC", RED, "-."), ("nbp_tC", BLUE, "-"))
Drawn = tuple[str, Fallback]


def sheet(size: tuple[float, float] = SIZE, rows: int = 1) -> tuple[Any, Any]:
    """A figure and its axes, one below the other, without the frame's top and right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, 1)
    for axis in [axes] if rows == 1 else axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=10)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """Write a PNG without the library's version in it: the same numbers give the same bytes."""
    figure.savefig(path, metadata={"Software": None})


def thousands(axis: Any, *, both: bool = False) -> None:
    """Whole numbers with separators on the y axis (and whole years on the x axis)."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.yaxis.set_major_formatter(FuncFormatter(lambda number, _: _tick(number)))
    axis.yaxis.set_major_locator(MaxNLocator(5))
    if not both:
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:.0f}"))


def _tick(number: float) -> str:
    digits = 0 if number == round(number) else 1 if abs(number) >= 1 else 2
    return f"{number:,.{digits}f}".replace("-", "−")


def _series(table: Table, name: str, years: Sequence[int]) -> list[float]:
    return [value(table, year, name) or 0.0 for year in years]


def _fallback(years: Sequence[int], **series: Sequence[float]) -> Fallback:
    rows = [Series(name=name.replace("_", " "), y=[float(v) for v in values]) for name, values in series.items()]
    return Fallback(kind="line", x=[str(year) for year in years], series=rows)


def ecosystem(axis: Any, table: Table, base: Table | None, name: str = "total_ecosystem_tC") -> Drawn:
    """Lines of one indicator, base dashed, on ``axis``."""
    years = years_of(table)
    here = _series(table, name, years)
    series = {"this change": here}
    if base is not None:
        there = [value(base, year, name) for year in years]
        series = {"base": [v or 0.0 for v in there], **series}
        known = [(year, v) for year, v in zip(years, there, strict=True) if v is not None]
        axis.plot(*zip(*known, strict=True), color=ORANGE, linestyle="--", linewidth=2.2, label="base")
    axis.plot(years, here, color=BLUE, linewidth=2.2, marker="o", markersize=4, label="this change")
    if base is not None:
        axis.legend(frameon=False, fontsize=10)
    axis.set_ylabel(f"{label(name)}, tC", fontsize=11)
    thousands(axis)
    alt = f"{label(name)} {span(years)}: {amount(here[0])} tC at the start, {amount(here[-1])} tC at the end"
    if base is not None:
        alt += f" (base {amount(series['base'][-1])} tC)"
    return f"{alt}.", _fallback(years, **series)


def stocks(table: Table, base: Table | None, path: Path) -> Drawn:
    """Carbon stocks stacked to the total ecosystem; the base's total as a dashed line."""
    years = years_of(table)
    figure, axis = sheet()
    layers = [_series(table, name, years) for name, _, _ in POOLS]
    axis.stackplot(
        years,
        *layers,
        colors=[colour for _, colour, _ in POOLS],
        labels=[text for *_, text in POOLS],
        edgecolor="white",
        linewidth=0.6,
    )
    if base is not None:
        common = [year for year in years if value(base, year, "total_ecosystem_tC") is not None]
        line = _series(base, "total_ecosystem_tC", common)
        axis.plot(common, line, color=BLACK, linestyle="--", linewidth=2, label="total, base")
    axis.set_ylabel("carbon stock, tC", fontsize=11)
    axis.margins(x=0)
    thousands(axis)
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper left", frameon=False, fontsize=9, ncols=3)
    save(figure, path)
    parts = ", ".join(f"{text} {amount(values[-1])}" for (*_, text), values in zip(POOLS, layers, strict=True))
    series = {text: values for (*_, text), values in zip(POOLS, layers, strict=True)}
    return f"Carbon stocks {span(years)}; in {years[-1]}, tC: {parts}.", _fallback(years, **series)


def fluxes(table: Table, base: Table | None, path: Path) -> Drawn:
    """NPP, heterotrophic respiration, total emissions and NBP; the base in thin lines."""
    years = years_of(table)
    figure, axis = sheet()
    axis.axhline(0, color=BLACK, linewidth=0.8)
    series = {}
    for name, colour, style in FLUXES:
        series[label(name)] = _series(table, name, years)
        axis.plot(years, series[label(name)], color=colour, linestyle=style, linewidth=2.2, label=label(name))
        if base is not None:
            common = [year for year in years if value(base, year, name) is not None]
            axis.plot(common, _series(base, name, common), color=colour, linewidth=1, linestyle=":")
    axis.set_ylabel("tC a year" + (" (dotted: base)" if base is not None else ""), fontsize=11)
    thousands(axis)
    axis.legend(frameon=False, fontsize=9, ncols=2)
    save(figure, path)
    last = ", ".join(f"{name} {amount(values[-1])}" for name, values in series.items())
    return f"Fluxes {span(years)}; in {years[-1]}, tC: {last}.", _fallback(years, **series)


def emissions(disturbances: Table, years: Sequence[int], path: Path) -> Drawn | None:
    """Emissions of disturbances by year and type, stacked; None where nothing was emitted."""
    kinds: dict[str, dict[int, float]] = {}
    for row in disturbances.rows:
        values = dict(zip(disturbances.columns, row, strict=True))
        kinds.setdefault(str(values["disturbance_type"]), {})[int(values["year"])] = float(values["emissions_tC"])
    order = sorted(kinds, key=lambda kind: -sum(kinds[kind].values()))
    order = [kind for kind in order if sum(kinds[kind].values()) > 0]
    if not order:
        return None
    if len(order) > len(_BARS):
        kept, rest = order[: len(_BARS) - 1], order[len(_BARS) - 1 :]
        kinds["other types"] = {year: sum(kinds[kind].get(year, 0.0) for kind in rest) for year in years}
        order = [*kept, "other types"]
    figure, axis = sheet()
    bottom = [0.0] * len(years)
    for number, kind in enumerate(order):
        heights = [kinds[kind].get(year, 0.0) for year in years]
        axis.bar(
            years,
            heights,
            bottom=bottom,
            color=_BARS[number],
            hatch=_HATCHES[number],
            edgecolor="white",
            linewidth=0.4,
            label=_short(kind),
        )
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    axis.set_ylabel("disturbance emissions, tC a year", fontsize=11)
    thousands(axis)
    figure.legend(loc="outside upper left", frameon=False, fontsize=9, ncols=1 if len(order) < 3 else 2)
    save(figure, path)
    peak = max(range(len(years)), key=lambda i: bottom[i])
    alt = f"Disturbance emissions by year and type, highest in {years[peak]} with {amount(bottom[peak])} tC."
    series = [Series(name=_short(kind), y=[kinds[kind].get(year, 0.0) for year in years]) for kind in order]
    return alt, Fallback(kind="bar", x=[str(year) for year in years], series=series)


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def age_classes(by_age: Table, base: Table | None, path: Path) -> Drawn | None:
    """Area by age class at the start and the end (and at the end in the base); None without age classes."""
    years = sorted({int(year) for year in by_age.column("year")})
    names = [name for name in dict.fromkeys(map(str, by_age.column("age_class"))) if name != "N/A"]
    if not names or len(years) < 2:
        return None
    sides: list[tuple[str, Callable[[str], float], str, str]] = [
        ("start", _area(by_age, years[0]), SKY, ""),
        (str(years[-1]), _area(by_age, years[-1]), BLUE, "//"),
    ]
    if base is not None:
        sides.append((f"{years[-1]}, base", _area(base, years[-1]), ORANGE, ".."))
    figure, axis = sheet()
    width = 0.8 / len(sides)
    for number, (text, area, colour, hatch) in enumerate(sides):
        places = [i + (number - (len(sides) - 1) / 2) * width for i in range(len(names))]
        heights = [area(name) for name in names]
        axis.bar(places, heights, width, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4, label=text)
    axis.set_xticks(range(len(names)), names, rotation=45 if sum(map(len, names)) > 36 else 0)
    axis.set_xlabel("age class, years", fontsize=11)
    axis.set_ylabel("area, ha", fontsize=11)
    thousands(axis, both=True)
    axis.legend(frameon=False, fontsize=10)
    save(figure, path)
    series = [Series(name=text, y=[area(name) for name in names]) for text, area, *_ in sides]
    young = sides[1][1](names[0])
    alt = f"Area by age class at the start and in {years[-1]}: {amount(young)} ha are {names[0]} years old at the end."
    return alt, Fallback(kind="bar", x=names, series=series)


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
    figure, axis = sheet()
    if base is not None:
        x, y, _ = points(base)
        axis.plot(x, y, marker="s", linestyle="", markerfacecolor="none", color=ORANGE, markersize=8, label="base")
    bars = spread if any(spread) else None
    axis.errorbar(observed, modelled, xerr=bars, fmt="o", color=BLUE, ecolor=GREY, markersize=6, label="this change")
    ends = [min([*observed, *modelled]), max([*observed, *modelled])]
    axis.plot(ends, ends, color=BLACK, linewidth=1, label="1:1")
    axis.set_xlabel(f"observed, {main}", fontsize=11)
    axis.set_ylabel("modelled", fontsize=11)
    thousands(axis, both=True)
    axis.legend(frameon=False, fontsize=10)
    save(figure, path)
    alt = f"Modelled against observed {main}, {len(observed)} observations, with the 1:1 line."
    series = [Series(name="modelled", y=modelled), Series(name="observed", y=observed)]
    return alt, Fallback(kind="line", x=[amount(v) for v in observed], series=series)
