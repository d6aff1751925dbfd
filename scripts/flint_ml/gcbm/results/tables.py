"""Result tables: indicators by year, classifier, land class and age class, and disturbances; as files and metrics."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.errors import InputError
from flint_ml.gcbm.project.variables import open_database
from flint_ml.gcbm.results.indicators import COLUMNS, Table, disturbance_carbon, indicators
from flint_ml.gcbm.results.labels import AFTER_SPINUP, HEADLINE
from flint_ml.record import slug

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.aggregate import Result


def classifiers_of(source: Result | Path) -> list[str]:
    """The classifiers that results are reported by."""
    if not isinstance(source, Path):
        return list(source.classifiers)
    connection = open_database(source)
    try:
        return [str(row[1]) for row in connection.execute("PRAGMA table_info(ClassifierSetDimension)")][1:]
    except sqlite3.Error:
        return []
    finally:
        connection.close()


def result_tables(source: Result | Path, chosen: Sequence[str] = COLUMNS) -> dict[str, Table]:
    """Every table of a run by file name (without ending): ``indicators`` first.

    Parameters
    ----------
    source
        A result of the embedded engine, or a database in the aggregator's schema.
    chosen
        Indicators to keep; ``indicators`` itself always has all of them.
    """
    tables = {"indicators": indicators(source)}
    for group in [*classifiers_of(source), "land_class", "age_class"]:
        table = indicators(source, group)
        if group == "age_class":
            table = Table(table.columns, sorted(table.rows, key=lambda row: (_age(str(row[0])), row[1])))
        tables[f"indicators_by_{slug(group)}"] = keep(table, [group, "year", *chosen])
    tables["disturbances"] = disturbance_carbon(source)
    return tables


def _age(text: str) -> int:
    """The start of an age class, for sorting; pixels without age first."""
    start = text.partition("-")[0].rstrip("+")
    return int(start) if start.isdigit() else -1


def keep(table: Table, names: Sequence[str]) -> Table:
    """``table`` with these columns only."""
    places = [table.columns.index(name) for name in names if name in table.columns]
    return Table([table.columns[i] for i in places], [[row[i] for i in places] for row in table.rows])


def csv_text(table: Table) -> str:
    """A table as CSV: the shortest text of each number that reads back as the same number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else _plain(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _plain(value: Any) -> Any:
    # A negative zero would differ in the file and nowhere else.
    return value + 0.0 if isinstance(value, float) else value


def parquet_bytes(table: Table) -> bytes:
    """A table as Parquet: numbers as float64, year as int64, all else as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    # By way of CSV, because making columns from Python lists imports pandas, which takes longer than the run.
    types = {name: pa.int64() if name == "year" else pa.float64() for name in table.columns}
    types |= {name: pa.string() for name in table.columns if any(isinstance(v, str) for v in table.column(name))}
    options = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
    read = arrow_csv.read_csv(pa.py_buffer(csv_text(table).encode()), convert_options=options)
    sink = pa.BufferOutputStream()
    parquet.write_table(read, sink)
    return bytes(sink.getvalue())


def metrics(table: Table, chosen: Sequence[str] = COLUMNS) -> dict[str, float]:
    """``<year>/<indicator>`` for each year, and the headline indicators of the last year without the year.

    ``table`` is ``indicators(source)``. Year 0, the state after spinup, has stocks and area only.
    """
    found: dict[str, float] = {}
    year_at = table.columns.index("year")
    rows = sorted(table.rows, key=lambda row: int(row[year_at]))
    for row in rows:
        values = dict(zip(table.columns, row, strict=True))
        names = [name for name in chosen if row[year_at] or name in AFTER_SPINUP]
        found |= {f"{values['year']}/{name}": _plain(float(values[name])) for name in names}
    last = dict(zip(table.columns, rows[-1], strict=True))
    return {**{name: _plain(float(last[name])) for name in HEADLINE}, **found}


def metrics_text(values: Mapping[str, float]) -> str:
    """``metrics.json``."""
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def table_of_metrics(values: Mapping[str, Any], where: str) -> Table:
    """The indicator table that ``metrics.json`` was made from, as far as it holds it.

    Raises
    ------
    InputError
        There is no ``<year>/<indicator>`` in it.
    """
    by_year: dict[int, dict[str, float]] = {}
    for key, value in values.items():
        year, slash, name = str(key).partition("/")
        if slash and year.isdigit() and isinstance(value, int | float) and not isinstance(value, bool):
            by_year.setdefault(int(year), {})[name] = float(value)
    names = [name for name in COLUMNS if any(name in row for row in by_year.values())]
    if not names:
        raise InputError(
            "holds no results of a GCBM run (no `<year>/<indicator>`)",
            where=where,
            hint="give metrics.json or gcbm_output.db of run-gcbm",
            code="gcbm-base",
        )
    rows = [[year, *(by_year[year].get(name, 0.0 if not year else None) for name in names)] for year in sorted(by_year)]
    return Table(["year", *names], rows)


def years_of(table: Table) -> list[int]:
    """Simulated years of an indicator table, without year 0."""
    return sorted({int(year) for year in table.column("year")} - {0})


def value(table: Table, year: int, name: str) -> float | None:
    """One number of an indicator table; None where it is not there."""
    if name not in table.columns:
        return None
    place = table.columns.index(name)
    row = next((row for row in table.rows if row[table.columns.index("year")] == year), None)
    return None if row is None or row[place] is None else float(row[place])
