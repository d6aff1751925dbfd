"""Results against observations: bias, RMSE and R² by indicator, and the joined table for a plot.

Observations are a CSV with the columns ``year``, ``indicator``, ``value``, if known
``standard_deviation``, and any of the project's classifiers, ``land_class`` and ``age_class`` (``0-19``, as in
results) that say which stands an observation is about; an empty cell means all:

    Species,Site,year,indicator,value,standard_deviation
    Spruce,good,2015,aboveground_biomass_tC_ha,61.2,4.5
    Aspen,,2015,total_ecosystem_tC_ha,140,12

``indicator`` is one of ``totals.COLUMNS`` (tC or ha of all these stands), or with ``_ha`` after ``_tC`` per
hectare. With modelled values m and observed o of n rows: bias = mean(m - o), RMSE = sqrt(mean((m - o)²)),
R² = 1 - sum((m - o)²) / sum((o - mean(o))²), and, over rows with a standard deviation s, chi² = mean(((m - o) / s)²):
about 1 when the model errs no more than the observations do.
"""

from __future__ import annotations

import difflib
import math
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.errors import InputError
from flint_ml.gcbm.project.variables import open_database
from flint_ml.gcbm.results.indicators import _JOIN, COLUMNS, Facts, Table, _values, age_label, no_results
from flint_ml.metrics import Overall, Reading, Row, Rule, importance, judge, overall, resolve
from flint_ml.record import Finding, Metric

if TYPE_CHECKING:
    import pandas as pd

    from flint_ml.gcbm.engine.aggregate import Result

REQUIRED = ("year", "indicator", "value")
SPREAD = "standard_deviation"
PER_HECTARE = "_ha"
_HINT = "columns are year, indicator, value, standard_deviation, and classifiers, land_class or age_class"


@dataclass(frozen=True)
class Calibration:
    """``metrics``: ``calibration/<indicator>/<rmse|bias|r2|chi2|n>``, for metrics.json and compare-metrics.

    ``table``: one row for each observation that has a modelled value: its columns, then ``observed``,
    ``standard_deviation``, ``modelled``, ``residual`` (modelled - observed), in the indicator's unit.
    ``unmatched``: observations without modelled value, as text.
    """

    metrics: dict[str, Metric]
    table: Table
    unmatched: list[str] = field(default_factory=list)


def score(observations: Path, result: Result | str | Path) -> Calibration:
    """Compare a result with observations.

    Parameters
    ----------
    observations
        CSV file; see the module's description.
    result
        A ``Result``, or the path of a result database (also of ``moja.cli``).

    Raises
    ------
    InputError
        Unknown column, classifier value, indicator or year; a value that is no number; nothing to compare.
    """
    if not isinstance(result, str | Path):
        from flint_ml.gcbm.results.output_db import write_database

        with tempfile.TemporaryDirectory(prefix="gcbm-score-") as folder:
            return score(observations, write_database(result, Path(folder) / "result.db"))
    modelled = _Modelled(Path(result))
    frame = _read(observations, modelled.columns)
    keys = [name for name in frame.columns if name in modelled.columns]
    rows: list[list[Any]] = []
    unmatched: list[str] = []
    for number, row in enumerate(frame.to_dict("records"), 2):
        chosen = {name: str(row[name]) for name in keys if row[name] != ""}
        indicator, year = str(row["indicator"]), int(row["year"])
        place = f"{observations.name}:{number}"
        value = modelled.value(chosen, year, indicator, place)
        if value is None:
            named = ", ".join(f"{k}={v}" for k, v in chosen.items()) or "all stands"
            unmatched.append(f"{place}: {named}, {year}: no such stands in the result")
            continue
        spread = row.get(SPREAD)
        rows.append(
            [
                *(row[name] or None for name in keys),
                year,
                indicator,
                float(row["value"]),
                None if spread is None or math.isnan(spread) else float(spread),
                value,
                value - float(row["value"]),
            ]
        )
    if not rows:
        raise InputError(
            f"none of the {len(frame)} observations is about stands of this result",
            where=observations.name,
            hint=f"the first: {unmatched[0] if unmatched else 'the file is empty'}",
            code="gcbm-observations",
        )
    table = Table([*keys, "year", "indicator", "observed", SPREAD, "modelled", "residual"], rows)
    return Calibration(_metrics(table), table, unmatched)


