"""What the tests and the report need of the numbers of a column, so that the numbers themselves can be let go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.cluster_permutation import Codes
from flint_ml.drift.statistics.distributions import Floats
from flint_ml.drift.statistics.ecdf_grid import Grid
from flint_ml.drift.statistics.two_sample_tests import Test, chi_squared, ks_distance, psi, psi_of, wasserstein
from flint_ml.drift.streaming.accumulator import Tally
from flint_ml.drift.tables.columns import Pair, as_classes, is_few_valued, sorted_numbers
from flint_ml.errors import InputError


@dataclass(frozen=True)
class Facts:
    """Exact facts about one column of numbers; pairs are of reference and new data.

    ``test`` is its result where another test than KS was made, ``distance`` the KS distance where that was.
    ``middle`` are the values of rank n // 2, ``outside`` is how many new values lie beyond the reference's range,
    ``apart`` the share of the reference below the new middle, ``wrong`` how many new values break the given range.
    """

    test: Test | None
    distance: float | None
    tied: bool
    median: tuple[float, float]
    middle: tuple[float, float]
    outside: int
    apart: float
    wrong: int = 0


def test_of(column: Pair, rules: Rules) -> str | None:
    """The name of the test for the values of a column, or None."""
    wish = rules.of(column.name).test
    if wish == "none" or not all(column.present):
        return None
    holds_numbers = column.reference is not None and not column.labels
    if column.kind in {"category", "boolean"} or (column.kind == "identifier" and column.labels):
        if wish not in {"auto", "chi2"}:
            raise InputError(
                f"the test `{wish}` needs numbers, and `{column.name}` holds categories",
                where=f"columns.{column.name}",
                hint="use `chi2`, or leave the test out",
                code="invalid-test",
            )
        allowed = "chi2" in rules.tests and column.kind != "identifier"
        return "chi2" if wish == "chi2" or allowed else None
    if not holds_numbers:
        return None
    if wish != "auto":
        return wish
    if column.kind != "numeric":
        return None
    if rules.numeric_test in {None, "ks"} and "chi2" in rules.tests and is_few_valued(column):
        return "chi2"
    return rules.numeric_test


def facts_of(column: Pair, rules: Rules) -> Facts | None:
    """The facts of a column whose sorted values are at hand; None where it holds no numbers on both sides."""
    if column.facts is None:
        column.facts = _look(column, rules)
    return column.facts


def _look(column: Pair, rules: Rules) -> Facts | None:
    one, two = column.reference, column.current
    if column.labels or one is None or column.kind not in {"numeric", "identifier"} or not (len(one) and len(two)):
        return None
    test = test_of(column, rules)
    middle = (float(one[len(one) // 2]), float(two[len(two) // 2]))
    below = int(np.searchsorted(two, one[0], side="left"))
    above = len(two) - int(np.searchsorted(two, one[-1], side="right"))
    return Facts(
        test=_run(test, column) if test not in {None, "ks"} else None,
        distance=ks_distance(one, two) if test == "ks" else None,
        tied=test == "ks" and (_tied(one) or _tied(two)),
        median=(median(one), median(two)),
        middle=middle,
        outside=below + above,
        apart=float(np.searchsorted(one, middle[1]) / len(one)),
        wrong=_wrong(two, rules.of(column.name).range),
    )


def _run(test: str | None, column: Pair) -> Test:
    if test == "chi2":
        classes = as_classes(column)
        return chi_squared(classes.reference, classes.current)
    runners: dict[str | None, Callable[..., Test]] = {"wasserstein": wasserstein, "psi": psi}
    return runners[test](column.reference, column.current)


def _tied(ordered: Floats) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())


def _wrong(ordered: Floats, allowed: tuple[float, float] | None) -> int:
    if allowed is None:
        return 0
    low, high = allowed
    return int(np.searchsorted(ordered, low, side="left")) + len(ordered) - int(np.searchsorted(ordered, high, "right"))


def median(ordered: Floats) -> float:
    """Median of sorted values."""
    return float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)


def settle(column: Pair, rules: Rules, keep: int | None = None) -> Pair:
    """Note the facts of a column; where it has more than ``keep`` values, keep so many of them, evenly by rank.

    The smallest and the largest value are always kept. What is kept serves figures, not tests.
    """
    if facts_of(column, rules) is None or keep is None:
        return column
    column.few = is_few_valued(column)
    column.reference, column.current = _thinned(column.reference, keep), _thinned(column.current, keep)
    return column


def settle_streamed(
    column: Pair, grid: Grid, tallies: tuple[Tally, Tally], samples: Sequence[Any], *, rules: Rules, keep: int
) -> Pair:
    """Note the facts of a column that was scanned, from its grid; ``samples`` are sampled rows of both tables."""
    test = test_of(column, rules)
    two = tallies[1]
    least, most, _ = grid.distance()
    if test == "ks" and most > least:
        text = f"D of `{column.name}` lies between {least:.6g} and {most:.6g}; the smaller is shown"
        column.notes.append(("distance-bounded", text))
    medians = []
    for side in (0, 1):
        low, high = (grid.value_at(side, rank) for rank in ((grid.sizes[side] - 1) // 2, grid.sizes[side] // 2))
        medians.append((low / 2 + high / 2, high))
    middle = (medians[0][1], medians[1][1])
    limits = (tallies[0].low, tallies[0].high)
    outside = grid.count_below(1, limits[0]) + two.numbers - grid.count_upto(1, limits[1])
    allowed = rules.of(column.name).range
    wrong = grid.count_below(1, allowed[0]) + two.numbers - grid.count_upto(1, allowed[1]) if allowed else 0
    column.facts = Facts(
        test=_streamed_test(test, column, grid, tallies, samples),
        distance=least if test == "ks" else None,
        tied=test == "ks" and (tallies[0].tied or two.tied),
        median=(medians[0][0], medians[1][0]),
        middle=middle,
        outside=outside,
        apart=grid.count_below(0, middle[1]) / grid.sizes[0],
        wrong=wrong,
    )
    column.reference, column.current = (
        np.clip(grid.spread(side, keep), tallies[side].low, tallies[side].high) for side in (0, 1)
    )
    for side, values in enumerate((column.reference, column.current)):
        values[0], values[-1] = tallies[side].low, tallies[side].high
    return column


def _streamed_test(
    test: str | None, column: Pair, grid: Grid, tallies: tuple[Tally, Tally], samples: Sequence[Any]
) -> Test | None:
    """The result of another test than KS, exactly, or of Wasserstein's on the sample."""
    if test == "chi2":
        one, two = tallies[0].values, tallies[1].values
        if one is None or two is None:
            raise InputError(
                f"`{column.name}` has too many different numbers for `chi2` in a scan",
                where=f"columns.{column.name}",
                hint="name `ks` as its test, or set `engine: memory`",
                code="invalid-test",
            )
        values = sorted({*one, *two})
        counts = [np.array([side.get(v, 0) for v in values], dtype=np.int64) for side in (one, two)]
        return chi_squared(counts[0], counts[1])
    if test == "psi":
        edges = np.unique([grid.value_at(0, rank) for rank in decile_ranks(grid.sizes[0])])
        upto = [[grid.count_upto(side, float(edge)) for edge in edges] for side in (0, 1)]
        tables = [np.diff([0, *upto[side], grid.sizes[side]]) for side in (0, 1)]
        return psi_of(tables[0], tables[1])
    if test == "wasserstein":
        values_of = [sorted_numbers(sample.column(column.name)) for sample in samples]
        result = wasserstein(values_of[0], values_of[1])
        if sum(len(v) for v in values_of) < sum(grid.sizes):
            return replace(result, note=f"on a sample of {len(values_of[0]):,} and {len(values_of[1]):,} values")
        return result
    return None


def decile_ranks(size: int) -> list[int]:
    """Ranks of the lower deciles of a sample, as ``numpy.quantile`` takes them."""
    return [int(rank) for rank in np.floor((size - 1) * np.linspace(0.1, 0.9, 9))]


def _thinned(ordered: Floats, keep: int) -> Floats:
    if len(ordered) <= keep:
        # A copy: the values may be a view of a table that is let go.
        return ordered.copy()
    return ordered[_even(len(ordered), keep)]


@lru_cache(maxsize=8)
def _even(count: int, keep: int) -> Codes:
    return np.linspace(0, count - 1, keep).round().astype(np.intp)
