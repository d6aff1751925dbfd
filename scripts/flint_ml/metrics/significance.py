"""From predictions of both sides to an interval for each metric that they explain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from flint_ml.metrics.bootstrap import MIN_UNITS, Estimate, Settings, estimates, judge_all, observed
from flint_ml.metrics.catalogue import infer
from flint_ml.metrics.compare import Interval, Row
from flint_ml.metrics.intervals import needed
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.rules import Applied
from flint_ml.metrics.scores import CANDIDATES, FAMILY
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
    labels = {question.name: known.label for question in questions if (known := infer(question.name))}
    wanted = {key for label in labels.values() for key in CANDIDATES.get(label, ())}
    found = observed(pairs, sorted(wanted))
    matched: dict[str, str] = {}
    contradicted: list[str] = []
    for question in questions:
        keys = [key for key in CANDIDATES.get(labels.get(question.name, ""), ()) if key in found]
        slack = _slack(question.base, question.head)
        fitting = [
            key
            for key in keys
            if abs(found[key][0] - question.base) <= slack and abs(found[key][1] - question.head) <= slack
        ]
        if fitting:
            matched[question.name] = fitting[0]
        elif keys:
            contradicted.append(_contradiction(question, *found[keys[0]], slack))
    if not contradicted:
        return matched, []
    message = f"metrics file and predictions disagree, so no confidence interval for: {'; '.join(contradicted[:6])}"
    hint = "write metrics and predictions in the same run, from the same samples"
    return matched, [Finding(severity="warning", code="metric-mismatch", message=message, hint=hint)]


def _contradiction(question: Question, base: float, head: float, slack: float) -> str:
    here = abs(head - question.head) > slack
    side, computed, given = ("this change", head, question.head) if here else ("the base", base, question.base)
    return f"{question.name} of {side} is {given:.4g} in the file and {computed:.4g} by the predictions"


def answer(
    questions: Sequence[Question], pairs: Pairs, settings: Settings, own: Mapping[str, Estimate] | None = None
) -> Answers:
    """Intervals for all metrics that the predictions explain, in order of importance of ``questions``.

    ``own`` are estimates that were made already, by metric's name.
    """
    own = own or {}
    scores, findings = match([question for question in questions if question.name not in own], pairs)
    result = Answers(scores=scores, findings=findings)
    if not (scores or own) or not settings.resamples:
        return result
    made = estimates(pairs, list(dict.fromkeys(scores.values())), settings)
    found = {name: made[key] for name, key in scores.items() if key in made} | dict(own)
    families = {name: FAMILY[key] for name, key in scores.items()} | {name: name for name in own}
    units = next((estimate.units for estimate in found.values()), 0)
    if units < MIN_UNITS:
        kind = "blocks" if pairs.block is not None else "samples"
        message = f"{units} {kind} are too few for confidence intervals; at least {MIN_UNITS} are needed"
        result.findings.append(Finding(severity="info", code="too-few-samples", message=message))
        return result
    decisive = [question.name for question in questions if question.name in found and question.rule.weight > 0]
    for names in (decisive, [name for name in found if name not in decisive]):
        result.intervals |= judge_all({name: found[name] for name in names}, families, settings)
    return result


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


def round_up(number: int) -> int:
    """``number`` with two significant digits, rounded up: nobody plans 1,013 samples."""
    step = 10 ** max(0, len(str(number)) - 2)
    return int(-(-number // step) * step)


def notes(rows: Sequence[Row], pairs: Pairs | None) -> list[Finding]:
    """What the intervals mean where they are not plain: corrected away, or too wide."""
    found: list[Finding] = []
    kind = "blocks" if pairs is not None and pairs.block is not None else "samples"
    for row in rows:
        interval = row.interval
        if row.result != "inconclusive" or interval is None or row.rule.weight == 0:
            continue
        message = f"{row.rule.label}: the change may be chance"
        if interval.low > 0 or interval.high < 0:
            message = f"{row.rule.label}: a change, but perhaps not larger than the tolerance"
            if not interval.differs():
                message = f"{row.rule.label}: chance cannot be ruled out when all metrics are judged together"
        count = samples_needed(row)
        if count is not None:
            message += f"; about {round_up(count):,} {kind} would settle it ({interval.units:,} now)"
        hint = None if row.rule.tolerance else "a `tolerance` says which changes do not matter"
        found.append(Finding(severity="info", code="inconclusive", message=message, hint=hint))
    return found
