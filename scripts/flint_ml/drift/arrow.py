"""Columns of Arrow tables as numpy arrays.

Over DLPack: Arrow's own conversions, and its scalars, import pandas, which takes longer than the whole comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flint_ml.drift.statistics.distributions import Codes, Floats, Mask


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of text, plain, large or encoded."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def present(chunk: Any) -> Mask:
    """Which values of an Arrow array are there."""
    import pyarrow as pa

    return np.from_dlpack(chunk.is_valid().cast(pa.uint8())).astype(bool)


def vector(column: Any) -> Floats:
    """A numeric Arrow column as float64 in row order, missing values as NaN."""
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


def matrix(table: Any, names: Sequence[str], rows: Codes | None = None) -> Floats:
    """The columns ``names`` side by side, rows × columns, missing values as NaN; all rows, or those given."""
    result = np.empty((table.num_rows if rows is None else len(rows), len(names)))
    for position, name in enumerate(names):
        values = vector(table.column(name))
        result[:, position] = values if rows is None else values[rows]
    return result


def sorted_numbers(column: Any) -> Floats:
    """Values as float64, sorted, without missing ones."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values = np.empty(len(column) - column.null_count)
    start = 0
    for chunk in column.chunks:
        part = chunk.drop_null() if chunk.null_count else chunk
        if part.type != pa.float64():
            part = part.cast(pa.float64(), safe=False)
        if len(part):
            values[start : start + len(part)] = np.from_dlpack(part)
        start += len(part)
    values.sort()
    # NaN sorts last, so that one look tells whether there is any.
    if len(values) and np.isnan(values[-1]):
        values = values[: np.searchsorted(values, np.nan)]
    return values


def text_as_numbers(column: Any) -> Any:
    """A text column as numbers, what is none being missing; and the share of texts that are numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column.cast(pa.string())
    stripped = pc.utf8_trim_whitespace(column)
    good = pc.fill_null(pc.match_substring_regex(stripped, r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"), False)
    count = len(column) - column.null_count
    share = (pc.sum(good).as_py() or 0) / count if count else 0.0
    return pc.if_else(good, stripped, pa.scalar(None, pa.string())).cast(pa.float64(), safe=False), share


def row_values(column: Any) -> Floats:
    """Numbers of a column in row order, whatever Arrow holds them as; NaN where there is none."""
    import pyarrow as pa
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_null(kind):
        return np.full(len(column), np.nan)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind):
        return vector(text_as_numbers(column)[0])
    if types.is_temporal(kind):
        return vector(column.cast(pa.timestamp("us")).cast(pa.int64()))
    return vector(column)


def class_codes(column: Any, labels: Sequence[str]) -> Codes:
    """Position of each value among ``labels``, −1 where it is missing."""
    import pyarrow as pa

    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.cast(pa.string()).combine_chunks().dictionary_encode()
    place = {label: position for position, label in enumerate(labels)}
    known = np.array([place.get(label, -1) for label in encoded.dictionary.to_pylist()], dtype=np.intp)
    result = np.full(len(encoded), -1, dtype=np.intp)
    if encoded.null_count < len(encoded):
        result[present(encoded)] = known[np.from_dlpack(encoded.indices.drop_null())]
    return result


def indices(rows: Codes) -> Any:
    """Row numbers for Arrow. Its own conversion from numpy imports pandas."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype(np.int64))])
