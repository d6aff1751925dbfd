"""Columns of text read as what their texts mean, in both tables alike, wherever the tables are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flint_ml.drift.arrow import is_text
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.values import Reading, Texts, over, read_texts, reading_of, texts_of, under

# So many different texts are looked at first; where none holds a number, a date or the like, the others are not.
_FIRST = 1_000
Limits = tuple[float | None, float | None]


def interpreted(
    tables: tuple[Any, Any],
    names: Sequence[str],
    rules: DriftRules,
    limits: Mapping[str, Limits] | None = None,
    likely: tuple[str, str] = ("", ""),
) -> tuple[tuple[Any, Any], dict[str, Reading]]:
    """Two ``pyarrow.Table`` with columns of text read as numbers, dates, yes and no; and how each was read.

    ``limits`` are those of detection that a profile of the reference knows, ``likely`` the decimal signs that other
    numbers of each table have.
    """
    readings = {}
    for name in names:
        columns = (tables[0].column(name), tables[1].column(name))
        if not any(is_text(column.type) for column in columns):
            known = (limits or {}).get(name, (None, None))
            if known == (None, None):
                continue
        if any(_nested(column.type) for column in columns):
            continue
        sides = [texts_in(column, rules.missing_in(name, side)) for side, column in enumerate(columns)]
        reading = decided(name, (sides[0], sides[1]), rules, (limits or {}).get(name), likely)
        if reading is not None:
            readings[name] = reading
            for side in (0, 1):
                column = read_column(columns[side], reading, side)
                position = tables[side].schema.get_field_index(name)
                table = tables[side].set_column(position, name, column)
                tables = (table, tables[1]) if side == 0 else (tables[0], table)
    return tables, readings


def decided(
    name: str,
    sides: tuple[Texts | None, Texts | None],
    rules: DriftRules,
    limits: Limits | None = None,
    likely: tuple[str, str] = ("", ""),
) -> Reading | None:
    """How the texts of a column are read, by the rules and by what they are in both tables."""
    read = [rules.read.of_side(side) for side in (0, 1)]
    return reading_of(
        sides,
        forced=rules.of(name).kind,
        decimals=(read[0].decimal_sign, read[1].decimal_sign),
        dates=(read[0].dates, read[1].dates),
        missing=[*rules.missing_in(name, 0), *rules.missing_in(name, 1)],
        limits=limits or (None, None),
        likely=likely,
    )


def _nested(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind))


def texts_in(column: Any, missing: Sequence[str]) -> Texts | None:
    """The counts of a column's texts; None for one that holds no text."""
    import pyarrow as pa

    if not is_text(column.type):
        return None
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    try:
        counted = plain.drop_null().cast(pa.string()).value_counts()
        texts, counts = counted.field(0), counted.field(1)
        if len(counted) > 2 * _FIRST:
            first = texts_of(dict(zip(texts[:_FIRST].to_pylist(), counts[:_FIRST].to_pylist(), strict=True)), missing)
            if plain_text(first):
                first.different = len(counted)
                return first
        return texts_of(dict(zip(texts.to_pylist(), counts.to_pylist(), strict=True)), missing)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        # Bytes that are no text.
        return Texts(present=len(column), others=len(column))


def plain_text(texts: Texts) -> bool:
    """Whether the texts looked at hold nothing that could be read otherwise."""
    return not (texts.numeric or texts.dates or texts.answers or texts.padded or texts.missing)


def read_column(column: Any, reading: Reading, side: int) -> Any:
    """A column of one table under a reading."""
    import pyarrow as pa

    if not is_text(column.type):
        return _of_numbers(column, reading)
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.cast(pa.string()).combine_chunks().dictionary_encode()
    kinds = {"numbers": pa.float64(), "dates": pa.timestamp("us"), "answers": pa.string(), "text": pa.string()}
    values = pa.array(read_texts(encoded.dictionary.to_pylist(), reading, side), kinds[reading.kind])
    return pa.chunked_array([values.take(encoded.indices)])


def read_batch(table: Any, readings: Mapping[str, Reading], side: int) -> Any:
    """The columns of a part of one table under their readings."""
    for position, name in enumerate(table.column_names):
        if name in readings:
            table = table.set_column(position, name, read_column(table.column(name), readings[name], side))
    return table


def _of_numbers(column: Any, reading: Reading) -> Any:
    """A column that holds numbers, or yes and no, already."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if reading.kind == "answers":
        if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
            return pc.if_else(column.cast(pa.bool_()), pa.scalar("yes"), pa.scalar("no"))
        return column
    if (
        reading.kind != "numbers"
        or (reading.below is None and reading.above is None)
        or column.null_count == len(column)
    ):
        return column
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        return column
    numbers = column.cast(pa.float64(), safe=False)
    if reading.below is not None and np.isfinite(reading.below):
        low = pa.scalar(reading.below, pa.float64())
        numbers = pc.if_else(pc.less(numbers, low), pa.scalar(under(reading.below), pa.float64()), numbers)
    if reading.above is not None:
        high = pa.scalar(reading.above, pa.float64())
        numbers = pc.if_else(pc.greater(numbers, high), pa.scalar(over(reading.above), pa.float64()), numbers)
    return numbers
