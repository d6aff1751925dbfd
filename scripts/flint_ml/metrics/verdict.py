"""The verdict: one metric against its base, and all metrics together.

One metric (:func:`judge`), the first line that fits:

======================================================================  ==================
the metric                                                              result
======================================================================  ==================
is not in the base                                                      ``new``
is not in this change                                                   ``gone``
is not a number (null, NaN) here and was one                           ``worse`` (without direction ``changed``)
is not a number on either side, or was none in the base                ``new``
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
5   metrics are compared, and none decides (training, durations)                       ``inconclusive``
6   a metric that must not regress is worse                                            ``worse``
7   a metric is worse and no better one is heavier                                     ``worse``
8   a metric without direction changed and was not declared                            ``changed``
9   a metric that must not regress is inconclusive                                     ``inconclusive``
10  a metric is better                                                                 ``better``
11  a metric is inconclusive                                                           ``inconclusive``
12  everything else: all the same, or as declared                                      ``same``
==  =================================================================================  ==================
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

from flint_ml.metrics.catalogue import Direction
from flint_ml.metrics.expected import Declared, declaration_of
from flint_ml.metrics.intervals import repeats
from flint_ml.metrics.intervals.bootstrap import Estimate, IntervalSettings
from flint_ml.metrics.intervals.interval import Interval, needed
from flint_ml.metrics.intervals.repeats import Spread
from flint_ml.metrics.intervals.significance import Answers, Question, answer
from flint_ml.metrics.names import beside, meaning
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.read import MetricsFile, Reading
from flint_ml.metrics.rules import Applied, Missing, Rule, resolve
from flint_ml.metrics.sources import public_names
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
        if self.delta is None or not self.base or not math.isfinite(self.delta):
            return None
        return self.delta / abs(self.base)

    @property
    def negligible(self) -> bool:
        """Whether both sides are the same but for rounding errors."""
        return self.delta is not None and abs(self.delta) <= self.rule.rounding(self.base or 0.0, self.head)

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
            "split": rule.split or None,
            "read_as": rule.why,
            "base": self.base,
            "head": self.head,
            "delta": self.delta if self.delta is None or math.isfinite(self.delta) else None,
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
    before = base.value if base else None
    after = head.value if head else None
    delta = after - before if before is not None and after is not None else None

    def row(result: Result, note: str | None = None) -> Row:
        return Row(name, rule, before, after, result, delta, note, interval, declared, path)

    if head is None:
        return row("gone", "is in the base and not in this change")
    if base is None:
        return row("new", head.note and f"{head.note} in this change")
    if after is None and before is not None:
        result: Result = "changed" if rule.direction == "none" else "worse"
        return row(result, f"{head.note or 'is not a number'} in this change")
    if before is None or after is None or delta is None:
        return row("new", f"{base.note or 'is not a number'} in the base")
    if declared is not None and rule.direction == "none":
        holds = declared.holds(before, delta)
        return row("as declared" if holds else "changed", f"declared {declared}" if not holds else None)
    if interval is None:
        return row(_by_difference(before, after, rule))
    return row(_by_interval(interval, rule, before, after))


def _by_difference(base: float, head: float, rule: Applied) -> Result:
    margin = rule.margin(base, head)
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


def importance(rule: Applied) -> tuple[float, float, int, int]:
    """Sort key: the rule's order, then weight, then what must not regress, then the field's habit."""
    order = float("inf") if rule.order is None else rule.order
    return order, -rule.weight, 0 if rule.must_not_regress else 1, rule.rank


@dataclass(frozen=True)
class Overall:
    """The verdict, why, and the metric it rests on (None where it rests on none)."""

    verdict: Verdict
    reason: str
    row: Row | None = None


def overall(rows: Sequence[Row], *, has_base: bool, benchmark_same: bool | None = None) -> Overall:
    """All metrics together (see the table above). ``benchmark_same`` is None where no benchmark is known."""
    counted = sorted((row for row in rows if row.rule.weight > 0), key=lambda row: importance(row.rule))

    def first(*results: Result, strict: bool = False) -> Row | None:
        return next((r for r in counted if r.result in results and (r.rule.must_not_regress or not strict)), None)

    missed = next((row for row in counted if row.missed), None)
    if missed:
        return Overall("worse", f"{missed.rule.label} misses what the rules require", missed)
    gone = next((row for row in counted if row.result == "gone" and row.rule.missing == "fail"), None)
    if has_base and gone:
        return Overall("worse", f"{gone.rule.label} is missing in this change", gone)
    if has_base and not counted and any(row.delta is not None for row in rows):
        return Overall("inconclusive", _undecided(rows))
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
    undecided = first("inconclusive", strict=True)
    if undecided:
        return Overall("inconclusive", f"{undecided.rule.label} must not regress, and may have", undecided)
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


def _undecided(rows: Sequence[Row]) -> str:
    """Why no metric decides."""
    training = [row.rule.label for row in rows if row.rule.split == "train"]
    if training:
        return f"only training is measured ({', '.join(training[:3])}), which decides nothing"
    return f"no metric decides: {', '.join(row.rule.label for row in rows[:5])}"


def _not_outweighed(counted: Sequence[Row]) -> Row | None:
    """The most important worse metric, unless a better one is heavier than it."""
    best = max((row.rule.weight for row in counted if row.result == "better"), default=0.0)
    return next((row for row in counted if row.result == "worse" and row.rule.weight >= best), None)


@dataclass(frozen=True)
class Evidence:
    """What is known beside the two values of each metric.

    Attributes
    ----------
    settings
        How intervals are made.
    pairs
        Predictions of both sides for the same samples.
    own
        Estimates of the user's own functions, by name.
    others
        Metrics of further runs of this change with other seeds.
    """

    settings: IntervalSettings
    pairs: Pairs | None = None
    own: Mapping[str, Estimate] = field(default_factory=dict)
    others: Sequence[MetricsFile] = ()


@dataclass(frozen=True)
class Judged:
    """Rows in order of importance, what the predictions told, and the run-to-run spread by metric's shown name."""

    rows: list[Row]
    answers: Answers
    spreads: dict[str, Spread]


