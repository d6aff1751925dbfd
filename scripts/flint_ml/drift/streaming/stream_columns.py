"""Compare two tables of any size: they are scanned, not held.

The first scan counts the values of each column on a fixed grid, its categories and missing values, and draws a sample
of the rows. Between two grid values the distribution functions are bounded, so that only the values of a few intervals
can hold the largest distance, or a median: a second scan collects these. The numbers are those of a comparison in
memory. Scans of parts add up, wherever they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flint_ml.drift.arrow import is_text
from flint_ml.drift.frames import Frames, whole_frames
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.bands import find_spectra
from flint_ml.drift.statistics.distributions import Floats, Mask
from flint_ml.drift.statistics.ecdf_grid import Grid, new_grid
from flint_ml.drift.streaming.accumulator import ColumnRequest, numbers_in
from flint_ml.drift.streaming.scan import OtherTypeError, Scan, ScanPlan, Unit, scan
from flint_ml.drift.streaming.scan_units import ScanUnits
from flint_ml.drift.streaming.stream_compare import Column, mode_of, needed_intervals, pair_of, summarise_scanned
from flint_ml.drift.tables.columns import EXACT, Pair, family
from flint_ml.drift.tables.interpret import decided, plain_text, texts_in
from flint_ml.drift.tables.reading import Source, no_rows
from flint_ml.drift.tables.values import Texts
from flint_ml.drift.two_sample import NAMES, two_sample_test

Scanner = Callable[[Sequence[Unit], ScanPlan], Scan]

# Grid values of a column, and of all columns; values that one scan collects; rows that are sampled.
EDGES, _ALL_EDGES = 65_536, 4_000_000
COLLECTED = 12_000_000
_SAMPLED_VALUES, _FEWEST_SAMPLED, _MOST_SAMPLED = 4_000_000, 2_000, 100_000
_HEAD = 10_000
_ROUNDS = 10
_SAMPLED_TEXTS = 4_000
_RETRIES = 200


def scan_here(units: Sequence[Unit], plan: ScanPlan) -> Scan:
    """Scan the units one after another on this machine."""
    result = Scan()
    for unit in units:
        result.merge(scan(unit, plan), plan.requests, plan.keep)
    return result


def stream_pairs(
    sources: tuple[Source, Source],
    common: Sequence[str],
    places: Sequence[str],
    rules: DriftRules,
    scanner: Scanner = scan_here,
) -> tuple[list[Pair], Frames]:
    """Compare the columns ``common`` of two tables one by one, and sample rows for what needs whole rows.

    Raises
    ------
    InputError
        If a part cannot be read, or a rule requests for what a scan cannot give.
    """
    names = [*common, *places]
    tables = (ScanUnits(0, sources[0], names), ScanUnits(1, sources[1], names))
    for _ in range(_RETRIES):
        try:
            _read_texts(tables, [*common, *rules.coordinates], rules, scanner)
            _take_off(tables, common, rules)
            return _Comparison(tables, common, places, rules, scanner).run()
        except OtherTypeError as error:
            tables[error.better.key[0]].adopt(error.better)
    raise AssertionError("each mending widens a type or changes the encoding, of which there are few")


def _read_texts(tables: tuple[ScanUnits, ScanUnits], names: Sequence[str], rules: DriftRules, scanner: Scanner) -> None:
    """Decide what the texts of columns mean, from all of them; columns of plain text are told from a sample."""
    chosen: dict[str, None] = {}
    for table in tables:
        table.readings = {}
        texts = [name for name in dict.fromkeys(names) if is_text(table.types[name])]
        if not texts:
            continue
        sample, _ = table.look(texts, _SAMPLED_TEXTS)
        for name in texts:
            seen = texts_in(sample.column(name), rules.missing_in(name, table.side))
            if seen is not None and not plain_text(seen):
                chosen[name] = None
    if not chosen:
        return
    sides: list[dict[str, Texts | None]] = []
    for table in tables:
        requests = {
            name: ColumnRequest("texts", missing=tuple(rules.missing_in(name, table.side)))
            for name in chosen
            if is_text(table.types[name])
        }
        scanned = scanner(table.units(), ScanPlan(requests)) if requests else Scan()
        sides.append({name: scanned.accumulators[name].texts if name in requests else None for name in chosen})
    likely = (tables[0].decimal_seen, tables[1].decimal_seen)
    for name in chosen:
        reading = decided(name, (sides[0][name], sides[1][name]), rules, likely=likely)
        if reading is not None:
            tables[0].readings[name] = tables[1].readings[name] = reading


def _take_off(tables: tuple[ScanUnits, ScanUnits], names: Sequence[str], rules: DriftRules) -> None:
    """Whole numbers beyond 2⁵³ are counted less the smallest that a look at both tables finds, which floats hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = [
        name
        for name in names
        if rules.of(name).kind != "category" and all(pa.types.is_int64(table.types[name]) for table in tables)
    ]
    for table in tables:
        table.offsets = {}
    if not whole:
        return
    looks = [table.look(whole, _SAMPLED_TEXTS)[0] for table in tables]
    offsets = {}
    for name in whole:
        ends = [pc.min_max(look.column(name)).as_py() for look in looks]
        values = [value for end in ends for value in end.values() if value is not None]
        if values and max(map(abs, values)) >= EXACT and max(values) - min(values) < EXACT:
            offsets[name] = min(values)
    for table in tables:
        table.offsets = offsets


