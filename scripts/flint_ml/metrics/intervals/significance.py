"""From predictions of both sides to an interval for each metric that they explain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flint_ml.metrics.catalogue import SCORES
from flint_ml.metrics.intervals.bootstrap import (
    MIN_UNITS,
    Estimate,
    IntervalSettings,
    corrected_intervals,
    estimates,
    observed,
)
from flint_ml.metrics.intervals.interval import Interval
from flint_ml.metrics.names import meaning
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.rules import Applied
from flint_ml.record import Finding


@dataclass(frozen=True)
class Question:
    """One metric that is on both sides: its name, its rule, its values in the metrics files."""

    name: str
    rule: Applied
    base: float
    head: float


@dataclass
class Answers:
    """Intervals by metric's name, the score that each metric is, and what a reader should know."""

    intervals: dict[str, Interval] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def _slack(*values: float) -> float:
    """How far a value in a file may be from the exact one: half a unit of its last decimal, and half a per cent."""
    texts = [re.match(r"^-?\d+(?:\.(\d*?))?0*(?:e.*)?$", repr(value)) for value in values]
    decimals = max((len(match[1] or "") for match in texts if match), default=0)
    return float(0.51 * 10.0**-decimals + 0.005 * max(abs(value) for value in values))


def match(questions: Sequence[Question], pairs: Pairs) -> tuple[dict[str, str], list[Finding]]:
    """The score that each metric is, proved by computing it from the predictions of both sides.

    A metric whose value in the file is none of the scores of its name gets no interval: the file is stale, was made
    from other samples, or means something else by the name.
    """
    candidates = {question.name: _candidates(question) for question in questions}
    computed = observed(pairs, sorted({key for keys in candidates.values() for key in keys}))
    matched: dict[str, str] = {}
    contradicted: list[str] = []
    for question in questions:
        keys = [key for key in candidates[question.name] if key in computed]
        slack = _slack(question.base, question.head)
        fitting = [
            key
            for key in keys
            if abs(computed[key][0] - question.base) <= slack and abs(computed[key][1] - question.head) <= slack
        ]
        if fitting:
            matched[question.name] = fitting[0]
        elif keys and question.rule.split != "val":
            contradicted.append(_contradiction(question, *computed[keys[0]], slack))
    if not contradicted:
        return matched, []
    message = f"metrics file and predictions disagree, so no confidence interval for: {'; '.join(contradicted[:6])}"
    hint = "write metrics and predictions in the same run, from the same samples"
    return matched, [Finding(severity="warning", code="metric-mismatch", message=message, hint=hint)]


def _candidates(question: Question) -> list[str]:
    """Scores that the metric may be; none for those of training, nor for those with a turned sign."""
    said = meaning(question.name)
    if said.metric is None or said.direction != said.metric.direction or question.rule.split == "train":
        return []
    return [score.key for score in said.metric.scores]


def _contradiction(question: Question, base: float, head: float, slack: float) -> str:
    in_head = abs(head - question.head) > slack
    side, computed, given = ("this change", head, question.head) if in_head else ("the base", base, question.base)
    return f"{question.name} of {side} is {given:.4g} in the file and {computed:.4g} by the predictions"


def answer(
    questions: Sequence[Question], pairs: Pairs, settings: IntervalSettings, own: Mapping[str, Estimate] | None = None
) -> Answers:
    """Intervals for all metrics that the predictions explain, in order of importance of ``questions``.

    ``own`` are estimates that were made already, by metric's name.
    """
    own = own or {}
    scores, findings = match([question for question in questions if question.name not in own], pairs)
    result = Answers(scores=scores, findings=findings)
    if not (scores or own) or not settings.resamples:
        return result
    by_score = estimates(pairs, list(dict.fromkeys(scores.values())), settings)
    changes = {name: by_score[key] for name, key in scores.items() if key in by_score} | dict(own)
    families = {name: SCORES[key].family for name, key in scores.items()} | {name: name for name in own}
    units = next((estimate.units for estimate in changes.values()), 0)
    if units < MIN_UNITS:
        kind = "blocks" if pairs.block is not None else "samples"
        message = f"{units} {kind} are too few for confidence intervals; at least {MIN_UNITS} are needed"
        result.findings.append(Finding(severity="info", code="too-few-samples", message=message))
        return result
    decisive = [question.name for question in questions if question.name in changes and question.rule.weight > 0]
    for names in (decisive, [name for name in changes if name not in decisive]):
        result.intervals |= corrected_intervals({name: changes[name] for name in names}, families, settings)
    return result
