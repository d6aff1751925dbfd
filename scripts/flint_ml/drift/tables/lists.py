"""Columns of lists of numbers, such as spectra, read as one column for each element: ``spectrum[1]`` …"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_MOST = 10_000
_ELEMENT = re.compile(r"^(.*)\[(\d+)\]$")


def list_lengths(schema: Any, first: Callable[[list[str]], Any]) -> dict[str, int]:
    """The columns of lists of numbers that all have one length, with that length.

    Parameters
    ----------
    first
        Gives the first rows of columns as a table, or None where there are none; lists of no fixed length are looked
        at there. A later list of another length counts as missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = [field for field in schema if _is_list(field.type) and _is_number(field.type.value_type)]
    lengths = {field.name: field.type.list_size for field in fields if pa.types.is_fixed_size_list(field.type)}
    open_ones = [field.name for field in fields if field.name not in lengths]
    table = first(open_ones) if open_ones else None
    for name in open_ones:
        if table is None:
            break
        ends = pc.min_max(pc.list_value_length(table.column(name))).as_py()
        if ends["min"] is not None and ends["min"] == ends["max"]:
            lengths[name] = ends["min"]
    return {field.name: lengths[field.name] for field in fields if 1 < lengths.get(field.name, 0) <= _MOST}


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def element_names(names: Sequence[str], lists: Mapping[str, int]) -> tuple[str, ...]:
    """The names of a table's columns, with those of the elements in the place of lists."""
    return tuple(
        part
        for name in names
        for part in ([f"{name}[{k}]" for k in range(1, lists[name] + 1)] if name in lists else [name])
    )


def stored_names(names: Sequence[str], lists: Mapping[str, int]) -> list[str]:
    """The stored columns that hold the columns ``names``."""
    return list(dict.fromkeys(_part_of(name, lists)[0] for name in names))


def _part_of(name: str, lists: Mapping[str, int]) -> tuple[str, int]:
    match = _ELEMENT.match(name)
    return (match[1], int(match[2])) if match and match[1] in lists else (name, 0)


def elements(table: Any, names: Sequence[str], lists: Mapping[str, int]) -> Any:
    """The columns ``names`` of a stored table, elements taken from their lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = {}
    for name in table.column_names:
        column = table.column(name)
        if name in lists:
            if not pa.types.is_fixed_size_list(column.type):
                right = pc.equal(pc.list_value_length(column), lists[name])
                column = pc.if_else(right, column, pa.scalar(None, column.type))
            whole[name] = column
    columns = []
    for name in names:
        stored, k = _part_of(name, lists)
        columns.append(pc.list_element(whole[stored], k - 1) if k else table.column(stored))
    return pa.Table.from_arrays(columns, names=list(names))


def element_schema(schema: Any, names: Sequence[str], lists: Mapping[str, int]) -> Any:
    """The types of the columns ``names`` of a stored table."""
    import pyarrow as pa

    fields = []
    for name in names:
        stored, k = _part_of(name, lists)
        kind = schema.field(stored).type
        fields.append(pa.field(name, kind.value_type if k else kind))
    return pa.schema(fields)
