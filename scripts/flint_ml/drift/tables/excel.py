"""A sheet of an Excel workbook as an Arrow table: the one that is named, or the first that holds a table."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.drift.rules import ReadRules
from flint_ml.drift.tables.dialect import SUMMARY, Given, Structure, structure_of
from flint_ml.drift.tables.formats import MISSING
from flint_ml.drift.tables.values import is_number
from flint_ml.errors import InputError
from flint_ml.fences import check_workbook

_LOOKED = 60
# A sheet with fewer rows and columns is a cover or a legend.
_ROWS, _COLUMNS = 3, 2


@dataclass(frozen=True)
class Sheet:
    """A sheet that was read: the table, notes for people (code, message, hint), and how it was read."""

    table: Any
    notes: tuple[tuple[str, str, str], ...]
    said: str


def read_sheet(path: Path, label: str, read: ReadRules | None = None) -> Sheet:
    """The sheet named by the settings, or the first that holds a table; header and units are looked for in it.

    Raises
    ------
    InputError
        If the file is not a workbook, has no such sheet, or the sheet holds no header.
    """
    import pyarrow as pa
    from openpyxl import load_workbook

    read = read or ReadRules()
    check_workbook(path, label)
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = {sheet.title: sheet.sheet_state for sheet in book.worksheets}
        rows_of = {
            title: [list(row) for row in book[title].iter_rows(values_only=True)]
            for title in ([read.sheet] if read.sheet in sheets else sheets)
        }
        book.close()
    # Whatever the reader stumbles over in a damaged file (zlib, XML, missing parts, odd types), the file is at fault.
    except Exception as error:
        raise InputError(
            f"is not an Excel workbook: {str(error)[:200] or type(error).__name__}",
            where=label,
            hint="open and save it again, or save the sheet as CSV (UTF-8)",
            code="unreadable-table",
        ) from None
    if read.sheet and read.sheet not in sheets:
        hint = f"`read: sheet:` may name {', '.join(f'`{name}`' for name in sheets)}"
        raise InputError(f"has no sheet `{read.sheet}`", where=label, hint=hint, code="invalid-input")
    title = read.sheet or _chosen(rows_of, sheets)
    rows = rows_of[title][read.skip or 0 :] if rows_of else []
    rows = [row for row in rows if any(value not in (None, "") for value in row)]
    if not rows:
        raise InputError("is empty", where=label, hint="the first sheet needs a header and rows", code="empty-file")
    wide = max(max((k for k, cell in enumerate(row, 1) if cell not in (None, "")), default=0) for row in rows)
    rows = [(row + [None] * wide)[:wide] for row in rows]
    given = Given(read.header, None, read.units_row)
    structure = structure_of(
        [[_text(cell) if cell is not None else "" for cell in row] for row in rows[:_LOOKED]], given
    )
    footer = _footer(rows, structure)
    rows = rows[: len(rows) - footer]
    columns = [_column([row[k] for row in rows[structure.first :]]) for k in range(wide)]
    names = _names(structure.names, wide)
    notes: list[tuple[str, str, str]] = []
    if len(sheets) > 1 and not read.sheet:
        which = "first sheet" if title == next(iter(sheets)) else "sheet"
        text = f"{label}: the {which}, `{title}`, was read; there are {len(sheets) - 1} more"
        notes.append(("sheet", text, "`read: sheet:` names the sheet"))
    formulas = _formulas(path, title)
    if formulas:
        cells = f"{formulas} cell{'s' if formulas > 1 else ''}"
        text = f"{label}: {cells} of sheet `{title}` hold a formula whose value is not stored; they count as missing"
        notes.append(("formulas", text, "open and save the workbook in Excel or LibreOffice, or save the sheet as CSV"))
    said = [f"sheet `{title}`"] if len(sheets) > 1 else []
    said += [f"header in row {structure.header + 1}"] if structure.header else []
    said += ["a row of units below the header"] if structure.units else []
    said += [f"{footer} rows at the end are not part of the table"] if footer else []
    return Sheet(pa.Table.from_arrays(columns, names=names), tuple(notes), ", ".join(said))


def _formulas(path: Any, title: str) -> int:
    """How many cells of a sheet hold a formula, and no value that was computed; 0 where no sheet has formulas."""
    import zipfile

    from openpyxl import load_workbook

    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        # A formula's element is <f>; most workbooks of data have none, and are not read twice.
        if not any(re.search(rb"<f[ >]", archive.read(name)) for name in sheets):
            return 0
    count = 0
    formulas, values = (load_workbook(path, read_only=True, data_only=known) for known in (False, True))
    for row, stored in zip(formulas[title].iter_rows(), values[title].iter_rows(values_only=True), strict=False):
        count += sum(cell.data_type == "f" and value is None for cell, value in zip(row, stored, strict=False))
    formulas.close()
    values.close()
    return count


def _chosen(rows_of: dict[str, list[list[Any]]], states: dict[str, str]) -> str:
    """The first visible sheet that holds a table of numbers, or any; else the first that holds anything."""
    for wish in ("visible", "hidden", "veryHidden"):
        tables = [title for title, rows in rows_of.items() if states[title] == wish and _is_table(rows)]
        # A legend of the columns is a table of words.
        for title in tables:
            if sum(_holds_number(cell) for row in rows_of[title][:_LOOKED] for cell in row) >= _ROWS:
                return title
        if tables:
            return tables[0]
    return next((title for title, rows in rows_of.items() if rows), next(iter(rows_of), ""))


def _is_table(rows: Sequence[Sequence[Any]]) -> bool:
    full = [row for row in rows if sum(cell not in (None, "") for cell in row) >= _COLUMNS]
    return len(full) >= _ROWS


def _holds_number(cell: Any) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and is_number(cell))


def _names(names: Sequence[str], wide: int) -> list[str]:
    known = [*names, *("" for _ in range(wide - len(names)))]
    return [name or f"(column {number})" for number, name in enumerate(known, 1)]


def _footer(rows: Sequence[Sequence[Any]], structure: Structure) -> int:
    """Rows at the end that hold one cell of text, or begin with "Mean" or the like: none of the table."""
    count = 0
    for row in reversed(rows[structure.first :]):
        cells = [cell for cell in row if cell not in (None, "")]
        note = len(row) >= 3 and len(cells) == 1 and isinstance(cells[0], str)
        summary = len(row) >= 2 and isinstance(row[0], str) and SUMMARY.match(row[0].strip())
        if not (note or summary):
            break
        count += 1
    labels = {row[0] for row in rows[structure.first : len(rows) - count]}
    known = any(row[0] is not None and row[0] in labels for row in rows[len(rows) - count :])
    return count if count <= 5 and not known else 0


def _column(values: Sequence[Any]) -> Any:
    """Cells of one column: numbers, dates or truth values where all are, else text."""
    import pyarrow as pa

    cells = [None if isinstance(value, str) and value.strip() in MISSING else value for value in values]
    seen = {type(cell) for cell in cells if cell is not None}
    if seen <= {int}:
        whole = all(abs(cell) < 2**63 for cell in cells if cell is not None)
        if whole:
            return pa.array(cells, pa.int64()) if seen else pa.nulls(len(cells))
    if seen <= {int, float}:
        return pa.array([None if cell is None else _float(cell) for cell in cells], pa.float64())
    if seen == {bool}:
        return pa.array(cells, pa.bool_())
    if seen <= {datetime.datetime, datetime.date}:
        return pa.array([_moment(cell) for cell in cells], pa.timestamp("us"))
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _float(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf


def _moment(cell: Any) -> Any:
    plain = isinstance(cell, datetime.date) and not isinstance(cell, datetime.datetime)
    return datetime.datetime(cell.year, cell.month, cell.day) if plain else cell


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell).strip()
