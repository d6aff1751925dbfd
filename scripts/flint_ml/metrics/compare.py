"""The verdict, as two pure functions: one metric against its base, and all metrics together.

One metric (:func:`judge`), the first line that fits:

======================================================================  ==================
the metric                                                              result
======================================================================  ==================
is not in the base                                                      ``new``
is not in this change                                                   ``gone``
is no number (null, NaN) here and was one                               ``worse`` (without direction ``changed``)
is no number on either side, or was none in the base                    ``new``
is declared under ``expected``, has no direction, and is as declared    ``as declared``
is declared, has no direction, and is not as declared                   ``changed``
has an interval: wholly within the tolerance                            ``same``
differs by interval and corrected p-value, by more than the tolerance   ``better``, ``worse``, ``changed``
has an interval: anything else                                          ``inconclusive``
differs by no more than the tolerance                                   ``same``
differs by more                                                         ``better``, ``worse``, ``changed``
======================================================================  ==================

All metrics (:func:`overall`), the first line that fits; metrics of weight 0 are shown and decide nothing:

==  =================================================================================  ==================
1   a required threshold is missed                                                     ``worse``
2   a metric is gone whose rule does not allow it (by default: any with a direction)   ``worse``
3   there is no base, or no metric is in both                                          ``no-baseline``
4   the benchmark is not the same on both sides                                        ``inconclusive``
5   a metric that must not regress is worse                                            ``worse``
6   a metric is worse and no better one is heavier                                     ``worse``
7   a metric without direction changed and was not declared                            ``changed``
8   a metric that must not regress is inconclusive                                     ``inconclusive``
9   a metric is better                                                                 ``better``
10  a metric is inconclusive                                                           ``inconclusive``
11  everything else: all the same, or as declared                                      ``same``
==  =================================================================================  ==================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from flint_ml.metrics.read import Reading
from flint_ml.metrics.rules import Amount, Applied
from flint_ml.record import Metric, Status

Result = Literal["better", "same", "worse", "inconclusive", "changed", "as declared", "new", "gone"]
Verdict = Literal["better", "same", "worse", "inconclusive", "changed", "no-baseline"]

STATUS: dict[Verdict, Status] = {
    "better": "passed",
    "same": "passed",
    "inconclusive": "warned",
    "changed": "warned",
    "no-baseline": "warned",
    "worse": "failed",
}


@dataclass(frozen=True)
class Interval:
    """A confidence interval of this change − base, in the metric's unit.

    Attributes
    ----------
    low, high
        The ends, at ``level``.
    total
        The interval of the sum of both sides; only for metrics whose best value is zero. The sizes of two biases
        differ exactly where difference and sum both differ from zero.
    p_value, p_adjusted
        Permutation p-value of no change, and corrected for several metrics.
    error, units
        Standard error of the change, and the number of samples or blocks behind it.
    """

    low: float
    high: float
    level: float = 0.95
    total: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    error: float | None = None
    units: int | None = None

    @property
    def _ends(self) -> list[tuple[float, float]]:
        return [(self.low, self.high)] + ([self.total] if self.total else [])

    def within(self, margin: float) -> bool:
        """Whether the change is surely no larger than ``margin``."""
        return any(-margin <= low and high <= margin for low, high in self._ends)

    def differs(self) -> bool:
        """Whether the two sides surely differ: by the interval, and by the p-value corrected for several metrics."""
        chance = self.p_adjusted is not None and self.p_adjusted >= 1 - self.level
        return not chance and all(low > 0 or high < 0 for low, high in self._ends)


@dataclass(frozen=True)
class Declared:
    """What a change is said to do to a metric: from ``low`` to ``high``, both as changes against the base."""

    low: Amount
    high: Amount

    def holds(self, base: float, change: float) -> bool:
        """Whether ``change`` (this change − base) lies inside; a rounding error at the ends is forgiven."""
        ends = sorted((self.low.of(base), self.high.of(base)))
        slack = 1e-9 * max(abs(base), abs(change))
        return ends[0] - slack <= change <= ends[1] + slack

    def __str__(self) -> str:
        return f"{_signed(self.low)} … {_signed(self.high)}"


def _signed(amount: Amount) -> str:
    return f"{'+' if amount.value >= 0 else ''}{amount}".replace("-", "−")


@dataclass(frozen=True)
class Row:
    """One metric judged. ``delta`` is this change − base; ``note`` says what a reader should know."""

    name: str
    rule: Applied
    base: float | None
    head: float | None
    result: Result
    delta: float | None = None
    note: str | None = None
    interval: Interval | None = None
    declared: Declared | None = None
    path: str = ""

    @property
    def relative(self) -> float | None:
        """``delta`` as a share of the base's size; None where the base is zero."""
        if self.delta is None or not self.base:
            return None
        return self.delta / abs(self.base)

    @property
    def missed(self) -> bool:
        """Whether the required threshold is missed."""
        limit = self.rule.threshold
        if limit is None:
            return False
        if self.head is None:
            return True
        if self.rule.direction == "higher":
            return self.head < limit
        return (abs(self.head) if self.rule.direction == "zero" else self.head) > limit

    def as_metric(self) -> Metric:
        """For the record's metrics."""
        direction = None if self.rule.direction == "none" else self.rule.direction
        return Metric(value=self.head, unit=self.rule.unit, base=self.base, direction=direction, note=self.note)

    def as_dict(self) -> dict[str, Any]:
        """For the record's details."""
        rule = self.rule
        return {
            "name": self.name,
            "path": self.path,
            "label": rule.label,
            "unit": rule.unit,
            "direction": rule.direction,
            "direction_from": rule.source,
            "base": self.base,
            "head": self.head,
            "delta": self.delta,
            "relative": self.relative,
            "result": self.result,
            "note": self.note,
            "weight": rule.weight,
            "tolerance": [str(amount) for amount in rule.tolerance],
            "threshold": rule.threshold,
            "missed": self.missed,
            "must_not_regress": rule.must_not_regress,
            "declared": str(self.declared) if self.declared else None,
            "interval": asdict(self.interval) if self.interval else None,
        }


