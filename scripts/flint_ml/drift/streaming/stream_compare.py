"""What a column is, which of its values matter, and its summary, from a scan: what ``columns`` does in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from flint_ml.drift.arrow import sorted_numbers
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.distributions import Floats, Mask
from flint_ml.drift.statistics.ecdf_grid import Grid
from flint_ml.drift.streaming.accumulator import MOST_CLASSES, Accumulator, Mode, counts_rows
from flint_ml.drift.tables.column_summary import test_of
from flint_ml.drift.tables.columns import FEW_VALUES, ColumnSummary, Pair, looks_like_identifier, reading_notes
from flint_ml.drift.tables.values import Reading
from flint_ml.drift.two_sample import two_sample_test
from flint_ml.drift.two_sample.base import ScannedNumbers

_SIDES = ("reference", "new data")


@dataclass(frozen=True)
class Column:
    """How a column of both tables is scanned, reference first."""

    name: str
    kinds: tuple[Any, Any]
    families: tuple[str, str]
    modes: tuple[Mode, Mode]
    distinct: int
    reading: Reading | None = None

    @property
    def numeric(self) -> bool:
        """Whether numbers are counted on both sides."""
        return all(mode in {"numbers", "both"} for mode in self.modes)


def mode_of(families: tuple[str, str], wish: str, side: int) -> Mode:
    """How the values of one side are read."""
    if "text" in families and (wish == "numeric" or "number" in families):
        if families[side] == "other" or families[1 - side] == "other":
            return "missing"
        return "both" if families[side] in {"text", "number"} else "numbers"
    seen = {family for family in families if family != "empty"}
    if seen == {"number"}:
        return "classes" if wish == "category" else "numbers"
    if seen == {"date"}:
        modes: dict[str, Mode] = {"numeric": "numbers", "category": "classes"}
        return modes.get(wish, "missing")
    return "missing" if not seen or "other" in seen else "classes"


def pair_of(column: Column, accumulators: tuple[Accumulator, Accumulator], rules: DriftRules) -> Pair:
    """Decide what a column is, as :func:`flint_ml.drift.tables.columns.pair` does from the values themselves."""
    result = _pair_of(column, accumulators, rules)
    result.reading = column.reading
    result.notes += reading_notes(column.name, column.reading)
    if column.reading is not None and column.reading.left_out:
        result.kind, result.why, result.labels = "text", column.reading.why, []
        result.reference = result.current = None
    return result


def _pair_of(column: Column, accumulators: tuple[Accumulator, Accumulator], rules: DriftRules) -> Pair:
    total = (accumulators[0].rows, accumulators[1].rows)
    result = Pair(column.name, "empty", (accumulators[0].missing, accumulators[1].missing), total)
    families = list(column.families)
    wish = rules.of(column.name).kind
    if "text" in families and (wish == "numeric" or "number" in families):
        for side in (0, 1):
            if families[side] == "text":
                families[side] = _text_or_numbers(result, accumulators[side], side, forced=wish == "numeric")
    seen = {family for family in families if family != "empty"}
    if not seen:
        result.missing = total
        return result
    if (seen == {"number"} and wish != "category") or (seen == {"date"} and wish == "numeric"):
        return _numeric(result, column, accumulators)
    if seen == {"date"} and wish == "auto":
        result.kind, result.why = "date", "a later batch has later dates; name a test for this column to compare them"
        return result
    if "other" in seen:
        result.kind, result.why = "text", "lists and structures are not compared"
        return result
    return _category(result, accumulators, seen, wish == "category")


def _text_or_numbers(result: Pair, accumulator: Accumulator, side: int, *, forced: bool) -> str:
    """Whether text is read as numbers, beside numbers on the other side."""
    there = accumulator.rows - accumulator.missing
    share = accumulator.numbers / there if there else 0.0
    name = result.name
    if not forced and share < 0.9:
        text = f"`{name}` holds numbers on one side and text in the {_SIDES[side]}; compared as categories"
        result.notes.append(("type-changed", text))
        return "text"
    lost = there - accumulator.numbers
    if lost:
        text = f"`{name}`: {lost} values of the {_SIDES[side]} are no numbers; counted as missing"
        result.notes.append(("mixed-type", text))
    return "number"


def _numeric(result: Pair, column: Column, accumulators: tuple[Accumulator, Accumulator]) -> Pair:
    result.missing = (accumulators[0].rows - accumulators[0].numbers, accumulators[1].rows - accumulators[1].numbers)
    result.kind, result.reference, result.current = "numeric", np.empty(0), np.empty(0)
    result.few = _few(accumulators)
    named = looks_like_identifier(column.name)
    if all(
        (counts_rows(t) and t.numbers > FEW_VALUES) or (named and t.ids is not None and t.numbers > 2)
        for t in accumulators
    ):
        result.kind, result.why = "identifier", "counts the rows"
    return result


def _few(accumulators: tuple[Accumulator, Accumulator]) -> bool:
    one, two = accumulators[0].values, accumulators[1].values
    if one is None or two is None or max(len(one), len(two)) > FEW_VALUES:
        return False
    both = len({*one, *two})
    return both <= FEW_VALUES and accumulators[0].numbers + accumulators[1].numbers >= 5 * both


def _category(result: Pair, accumulators: tuple[Accumulator, Accumulator], seen: set[str], forced: bool) -> Pair:
    one, two = accumulators[0].classes, accumulators[1].classes
    if one is None or two is None:
        # Single values as a rule make an identifier, as in memory; else there is nothing that a model could use.
        if min(side.once for side in accumulators) < 0:
            result.kind, result.why = "text", "lists, structures and bytes that are no text are not compared"
            return result
        nearly = accumulators[0].once > 0.5
        result.kind = "identifier" if nearly else "text"
        result.why = "nearly every value is different" if nearly else f"more than {MOST_CLASSES:,} different values"
        return result
    labels = sorted({*one, *two})
    result.labels = labels
    result.reference = np.array([one.get(label, 0) for label in labels], dtype=np.int64)
    result.current = np.array([two.get(label, 0) for label in labels], dtype=np.int64)
    result.kind = "boolean" if seen == {"boolean"} else "category"
    known = result.present[0]
    if not forced and known >= 20 and np.count_nonzero(result.reference) > 0.5 * known:
        result.kind, result.why = "identifier", "nearly every value is different"
    return result


def middle_ranks(size: int) -> tuple[int, int]:
    """Ranks of the two middle values."""
    return (size - 1) // 2, size // 2


def needed_intervals(grid: Grid, pair: Pair, limits: tuple[float, float], rules: DriftRules) -> Mask:
    """The intervals whose values are needed: for the test, medians, and what lies beyond the reference's range."""
    name = test_of(pair, rules)
    needed = np.zeros(len(grid.complete), dtype=bool)
    if name is not None:
        needed |= two_sample_test(name).open_intervals(grid)
    ranks = [(side, rank) for side in (0, 1) for rank in middle_ranks(grid.sizes[side])]
    intervals = [grid.interval_of_rank(side, rank) for side, rank in ranks]
    intervals += [grid.interval_of(limit) for limit in limits]
    for interval in intervals:
        if interval is not None:
            needed[interval] = True
    return needed & ~grid.complete


