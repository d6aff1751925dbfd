"""Scan a table batch by batch: one pass over the data, in bounded memory, wherever the parts of it are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flint_ml.drift.arrow import indices
from flint_ml.drift.statistics.distributions import Floats
from flint_ml.drift.streaming.accumulator import Accumulator, ColumnRequest, accumulate
from flint_ml.drift.tables.formats import MISSING
from flint_ml.drift.tables.interpret import read_batch
from flint_ml.drift.tables.lists import element_schema, elements, stored_names
from flint_ml.drift.tables.reading import Source, bad_csv, bad_table, csv_options, with_partition
from flint_ml.drift.tables.values import Reading

# Values of one batch of one table, over all columns that are read.
BATCH_VALUES = 4_000_000
_FEWEST_ROWS, _MOST_ROWS = 16_384, 1 << 20
_BLOCK = 1 << 21
_BUFFER, _REMOTE_BUFFER = 1 << 16, 1 << 22
_COLUMN = re.compile(r"In CSV column #(\d+)")
_VALUE = re.compile(r"invalid value '(.*)'", re.S)


@dataclass(frozen=True)
class Unit:
    """A part of a table that is scanned at a time: a file, or some row groups of a Parquet file.

    ``types`` say how text is read, the same in all parts of a table; ``key`` tells the units of both tables apart (the
    table, the number), ``part`` is the number of the file in its table,
    ``readings`` say what texts of columns mean, ``offsets`` what is taken off whole numbers that no float holds.
    """

    source: Source
    types: Mapping[str, Any]
    key: tuple[int, int]
    part: int = 0
    groups: tuple[int, ...] | None = None
    readings: Mapping[str, Reading] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)

    def meant(self, table: Any) -> Any:
        """What columns of the part mean: texts read, whole numbers beyond 2⁵³ less their offsets."""
        import pyarrow.compute as pc

        table = read_batch(table, self.readings, self.key[0])
        for position, name in enumerate(table.column_names):
            if name in self.offsets:
                table = table.set_column(position, name, pc.subtract(table.column(name), self.offsets[name]))
        return table


@dataclass
class Rows:
    """A random sample of the rows: those with the smallest of random numbers that each row has been given."""

    keys: Floats
    table: Any

    def merged(self, other: Rows, keep: int) -> Rows:
        """The sample of both parts together."""
        import pyarrow as pa

        both = Rows(np.concatenate([self.keys, other.keys]), pa.concat_tables([self.table, other.table]))
        return both.pruned(keep)

    def pruned(self, keep: int) -> Rows:
        """At most ``keep`` of the rows."""
        if len(self.keys) <= keep:
            return self
        chosen = np.sort(np.argpartition(self.keys, keep)[:keep])
        return Rows(self.keys[chosen], self.table.take(indices(chosen)))


@dataclass
class Scan:
    """What one scan found: a accumulator of each column, and a sample of the rows where one was asked for."""

    accumulators: dict[str, Accumulator] = field(default_factory=dict)
    rows: Rows | None = None

    def merge(self, other: Scan, requests: Mapping[str, ColumnRequest], keep: int) -> None:
        """Add what was found in another part of the table."""
        for name, found in other.accumulators.items():
            if name in self.accumulators:
                self.accumulators[name].merge(found, requests[name])
            else:
                self.accumulators[name] = found
        if other.rows is not None:
            self.rows = other.rows if self.rows is None else self.rows.merged(other.rows, keep)


@dataclass(frozen=True)
class ScanPlan:
    """What a scan is to do: what to request of each column, and how many rows of which columns to sample."""

    requests: Mapping[str, ColumnRequest]
    sampled: tuple[str, ...] = ()
    keep: int = 0


class OtherTypeError(Exception):
    """A value does not fit the type of its column, or the file is read the wrong way: ``better`` is how to read it."""

    def __init__(self, better: Unit) -> None:
        super().__init__(better)
        self.better = better


def scan(unit: Unit, plan: ScanPlan) -> Scan:
    """Scan one part of a table.

    Raises
    ------
    OtherTypeError
        If a text file must be read with other types, or in another way.
    InputError
        If it cannot be read.
    """
    names = list(dict.fromkeys([*plan.requests, *plan.sampled]))
    rng = np.random.default_rng([20219, *unit.key])
    result = Scan()
    for batch in batches(unit, names):
        found = Scan({name: accumulate(batch.column(name), request) for name, request in plan.requests.items()})
        if plan.sampled:
            keys = rng.random(batch.num_rows)
            kept = np.empty(0) if result.rows is None else result.rows.keys
            # Only keys below the largest that is kept so far can enter the sample.
            chosen = np.flatnonzero(keys < kept.max()) if len(kept) >= plan.keep else np.arange(len(keys))
            sampled = Rows(keys[chosen], batch.select(list(plan.sampled)).take(indices(chosen)))
            found.rows = sampled.pruned(plan.keep)
        result.merge(found, plan.requests, plan.keep)
    return result


def batches(unit: Unit, names: Sequence[str], rows: int | None = None) -> Iterator[Any]:
    """The columns ``names`` of one part as tables of at least so many ``rows``, a bounded number by default."""
    import pyarrow as pa

    rows = rows or int(min(_MOST_ROWS, max(_FEWEST_ROWS, BATCH_VALUES // max(1, len(names)))))
    waiting: list[Any] = []
    count = 0
    folders = dict(unit.source.partition)
    stored = [name for name in names if name not in folders] or [unit.source.names[0]]

    def read(batches: list[Any]) -> Any:
        table = with_partition(unit.source, names, pa.Table.from_batches(batches).select)
        return unit.meant(table)

    for batch in _raw(unit, stored, rows):
        waiting.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield read(waiting)
            waiting, count = [], 0
    if waiting:
        yield read(waiting)


def _raw(unit: Unit, names: Sequence[str], rows: int) -> Iterator[Any]:
    if unit.source.frame is not None:
        lists = dict(unit.source.lists)
        return iter(elements(unit.source.frame, names, lists).to_batches(rows))
    return _parquet(unit, names, rows) if unit.source.parquet else _text(unit, names)


def _parquet(unit: Unit, names: Sequence[str], rows: int) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, unit.types[name]) for name in names])
    try:
        # Of a row group of any size only some pages are in memory: a small buffer, and nothing ahead of need.
        buffer = _REMOTE_BUFFER if unit.source.address else _BUFFER
        with pq.ParquetFile(unit.source.opened(), buffer_size=buffer, pre_buffer=False) as file:
            lists = dict(unit.source.lists)
            for batch in file.iter_batches(rows, row_groups=unit.groups, columns=stored_names(names, lists)):
                if lists:
                    yield from elements(pa.Table.from_batches([batch]), names, lists).cast(schema).to_batches()
                    continue
                chosen = batch.select(list(names))
                yield chosen if chosen.schema.equals(schema) else chosen.cast(schema)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise bad_table(unit.source.label, error) from None


def _text(unit: Unit, names: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv as pc

    source = unit.source
    types = {name: unit.types[name] for name in names}
    try:
        with pc.open_csv(source.opened(), **csv_options(source, names, types, block=_BLOCK)) as reader:
            yield from (batch for batch in reader if batch.num_rows)
    except UnicodeDecodeError:
        raise OtherTypeError(replace(unit, source=replace(source, encoding="cp1252"))) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _promoted(unit, error) from None


def _promoted(unit: Unit, error: Exception) -> Exception:
    """How to read the table instead, or what is wrong with it."""
    text, source = str(error), unit.source
    if "invalid UTF8" in text and source.encoding == "utf8":
        return OtherTypeError(replace(unit, source=replace(source, encoding="cp1252")))
    column = _COLUMN.search(text)
    value = _VALUE.search(text)
    if column and value and int(column[1]) < len(source.names):
        name = source.names[int(column[1])]
        wider = _wider(unit.types[name], value[1], source)
        return OtherTypeError(replace(unit, types={**unit.types, name: wider}))
    if not source.quoted_lines and not isinstance(error, OSError):
        return OtherTypeError(replace(unit, source=replace(source, quoted_lines=True)))
    return bad_csv(source.label, text) if "CSV" in text else bad_table(source.label, error)


def _wider(kind: Any, value: str, source: Source) -> Any:
    """The next type, in Arrow's own order, that takes the value too."""
    import pyarrow as pa
    import pyarrow.csv as pc

    ladder = [
        pa.null(),
        pa.int64(),
        pa.bool_(),
        pa.date32(),
        pa.time32("s"),
        pa.timestamp("s"),
        pa.timestamp("ns"),
        pa.float64(),
    ]
    for wider in ladder[ladder.index(kind) + 1 :] if kind in ladder else []:
        options = pc.ConvertOptions(column_types={"v": wider}, decimal_point=source.decimal, null_values=list(MISSING))
        quoted = '"' + value.replace('"', '""') + '"\n'
        try:
            pc.read_csv(pa.BufferReader(b"v\n" + quoted.encode()), convert_options=options)
        except pa.ArrowInvalid:
            continue
        return wider
    return pa.string()