def loss(value: float, rule: Applied) -> float:
    """``value`` on a scale where lower is better (undirected metrics as they are)."""
    return -value if rule.direction == "higher" else abs(value) if rule.direction == "zero" else value


def judge(
    name: str,
    base: Reading | None,
    head: Reading | None,
    rule: Applied,
    *,
    declared: Declared | None = None,
    interval: Interval | None = None,
    path: str = "",
) -> Row:
    """Compare one metric with its base (see the table above). None: the metric is not there."""
    one = base.value if base else None
    two = head.value if head else None
    delta = two - one if one is not None and two is not None else None

    def row(result: Result, note: str | None = None) -> Row:
        return Row(name, rule, one, two, result, delta, note, interval, declared, path)

    if head is None:
        return row("gone", "is in the base and not in this change")
    if base is None:
        return row("new", head.note and f"{head.note} in this change")
    if two is None and one is not None:
        return row("changed" if rule.direction == "none" else "worse", f"{head.note or 'is no number'} in this change")
    if one is None or two is None or delta is None:
        return row("new", f"{base.note or 'is no number'} in the base")
    if declared is not None and rule.direction == "none":
        holds = declared.holds(one, delta)
        return row("as declared" if holds else "changed", f"declared {declared}" if not holds else None)
    return row(_by_interval(interval, rule, one, two) if interval else _by_difference(one, two, rule))


def _by_difference(base: float, head: float, rule: Applied) -> Result:
    margin = rule.margin(base)
    if abs(head - base) <= margin:
        return "same"
    if rule.direction == "none":
        return "changed"
    worse_by = loss(head, rule) - loss(base, rule)
    if abs(worse_by) <= margin:
        return "same"
    return "worse" if worse_by > 0 else "better"


def _by_interval(interval: Interval, rule: Applied, base: float, head: float) -> Result:
    """A change counts when it is no chance and larger than the tolerance; it is the same when it surely is not."""
    if interval.within(rule.margin(base)):
        return "same"
    by_size = _by_difference(base, head, rule)
    return by_size if by_size != "same" and interval.differs() else "inconclusive"


def importance(row: Row) -> tuple[float, float, int, int]:
    """Sort key: the rule's order, then weight, then what must not regress, then the field's habit."""
    order = float("inf") if row.rule.order is None else row.rule.order
    return order, -row.rule.weight, 0 if row.rule.must_not_regress else 1, row.rule.rank


@dataclass(frozen=True)
class Overall:
    """The verdict, why, and the metric it rests on (None where it rests on none)."""

    verdict: Verdict
    reason: str
    row: Row | None = None


def overall(rows: Sequence[Row], *, has_base: bool, benchmark_same: bool | None = None) -> Overall:
    """All metrics together (see the table above). ``benchmark_same`` is None where no benchmark is known."""
    counted = sorted((row for row in rows if row.rule.weight > 0), key=importance)

    def first(*results: Result, strict: bool = False) -> Row | None:
        return next((r for r in counted if r.result in results and (r.rule.must_not_regress or not strict)), None)

    missed = next((row for row in counted if row.missed), None)
    if missed:
        return Overall("worse", f"{missed.rule.label} misses what the rules require", missed)
    gone = next((row for row in counted if row.result == "gone" and row.rule.missing == "fail"), None)
    if has_base and gone:
        return Overall("worse", f"{gone.rule.label} is missing in this change", gone)
    if not has_base or all(row.result in {"new", "gone"} for row in counted):
        return Overall("no-baseline", "there is nothing to compare with", counted[0] if counted else None)
    if benchmark_same is False:
        return Overall("inconclusive", "the benchmark is not the same on both sides")
    worse = first("worse", strict=True) or _not_outweighed(counted)
    if worse:
        return Overall("worse", f"{worse.rule.label} is worse", worse)
    changed = first("changed")
    if changed:
        return Overall("changed", f"{changed.rule.label} changed", changed)
    open_ = first("inconclusive", strict=True)
    if open_:
        return Overall("inconclusive", f"{open_.rule.label} must not regress, and may have", open_)
    better = first("better")
    if better:
        return Overall("better", f"{better.rule.label} is better", better)
    unclear = first("inconclusive")
    if unclear:
        return Overall("inconclusive", f"the change of {unclear.rule.label} may be chance", unclear)
    declared = first("as declared")
    if declared:
        return Overall("same", "every change is as declared", declared)
    return Overall("same", "no metric changed beyond its tolerance", first("same"))


def _not_outweighed(counted: Sequence[Row]) -> Row | None:
    """The most important worse metric, unless a better one is heavier than it."""
    best = max((row.rule.weight for row in counted if row.result == "better"), default=0.0)
    return next((row for row in counted if row.result == "worse" and row.rule.weight >= best), None)