@dataclass(frozen=True)
class _Metric:
    """One metric on both sides, before it is judged. None: the side does not have it."""

    shown: str
    path: str
    base: Reading | None
    head: Reading | None
    rule: Applied
    spread: Spread | None

    @property
    def values(self) -> tuple[float, float] | None:
        """The numbers of base and this change, where both are numbers."""
        if self.base is None or self.head is None or self.base.value is None or self.head.value is None:
            return None
        return self.base.value, self.head.value


def judge_metrics(
    head: Mapping[str, MetricsFile],
    base: Mapping[str, MetricsFile],
    rules: Mapping[str, Rule],
    expected: Mapping[str, Declared],
    evidence: Evidence,
) -> Judged:
    """Judge every metric of ``head`` and ``base`` (files by path), by its interval where there is one."""
    metrics = _metrics(head, base, rules, evidence.others)
    answers = Answers()
    if evidence.pairs is not None:
        questions = [Question(m.shown, m.rule, *m.values) for m in metrics if m.values is not None]
        answers = answer(questions, evidence.pairs, evidence.settings, evidence.own)
    rows = []
    for metric in metrics:
        interval = answers.intervals.get(metric.shown)
        if metric.spread is not None and metric.values is not None:
            interval = repeats.widened(
                interval, *metric.values, metric.spread, evidence.settings.level, zero=metric.rule.direction == "zero"
            )
        declared = declaration_of(metric.shown, expected)
        rows.append(
            judge(
                metric.shown,
                metric.base,
                metric.head,
                metric.rule,
                declared=declared,
                interval=interval,
                path=metric.path,
            )
        )
    return Judged(rows, answers, {m.shown: m.spread for m in metrics if m.spread is not None})