def _metrics(table: Table) -> dict[str, Metric]:
    from flint_ml.gcbm.comparison.compare import unit_of

    found: dict[str, Metric] = {}
    names, observed, modelled, spread = (table.column(c) for c in ("indicator", "observed", "modelled", SPREAD))
    for indicator in dict.fromkeys(names):
        at = [i for i, name in enumerate(names) if name == indicator]
        o, m = [observed[i] for i in at], [modelled[i] for i in at]
        errors = [b - a for a, b in zip(o, m, strict=True)]
        squares = math.fsum(e * e for e in errors)
        mean = math.fsum(o) / len(o)
        spreads = [(errors[n], spread[i]) for n, i in enumerate(at) if spread[i]]
        total = math.fsum((value - mean) ** 2 for value in o)
        unit = unit_of(indicator)
        put = f"calibration/{indicator}"
        found[f"{put}/rmse"] = Metric(value=math.sqrt(squares / len(at)), unit=unit, direction="lower")
        found[f"{put}/bias"] = Metric(value=math.fsum(errors) / len(at), unit=unit, direction="zero")
        if total > 0:
            found[f"{put}/r2"] = Metric(value=1.0 - squares / total, direction="higher")
        if spreads:
            chi = math.fsum((e / s) ** 2 for e, s in spreads) / len(spreads)
            found[f"{put}/chi2"] = Metric(value=chi, direction="lower")
        found[f"{put}/n"] = Metric(value=float(len(at)))
    return found


