"""The first sheet of an Excel workbook as an Arrow table."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flint_ml.drift.tables.formats import MISSING
from flint_ml.errors import InputError


def read_sheet(path: Path, label: str) -> tuple[Any, tuple[str, ...]]:
    """The first sheet with its header in the first row that is not empty, and notes for the reader.

    Raises
    ------
    InputError
        If the file is no workbook, or its first sheet holds no header.
    """
    import pyarrow as pa
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = [sheet.title for sheet in book.worksheets]
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)] if sheets else []
        book.close()
    # Whatever the reader stumbles over in a damaged file (zlib, XML, missing parts, odd types), the file is at fault.
    except Exception as error:
        raise InputError(
            f"is no Excel workbook: {str(error)[:200] or type(error).__name__}",
            where=label,
            hint="open and save it again, or save the sheet as CSV (UTF-8)",
            code="unreadable-table",
        ) from None
    rows = [row for row in rows if any(value not in (None, "") for value in row)]
    if not rows:
        raise InputError("is empty", where=label, hint="the first sheet needs a header and rows", code="empty-file")
    header = rows[0]
    while header and header[-1] in (None, ""):
        header.pop()
    names = [str(name).strip() if name is not None else f"(column {number})" for number, name in enumerate(header, 1)]
    columns = [_column([row[k] if k < len(row) else None for row in rows[1:]]) for k in range(len(names))]
    notes: tuple[str, ...] = ()
    if len(sheets) > 1:
        notes = (f"{label}: the first sheet, `{sheets[0]}`, was read; there are {len(sheets) - 1} more",)
    return pa.Table.from_arrays(columns, names=names), notes


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
    return f"{cell:g}" if isinstance(cell, float) and cell.is_integer() else str(cell)