def _metrics(
    head: Mapping[str, MetricsFile],
    base: Mapping[str, MetricsFile],
    rules: Mapping[str, Rule],
    others: Sequence[MetricsFile],
) -> list[_Metric]:
    """All metrics of both sides, most important first; without those that may be missing and are."""
    spreads = repeats.spreads(head, others) if others else {}
    fitted = {path: training_twins(side[path]) for side in (base, head) for path in side}
    scales = {path: _error_size(side[path]) for side in (base, head) for path in side}
    metrics = []
    names = public_names(head, base)
    one_folder = len({posixpath.dirname(path) for path, _ in names}) == 1
    for (path, name), shown in names.items():
        before, after = (side[path].readings.get(name) if path in side else None for side in (base, head))
        twin = name in fitted.get(path, ())
        rule = resolve(name, rules, after or before, path, fitted=twin, only_folder=one_folder)
        rule = _plausible(name, rule, before, after)
        if rule.direction == "zero":
            rule = replace(rule, floor=max(rule.floor, 1e-9 * scales.get(path, 0.0)))
        if after is not None or rule.missing != "ignore":
            detail = (after or before or Reading(None)).detail
            rule = replace(rule, why=f"{rule.why}; {detail}") if detail else rule
            metrics.append(_Metric(shown, path, before, after, rule, spreads.get(name)))
    return sorted(
        _by_split(_without_companions(_summarised(_last_of_sets(metrics)))), key=lambda metric: importance(metric.rule)
    )


def training_twins(file: MetricsFile) -> set[str]:
    """Names without a split that are those of the training samples: beside each stands the same name with ``val_``.

    So Keras and transformers write them. Only where the loss is such a pair, or the file is a log of epochs: else a
    bare name may be that of the test set.
    """
    twins = set()
    for name in file.readings:
        folder, dot, leaf = name.rpartition(".")
        if any(f"{folder}{dot}{prefix}{leaf}" in file.readings for prefix in ("val_", "eval_", "valid_")):
            twins.add(name)
    logged = any(file.readings[name].log for name in twins)
    return twins if logged or any(name.rpartition(".")[2] == "loss" for name in twins) else set()


def _error_size(file: MetricsFile) -> float:
    """The largest error of the file in the unit of the truth, beside which a bias may be a rounding error."""
    sizes = [
        abs(reading.value)
        for name, reading in file.readings.items()
        if reading.value is not None and (said := meaning(name).metric) is not None and said.label in {"RMSE", "MAE"}
    ]
    return max(sizes, default=0.0)


def _plausible(name: str, rule: Applied, base: Reading | None, head: Reading | None) -> Applied:
    """``rule``, where the values can be the metric's; else with the direction that they show, or none.

    An error that is negative on both sides has its sign turned (scikit-learn's ``cross_val_score``, AutoGluon).
    """
    metric = meaning(name).metric
    before, after = base.value if base else None, head.value if head else None
    if metric is None or rule.source != "name" or before is None or after is None:
        return rule
    if metric.least == 0 and min(before, after) < 0 and rule.direction == metric.direction:
        if max(before, after) <= 0:
            turned: Direction = "higher" if rule.direction == "lower" else "lower"
            return replace(rule, direction=turned, percent=False, why=f"{rule.why}, negative: its sign is turned")
        return replace(rule, direction="none", why=f"{rule.why}, with its sign turned on one side")
    if metric.most == 1 and min(abs(before), abs(after)) <= 1 and 2 < max(abs(before), abs(after)) <= 100:
        return replace(rule, direction="none", why=f"{rule.why}, a share on one side and per cent on the other")
    return rule


_NUMBERED_SET = re.compile(r"(validation|valid|eval)_(\d+)")


def _last_of_sets(metrics: Sequence[_Metric]) -> list[_Metric]:
    """Of numbered validation sets the last decides, as XGBoost's early stopping does: the first is often training."""
    last: dict[str, int] = {}
    for metric in metrics:
        if numbered := _NUMBERED_SET.search(metric.shown):
            name = _NUMBERED_SET.sub(r"\1", metric.shown)
            last[name] = max(last.get(name, 0), int(numbered[2]))
    result = []
    for metric in metrics:
        numbered = _NUMBERED_SET.search(metric.shown)
        final = last[_NUMBERED_SET.sub(r"\1", metric.shown)] if numbered else 0
        earlier = numbered is not None and int(numbered[2]) < final and not metric.rule.weighted
        why = f"an earlier set than {final}: shown, decides nothing"
        result.append(_shown(metric, why) if earlier else metric)
    return result