class _Comparison:
    """One try to compare two tables, with the types that their columns are taken for."""

    def __init__(
        self,
        tables: tuple[ScanUnits, ScanUnits],
        common: Sequence[str],
        places: Sequence[str],
        rules: DriftRules,
        scanner: Scanner,
    ) -> None:
        self.tables, self.rules, self.scanner = tables, rules, scanner
        self.places = list(places)
        self.columns = [self._column(name) for name in common]

    def _column(self, name: str) -> Column:
        kinds = (self.tables[0].kind_of(name), self.tables[1].kind_of(name))
        families = (family(kinds[0]), family(kinds[1]))
        wish = self.rules.of(name).kind
        modes = (mode_of(families, wish, 0), mode_of(families, wish, 1))
        test = self.rules.of(name).test
        distinct = two_sample_test(test if test in NAMES else NAMES[0]).distinct
        return Column(name, kinds, families, modes, distinct, self.tables[0].readings.get(name))

    def run(self) -> tuple[list[Pair], Frames]:
        edges = self._edges([c.name for c in self.columns if c.numeric])
        sampled, keep = self._sampled()
        requests = [
            {c.name: ColumnRequest(c.modes[side], edges.get(c.name), distinct=c.distinct) for c in self.columns}
            for side in (0, 1)
        ]
        scans = (
            self._scan(0, ScanPlan(requests[0], sampled, keep)),
            self._scan(1, ScanPlan(requests[1], sampled, keep)),
        )
        samples = (self._rows(scans[0], 0), self._rows(scans[1], 1))
        found = _Found(scans, samples, self.rules)
        pairs = [found.add(column, edges.get(column.name)) for column in self.columns]
        for _ in range(_ROUNDS):
            if not found.open:
                break
            self._refine(found)
        found.close()
        rows = found.rows
        complete = all(sample.num_rows == count for sample, count in zip(samples, rows, strict=True))
        text = "" if complete else f"{samples[0].num_rows:,} and {samples[1].num_rows:,}"
        return pairs, whole_frames(samples, self.rules, text, rows)

    def _rows(self, scan: Scan, side: int) -> Any:
        """The sampled rows of one table."""
        if scan.rows is None or not scan.rows.table.num_rows:
            raise no_rows(self.tables[side].label)
        return scan.rows.table

    def _scan(self, side: int, plan: ScanPlan) -> Scan:
        return self.scanner(self.tables[side].units(), plan)

    def _edges(self, names: Sequence[str]) -> dict[str, Floats]:
        """Grid values of each column of numbers: all values of a small table, or a sample of the reference's."""
        if not names:
            return {}
        most = max(256, min(EDGES, _ALL_EDGES // len(names)))
        new, whole = self.tables[1].look(names, most)
        if not whole or new.num_rows > 2 * most:
            new, _ = self.tables[0].look(names, most)
        found = {}
        for name in names:
            values = np.unique(numbers_in(new.column(name)))
            values = values[np.isfinite(values)]
            if len(values) > 2 * most:
                values = values[np.linspace(0, len(values) - 1, most).astype(np.intp)]
            reading = self.tables[0].readings.get(name)
            limits = [*(self.rules.of(name).range or ())]
            if reading is not None and reading.below is not None and np.isfinite(reading.below):
                limits.append(reading.below)
            found[name] = np.unique(np.concatenate([values, np.array(limits, dtype=float)]))
        return found

    def _sampled(self) -> tuple[tuple[str, ...], int]:
        """Which columns of how many rows are sampled."""
        rules, names = self.rules, [c.name for c in self.columns]
        numbers = [c.name for c in self.columns if c.numeric]
        whole = "multivariate" in rules.tests or rules.groups or rules.coordinates
        bands = find_spectra(numbers) if "spectra" in rules.tests else []
        single = [n for n in numbers if _needs_sample(rules.of(n).test) or _needs_sample(rules.numeric_test)]
        classes = [c.name for c in self.columns if not c.numeric]
        chosen = {*(names if whole else ()), *(n for b in bands for n in b.columns), *single, *classes, *numbers[:10]}
        columns = (*(name for name in names if name in chosen), *self.places)
        if not (whole or bands or single):
            return columns, _HEAD
        return columns, max(_FEWEST_SAMPLED, min(_MOST_SAMPLED, _SAMPLED_VALUES // len(columns)))

    def _refine(self, found: _Found) -> None:
        """Collect the values of the wanted intervals; where they are too many, take some of them as further edges."""
        share = COLLECTED // len(found.open)
        asked = {
            name: (grid.limits(mask), -(-int(grid.inside()[mask].sum()) // share) or 1)
            for name, (grid, mask) in found.open.items()
        }
        modes = {c.name: c.modes for c in self.columns}
        scans = [
            self._scan(
                side,
                ScanPlan(
                    {
                        name: ColumnRequest(modes[name][side], intervals=intervals, thin=thin)
                        for name, (intervals, thin) in asked.items()
                    }
                ),
            )
            for side in (0, 1)
        ]
        further: dict[str, Floats] = {}
        for name, (_, thin) in asked.items():
            values = [np.concatenate([np.empty(0), *scan.accumulators.pop(name).collected]) for scan in scans]
            grid, mask = found.open[name]
            if thin == 1:
                found.put(name, grid.with_values(mask, values))
            else:
                further[name] = np.unique(np.concatenate(values))
        if further:
            counted = [
                self._scan(side, ScanPlan({n: ColumnRequest(modes[n][side], edges) for n, edges in further.items()}))
                for side in (0, 1)
            ]
            for name, edges in further.items():
                one, two = (scan.accumulators[name].at_edges for scan in counted)
                found.put(name, found.open[name][0].refined(edges, (one[0], two[0]), (one[1], two[1])))


def _needs_sample(test: str | None) -> bool:
    return test in NAMES and two_sample_test(test).sampled


class _Found:
    """What is known of each column; ``open`` are the grids of those of which more values are wanted, and which."""

    def __init__(self, scans: tuple[Scan, Scan], samples: tuple[Any, Any], rules: DriftRules) -> None:
        self.scans, self.samples, self.rules = scans, samples, rules
        self.open: dict[str, tuple[Grid, Mask]] = {}
        self.pairs: dict[str, Pair] = {}
        counts = [next(iter(scan.accumulators.values())).rows for scan in scans]
        self.rows = (counts[0], counts[1])
        self.keep = max(256, min(4_096, 4_000_000 // (2 * len(scans[0].accumulators))))

    def add(self, column: Column, edges: Floats | None) -> Pair:
        """Decide what a column is, and what more is to be known of it."""
        name = column.name
        one, two = (scan.accumulators[name] for scan in self.scans)
        pair = self.pairs[name] = pair_of(column, (one, two), self.rules)
        if edges is not None and pair.kind in {"numeric", "identifier"} and not pair.labels and all(pair.present):
            grid = new_grid(edges, one.at_edges, two.at_edges, (one.numbers, two.numbers))
            one.below = one.upto = two.below = two.upto = None
            self.put(name, grid)
        return pair

    def put(self, name: str, grid: Grid) -> None:
        """Note a column's grid, or its facts once these are exact: a grid is large."""
        one, two = (scan.accumulators[name] for scan in self.scans)
        mask = needed_intervals(grid, self.pairs[name], (one.low, one.high), self.rules)
        self.open.pop(name, None)
        if mask.any():
            self.open[name] = (grid, mask)
        else:
            summarise_scanned(self.pairs[name], grid, (one, two), self.samples, rules=self.rules, keep=self.keep)

    def close(self) -> None:
        """Note the facts of columns that stayed open, with the bounds of D."""
        for name, (grid, _) in self.open.items():
            one, two = (scan.accumulators[name] for scan in self.scans)
            summarise_scanned(self.pairs[name], grid, (one, two), self.samples, rules=self.rules, keep=self.keep)
