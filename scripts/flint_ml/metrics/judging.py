"""Every metric of both sides judged: by its interval where there is one, most important first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flint_ml.metrics import expected as declarations
from flint_ml.metrics import repeats, source
from flint_ml.metrics.bootstrap import Estimate, Settings
from flint_ml.metrics.compare import Declared, Interval, Row, importance, judge
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.read import MetricsFile, Reading
from flint_ml.metrics.repeats import Spread
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.significance import Answers, Question, answer


@dataclass(frozen=True)
class Evidence:
    """What there is beside the two values: ``pairs`` of predictions for the same samples, estimates of the user's
    ``own`` functions by name, metrics of ``others``: runs of this change with other seeds."""

    settings: Settings
    pairs: Pairs | None = None
    own: Mapping[str, Estimate] = field(default_factory=dict)
    others: Sequence[MetricsFile] = ()


@dataclass(frozen=True)
class Judged:
    """Rows in order of importance, what the predictions told, and the run-to-run spread by metric's shown name."""

    rows: list[Row]
    answers: Answers
    spreads: dict[str, Spread]


def judge_metrics(
    head: Mapping[str, MetricsFile],
    base: Mapping[str, MetricsFile],
    rules: Mapping[str, Rule],
    expected: Mapping[str, Declared],
    evidence: Evidence,
) -> Judged:
    """Judge every metric of ``head`` and ``base`` (files by path) as compare.py's tables say."""
    readings: dict[str, tuple[Reading | None, Reading | None]] = {}
    rows: list[Row] = []
    by_name = repeats.spreads(head, evidence.others) if evidence.others else {}
    spreads: dict[str, Spread] = {}
    for (path, name), shown in source.public_names(head, base).items():
        one, two = (side[path].readings.get(name) if path in side else None for side in (base, head))
        rule = resolve(name, rules, two or one, path)
        row = judge(shown, one, two, rule, declared=declarations.find(expected, shown), path=path)
        if row.result != "gone" or rule.missing != "ignore":
            rows.append(row)
            readings[shown] = (one, two)
            if name in by_name:
                spreads[shown] = by_name[name]
    rows.sort(key=importance)
    answers = Answers()
    if evidence.pairs is not None:
        questions = [
            Question(row.name, row.rule, row.base, row.head)
            for row in rows
            if row.base is not None and row.head is not None
        ]
        answers = answer(questions, evidence.pairs, evidence.settings, evidence.own)
    judged = [
        judge(
            row.name,
            *readings[row.name],
            row.rule,
            declared=row.declared,
            path=row.path,
            interval=_interval(row, answers.intervals.get(row.name), spreads.get(row.name), evidence.settings.level),
        )
        for row in rows
    ]
    return Judged(judged, answers, spreads)


def _interval(row: Row, interval: Interval | None, spread: Spread | None, level: float) -> Interval | None:
    if spread is None or row.base is None or row.head is None:
        return interval
    return repeats.widened(interval, row, spread, level)
