"""What a column is, and which of its values matter, from tallies: the counterpart of ``columns.pair`` for scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.ecdf_grid import Grid, Mask
from flint_ml.drift.streaming.accumulator import MOST_CLASSES, Mode, Tally, counts_rows
from flint_ml.drift.tables.column_summary import decile_ranks, test_of
from flint_ml.drift.tables.columns import FEW_VALUES, Pair, looks_like_identifier

_SIDES = ("reference", "new data")


@dataclass(frozen=True)
class Column:
    """How a column of both tables is scanned, reference first."""

    name: str
    kinds: tuple[Any, Any]
    families: tuple[str, str]
    modes: tuple[Mode, Mode]
    distinct: int

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


def pair_of(column: Column, tallies: tuple[Tally, Tally], rules: Rules) -> Pair:
    """Decide what a column is, as :func:`flint_ml.drift.tables.columns.pair` does from the values themselves."""
    total = (tallies[0].rows, tallies[1].rows)
    result = Pair(column.name, "empty", (tallies[0].missing, tallies[1].missing), total)
    families = list(column.families)
    wish = rules.of(column.name).kind
    if "text" in families and (wish == "numeric" or "number" in families):
        for side in (0, 1):
            if families[side] == "text":
                families[side] = _text_or_numbers(result, tallies[side], side, forced=wish == "numeric")
    seen = {family for family in families if family != "empty"}
    if not seen:
        result.missing = total
        return result
    if (seen == {"number"} and wish != "category") or (seen == {"date"} and wish == "numeric"):
        return _numeric(result, column, tallies)
    if seen == {"date"} and wish == "auto":
        result.kind, result.why = "date", "a later batch has later dates; name a test for this column to compare them"
        return result
    if "other" in seen:
        result.kind, result.why = "text", "lists and structures are not compared"
        return result
    return _category(result, tallies, seen, wish == "category")


def _text_or_numbers(result: Pair, tally: Tally, side: int, *, forced: bool) -> str:
    """Whether text is read as numbers, beside numbers on the other side."""
    there = tally.rows - tally.missing
    share = tally.numbers / there if there else 0.0
    name = result.name
    if not forced and share < 0.9:
        text = f"`{name}` holds numbers on one side and text in the {_SIDES[side]}; compared as categories"
        result.notes.append(("type-changed", text))
        return "text"
    lost = there - tally.numbers
    if lost:
        text = f"`{name}`: {lost} values of the {_SIDES[side]} are no numbers; counted as missing"
        result.notes.append(("mixed-type", text))
    return "number"


def _numeric(result: Pair, column: Column, tallies: tuple[Tally, Tally]) -> Pair:
    result.missing = (tallies[0].rows - tallies[0].numbers, tallies[1].rows - tallies[1].numbers)
    result.kind, result.reference, result.current = "numeric", np.empty(0), np.empty(0)
    result.few = _few(tallies)
    named = looks_like_identifier(column.name)
    if all(
        (counts_rows(t) and t.numbers > FEW_VALUES) or (named and t.ids is not None and t.numbers > 2) for t in tallies
    ):
        result.kind, result.why = "identifier", "counts the rows"
    return result


def _few(tallies: tuple[Tally, Tally]) -> bool:
    one, two = tallies[0].values, tallies[1].values
    if one is None or two is None or max(len(one), len(two)) > FEW_VALUES:
        return False
    both = len({*one, *two})
    return both <= FEW_VALUES and tallies[0].numbers + tallies[1].numbers >= 5 * both


def _category(result: Pair, tallies: tuple[Tally, Tally], seen: set[str], forced: bool) -> Pair:
    one, two = tallies[0].classes, tallies[1].classes
    if one is None or two is None:
        # Single values as a rule make an identifier, as in memory; else there is nothing that a model could use.
        nearly = tallies[0].once > 0.5
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


def wanted_intervals(grid: Grid, pair: Pair, limits: tuple[float, float], rules: Rules) -> Mask:
    """The intervals whose values are needed: for D, medians, deciles, and what lies beyond the reference's range."""
    wanted = np.zeros(len(grid.complete), dtype=bool)
    test = test_of(pair, rules)
    if test == "ks":
        wanted |= grid.distance()[2]
    ranks = [(side, rank) for side in (0, 1) for rank in middle_ranks(grid.sizes[side])]
    if test == "psi":
        ranks += [(0, rank) for rank in decile_ranks(grid.sizes[0])]
    places = [grid.interval_of_rank(side, rank) for side, rank in ranks]
    places += [grid.interval_of(limit) for limit in limits]
    for place in places:
        if place is not None:
            wanted[place] = True
    return wanted & ~grid.complete