def types_of(source: Source, names: Sequence[str]) -> dict[str, Any]:
    """Types of the columns, from the schemas of Parquet files or the first lines of text."""
    import pyarrow as pa

    schemas = [_schema(part, names) for part in source.parts or (source,)]
    try:
        whole = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException:
        # A column of numbers in one file and of text in another is text.
        whole = pa.schema([(n, _one_type([s.field(n).type for s in schemas])) for n in names])
    return {name: whole.field(name).type for name in names}


def _one_type(kinds: Sequence[Any]) -> Any:
    import pyarrow as pa

    return kinds[0] if all(kind == kinds[0] for kind in kinds) else pa.string()


def _schema(source: Source, names: Sequence[str]) -> Any:
    import pyarrow as pa

    folders = dict(source.partition)
    if folders:
        stored = [name for name in names if name not in folders]
        fields = {field.name: field for field in _schema(replace(source, partition=()), stored)}
        return pa.schema([fields.get(name, pa.field(name, pa.string())) for name in names])
    if source.frame is not None:
        return element_schema(source.frame.schema, names, dict(source.lists))
    if source.parquet:
        import pyarrow.parquet as pq

        schema = pq.read_schema(source.opened())
        return element_schema(schema, names, dict(source.lists))
    import pyarrow.csv as pc

    try:
        with pc.open_csv(source.opened(), **csv_options(source, names, {}, block=_BLOCK)) as reader:
            return pa.schema([(n, _text_type(reader.schema.field(n).type)) for n in names])
    except UnicodeDecodeError:
        return _schema(replace(source, encoding="cp1252"), names)
    except (pa.ArrowException, OSError, ValueError) as error:
        if not source.quoted_lines and isinstance(error, pa.ArrowInvalid):
            return _schema(replace(source, quoted_lines=True), names)
        raise bad_csv(source.label, str(error)) from None


def _text_type(kind: Any) -> Any:
    import pyarrow as pa

    return pa.string() if pa.types.is_binary(kind) else kind
