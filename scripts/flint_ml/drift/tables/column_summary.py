"""What tests and report need of the numbers of a column, so that the numbers themselves can be dropped."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from flint_ml.drift.statistics.distributions import Codes, Floats
from flint_ml.drift.tables.columns import ColumnSummary, Pair, is_few_valued
from flint_ml.drift.two_sample import FOR_CLASSES, two_sample_test
from flint_ml.errors import InputError

if TYPE_CHECKING:
    from flint_ml.drift.rules import DriftRules


def test_of(column: Pair, rules: DriftRules) -> str | None:
    """The name of the test for the values of a column, or None."""
    wish = rules.of(column.name).test
    if wish == "none" or not all(column.present):
        return None
    holds_numbers = column.reference is not None and not column.labels
    if column.kind in {"category", "boolean"} or (column.kind == "identifier" and column.labels):
        if wish != "auto" and wish not in FOR_CLASSES:
            raise InputError(
                f"the test `{wish}` needs numbers, and `{column.name}` holds categories",
                where=f"columns.{column.name}",
                hint=f"use `{'`, `'.join(FOR_CLASSES)}`, or leave the test out",
                code="invalid-test",
            )
        if wish != "auto":
            return wish
        return rules.class_test if column.kind != "identifier" else None
    if not holds_numbers:
        return None
    if wish != "auto":
        return wish
    if column.kind != "numeric":
        return None
    chosen = rules.numeric_test
    for_many = chosen is None or two_sample_test(chosen).many_values
    return rules.class_test if for_many and rules.class_test and is_few_valued(column) else chosen


def summary_of(column: Pair, rules: DriftRules) -> ColumnSummary | None:
    """The summary of a column whose sorted values are in memory; None where it holds no numbers on both sides."""
    if column.summary is None:
        column.summary = _summary(column, rules)
    return column.summary


def _summary(column: Pair, rules: DriftRules) -> ColumnSummary | None:
    reference, current = column.reference, column.current
    if column.labels or reference is None or column.kind not in {"numeric", "identifier"}:
        return None
    if not (len(reference) and len(current)):
        return None
    test = test_of(column, rules)
    middle = (float(reference[len(reference) // 2]), float(current[len(current) // 2]))
    below = int(np.searchsorted(current, reference[0], side="left"))
    above = len(current) - int(np.searchsorted(current, reference[-1], side="right"))
    return ColumnSummary(
        test=None if test is None else two_sample_test(test).in_memory(reference, current),
        median=(median(reference), median(current)),
        middle=middle,
        outside=below + above,
        apart=float(np.searchsorted(reference, middle[1]) / len(reference)),
        wrong=_wrong(current, rules.of(column.name).range),
        below=_below(column, reference, current),
    )


def _wrong(ordered: Floats, allowed: tuple[float, float] | None) -> int:
    if allowed is None:
        return 0
    low, high = allowed
    return int(np.searchsorted(ordered, low, side="left")) + len(ordered) - int(np.searchsorted(ordered, high, "right"))


def _below(column: Pair, reference: Floats, current: Floats) -> tuple[int, int] | None:
    limit = column.reading.below if column.reading else None
    if limit is None:
        return None
    return int(np.searchsorted(reference, limit, "left")), int(np.searchsorted(current, limit, "left"))


def median(ordered: Floats) -> float:
    """Median of sorted values."""
    return float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)


def summarise(column: Pair, rules: DriftRules, keep: int | None = None) -> Pair:
    """Note the summary of a column; where it has more than ``keep`` values, keep so many of them, evenly by rank.

    The smallest and the largest value are always kept. What is kept serves figures, not tests.
    """
    if summary_of(column, rules) is None or keep is None:
        return column
    column.few = is_few_valued(column)
    column.reference, column.current = _thinned(column.reference, keep), _thinned(column.current, keep)
    return column


def _thinned(ordered: Floats, keep: int) -> Floats:
    if len(ordered) <= keep:
        # A copy: the values may be a view of a table that is dropped.
        return ordered.copy()
    return ordered[_even(len(ordered), keep)]


@lru_cache(maxsize=8)
def _even(count: int, keep: int) -> Codes:
    return np.linspace(0, count - 1, keep).round().astype(np.intp)
