"""Columns of an Arrow table as a numpy matrix, rows in the table's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.statistics.distributions import Floats


def present(chunk: Any) -> npt.NDArray[np.bool_]:
    """Which values of an Arrow array are there."""
    import pyarrow as pa

    return np.from_dlpack(chunk.is_valid().cast(pa.uint8())).astype(bool)


def vector(column: Any) -> Floats:
    """A numeric Arrow column as float64 in row order, missing values as NaN.

    Over DLPack, which takes arrays without missing values: Arrow's own conversions, and its scalars, import pandas,
    which takes longer than the whole comparison.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    result = np.full(len(column), np.nan) if column.null_count else np.empty(len(column))
    start = 0
    for chunk in column.chunks:
        place = result[start : start + len(chunk)]
        start += len(chunk)
        if chunk.null_count == len(chunk):
            continue
        numbers = np.from_dlpack((chunk.drop_null() if chunk.null_count else chunk).cast(pa.float64(), safe=False))
        if chunk.null_count:
            place[present(chunk)] = numbers
        else:
            place[:] = numbers
    return result


def matrix(table: Any, names: Sequence[str], rows: npt.NDArray[np.intp] | None = None) -> Floats:
    """The columns ``names`` side by side, rows × columns, missing values as NaN; all rows, or those given."""
    result = np.empty((table.num_rows if rows is None else len(rows), len(names)))
    for position, name in enumerate(names):
        values = vector(table.column(name))
        result[:, position] = values if rows is None else values[rows]
    return result