def summarise_scanned(
    column: Pair,
    grid: Grid,
    accumulators: tuple[Accumulator, Accumulator],
    samples: Sequence[Any],
    *,
    rules: DriftRules,
    keep: int,
) -> Pair:
    """Note the summary of a column that was scanned, from its grid; ``samples`` are sampled rows of both tables."""
    name = test_of(column, rules)
    result = None
    if name is not None:
        sampled = partial(_sampled_numbers, samples, column.name)
        tied = accumulators[0].tied or accumulators[1].tied
        counts = (accumulators[0].values, accumulators[1].values)
        result = two_sample_test(name).on_grid(ScannedNumbers(column.name, grid, counts, tied, sampled))
        if result.bound > 0:
            least = result.statistic
            text = f"{result.effect_name} of `{column.name}` lies between {least:.6g} and {least + result.bound:.6g}; "
            column.notes.append(("distance-bounded", text + "the smaller is shown"))
    medians = []
    for side in (0, 1):
        low, high = (grid.value_at(side, rank) for rank in middle_ranks(grid.sizes[side]))
        medians.append((low / 2 + high / 2, high))
    middle = (medians[0][1], medians[1][1])
    numbers = accumulators[1].numbers
    limits = (accumulators[0].low, accumulators[0].high)
    outside = grid.count_below(1, limits[0]) + numbers - grid.count_upto(1, limits[1])
    allowed = rules.of(column.name).range
    wrong = grid.count_below(1, allowed[0]) + numbers - grid.count_upto(1, allowed[1]) if allowed else 0
    column.summary = ColumnSummary(
        test=result,
        median=(medians[0][0], medians[1][0]),
        middle=middle,
        outside=outside,
        apart=grid.count_below(0, middle[1]) / grid.sizes[0],
        wrong=wrong,
        below=_below(column, grid),
    )
    column.reference, column.current = (
        np.clip(grid.spread(side, keep), accumulators[side].low, accumulators[side].high) for side in (0, 1)
    )
    for side, values in enumerate((column.reference, column.current)):
        values[0], values[-1] = accumulators[side].low, accumulators[side].high
    return column


def _below(column: Pair, grid: Grid) -> tuple[int, int] | None:
    limit = column.reading.below if column.reading else None
    if limit is None:
        return None
    return grid.count_below(0, limit), grid.count_below(1, limit)


def _sampled_numbers(samples: Sequence[Any], name: str) -> tuple[Floats, Floats]:
    return sorted_numbers(samples[0].column(name)), sorted_numbers(samples[1].column(name))
