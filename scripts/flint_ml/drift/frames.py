"""Read two tables column by column: what is needed of each column, and the rows that must stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flint_ml.drift.arrow import indices
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.bands import find_spectra
from flint_ml.drift.statistics.classifier import sample_rows
from flint_ml.drift.statistics.distributions import Codes
from flint_ml.drift.tables.column_summary import summarise
from flint_ml.drift.tables.columns import Pair, pair
from flint_ml.drift.tables.interpret import Limits, interpreted
from flint_ml.drift.tables.reading import Source, open_parquet, read_columns

# Up to so many values a table, all rows stay at hand.
_SMALL = 4_000_000
# Values of a batch of columns of both tables, and values that stay of all columns for figures.
_BATCH, _KEPT = 2_000_000, 4_000_000
_HEAD = 10_000


@dataclass(frozen=True)
class Frames:
    """Rows of both tables that outlive the comparison column by column, reference first.

    ``full`` holds all rows, of every column or of those that need them (bands of spectra, groups); ``some`` the rows
    for the classifier, which are the rows ``picked``; ``head`` the first rows of the reference, to look for groups.
    ``sample`` says so, in words, where ``full`` is itself a sample of the rows.
    """

    full: tuple[Any, Any]
    some: tuple[Any, Any]
    picked: tuple[Codes, Codes]
    head: Any
    rows: tuple[int, int]
    complete: bool = True
    sample: str = ""


def whole_frames(
    tables: tuple[Any, Any], rules: DriftRules, sample: str = "", rows: tuple[int, int] | None = None
) -> Frames:
    """Frames of two ``pyarrow.Table`` that stay at hand."""
    picked = tuple(sample_rows(table.num_rows, side) for side, table in enumerate(tables))
    some = tables
    if "multivariate" in rules.tests:
        some = (_rows(tables[0], picked[0]), _rows(tables[1], picked[1]))
    rows = rows or (tables[0].num_rows, tables[1].num_rows)
    head = tables[0].slice(0, _HEAD)
    return Frames(tables, some, (picked[0], picked[1]), head, rows, not sample, sample)


def _rows(table: Any, rows: Codes) -> Any:
    return table if len(rows) == table.num_rows else table.take(indices(rows))


class _Columns:
    """The columns of one table, read all at once or, from large Parquet files, a batch at a time."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self.source = source
        opened = open_parquet(source)
        count = sum(int(file.metadata.num_rows) for file in opened or ())
        # None: all is read at once.
        self.opened = opened if count * len(names) > _SMALL else None
        self.table = read_columns(source, names) if self.opened is None else None
        self.rows = count if self.table is None else int(self.table.num_rows)

    def take(self, names: Sequence[str]) -> Any:
        if self.table is None:
            return read_columns(self.source, names, self.opened)
        return self.table.select(list(names))

    def drop(self, names: Collection[str]) -> None:
        if self.table is not None:
            # Not drop_columns(), which makes a table for each column.
            self.table = self.table.select([n for n in self.table.column_names if n not in names])


def read_pairs(
    sources: tuple[Source, Source], common: Sequence[str], places: Sequence[str], rules: DriftRules
) -> tuple[list[Pair], Frames]:
    """Read the columns ``common`` and ``places`` of both tables, and compare the former one by one.

    Small tables stay at hand as they are. Of large ones only what later tests need does: every row of the columns that
    need all rows, 2,000 rows of the others.
    """
    readers = (_Columns(sources[0], [*common, *places]), _Columns(sources[1], [*common, *places]))
    rows = (readers[0].rows, readers[1].rows)
    likely = (sources[0].decimal_seen, sources[1].decimal_seen)
    if max(rows) * len(common) <= _SMALL or (max(rows) <= _HEAD and len(common) <= 500):
        tables = (readers[0].take([*common, *places]), readers[1].take([*common, *places]))
        pairs, tables = pairs_of(tables, common, rules, likely=likely)
        return pairs, whole_frames(tables, rules)
    stay = set(common) if rules.groups or rules.coordinates else _bands(common, rules)
    keep = max(256, min(16_384, _KEPT // (2 * len(common))))
    some = _Some(rows, rules)
    pairs = []
    full: list[dict[str, Any]] = [{}, {}]
    # Many columns at a time where rows are few: each time the table that is left is made anew.
    step = max(1, _BATCH // sum(rows))
    for start in range(0, len(common), step):
        names = common[start : start + step]
        tables, readings = interpreted((readers[0].take(names), readers[1].take(names)), names, rules, likely=likely)
        for name in names:
            columns = [table.column(name) for table in tables]
            pairs.append(summarise(pair(name, columns[0], columns[1], rules, readings.get(name)), rules, keep))
            some.add(pairs[-1], columns)
            for side in (0, 1):
                if name in stay:
                    full[side][name] = columns[side]
        for reader in readers:
            reader.drop(set(names))
    tables, _ = interpreted((readers[0].take(places), readers[1].take(places)), rules.coordinates, rules, likely=likely)
    for side, table in enumerate(tables):
        for name in places:
            full[side][name] = table.column(name)
    return pairs, some.frames((_table(full[0], rows[0]), _table(full[1], rows[1])))


def pairs_of(
    tables: tuple[Any, Any],
    names: Sequence[str],
    rules: DriftRules,
    limits: Mapping[str, Limits] | None = None,
    likely: tuple[str, str] = ("", ""),
) -> tuple[list[Pair], tuple[Any, Any]]:
    """The columns ``names`` of two tables in memory with their summaries, and the tables with their texts read."""
    placed = [name for name in rules.coordinates if name not in names and name in tables[0].column_names]
    tables, readings = interpreted(tables, [*names, *placed], rules, limits, likely)
    pairs = [
        summarise(pair(name, tables[0].column(name), tables[1].column(name), rules, readings.get(name)), rules)
        for name in names
    ]
    return pairs, tables


def _bands(names: Sequence[str], rules: DriftRules) -> set[str]:
    if "spectra" not in rules.tests:
        return set()
    return {name for spectrum in find_spectra(names) for name in spectrum.columns}


def _table(columns: dict[str, Any], rows: int) -> Any:
    import pyarrow as pa

    # A table without columns has no rows either; row numbers stand in.
    return pa.table(columns or {"row": pa.nulls(rows)})


class _Some:
    """Gathers the rows for the classifier and the first rows of the reference."""

    def __init__(self, rows: tuple[int, int], rules: DriftRules) -> None:
        self.rows = rows
        self.picked = (sample_rows(rows[0], 0), sample_rows(rows[1], 1))
        self.at = (indices(self.picked[0]), indices(self.picked[1]))
        self.first = indices(np.arange(min(_HEAD, rows[0])))
        self.wanted = "multivariate" in rules.tests
        self.columns: list[dict[str, Any]] = [{}, {}]
        self.head: dict[str, Any] = {}
        self.numeric = 0

    def add(self, column: Pair, values: Sequence[Any]) -> None:
        """Take what is needed of one column; copies, so that the column itself can be let go."""
        if self.wanted:
            for side in (0, 1):
                every = len(self.picked[side]) == self.rows[side]
                self.columns[side][column.name] = values[side] if every else values[side].take(self.at[side])
        self.numeric += column.kind == "numeric"
        if column.kind == "category" or (column.kind == "numeric" and self.numeric <= 10):
            self.head[column.name] = values[0].take(self.first)

    def frames(self, full: tuple[Any, Any]) -> Frames:
        some = (_table(self.columns[0], len(self.picked[0])), _table(self.columns[1], len(self.picked[1])))
        return Frames(full, some, self.picked, _table(self.head, 0), self.rows, complete=False)
