"""The parts of a table that is scanned: units of work, how they are read, and a first look at their values."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from flint_ml.drift.streaming.scan import OtherTypeError, Unit, batches, types_of
from flint_ml.drift.tables.reading import Source, csv_options
from flint_ml.drift.tables.values import Reading

# Rows of Parquet's row groups that one unit reads.
_UNIT_ROWS = 2_000_000
_BLOCKS, _BLOCK_BYTES = 16, 1 << 20


class ScanUnits:
    """One table as units of work. ``side`` is 0 for the reference, 1 for the new data."""

    def __init__(self, side: int, source: Source, names: Sequence[str]) -> None:
        self.side = side
        self.sources = list(source.parts or (source,))
        self.label, self.decimal_seen = source.label, source.decimal_seen
        self.types = types_of(source, names)
        self.names = list(names)
        self.readings: dict[str, Reading] = {}
        self.offsets: dict[str, int] = {}

    def adopt(self, better: Unit) -> None:
        """Read the table another way from now on."""
        self.types = dict(better.types)
        self.readings, self.offsets = {}, {}
        self.sources[better.part] = better.source

    def kind_of(self, name: str) -> Any:
        """The type of a column as it is read."""
        import pyarrow as pa

        reading = self.readings.get(name)
        if reading is None:
            return self.types[name]
        kinds = {"numbers": pa.float64(), "dates": pa.timestamp("us"), "answers": pa.string(), "text": pa.string()}
        return kinds[reading.kind]

    def units(self) -> list[Unit]:
        """The units of work, in order."""
        found: list[Unit] = []
        for part, source in enumerate(self.sources):
            for groups in _row_groups(source) if source.parquet else [None]:
                found.append(
                    Unit(source, self.types, (self.side, len(found)), part, groups, self.readings, self.offsets)
                )
        return found

    def look(self, names: Sequence[str], rows: int) -> tuple[Any, bool]:
        """Some ``rows`` from places spread over the table, and whether these are all that it has.

        Raises
        ------
        OtherTypeError
            If text must be read another way.
        """
        import pyarrow as pa

        units = self.units()
        chosen = [units[k * len(units) // _BLOCKS] for k in range(_BLOCKS)] if len(units) > _BLOCKS else units
        each = -(-rows // len(chosen))
        found, whole = [], len(chosen) == len(units)
        for unit in chosen:
            table = None if unit.source.parquet else _spread(unit, names)
            if table is None:
                table, ended = _first(unit, names, each)
                whole &= ended
            else:
                whole = False
            found.append(table)
        return pa.concat_tables(found), whole


def _row_groups(source: Source) -> list[tuple[int, ...]]:
    """Numbers of neighbouring row groups that make a unit."""
    import pyarrow.parquet as pq

    about = pq.read_metadata(source.opened())
    found: list[list[int]] = []
    rows = _UNIT_ROWS
    for number in range(about.num_row_groups):
        if rows >= _UNIT_ROWS:
            found.append([])
            rows = 0
        found[-1].append(number)
        rows += about.row_group(number).num_rows
    return [tuple(groups) for groups in found]


def _first(unit: Unit, names: Sequence[str], rows: int) -> tuple[Any, bool]:
    """The first rows of a unit, and whether it has no more."""
    taken = batches(unit, names, rows)
    first = next(taken, None)
    if first is None:
        import pyarrow as pa

        empty = pa.schema([(name, unit.types[name]) for name in names]).empty_table()
        return unit.meant(empty), True
    return first, next(taken, None) is None


def _spread(unit: Unit, names: Sequence[str]) -> Any | None:
    """Rows from evenly spaced places of a text file; None where it is small, or cannot be entered midway."""
    import pyarrow as pa
    import pyarrow.csv as pc

    source = unit.source
    if not source.plain or source.quoted_lines or source.encoding != "utf8":
        return None
    size = source.path.stat().st_size
    if size < 2 * _BLOCKS * _BLOCK_BYTES:
        return None
    lines = []
    with source.path.open("rb") as stream:
        for k in range(_BLOCKS):
            stream.seek(size * k // _BLOCKS)
            block = stream.read(_BLOCK_BYTES)
            # Whole lines only; the first block also loses its header so.
            lines.append(block[block.find(b"\n") + 1 : block.rfind(b"\n") + 1])
    options = csv_options(source, names, {name: unit.types[name] for name in names})
    options["read_options"] = pc.ReadOptions(column_names=list(source.names), block_size=1 << 22)
    try:
        return unit.meant(pc.read_csv(io.BytesIO(b"".join(lines)), **options))
    except pa.ArrowException:
        # A value of another type, or a field of several lines: the scan will tell.
        return None


__all__ = ["OtherTypeError", "ScanUnits"]