def _shown(metric: _Metric, why: str) -> _Metric:
    """``metric`` without a say in the verdict."""
    missing: Missing = "warn" if metric.rule.missing == "fail" else metric.rule.missing
    return replace(metric, rule=replace(metric.rule, weight=0.0, why=why, missing=missing))


_AVERAGE = re.compile(r"(.*\.)?(?:macro|weighted|micro|samples) avg\.(?:precision|recall|f1-score)")
_OF_CLASS = re.compile(r"(.*\.)?[^.]+\.(?:precision|recall|f1-score)|(.*\.)?[^.]+ avg\.(?:precision|recall)")


def _summarised(metrics: Sequence[_Metric]) -> list[_Metric]:
    """Of a classification report accuracy and the averages of F1 decide: precision is traded for recall, and the
    classes are in the averages. A class that falls is told (:func:`flint_ml.metrics.wording.value_findings`).
    """
    reports = {metric.path for metric in metrics if _AVERAGE.fullmatch(metric.shown)}
    why = "a part of the averages: shown, decides nothing"
    return [
        _shown(metric, why)
        if metric.path in reports
        and _OF_CLASS.fullmatch(metric.shown)
        and not metric.shown.endswith(" avg.f1-score")
        and not metric.rule.weighted
        and metric.rule.source != "rule"
        else metric
        for metric in metrics
    ]


def _without_companions(metrics: Sequence[_Metric]) -> list[_Metric]:
    """Spreads, bounds and extremes of a metric that is in the same file are shown: the metric itself decides."""
    central: dict[tuple[str, tuple[str, ...]], str] = {}
    for metric in metrics:
        about, varies = beside(metric.shown)
        if not varies and metric.rule.direction != "none":
            central.setdefault((metric.path, about), metric.shown)
    return [_beside(metric, central) for metric in metrics]


def _beside(metric: _Metric, central: Mapping[tuple[str, tuple[str, ...]], str]) -> _Metric:
    about, varies = beside(metric.shown)
    named = central.get((metric.path, about), "")
    said = meaning(metric.shown).metric
    # `max_error` is a metric of its own beside `error`.
    own = said is not None and said != meaning(named).metric
    if not varies or not named or own or metric.rule.weighted or metric.rule.source == "rule":
        return metric
    why = f"`{varies}` beside {named}: shown, decides nothing"
    return _shown(replace(metric, rule=replace(metric.rule, source="name")), why)


def _by_split(metrics: Sequence[_Metric]) -> list[_Metric]:
    """Where metrics of a test set decide, those of validation are shown; a rule that gives a weight is kept."""
    decided = [m for m in metrics if m.rule.split == "test" and m.rule.weight > 0 and m.rule.direction != "none"]
    if not decided:
        return list(metrics)
    why = f"of validation: shown, for {decided[0].shown} decides"
    return [
        _shown(m, why) if m.rule.split == "val" and m.rule.weight > 0 and not m.rule.weighted else m for m in metrics
    ]


def samples_needed(row: Row) -> int | None:
    """How many samples or blocks would settle an inconclusive row, at the change and spread seen now."""
    interval = row.interval
    if row.result != "inconclusive" or interval is None or not interval.error or not interval.units:
        return None
    if row.delta is None or row.base is None or row.head is None:
        return None
    margin = row.rule.margin(row.base)
    ask = partial(needed, units=interval.units, margin=margin, level=interval.level)
    if interval.total is None:
        return ask(row.delta, interval.error)
    # The size of a bias: surely within the tolerance if difference or sum is; surely beyond if both differ from zero.
    spread = interval.error * (interval.total[1] - interval.total[0]) / (interval.high - interval.low)
    both = [(row.delta, interval.error), (row.head + row.base, spread)]
    if abs(abs(row.head) - abs(row.base)) <= margin:
        counts = [ask(change, error) for change, error in both if abs(change) < margin]
        return min((count for count in counts if count is not None), default=None)
    counts = [ask(change, error, margin=0.0) for change, error in both]
    return None if None in counts else max(count for count in counts if count is not None)