def _read(path: Path, groups: Sequence[str]) -> pd.DataFrame:
    """The file as text columns for groups, numbers for the rest."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            "does not exist", where=str(path), hint="give a CSV of observations", code="gcbm-observations"
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"is no CSV table: {error}", where=path.name, hint=_HINT, code="gcbm-observations") from None
    frame = frame.rename(columns=lambda name: str(name).strip())
    frame = frame.rename(columns={"sd": SPREAD, "std": SPREAD} if SPREAD not in frame.columns else {})
    missing = [name for name in REQUIRED if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in {*REQUIRED, SPREAD, *groups}]
    if missing or unknown:
        texts = [f"no column {name}" for name in missing]
        texts += [f"unknown column {name}{_meant(name, [*groups, SPREAD])}" for name in unknown]
        raise InputError(
            "; ".join(texts), where=f"{path.name}:1", hint=f"{_HINT} ({', '.join(groups)})", code="gcbm-observations"
        )
    for name in ("year", "value", *([SPREAD] if SPREAD in frame.columns else [])):
        numbers = pd.to_numeric(frame[name].str.strip(), errors="coerce")
        bad = numbers.isna() & ~((frame[name].str.strip() == "") & (name == SPREAD))
        if name == SPREAD:
            bad |= numbers <= 0
        if bool(bad.any()):
            line = int(bad.to_numpy().argmax())
            raise InputError(
                f"{name} is {frame[name].iloc[line]!r}, not a {'positive ' * (name == SPREAD)}number",
                where=f"{path.name}:{line + 2}",
                hint="write a number with a decimal point",
                code="gcbm-observations",
            )
        frame[name] = numbers
    frame["indicator"] = frame["indicator"].str.strip()
    return frame


def _meant(name: str, known: Sequence[str]) -> str:
    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    return f" (did you mean {lower[near[0]]}?)" if near else ""


class _Modelled:
    """Values of a result database by any set of classifiers, land class and age class."""

    def __init__(self, path: Path) -> None:
        self.path = path
        connection = open_database(path)
        try:
            self.classifiers = [row[1] for row in connection.execute("PRAGMA table_info(ClassifierSetDimension)")][1:]
            self.years = {int(row[0]) for row in connection.execute("SELECT year FROM DateDimension")}
            self.known = {name: self._values_of(connection, name) for name in self.columns}
        except sqlite3.Error as error:
            raise no_results(path, error) from None
        finally:
            connection.close()
        self._facts: dict[tuple[str, ...], Facts] = {}

    @property
    def columns(self) -> list[str]:
        return [*self.classifiers, "land_class", "age_class"]

    def _values_of(self, connection: sqlite3.Connection, name: str) -> list[str]:
        if name == "age_class":
            return [
                age_label(int(a), int(b))
                for a, b in connection.execute("SELECT startAge, endAge FROM AgeClassDimension")
            ]
        table = ("name", "LandClassDimension") if name == "land_class" else (f'"{name}"', "ClassifierSetDimension")
        return [str(row[0]) for row in connection.execute(f"SELECT DISTINCT {table[0]} FROM {table[1]}")]  # noqa: S608

    def value(self, chosen: dict[str, str], year: int, indicator: str, place: str) -> float | None:
        """One indicator of the stands that have these values; None when there are none in that year."""
        per_hectare = indicator not in COLUMNS and indicator.endswith(f"_tC{PER_HECTARE}")
        name = indicator.removesuffix(PER_HECTARE) if per_hectare else indicator
        if name not in COLUMNS:
            known = [*COLUMNS, *(f"{c}{PER_HECTARE}" for c in COLUMNS if c.endswith("_tC"))]
            raise InputError(
                f"unknown indicator {indicator}{_meant(indicator, known)}",
                where=place,
                hint=f"one of {', '.join(COLUMNS)}; per hectare with _ha after _tC",
                code="gcbm-observations",
            )
        if year not in self.years:
            raise InputError(
                f"year {year} is not simulated",
                where=place,
                hint=f"years are {min(self.years)} to {max(self.years)}",
                code="gcbm-observations",
            )
        for column, value in chosen.items():
            if value not in self.known[column]:
                raise InputError(
                    f"{column} has no value {value!r}{_meant(value, self.known[column])}",
                    where=place,
                    hint=f"values are {', '.join(sorted(self.known[column])[:20])}",
                    code="gcbm-observations",
                )
        facts = self._of(tuple(chosen))
        group = tuple(chosen.values())
        if (group, year) not in facts.area:
            return None
        values = _values(facts, group, year)
        return values[name] / values["area_ha"] if per_hectare else values[name]

    def _of(self, names: tuple[str, ...]) -> Facts:
        if names not in self._facts:
            connection = open_database(self.path)
            try:
                self._facts[names] = _facts(connection, names)
            finally:
                connection.close()
        return self._facts[names]


def _facts(connection: sqlite3.Connection, names: tuple[str, ...]) -> Facts:
    """Sums by group (a tuple of the values of ``names``) and year; see ``totals.Facts``."""
    place = {"land_class": "k.name", "age_class": "a.startAge || ':' || a.endAge"}
    columns = ", ".join(["d.year", *(place.get(name, f'c."{name}"') for name in names)])
    groups = ", ".join(str(n) for n in range(1, len(names) + 2))
    width = len(names) + 1

    def key(row: tuple[Any, ...]) -> tuple[tuple[str, ...], int]:
        values = [str(value) for value in row[1:width]]
        if "age_class" in names:
            at = names.index("age_class")
            values[at] = age_label(*(int(v) for v in values[at].split(":")))
        return tuple(values), int(row[0])

    def query(what: str, table: str, joins: str = "", more: int = 0) -> list[tuple[Any, ...]]:
        join = _JOIN.replace("l.id = x.locationDimId", "l.id = x.id") if table == "LocationDimension" else _JOIN
        extra = "".join(f", {width + n}" for n in range(1, more + 1))
        text = f"SELECT {columns}, {what} FROM {table} x {join} {joins} GROUP BY {groups}{extra}"  # noqa: S608
        return connection.execute(text).fetchall()

    pool = "INNER JOIN PoolDimension {0} ON {0}.id = x.{1}"
    pools = query("p.poolName, SUM(x.poolValue)", "Pools", pool.format("p", "poolId"), 1)
    flows = query(
        "x.disturbanceDimId IS NOT NULL, s.poolName, p.poolName, SUM(x.fluxValue)",
        "Fluxes",
        f"{pool.format('s', 'poolSrcDimId')} {pool.format('p', 'poolDstDimId')}",
        3,
    )
    kinds = "INNER JOIN DisturbanceTypeDimension t ON t.id = x.disturbanceTypeDimId"
    events = query("t.disturbanceTypeName, SUM(x.area)", "DisturbanceDimension", kinds, 1)
    return Facts(
        {key(r): float(r[-1]) for r in query("SUM(x.area)", "LocationDimension")},
        {(*key(r), r[-2]): float(r[-1]) for r in pools},
        {(*key(r), bool(r[-4]), r[-3], r[-2]): float(r[-1]) for r in flows},
        {(*key(r), r[-2]): float(r[-1]) for r in events},
    )


# RMSE decides; bias, R² and chi² follow from the same residuals and are shown.
_RULES = {
    "*": Rule(tolerance="1 %", weight=0.0),
    "calibration/*/rmse": Rule(weight=1.0),
}


@dataclass
class Scored:
    """Scores of this change, of the base where it was run in this job, and their comparison."""

    here: Calibration
    base: Calibration | None = None
    rows: list[Row] = field(default_factory=list)
    overall: Overall | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, Metric]:
        """For the record: with direction, and the base's value."""
        before = self.base.metrics if self.base else {}
        return {
            name: metric.model_copy(update={"base": before[name].value if name in before else None})
            for name, metric in self.here.metrics.items()
        }


def score_sides(observations: Path, head: Result | Path, base: Result | Path | None, *, compared: bool) -> Scored:
    """Score a run and its base on the same observations, and judge the scores.

    ``compared``: whether there is a base at all; ``base`` is None where its stands are not at hand.

    Raises
    ------
    InputError
        As ``score``.
    """
    scored = Scored(score(observations, head))
    if scored.here.unmatched:
        lines = scored.here.unmatched
        text = f"{len(lines)} observations have no modelled value, such as {lines[0]}"
        scored.findings.append(Finding(severity="warning", code="gcbm-observations", message=text))
    if not compared:
        return scored
    if base is not None:
        scored.base = score(observations, base)
    before = scored.base.metrics if scored.base else {}
    for name, metric in scored.here.metrics.items():
        here, there = _reading(metric), _reading(before[name]) if name in before else None
        scored.rows.append(judge(name, there, here, resolve(name, _RULES, here)))
    scored.rows.sort(key=lambda row: importance(row.rule))
    scored.overall = overall(scored.rows, has_base=scored.base is not None)
    return scored


def _reading(metric: Metric) -> Reading:
    return Reading(metric.value, metric.note, metric.unit, metric.direction)
